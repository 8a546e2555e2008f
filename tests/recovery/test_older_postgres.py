"""A Postgres that went back in time, as from an older backup, is not mistaken for a Redis that was lost."""

import pytest
from psycopg.sql import SQL, Identifier

from flower_engine.errors import LostError
from flower_engine.projection.write.projected_positions import read_positions
from flower_engine.runtime.loss_recovery import is_lost, recover_lost
from flower_engine.runtime.settings import Settings
from flower_projector.trimming import Trimmer
from recovery.both import Both
from scripts.engine import chain

ALL_TABLES = ("kr_event", "kr_flow_stat", "kr_task_stat", "kr_projection")


async def _back_up(both: Both) -> None:
    for table in ALL_TABLES:
        names = (Identifier("backup_" + table), Identifier(table))
        await both.connection.execute(SQL("CREATE TABLE {} AS TABLE {}").format(*names))


async def _restore(both: Both) -> None:
    for table in ALL_TABLES:
        names = (Identifier(table), Identifier("backup_" + table))
        await both.connection.execute(SQL("TRUNCATE {}").format(names[0]))
        await both.connection.execute(SQL("INSERT INTO {} TABLE {}").format(*names))


async def _stories(both: Both, settings: Settings, tail_events: int) -> tuple[str, str]:
    """A flow of before the backup that ends after it, and one of after it; a trimmed log; the old backup."""
    before = await both.engine.register(*chain(3))
    await both.engine.finish(*await both.engine.claim(1))
    await both.project()
    await _back_up(both)
    await both.engine.work_off()
    for _ in range(100):  # entries of the log: what is trimmed goes in nodes of 64
        await both.engine.register_many(3, *chain(1), workflow="many")
    await both.engine.work_off()
    after = await both.engine.register(*chain(2), workflow="after")
    await both.project()
    kept = settings.model_copy(update={"log_tail_events": tail_events})
    trimmer = Trimmer(both.client, both.engine.partition, kept, monotonic=iter(range(99)).__next__)
    (row,) = await read_positions(both.connection)
    assert row.position is not None
    for _ in range(2):
        trimmer.archived(row.position, 400)
    await trimmer.run_once(row.position)
    await _restore(both)
    return before, after


async def test_where_the_log_still_has_what_is_missing_it_is_projected_again(
    both: Both, settings: Settings
) -> None:
    before, after = await _stories(both, settings, tail_events=100_000)
    flows = await both.check()
    assert flows[before].ended_ms
    assert after in flows


async def test_where_it_has_not_redis_is_left_alone_and_work_goes_on(both: Both, settings: Settings) -> None:
    _, after = await _stories(both, settings, tail_events=1)
    (row,) = await read_positions(both.connection)
    with pytest.raises(LostError, match="Postgres went back in time"):
        await both.project()
    assert not await is_lost(both.client, 0, row)
    assert await recover_lost(both.client, settings, lambda _what, _done, _total: None) == []
    assert {claim.flow for claim in await both.engine.claim(1)} == {after}


async def test_an_operator_may_go_on_from_what_the_backup_has(both: Both, settings: Settings) -> None:
    before, after = await _stories(both, settings, tail_events=1)
    (recovered,) = await recover_lost(both.client, settings, lambda _what, _done, _total: None, force=True)
    assert recovered.flows == 1
    await both.take_up()
    await both.engine.work_off()
    flows = await both.check()
    assert flows[before].ended_ms
    assert after in flows, "its registration was kept"
