"""After the storm: the archive is the whole log, folds without contradiction, and both stores equal it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import psycopg

from flower_engine.embedded.embedded_stores import Addresses
from flower_engine.insight.live_state import read_live_state
from flower_engine.log.client import AsyncRedis, connect
from flower_engine.log.partition import Partition, read_meta
from flower_engine.log.reader import read_log
from flower_engine.model.events.attempt_events import TaskStarted
from flower_engine.model.events.events import AnyEvent, decode_event
from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.folding.fold import fold
from flower_engine.model.folding.schedule_state import fold_schedules
from flower_engine.model.invariants.invariants import differences
from flower_engine.model.tasks.status import Status
from flower_engine.projection.archive.archived_events import UNCOUNTED

_CAUGHT_UP_ATTEMPTS = 2_400  # two minutes
_CAUGHT_UP_SECONDS = 0.05
_COMPARISONS = 20
_ARCHIVE = (
    "SELECT position_ms || '-' || position_seq, event::text, error FROM kr_event WHERE partition = %s"
    " ORDER BY position_ms, position_seq"
)
_TASKS = (
    "SELECT t.task_flow_id, t.task_exec_seq::int, t.exec_status::int, t.attempt, t.lost,"
    " coalesce(t.worker, ''), t.task_id, t.program, (extract(epoch FROM t.started_ts) * 1000)::bigint,"
    " (extract(epoch FROM t.finished_ts) * 1000)::bigint"
    " FROM kr_task_stat t JOIN kr_flow_stat f USING (task_flow_id) WHERE f.partition = %s"
)
_FLOWS = (
    "SELECT task_flow_id, exec_status::int, version, finished + ignored FROM kr_flow_stat"
    " WHERE partition = %s"
)


@dataclass(repr=False)
class Verdict:
    """What the log adds up to, and each thing that contradicts it.

    It has no text of its own: ``asyncio.run`` makes one of whatever it returns, twice, only to throw it away
    (where it restores what SIGINT does), and that of thousands of events takes seconds.
    """

    flows: dict[str, FlowState] = field(default_factory=dict[str, FlowState])
    events: list[AnyEvent] = field(default_factory=list[AnyEvent])
    problems: list[str] = field(default_factory=list[str])

    @property
    def starts(self) -> list[TaskStarted]:
        return [event for event in self.events if isinstance(event, TaskStarted)]


async def verify(addresses: Addresses, partitions: int) -> Verdict:
    """Compares log, archive, Redis and tables; call it when no flow goes on.

    A watcher may still have something to say, as that it skipped the slots of a schedule that is paused: what
    was said in the middle of a comparison makes it begin anew.
    """
    verdict = Verdict()
    client = connect(addresses.redis_url)
    with psycopg.connect(addresses.database_url, autocommit=True) as connection:
        for number in range(partitions):
            meta = await read_meta(client, number)
            assert meta is not None
            partition = Partition(number, meta.installation, meta.generation)
            found = await _verified_in_a_quiet_moment(client, connection, partition)
            verdict.flows |= found.flows
            verdict.events += found.events
            verdict.problems += found.problems
    await client.aclose()
    return verdict


async def _verified_in_a_quiet_moment(
    client: AsyncRedis, connection: psycopg.Connection[Any], partition: Partition
) -> Verdict:
    found = Verdict()
    for _ in range(_COMPARISONS):
        end = await _catch_up(client, connection, partition)
        found = await _verify_partition(client, connection, partition)
        if not await read_log(client, partition, end, 1):
            break
    return found


async def _catch_up(
    client: AsyncRedis, connection: psycopg.Connection[Any], partition: Partition
) -> str | None:
    """Waits until all of the log is projected; the position of its end."""
    for _ in range(_CAUGHT_UP_ATTEMPTS):
        row = connection.execute(
            "SELECT position FROM kr_projection WHERE partition = %s", [partition.number]
        ).fetchone()
        assert row is not None
        if not await read_log(client, partition, row[0], 1):
            return cast("str | None", row[0])
        await asyncio.sleep(_CAUGHT_UP_SECONDS)
    raise AssertionError(f"partition {partition.number} is not projected to the end of its log")


async def _verify_partition(
    client: AsyncRedis, connection: psycopg.Connection[Any], partition: Partition
) -> Verdict:
    verdict = Verdict()
    archive = connection.execute(_ARCHIVE, [partition.number]).fetchall()
    # What a lost log left behind a gap is archived as bytes and counts for nothing.
    counted = [(position, text, error) for position, text, error in archive if error != UNCOUNTED]
    verdict.problems += [
        f"{position} is archived as bytes: {error}" for position, _, error in counted if error
    ]
    events = [decode_event(text.encode()) for _, text, error in counted if not error]
    flows = fold(events)  # raises where a task started too early or an outcome counted twice
    verdict.events += events
    verdict.flows |= flows
    log = await read_log(client, partition, None, 10_000_000)
    archived = {position for position, *_ in archive}
    verdict.problems += [
        f"{entry.position} is not archived" for entry in log if entry.position not in archived
    ]
    live = await read_live_state(client, partition)
    verdict.problems += differences(flows, live, schedules=fold_schedules(events))
    tasks = set(connection.execute(_TASKS, [partition.number]).fetchall())
    expected = {_task_row(flow, task) for flow in flows.values() for task in flow.tasks}
    verdict.problems += [f"kr_task_stat has {row}" for row in tasks - expected]
    verdict.problems += [f"kr_task_stat lacks {row}" for row in expected - tasks]
    rows = set(connection.execute(_FLOWS, [partition.number]).fetchall())
    expected_rows = {(f.flow, int(f.status), f.version, _passed(f)) for f in flows.values()}
    verdict.problems += [f"kr_flow_stat has {row}" for row in rows - expected_rows]
    verdict.problems += [f"kr_flow_stat lacks {row}" for row in expected_rows - rows]
    return verdict


def _passed(flow: FlowState) -> int:
    """Tasks that are finished or ignored; what was given up has ended, too, and is neither."""
    return sum(task.status in (Status.FINISH, Status.IGNORE) for task in flow.tasks)


def _task_row(flow: FlowState, task: TaskState) -> tuple[Any, ...]:
    planned = task.planned
    return (flow.flow, planned.seq, int(task.status), task.attempt, task.lost, task.worker, flow.workflow,
            planned.program, task.started_ms, task.finished_ms)  # fmt: skip
