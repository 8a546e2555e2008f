"""The tables are built anew from the archive, beside the live ones, and compared with them."""

from contextlib import AbstractAsyncContextManager
from typing import LiteralString

import psycopg
import pytest

from flower_engine.errors import LostError
from flower_engine.log.client import send
from flower_engine.projection.maintain.replay import Rebuilt, Replaying, Selection, rebuild_tables
from flower_engine.projection.maintain.table_comparison import Difference, Merged, find_differences, swap_in
from flower_engine.runtime.settings import Settings
from flower_engine.store_faults import is_outage
from flower_engine.transitions.operator_transitions import rerun
from projection.rows import expected, held
from recovery.both import Both
from recovery.command import flower
from scripts.engine import chain, fan, task

WHOLE = Selection()


async def _stories(both: Both) -> None:
    """Flows of every kind, some of them under way."""
    engine = both.engine
    await engine.register_many(5, *chain(3))
    await engine.register(*fan(5), workflow="fan")
    broken = await engine.register(task(1), task(2, 1), workflow="broken")
    (claim,) = [claim for claim in await engine.claim(100) if claim.flow == broken]
    await engine.suspend(claim)
    await engine.register_many(2, *chain(2), workflow="later")
    await engine.claim(1)
    await both.project()


def _rebuilt(
    both: Both, chosen: Selection = WHOLE, *, at_one_moment: bool = False
) -> AbstractAsyncContextManager[tuple[Replaying, Rebuilt]]:
    return rebuild_tables(
        both.other, both.connection, chosen, lambda _what, _done, _total: None, at_one_moment=at_one_moment
    )


async def _replay(both: Both, chosen: Selection = WHOLE) -> Merged:
    async with _rebuilt(both, chosen) as (replaying, rebuilt):
        return await swap_in(both.other, replaying, rebuilt, chosen)


async def _verify(both: Both, chosen: Selection = WHOLE) -> list[Difference]:
    async with _rebuilt(both, chosen, at_one_moment=True) as (_, rebuilt):
        return [found async for found in find_differences(both.other, rebuilt, chosen)]


async def test_tables_that_lost_every_row_are_what_the_events_say_again(both: Both) -> None:
    await _stories(both)
    await both.connection.execute("TRUNCATE kr_task_stat, kr_flow_stat")
    await _replay(both)
    assert await held(both.connection) == expected(await both.archived())


async def test_tables_that_were_dropped_are_made_anew_with_their_indexes(
    both: Both, settings: Settings
) -> None:
    await _stories(both)
    before = [await _shape(both, table) for table in ("kr_task_stat", "kr_flow_stat")]
    await both.connection.execute("DROP TABLE kr_task_stat, kr_flow_stat")
    await both.engine.register(task(1), workflow="unprojected")
    code, text = await flower(settings, "verify", words=2)
    assert (code, "flower replay" in text) == (1, True)
    assert (await flower(settings, "replay", "--workflow", "etl"))[0] == 1
    with pytest.raises(psycopg.errors.UndefinedTable) as caught:
        await both.project()
    assert is_outage(caught.value)  # so services wait for the table
    code, text = await flower(settings, "replay", words=3)
    assert (code, "made anew: kr_flow_stat and kr_task_stat" in text) == (0, True)
    assert [await _shape(both, table) for table in ("kr_task_stat", "kr_flow_stat")] == before
    await both.project()
    assert await held(both.connection) == expected(await both.archived())
    assert await both.count("SELECT count(*) FROM kr_event WHERE error IS NOT NULL") == 0
    assert await both.count("SELECT count(*) FROM pg_namespace WHERE nspname = 'flower_remaking'") == 0


async def test_redis_is_not_recovered_from_a_table_that_lost_its_rows(both: Both) -> None:
    await _stories(both)
    before = await both.flows()
    await both.connection.execute("TRUNCATE kr_task_stat, kr_flow_stat")
    await both.wipe()
    with pytest.raises(LostError, match="flower replay"):
        await both.recover()
    await both.recover_connection().execute("SELECT pg_advisory_unlock_all()")
    await _replay(both)
    await both.recover()
    assert (await both.check()).keys() == before.keys()


async def _shape(both: Both, table: str) -> list[object]:
    """Columns, indexes and constraints of a table."""
    columns = await both.connection.execute(
        "SELECT column_name, data_type, column_default, is_nullable, ordinal_position"
        " FROM information_schema.columns WHERE table_name = %s AND table_schema = 'public' ORDER BY 1",
        [table],
    )
    indexes = await both.connection.execute(
        "SELECT schemaname, indexdef FROM pg_indexes WHERE tablename = %s ORDER BY 2", [table]
    )
    return [*await columns.fetchall(), *await indexes.fetchall()]


async def test_rows_that_are_right_stay_untouched(both: Both) -> None:
    await _stories(both)
    assert await _replay(both) == Merged(written=0, removed=0)


@pytest.mark.parametrize(
    ("damage", "fields"),
    [
        (
            "UPDATE kr_task_stat SET exec_status = 9 WHERE task_id = 'broken' AND task_seq = 1",
            ["exec_status"],
        ),
        ("UPDATE kr_task_stat SET error = NULL WHERE task_id = 'broken'", ["error"]),
        ("UPDATE kr_task_stat SET parameters = '{\"x\": 1}' WHERE task_id = 'broken'", ["parameters"] * 2),
        ("UPDATE kr_flow_stat SET waiting = 7, version = 1 WHERE task_id = 'broken'", ["version", "waiting"]),
        ("DELETE FROM kr_task_stat WHERE task_id = 'broken'", ["row", "row"]),
        (
            "INSERT INTO kr_flow_stat SELECT (json_populate_record(known,"
            " '{\"task_flow_id\": \"invented\"}')).* FROM kr_flow_stat AS known WHERE task_id = 'broken'",
            ["row"],
        ),
    ],
)
async def test_each_field_that_differs_is_found_and_repaired(
    both: Both, damage: LiteralString, fields: list[str]
) -> None:
    await _stories(both)
    await both.connection.execute(damage)
    found = await _verify(both)
    assert sorted(difference.field for difference in found) == sorted(fields)
    await _replay(both)
    assert await held(both.connection) == expected(await both.archived())


async def test_only_the_chosen_workflow_is_rebuilt(both: Both) -> None:
    await _stories(both)
    await both.connection.execute("UPDATE kr_flow_stat SET waiting = waiting + 1")
    chosen = Selection(workflow="later")
    found = await _verify(both, chosen)
    assert len({difference.flow for difference in found}) == 2
    assert (await _replay(both, chosen)).written == 2


async def test_what_is_archived_meanwhile_is_seen_by_a_replay(both: Both) -> None:
    await _stories(both)
    async with _rebuilt(both) as (replaying, rebuilt):
        await both.engine.register(task(1), workflow="new")
        await both.engine.work_off()
        await both.project()
        assert await swap_in(both.other, replaying, rebuilt, WHOLE) == Merged(written=0, removed=0)


async def test_what_is_archived_meanwhile_is_no_difference(both: Both) -> None:
    await _stories(both)
    async with _rebuilt(both, at_one_moment=True) as (_, rebuilt):
        await both.engine.register(task(1), workflow="new")
        await both.engine.work_off()
        await both.project()
        assert [found async for found in find_differences(both.other, rebuilt, WHOLE)] == []


async def test_the_live_tables_cannot_be_meant_while_others_are_built(both: Both) -> None:
    """Not even by a statement that forgets to name the others."""
    await _stories(both)
    async with _rebuilt(both, at_one_moment=True) as (_, rebuilt):
        live = "SELECT 'kr_flow_stat'::regclass = 'public.kr_flow_stat'::regclass"
        assert await (await both.other.execute(live)).fetchone() == (True,)
        finding = find_differences(both.other, rebuilt, WHOLE)
        await both.connection.execute("UPDATE kr_flow_stat SET waiting = 7")
        assert [found async for found in finding] == []  # it was so when they were built
    (difference, *_) = await _verify(both)
    assert difference.field == "waiting"
    rows = await both.other.execute("SELECT to_regclass('pg_temp.kr_flow_stat')")
    assert await rows.fetchone() == (None,)


async def test_rows_of_a_flow_whose_registration_is_gone_are_left_alone(both: Both) -> None:
    await _stories(both)
    before = await held(both.connection)
    await both.connection.execute("DELETE FROM kr_event WHERE event ->> 'workflow' = 'broken'")
    async with _rebuilt(both) as (replaying, rebuilt):
        assert len(rebuilt.headless) == 1
        assert await swap_in(both.other, replaying, rebuilt, WHOLE) == Merged(written=0, removed=0)
    assert await held(both.connection) == before


async def test_the_commands_say_what_differs_and_put_it_right(both: Both, settings: Settings) -> None:
    await _stories(both)
    code, text = await flower(settings, "verify", words=9)
    assert (code, "9 flows under way, 0 differences" in text) == (0, True), text
    await both.connection.execute("UPDATE kr_task_stat SET exec_status = 3 WHERE task_id = 'broken'")
    code, text = await flower(settings, "verify", words=9)
    assert (code, "its events say 2" in text, "task.suspended" in text) == (1, True, True)
    assert (await flower(settings, "replay", "--workflow", "broken", "--since", "2020-01-01"))[0] == 0
    code, text = await flower(settings, "verify", words=9)
    assert (code, "9 flows under way, 0 differences" in text) == (0, True), text
    assert (await flower(settings, "verify", "--repair"))[0] == 0


async def test_a_history_whose_versions_do_not_follow_is_named_also_of_a_flow_that_ended(
    both: Both, settings: Settings
) -> None:
    """As two reruns of the same end leave it: v1 to v6, then v4 to v6 again."""
    flow = await both.engine.register(task(1))
    await both.engine.work_off()
    known = await both.engine.restored(flow)
    for _ in range(2):
        for key in (both.engine.keys.ended(flow), both.engine.keys.flow(flow)):
            await send(both.client, "DEL", key)
        await send(both.client, "HDEL", both.engine.keys.meta, "forgotten_to")
        await rerun(both.client, both.engine.partition, flow, by="eve", selection="all", restored=known)
        await both.engine.work_off()
    healthy = await both.engine.register(task(1))
    await both.engine.work_off()
    await both.project()
    code, text = await flower(settings, "verify", words=8)
    assert (code, f"flow {flow}: its history is damaged: event v4 (flow.rerun)" in text) == (1, True), text
    assert "follows v6" in text
    assert healthy not in text


async def test_versions_are_compared_for_what_is_archived_meanwhile_too(both: Both) -> None:
    flow = await both.engine.register(task(1))
    await both.engine.work_off()
    await both.project()
    async with _rebuilt(both) as (replaying, rebuilt):
        assert rebuilt.damaged == {}
        await both.engine.register(task(1))
        await both.engine.work_off()
        await send(
            both.client, "XADD", both.engine.keys.log, "*", "e",
            f'{{"type":"flow.paused","at":9,"flow":"{flow}","v":3,"by":"eve","reason":""}}',
        )  # fmt: skip
        await both.project()
        await replaying.catch_up(rebuilt)
    assert list(rebuilt.damaged) == [flow]
    assert "v3" in rebuilt.damaged[flow]
