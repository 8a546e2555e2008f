"""A Postgres that is new and empty takes over what Redis holds, where an operator says so."""

import pytest

from flower_engine.errors import InstallationError
from flower_engine.log.client import send
from flower_engine.runtime.adoption import adopt
from flower_engine.runtime.settings import Settings
from projection.rows import expected, held
from recovery.both import Both
from recovery.command import flower
from scripts.engine import chain


async def _lose_postgres(both: Both) -> None:
    """Another, empty one stands in its place."""
    await both.connection.execute("DROP SCHEMA public CASCADE")
    await both.connection.execute("CREATE SCHEMA public")


async def test_an_empty_postgres_is_filled_from_the_whole_log(both: Both, settings: Settings) -> None:
    await both.engine.register_many(5, *chain(3))
    await both.project()
    await both.engine.claim(3)
    await _lose_postgres(both)
    code, text = await flower(settings, "recover", "--adopt", words=2)
    assert code == 0, text
    flows = await both.check()
    assert len(flows) == 5
    assert await held(both.connection) == expected(await both.archived())
    await both.engine.work_off()
    await both.check()


async def test_of_a_log_that_was_trimmed_the_gap_is_bridged(both: Both, settings: Settings) -> None:
    ended = await both.engine.register(*chain(1), workflow="ended")
    await both.engine.work_off()
    await both.engine.register_many(5, *chain(3))
    held_back = await both.engine.claim(3)
    await send(both.client, "XTRIM", both.engine.keys.log, "MAXLEN", 2)
    await _lose_postgres(both)
    code, text = await flower(settings, "recover", "--adopt", words=2)
    assert code == 0, text
    assert f"of 1 that ended lately nothing else is known ({ended})" in text
    flows = await both.check()
    assert len(flows) == 5
    assert await held(both.connection) == expected(await both.archived())
    await both.engine.finish(*held_back)
    await both.engine.work_off()
    assert all(flow.ended_ms for flow in (await both.check()).values())


async def test_a_postgres_that_is_not_empty_adopts_nothing(both: Both, settings: Settings) -> None:
    with pytest.raises(InstallationError, match="already"):
        await adopt(both.client, both.connection, settings, lambda _what, _done, _total: None)
