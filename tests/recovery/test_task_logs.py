"""Task logs go with their flows, and nothing that happens to the stores' other tables touches them."""

from psycopg.sql import SQL, Identifier

from flower_engine.model.values.ids import make_flow_id
from flower_engine.projection.archive.archive_days import DAY_MS, make_day, table_of_day
from flower_engine.projection.task_logs.chunk_rows import TABLE
from flower_engine.runtime.retention import prune_older
from flower_engine.runtime.settings import Settings
from flower_projector.task_log_loop import TaskLogLoop
from projection.written_lines import chunk, write
from recovery.both import Both
from recovery.command import flower
from scripts.engine import chain, task

LATER = -2 * 86_400.0


async def _store(both: Both, settings: Settings) -> None:
    loop = TaskLogLoop(both.client, [both.engine.partition], settings)
    while await loop.run_once():
        pass
    await loop.close()


async def _flows_with_lines(both: Both) -> set[str]:
    rows = await both.connection.execute("SELECT DISTINCT task_flow_id FROM kr_task_log")
    return {flow async for (flow,) in rows}


async def _two_flows(both: Both) -> tuple[str, str]:
    """One that ended, and one that did not."""
    ended = await both.engine.register(*chain(2), workflow="ended")
    await both.engine.work_off()
    running = await both.engine.register(task(1), workflow="running")
    await both.engine.claim(1)
    await both.project()
    return ended, running


async def test_pruning_leaves_nothing_of_what_a_flow_wrote_and_all_of_the_others(
    both: Both, settings: Settings
) -> None:
    ended, running = await _two_flows(both)
    unknown = make_flow_id(1, 0, 1)
    await write(both.client, [chunk(flow, ["a"]) for flow in (ended, running, unknown)])
    await write(both.client, [chunk(ended, ["nothing else is in this entry"], first=2)])
    await _store(both, settings)
    pruned = await prune_older(both.client, both.other, LATER)
    assert pruned is not None
    assert pruned.chunks == 3
    assert await _flows_with_lines(both) == {running}
    await write(both.client, [chunk(running, ["b"], first=2)])
    await _store(both, settings)  # the table of the day is one as before
    assert await both.count("SELECT count(*) FROM kr_task_log") == 2
    assert await both.count("SELECT count(*) FROM kr_task_log_default") == 0
    again = await prune_older(both.client, both.other, LATER)
    assert again is not None
    assert again.chunks == 0


async def test_last_lines_of_the_day_behind_the_bound_go_with_their_flow(
    both: Both, settings: Settings
) -> None:
    ended, running = await _two_flows(both)
    await write(both.client, [chunk(flow, ["late"]) for flow in (ended, running)])
    await _store(both, settings)
    await both.connection.execute(
        "UPDATE kr_flow_stat SET finished_ts = now() - interval '1 day' WHERE task_flow_id = %s", [ended]
    )
    pruned = await prune_older(both.client, both.other, 0)
    assert pruned is not None
    assert (pruned.flows, pruned.chunks) == (1, 1)
    assert await _flows_with_lines(both) == {running}


async def test_lines_of_the_default_table_go_too(both: Both, settings: Settings) -> None:
    ended, running = await _two_flows(both)
    await write(both.client, [chunk(flow, ["a"]) for flow in (ended, running)])
    await _store(both, settings)
    day = await both.count("SELECT max(position_ms) FROM kr_task_log") // DAY_MS
    await make_day(both.connection, day, TABLE)
    names = {"day": Identifier(table_of_day(day, TABLE))}
    await both.connection.execute(SQL("ALTER TABLE kr_task_log DETACH PARTITION {day}").format(**names))
    await both.connection.execute(SQL("INSERT INTO kr_task_log_default SELECT * FROM {day}").format(**names))
    await both.connection.execute(SQL("DROP TABLE {day}").format(**names))
    pruned = await prune_older(both.client, both.other, LATER)
    assert pruned is not None
    assert pruned.chunks == 1
    assert await _flows_with_lines(both) == {running}


async def test_a_recovery_and_a_replay_leave_what_was_stored(both: Both, settings: Settings) -> None:
    ended, running = await _two_flows(both)
    await write(both.client, [chunk(flow, ["before"]) for flow in (ended, running)])
    await _store(both, settings)
    await write(both.client, [chunk(running, ["lost with Redis"], first=2)])
    await both.wipe()
    await both.recover()
    await write(both.client, [chunk(running, ["after"], first=3)])
    await _store(both, settings)
    status, _ = await flower(settings, "replay", words=1)
    assert status == 0
    assert await _flows_with_lines(both) == {ended, running}
    rows = await both.connection.execute(
        "SELECT first_line FROM kr_task_log WHERE task_flow_id = %s ORDER BY position_ms, position_seq",
        [running],
    )
    assert await rows.fetchall() == [(1,), (3,)]
