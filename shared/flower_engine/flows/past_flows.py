"""A flow as it was at an earlier moment: the fold of the first part of its history."""

from collections.abc import Sequence
from datetime import datetime
from itertools import takewhile
from typing import Never

from flower_engine.errors import NotYetRegisteredError
from flower_engine.flows.history import add_attempts, detail_of, find_entries, number_in, view_of
from flower_engine.flows.moments import time_of
from flower_engine.flows.stores import Stores
from flower_engine.flows.task_ends import explain_ends
from flower_engine.flows.wait_reasons import explain_then
from flower_engine.log.partition import Partition
from flower_engine.model.events.events import AnyEvent
from flower_engine.model.folding.attempts import attempts_of
from flower_engine.model.values.positions import as_numbers
from flower_engine.model.values.times import ms_of, nearest
from flower_engine.projection.archive.archived_events import ArchivedEvent
from flower_engine.projection.archive.histories import events_of, fold_events, read_event, state_of
from flower_engine.projection.read.view_fields import moment
from flower_engine.projection.read.views import FlowView, TaskDetail


async def find_flow_at(stores: Stores, flow_id: str, at: str) -> FlowView:
    """The flow as it was at ``at``: behind the event at a position, or at a time (ISO 8601).

    What stopped a ready task then (workers, limits) is not in its history, and its wait reason says so.

    Raises:
        UnknownFlowError: there is no such flow.
        HistoryDamagedError: its history up to then makes no sense.
        NotYetRegisteredError: it was registered later.
        TimeError: ``at`` is no time.
    """
    flow, events = await _flow_at(stores, flow_id, at)
    add_attempts(flow, attempts_of(events))
    return flow


async def find_task_at(stores: Stores, flow_id: str, task: int | str, at: str) -> TaskDetail:
    """One task of the flow as it was then, with the attempts until then; raises as :func:`find_flow_at` does,
    and if the flow has no such task."""
    flow, events = await _flow_at(stores, flow_id, at)
    seq = number_in(flow, task)
    return detail_of(flow, seq, attempts_of(events).get(seq, []))


async def _flow_at(stores: Stores, flow_id: str, at: str) -> tuple[FlowView, list[AnyEvent]]:
    partition = stores.partition_of(flow_id)
    then = None if _is_position(at) else time_of(at, "at")
    entries = await find_entries(stores, partition, flow_id)
    if then is None:
        last = as_numbers(at)
        events = events_of(flow_id, [entry for entry in entries if as_numbers(entry.position) <= last])
    else:
        then_ms = ms_of(then)
        told = (read_event(flow_id, entry) for entry in entries)  # what came later may be damaged
        events = list(takewhile(lambda event: event.at <= then_ms, told))
    if not events:
        _refuse_too_early(partition, flow_id, entries, at)
    flow = view_of(fold_events(flow_id, entries[: len(events)], events), partition)
    explain_then(flow, then or _time_of_position(at))
    explain_ends(flow)
    return flow, events


def _refuse_too_early(partition: Partition, flow_id: str, entries: Sequence[ArchivedEvent], at: str) -> Never:
    first = view_of(state_of(flow_id, entries[:1]), partition)
    registered = first.registered_ts.isoformat(timespec="milliseconds")
    raise NotYetRegisteredError(
        f"flow {flow_id} was registered at {registered} (position {entries[0].position}), after {at}"
    )


def _is_position(at: str) -> bool:
    return at.count("-") == 1


def _time_of_position(position: str) -> datetime:
    """Positions begin with milliseconds; one that no clock reaches is after everything."""
    return moment(nearest(as_numbers(position)[0]))
