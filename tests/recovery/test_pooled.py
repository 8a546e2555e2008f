"""Verify, replay and recovery where a role has set everything differently and no session keeps anything."""

from collections.abc import Iterator

import pytest

from flower_engine.projection.maintain.replay import Selection, rebuild_tables
from flower_engine.projection.maintain.table_comparison import find_differences, swap_in
from flower_engine.runtime.retention import prune_older
from projection.hostile import make_hostile, through_a_pooler
from recovery.both import Both
from scripts.engine import chain, fan, task


@pytest.fixture
def database_url(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    make_hostile(database_url)
    with monkeypatch.context() as patch:
        through_a_pooler(patch)
        yield database_url


@pytest.mark.no_tables  # they are made by such a role, too
async def test_all_of_it_works(both: Both) -> None:
    engine, whole = both.engine, Selection()
    await engine.register_many(5, *chain(3))
    await engine.register(*fan(5), workflow="fan")
    await engine.claim(2)
    ended = await engine.register(task(1), workflow="ended")
    await both.project()

    def told(_what: str, _done: int, _total: int) -> None: ...

    async def differences() -> list[str]:
        async with rebuild_tables(both.other, both.connection, whole, told, at_one_moment=True) as (
            _,
            rebuilt,
        ):
            return [found.field async for found in find_differences(both.other, rebuilt, whole)]

    assert await differences() == []
    await both.connection.execute("UPDATE kr_flow_stat SET waiting = 70 WHERE task_id = 'fan'")
    assert await differences() == ["waiting"]
    async with rebuild_tables(both.other, both.connection, whole, told, at_one_moment=False) as (
        replaying,
        built,
    ):
        assert (await swap_in(both.other, replaying, built, whole)).written == 1
    assert await differences() == []
    await both.wipe()
    assert (await both.recover()).flows == 7
    await engine.work_off()
    flows = await both.check()
    assert flows[ended].ended_ms is not None
    assert await prune_older(both.client, both.connection, 86_400) is not None
