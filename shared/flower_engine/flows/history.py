"""Finds a flow and its history: in the archive, and in what the log has beyond it."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

import msgspec
from redis.exceptions import RedisError

from flower_engine.errors import (
    HistoryDamagedError,
    LostError,
    LostHistoryError,
    NewerEventError,
    NotProjectedError,
    UnknownFlowError,
    UnknownTaskError,
)
from flower_engine.flows.flow_results import Fetch, add_result
from flower_engine.flows.log_tail import Following, Tail, is_known, read_new, read_tail
from flower_engine.flows.result_blobs import read_blob
from flower_engine.flows.stores import Stores
from flower_engine.flows.task_ends import explain_ends
from flower_engine.flows.wait_reasons import (
    Seen,
    explain,
    ready_tasks,
    served_by,
    tasks_with_later_children,
    unable_in,
    versions_in,
    windows_of_children,
)
from flower_engine.insight.children_in_line import items_in_line
from flower_engine.insight.children_under_way import children_under_way
from flower_engine.insight.obstacles import Held, find_obstacles
from flower_engine.log.engine_clock import now_ms
from flower_engine.log.entries import LogEntry
from flower_engine.log.partition import Partition, read_meta
from flower_engine.model.events.events import AnyEvent, decode_event
from flower_engine.model.events.snapshot_events import FlowSnapshot
from flower_engine.model.folding.attempts import AttemptHistory, attempts_of
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.tasks.status import Status
from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.model.values.quoting import short
from flower_engine.projection.archive.archived_events import ArchivedEvent
from flower_engine.projection.archive.histories import FAULTS, events_of, state_of, told
from flower_engine.projection.archive.refused_events import UNREADABLE
from flower_engine.projection.read.attempt_views import AttemptView
from flower_engine.projection.read.event_views import EventView
from flower_engine.projection.read.state_views import view_of_state
from flower_engine.projection.read.views import FlowView, TaskDetail
from flower_engine.transitions.worker_transitions import live_workers

_MOST_EVENTS = 200_000  # of the log, read to find one flow
_MOST_EVENTS_A_PAGE = 20_000  # of the log, read for one page of a history
_TRIES = 3
_LOST_REGISTRATION = "its registration lies in a part of the history that is lost"

Found = TypeVar("Found")


class History(msgspec.Struct):
    """A page of a flow's events; ``next`` is the position behind which the next page begins, if any."""

    partition: int
    events: list[EventView]
    next: str | None


async def find_flow(stores: Stores, flow_id: str, fetch: Fetch | None = None) -> FlowView:
    """The flow with its tasks, why they wait, and what it returns; it is found once its registration was
    acknowledged. ``fetch`` reads blobs, else the stores do.

    Raises:
        UnknownFlowError: there is no such flow.
        NotProjectedError: the projection is so far behind that to look for it in the log would take long.
    """
    flow = await _find_explained(stores, flow_id)
    if flow.workflow_version is None and await _has_lost_its_registration(stores, flow):
        flow.unreadable = [*flow.unreadable, f"parameters, workflowVersion: {_LOST_REGISTRATION}"]
        if flow.exec_status == Status.FINISH:
            flow.result_problem = f"what it returns is not known: {_LOST_REGISTRATION}"
        return flow
    await add_result(stores.definitions, flow, fetch or partial(read_blob, stores), stores.blob_readers)
    return flow


async def _has_lost_its_registration(stores: Stores, flow: FlowView) -> bool:
    """Whether all that is known of the flow begins with a snapshot, which does not say what it was given."""
    _, first = await stores.archive.page(flow.partition, flow.task_flow_id, None, 1)
    with suppress(NewerEventError, *UNREADABLE):
        return bool(first) and isinstance(decode_event(bytes(first[0].event)), FlowSnapshot)
    return False


async def _find_explained(stores: Stores, flow_id: str) -> FlowView:
    partition = stores.partition_of(flow_id)
    flow = await _unless_trimmed(lambda: _find_flow(stores, partition, flow_id))
    if flow.failed_tasks:
        failed = [task.task_exec_seq for task in flow.failed_tasks]
        add_attempts(flow, attempts_of(await find_events(stores, partition, flow_id, failed)))
    explain(flow, await _seen(stores, partition, flow))
    explain_ends(flow)
    return flow


async def find_task(stores: Stores, flow_id: str, task: int | str) -> TaskDetail:
    """One task of a flow, by number or by name, with all its attempts.

    Raises:
        UnknownFlowError: there is no such flow.
        UnknownTaskError: it has no such task.
    """
    flow = await _find_explained(stores, flow_id)
    seq = number_in(flow, task)
    events = await find_events(stores, stores.partition_of(flow_id), flow_id, [seq])
    return detail_of(flow, seq, attempts_of(events).get(seq, []))


def number_in(flow: FlowView, task: int | str) -> int:
    """The number of a task of the flow.

    Raises:
        UnknownTaskError: it has no such task.
    """
    if isinstance(task, str):
        by_name = {one.task_name: one.task_exec_seq for one in flow.tasks if one.task_name is not None}
        if task not in by_name:
            near = nearest_in_words(task, by_name)
            raise UnknownTaskError(f"flow {flow.task_flow_id} has no task {short(task)!r}{near}")
        return by_name[task]
    if not 1 <= task <= len(flow.tasks):
        detail = f"flow {flow.task_flow_id} has no task {task}; its tasks are 1 to {len(flow.tasks)}"
        raise UnknownTaskError(detail)
    return task


def detail_of(flow: FlowView, seq: int, attempts: Sequence[AttemptHistory]) -> TaskDetail:
    """Task ``seq`` of the flow with these attempts."""
    return TaskDetail.of(flow, flow.tasks[seq - 1], _views(flow, attempts))


def add_attempts(flow: FlowView, attempts: Mapping[int, Sequence[AttemptHistory]]) -> None:
    """Gives each failed task its attempts."""
    for task in flow.failed_tasks:
        task.attempts = _views(flow, attempts.get(task.task_exec_seq, []))


def _views(flow: FlowView, attempts: Sequence[AttemptHistory]) -> list[AttemptView]:
    try:
        return [AttemptView.of(attempt) for attempt in attempts]
    except FAULTS as error:
        raise HistoryDamagedError(flow.task_flow_id, f"an attempt cannot be shown: {told(error)}") from error


async def find_history(stores: Stores, flow_id: str, after: str | None, limit: int) -> History:
    """A page of the flow's events behind a position, archived ones and those that only the log has yet.

    A page may be short, even empty, and still have a next one: the log is read in bounded steps.

    Raises:
        UnknownFlowError: there is no such flow.
    """
    partition = stores.partition_of(flow_id)
    return await _unless_trimmed(lambda: _find_history(stores, partition, flow_id, after, limit))


async def find_events(
    stores: Stores, partition: Partition, flow_id: str, tasks: Sequence[int] | None = None
) -> list[AnyEvent]:
    """The flow's events in order, archived ones and others; or only those of these tasks and of the flow as
    a whole.

    Raises:
        UnknownFlowError: there is no such flow.
        HistoryDamagedError: an event of it cannot be read.
    """
    events = events_of(flow_id, await find_entries(stores, partition, flow_id, tasks))
    if tasks is None:
        return events
    return [event for event in events if getattr(event, "task", None) in (None, *tasks)]


async def find_state(stores: Stores, partition: Partition, flow_id: str) -> FlowState:
    """The fold of the flow's whole history; raises as :func:`find_events` does.

    Raises:
        LostHistoryError: its end is lost, so that how it stands is not known.
    """
    await _refuse_lost(stores, flow_id)
    return state_of(flow_id, await find_entries(stores, partition, flow_id))


async def find_entries(
    stores: Stores, partition: Partition, flow_id: str, tasks: Sequence[int] | None = None
) -> list[ArchivedEvent]:
    """The same as :func:`find_events`, undecoded and with positions; of the log's tail, all tasks."""
    return await _unless_trimmed(lambda: _find_entries(stores, partition, flow_id, tasks))


def view_of(state: FlowState, partition: Partition) -> FlowView:
    """What a flow looks like that stands so.

    Raises:
        HistoryDamagedError: its events say what cannot be shown, as times that no calendar has.
    """
    try:
        return view_of_state(state, partition.number)
    except FAULTS as error:
        raise HistoryDamagedError(state.flow, f"it cannot be shown: {told(error)}") from error


async def _unless_trimmed(find: Callable[[], Awaitable[Found]]) -> Found:
    """The log may be projected further and trimmed while it is read: then Postgres has the rest now."""
    for _ in range(_TRIES - 1):
        with suppress(LostError):
            return await find()
    return await find()


async def _find_flow(stores: Stores, partition: Partition, flow_id: str) -> FlowView:
    projected, flow = await stores.archive.flow(partition.number, flow_id)
    if flow is not None:
        return flow
    await _refuse_unknown(stores, partition, flow_id)
    async with stores.log_readers:
        entries = await read_new(stores.redis, partition, flow_id, projected=projected, most=_MOST_EVENTS)
    if entries:
        return view_of(state_of(flow_id, _as_archived(entries)), partition)
    await _refuse_lost(stores, flow_id)
    raise NotProjectedError(
        f"flow {flow_id} is registered, and more than {_MOST_EVENTS} events after it are not projected"
        " yet: is the projector running?"
    )


async def _find_history(
    stores: Stores, partition: Partition, flow_id: str, after: str | None, limit: int
) -> History:
    projected, events = await stores.archive.page(partition.number, flow_id, after, limit + 1)
    end = None
    if len(events) <= limit:
        last = events[-1].position if events else after
        tail = await _tail(stores, partition, flow_id, projected, after=last)
        events += (_not_archived(entry) for entry in tail.entries)
        end = None if tail.is_all else tail.end
        if not events and after is None and tail.is_all:
            await _refuse_lost(stores, flow_id)
    if len(events) > limit:
        events, end = events[:limit], events[limit - 1].position
    return History(partition.number, events, end)


async def _find_entries(
    stores: Stores, partition: Partition, flow_id: str, tasks: Sequence[int] | None
) -> list[ArchivedEvent]:
    projected, entries = await stores.archive.events(partition.number, flow_id, tasks)
    follow = Following(entries) if tasks is None else None
    while True:
        last = entries[-1].position if entries else None
        tail = await _tail(stores, partition, flow_id, projected, after=last)
        entries += _as_archived(filter(follow, tail.entries))
        if tail.is_all:
            if not entries:
                await _refuse_lost(stores, flow_id)
            return entries
        projected = tail.end


async def _tail(
    stores: Stores, partition: Partition, flow_id: str, projected: str | None, *, after: str | None
) -> Tail:
    most = _MOST_EVENTS_A_PAGE
    if after is None:  # nothing of it is projected; it is likely new, and near the end of the log
        await _refuse_unknown(stores, partition, flow_id)
    if partition.is_retired:
        return Tail([], None, is_all=True)
    async with stores.log_readers:
        if after is None:
            entries = await read_new(stores.redis, partition, flow_id, projected=projected, most=most)
            if entries:
                return Tail(entries, None, is_all=True)
        return await read_tail(stores.redis, partition, flow_id, projected=projected, after=after, most=most)


def _as_archived(entries: Iterable[LogEntry]) -> list[ArchivedEvent]:
    return [ArchivedEvent(entry.position, entry.raw) for entry in entries]


def _not_archived(entry: LogEntry) -> EventView:
    return EventView.of(entry.position, entry.raw, None, archived=False)


async def _refuse_lost(stores: Stores, flow_id: str) -> None:
    """Returns if the end of the flow is not lost.

    Raises:
        LostHistoryError: it is.
    """
    lost = await stores.archive.lost_end(flow_id)
    if lost is not None:
        raise LostHistoryError(lost)


async def _refuse_unknown(stores: Stores, partition: Partition, flow_id: str) -> None:
    """Returns if Redis knows the flow, or would not know it any more.

    Raises:
        UnknownFlowError: there is no such flow.
        LostHistoryError: all of it is lost.
        LostError: Redis lost its state, so it cannot be said.
    """
    if partition.is_retired:
        await _refuse_lost(stores, flow_id)
        raise UnknownFlowError(f"no flow has the id {flow_id!r}")
    async with stores.log_readers:
        if await is_known(stores.redis, partition, flow_id):
            return
        meta = await read_meta(stores.redis, partition.number)
    if meta is None or meta.generation != partition.generation:
        partition.check([b"lost"])
    await _refuse_lost(stores, flow_id)
    raise UnknownFlowError(f"no flow has the id {flow_id!r}")


async def _seen(stores: Stores, partition: Partition, flow: FlowView) -> Seen | None:
    ready, again, windows = ready_tasks(flow), tasks_with_later_children(flow), windows_of_children(flow)
    if not ready and not again and not windows:
        return Seen(set(), {}, {}, 0)
    try:
        async with stores.log_readers:
            children = await children_under_way(stores.redis, partition, flow.task_flow_id, again)
            in_line = await items_in_line(stores.redis, partition, windows)
            workers = await live_workers(stores.redis, partition)
            served, unable, versions = served_by(workers), unable_in(workers), versions_in(workers)
            stopped = await find_obstacles(stores.redis, partition, flow.task_flow_id, ready, served)
            now = await now_ms(stores.redis, partition.keys)
    except RedisError:
        return None
    if not any(isinstance(obstacle, Held) for obstacle in stopped.values()):
        return Seen(served, unable, stopped, now, versions=versions, children=children, in_line=in_line)
    # Who paused it, and why.
    controls = await stores.definitions.controls()
    return Seen(served, unable, stopped, now, controls, versions, children, in_line)
