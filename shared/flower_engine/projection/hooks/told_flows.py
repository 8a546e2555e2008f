"""What is known of flows that hooks tell of: of which workflow they are, what is held up, which are late."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from flower_engine.projection.database import Connection

_FLOWS = """
SELECT flow.task_flow_id, flow.task_id, (extract(epoch FROM flow.registered_ts) * 1000)::bigint,
  nullif(coalesce(nullif(schedule.name, ''), flow.schedule), ''),
  (extract(epoch FROM flow.slot_ts) * 1000)::bigint
FROM kr_flow_stat AS flow LEFT JOIN kr_schedule AS schedule ON schedule.uid::text = flow.schedule
WHERE flow.task_flow_id = ANY(%s)
"""
_TASKS = """
SELECT task.task_flow_id, task.task_exec_seq::int, task.task_seq::int, task.task_name, task.program
FROM unnest(%s::text[], %s::int[]) AS wanted (flow, task)
JOIN kr_task_stat AS task ON task.task_flow_id = wanted.flow AND task.task_exec_seq = wanted.task
"""
_SCHEDULES = """
SELECT schedule.uid::text, schedule.name, defined.task_id
FROM kr_schedule AS schedule LEFT JOIN ms_schedule AS defined ON defined.uid = schedule.uid
WHERE schedule.uid::text = ANY(%s)
"""
_SUSPENDED = "SELECT task_flow_id, suspended FROM kr_hook_failing WHERE task_flow_id = ANY(%s)"
_SET_SUSPENDED = """
INSERT INTO kr_hook_failing (task_flow_id, suspended) SELECT * FROM unnest(%s::text[], %s::int[])
ON CONFLICT (task_flow_id) DO UPDATE SET suspended = excluded.suspended
"""
_FORGET = "DELETE FROM kr_hook_failing WHERE task_flow_id = ANY(%s)"
_FORGET_ALL = "DELETE FROM kr_hook_failing"

# Looked at from where the hook came to: those that were registered since, or are to start since.
_LATE = """
WITH state AS (
  INSERT INTO kr_hook AS known (name, late_to) VALUES (%(hook)s, now() - make_interval(secs => %(after)s))
  ON CONFLICT (name) DO UPDATE SET late_to = known.late_to RETURNING late_to
), late AS (
  SELECT task_flow_id, registered_ts AS since_ts FROM kr_flow_stat, state
  WHERE finished_ts IS NULL AND registered_ts > state.late_to
    AND registered_ts <= now() - make_interval(secs => %(after)s)
    AND (start_ts IS NULL OR start_ts <= registered_ts)
    AND (%(workflow)s::text IS NULL OR task_id = %(workflow)s)
  UNION ALL
  SELECT task_flow_id, start_ts FROM kr_flow_stat, state
  WHERE finished_ts IS NULL AND start_ts > state.late_to
    AND start_ts <= now() - make_interval(secs => %(after)s) AND start_ts > registered_ts
    AND (%(workflow)s::text IS NULL OR task_id = %(workflow)s)
)
SELECT late.task_flow_id, (extract(epoch FROM late.since_ts) * 1000)::bigint FROM late
WHERE NOT EXISTS (SELECT FROM kr_hook_delivery AS told WHERE told.task_flow_id = late.task_flow_id
  AND told.hook = %(hook)s AND told.occasion = 'flow.late')
ORDER BY late.since_ts LIMIT %(most)s
"""
_MOVE_LATE = """
UPDATE kr_hook SET late_to = greatest(late_to, least(now() - make_interval(secs => %(after)s),
  to_timestamp(%(known_ms)s / 1000.0)) - interval '5 seconds')
WHERE name = %(hook)s
"""

_FORGET_LATE = "DELETE FROM kr_hook WHERE name <> ALL(%s)"


class ToldFlow(msgspec.Struct, frozen=True):
    """What is said of a flow beside what happened."""

    workflow: str
    registered_ms: int
    schedule: str | None
    slot_ms: int | None


async def read_flows(connection: Connection, flows: Iterable[str]) -> dict[str, ToldFlow]:
    """Those of the flows that are there (still)."""
    rows = await connection.execute(_FLOWS, [sorted(set(flows))])
    return {flow: ToldFlow(*more) async for flow, *more in rows}


async def read_tasks(
    connection: Connection, tasks: Iterable[tuple[str, int]]
) -> dict[tuple[str, int], dict[str, Any]]:
    """By flow and number: what names a task, as the API has it."""
    wanted = sorted(set(tasks))
    rows = await connection.execute(_TASKS, [[flow for flow, _ in wanted], [task for _, task in wanted]])
    return {
        (flow, task): {"taskExecSeq": task, "taskSeq": seq, "taskName": name, "program": program}
        async for flow, task, seq, name, program in rows
    }


async def read_schedules(
    connection: Connection, schedules: Iterable[str]
) -> dict[str, tuple[str, str | None]]:
    """By uid: the name of a schedule, and its workflow if it is there still."""
    rows = await connection.execute(_SCHEDULES, [sorted(set(schedules))])
    return {uid: (name, workflow) async for uid, name, workflow in rows}


async def read_suspended(connection: Connection, flows: Iterable[str]) -> dict[str, int]:
    """How many tasks of these flows stand in Suspend, as far as hooks have read."""
    return dict(await (await connection.execute(_SUSPENDED, [sorted(set(flows))])).fetchall())


async def write_suspended(connection: Connection, before: Mapping[str, int], now: Mapping[str, int]) -> None:
    """Writes what has changed of that."""
    changed = {flow: count for flow, count in now.items() if before.get(flow) != count}
    gone = [flow for flow in before if flow not in now]
    if changed:
        await connection.execute(_SET_SUSPENDED, [list(changed), list(changed.values())])
    if gone:
        await connection.execute(_FORGET, [gone])


async def forget_suspended(connection: Connection) -> None:
    """Forgets all of it: nobody is told of failures, so nobody counts."""
    await connection.execute(_FORGET_ALL)


async def late_flows(
    connection: Connection, hook: str, workflow: str | None, after_seconds: float, most: int
) -> list[tuple[str, int]]:
    """Flows that are late and of which the hook has not told: id, and from when on the time counts (ms);
    the oldest first."""
    values = {"hook": hook, "workflow": workflow, "after": after_seconds, "most": most}
    return [(flow, ms) async for flow, ms in await connection.execute(_LATE, values)]


async def move_late(connection: Connection, hook: str, after_seconds: float, known_ms: int) -> None:
    """Says that all flows were looked at that are late now, and were registered before ``known_ms``: up to
    there all that were registered are projected."""
    values = {"hook": hook, "after": after_seconds, "known_ms": known_ms}
    await connection.execute(_MOVE_LATE, values)


async def forget_late(connection: Connection, hooks: Iterable[str]) -> None:
    """Forgets up to where flows were looked at for all but these hooks, which tell of late ones now: what
    is late while a hook is paused is never told."""
    await connection.execute(_FORGET_LATE, [list(hooks)])
