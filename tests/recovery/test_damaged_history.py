"""Nothing that one row of the archive holds stops anything for other flows; its flow is named, and why."""

from contextlib import AbstractAsyncContextManager
from typing import LiteralString

from psycopg.sql import SQL, Literal

from flower_engine.insight.live_state import read_live_state
from flower_engine.log.client import send
from flower_engine.projection.maintain.replay import Rebuilt, Replaying, Selection, rebuild_tables
from flower_engine.projection.maintain.table_comparison import find_differences, swap_in
from flower_engine.projection.write.projected_positions import read_positions
from flower_engine.runtime.gap_bridge import bridge_gaps
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.verify_redis import check_redis
from recovery.both import Both
from recovery.command import flower
from scripts.engine import chain

WHOLE = Selection()


def tell(_what: str, _done: int, _total: int) -> None:
    """Nobody is told of progress."""


DAMAGES: dict[str, LiteralString] = {
    "no event": "event = NULL",
    "no object": "event = '\"x\"'",
    "too deep": "event = jsonb_set(event, '{result}', (repeat('[', 6000) || repeat(']', 6000))::jsonb)",
    "no such task": "event = jsonb_set(event, '{task}', '77')",
    "task 0": "event = jsonb_set(event, '{task}', '0')",
    "no such type": "event = jsonb_set(event, '{type}', '\"task.dreamt\"')",
    "a text for a number": "event = jsonb_set(event, '{attempt}', '\"one\"')",
    "a text for a task": "event = jsonb_set(event, '{task}', '\"one\"')",
    "no version": "event = event - 'v'",
    "another flow's": "event = jsonb_set(event, '{flow}', '\"01900000-0000-7000-8000-000000000000\"')",
    "refused and gone": "event = NULL, error = 'for a reason'",
}
OF_REGISTRATIONS: dict[str, LiteralString] = {
    "no event": "event = NULL",
    "no tasks": "event = event - 'tasks'",
    "numbered oddly": "event = jsonb_set(event, '{tasks,0,seq}', '5')",
    "depends on what is not": "event = jsonb_set(event, '{tasks,1,depends_on}', '[9]')",
    "depends on less than one": "event = jsonb_set(event, '{tasks,1,depends_on}', '[-1]')",
    "registered at no time": "event = jsonb_set(event, '{at}', '\"noon\"')",
}


async def _stories(both: Both) -> tuple[dict[str, str], list[str]]:
    """Flows under way with one of two tasks done: one for each damage, by id, and two that are whole."""
    engine = both.engine
    flows = await engine.register_many(len(DAMAGES) + len(OF_REGISTRATIONS), *chain(2), workflow="damaged")
    whole = [await engine.register(*chain(2), workflow=name) for name in ("good", "better")]
    await engine.finish(*await engine.claim(100))
    await both.project()
    damaged: dict[str, str] = {}
    for kind, damages in (("task.finished", DAMAGES), ("flow.registered", OF_REGISTRATIONS)):
        for name, damage in damages.items():
            flow = flows[len(damaged)]
            damaged[flow] = name
            changed = await both.connection.execute(
                SQL("UPDATE kr_event SET {} WHERE task_flow_id = {} AND type = {}").format(
                    SQL(damage), Literal(flow), Literal(kind)
                )
            )
            assert changed.rowcount == 1
    return damaged, whole


def _rebuilt(both: Both, *, is_verification: bool) -> AbstractAsyncContextManager[tuple[Replaying, Rebuilt]]:
    """The tables as ``verify`` builds them, or ``replay``."""
    return rebuild_tables(
        both.other,
        both.connection,
        WHOLE,
        tell,
        at_one_moment=is_verification,
        is_thorough=is_verification,
    )


async def test_a_replay_names_the_flows_and_puts_all_others_right(both: Both) -> None:
    damaged, whole = await _stories(both)
    await both.connection.execute("UPDATE kr_flow_stat SET waiting = 7")
    async with _rebuilt(both, is_verification=False) as (replaying, rebuilt):
        assert rebuilt.damaged.keys() == damaged.keys()
        assert all(flow in sentence for flow, sentence in rebuilt.damaged.items())
        assert (await swap_in(both.other, replaying, rebuilt, WHOLE)).written == 2
    rows = await both.connection.execute("SELECT task_flow_id, waiting FROM kr_flow_stat")
    assert {flow: waiting async for flow, waiting in rows} == dict.fromkeys(damaged, 7) | dict.fromkeys(
        whole, 1
    )


async def test_a_verification_names_the_flows_and_compares_all_others(both: Both) -> None:
    damaged, (good, _) = await _stories(both)
    await both.connection.execute("UPDATE kr_flow_stat SET waiting = 7 WHERE task_flow_id = %s", [good])
    async with _rebuilt(both, is_verification=True) as (_, rebuilt):
        found = [found async for found in find_differences(both.other, rebuilt, WHOLE)]
    assert rebuilt.damaged.keys() == damaged.keys()
    assert {difference.flow for difference in found} == {good}
    (row,) = await read_positions(both.connection)
    checked = await check_redis(both.client, both.recover_connection(), row, tell)
    assert len(checked.differences) == checked.damaged == len(damaged)
    assert all(any(flow in sentence for sentence in checked.differences) for flow in damaged)
    assert checked.only_here == sorted(damaged)


async def test_what_is_archived_while_a_replay_is_at_work_may_be_damaged_too(both: Both) -> None:
    await both.project()
    async with _rebuilt(both, is_verification=False) as (replaying, rebuilt):
        damaged, whole = await _stories(both)
        await swap_in(both.other, replaying, rebuilt, WHOLE)
    assert rebuilt.unbuilt.isdisjoint(whole)
    names = {damaged[flow] for flow in rebuilt.unbuilt}
    assert names >= {"no event", "no object", "too deep", "no such type", "no version", "another flow's"}


async def test_a_recovery_names_the_flows_and_puts_all_others_back(both: Both) -> None:
    damaged, whole = await _stories(both)
    await both.wipe()
    result = await both.recover()
    assert (result.flows, result.damaged.keys()) == (2, damaged.keys())
    assert all(flow in str(result) for flow in damaged)
    assert set((await read_live_state(both.client, both.engine.partition)).flows) == set(whole)


async def test_a_bridge_leaves_the_flows_out_and_closes_all_others(both: Both, settings: Settings) -> None:
    _, whole = await _stories(both)
    (row,) = await read_positions(both.connection)
    await both.engine.work_off()  # what follows is trimmed before it is projected
    await both.engine.register(*chain(1), workflow="later")
    await send(both.client, "HSET", both.engine.keys.meta, "projected_to", "9999999999999-0")
    await send(both.client, "XTRIM", both.engine.keys.log, "MAXLEN", 1)
    assert settings.database_url is not None
    (gap,) = await bridge_gaps(both.client, settings.database_url, tell)
    assert (gap.after, sorted(gap.closed)) == (row.position, sorted(whole))


async def test_an_entry_that_is_gone_from_the_projected_position_stops_no_recovery(both: Both) -> None:
    flows = await both.engine.register_many(3, *chain(2))
    await both.project()
    await both.connection.execute(
        "UPDATE kr_event SET event = NULL WHERE (position_ms, position_seq) ="
        " (SELECT position_ms, position_seq FROM kr_event ORDER BY 1 DESC, 2 DESC LIMIT 1)"
    )
    await both.wipe()
    assert (await both.recover()).flows == len(flows) - 1
    await both.project()
    assert (await both.recover()).forked == 0  # and what stands in for it is no news
    await both.project()
    assert await both.count("SELECT count(*) FROM kr_flow_stat") == len(flows)


async def test_a_verification_says_that_an_event_does_not_follow_though_every_row_is_right(
    both: Both, settings: Settings
) -> None:
    ended = await both.engine.register(*chain(2))
    await both.engine.work_off()
    await both.project()
    await both.connection.execute(
        "UPDATE kr_event SET event = jsonb_set(event, '{v}', '9') WHERE type = 'task.finished'"
        " AND event ->> 'task' = '1'"
    )
    code, text = await flower(settings, "verify", words=99)
    assert (code, f"flow {ended}: its history is damaged: event v9" in text) == (1, True)


async def test_the_commands_go_on_and_say_which_flow_it_is(both: Both, settings: Settings) -> None:
    damaged = await both.engine.register(*chain(2), workflow="damaged")
    await both.engine.register(*chain(2), workflow="good")
    await both.engine.finish(*await both.engine.claim(3))
    await both.project()
    await both.connection.execute(
        "UPDATE kr_event SET event = NULL WHERE task_flow_id = %s AND type = 'task.finished'", [damaged]
    )
    said = f"the history of flow {damaged} is damaged"
    code, text = await flower(settings, "verify", words=99)
    assert (code, said in text) == (1, True)
    code, text = await flower(settings, "verify", "--workflow", "good", words=99)
    assert (code, "0 differences" in text) == (0, True)
    code, text = await flower(settings, "verify", "--since", "2020-01-01", words=99)
    assert (code, said in text) == (1, True)
    code, text = await flower(settings, "verify", "--repair", words=99)
    assert (code, "not repaired" in text) == (1, True)
    assert damaged in (await read_live_state(both.client, both.engine.partition)).flows
    code, text = await flower(settings, "replay", words=99)
    assert (code, said in text) == (0, True)
    code, text = await flower(settings, "recover", "--force", words=99)
    assert (code, said in text) == (0, True)
