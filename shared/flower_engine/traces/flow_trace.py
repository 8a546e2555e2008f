"""The trace of one flow: its events, in the order of the log, become spans as soon as these have ended.

What is kept of an open flow is small: when each task became final, what runs, what was suspended, and since
when tasks wait that wait anew. It is made again from the events at any time; the same events give the same
spans.
"""

from array import array
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from flower_engine.model.events.attempt_events import (
    TaskAgain,
    TaskEvent,
    TaskProgressed,
    TaskRetrying,
    TaskStarted,
)
from flower_engine.model.events.event_base import FlowEvent
from flower_engine.model.events.event_meaning import MEANINGS, How, Meaning, named_tasks
from flower_engine.model.events.events import AnyEvent, FlowRegistered, OutcomeRefused
from flower_engine.model.events.operator_events import (
    FlowCancelled,
    FlowEnding,
    FlowPaused,
    FlowRerun,
    FlowResumed,
)
from flower_engine.model.events.snapshot_events import FlowSnapshot
from flower_engine.model.events.wait_events import TaskExpanded
from flower_engine.model.tasks.end_kinds import GIVEN_UP
from flower_engine.model.tasks.status import Status
from flower_engine.traces.attempt_span import RunningAttempt, attempt_span
from flower_engine.traces.span import Span, SpanEvents, Value
from flower_engine.traces.trace_ids import flow_span_id, span_id, trace_id
from flower_engine.traces.traced_plan import NO_PLAN, TracedPlans
from flower_engine.traces.traceparent import Traceparent, read_traceparent
from flower_engine.traces.waits import Waited, pieces


class _Waiting(NamedTuple):
    """A task waits anew since then; ``due_ms``: for its next attempt until then (0: it is due at once), which
    is a retry or another round."""

    since_ms: int
    due_ms: int = 0
    due: Literal["retry", "round"] = "retry"


class FlowTrace:
    """A flow that is under way, as far as its trace goes. What does not fit in its events is passed over."""

    __slots__ = (
        *("_attributes", "_began_ms", "_delayed_ms", "_events", "_final_ms", "_id", "_links", "_parent"),
        *(
            "_cancelled_by",
            "_paused_ms",
            "_pauses",
            "_plan",
            "_plans",
            "_running",
            "_start_ms",
            "_suspended",
            "_waiting",
        ),
        *("_workflow", "flow", "has_ended", "trace"),
    )

    def __init__(self, flow: str, plans: TracedPlans) -> None:
        self.flow = flow
        self.has_ended = False
        self.trace = trace_id(flow)
        self._plans = plans
        self._plan = NO_PLAN
        self._workflow = "flow"
        self._attributes: dict[str, Value] = {}
        self._links: tuple[Traceparent, ...] = ()
        self._id = flow_span_id(
            flow
        )  # of the span that is open for the flow as a whole: parent of the others
        self._parent = b""
        self._began_ms = -1
        self._start_ms = 0  # before it no task is ready
        self._delayed_ms = 0  # as long as the wait for that is to be told
        self._final_ms = array("q")  # by task; 0: it is not final
        self._running: dict[int, RunningAttempt] = {}
        self._suspended: dict[int, int] = {}  # task -> since when
        self._waiting: dict[int, _Waiting] = {}  # only tasks that wait anew
        self._pauses: list[tuple[int, int]] = []
        self._paused_ms: int | None = None
        self._cancelled_by: str | None = None
        self._events = SpanEvents()

    @property
    def tasks(self) -> int:
        """How many tasks the flow has, which is what this takes of memory."""
        return len(self._final_ms)

    def apply(self, event: AnyEvent) -> list[Span]:
        """The spans that this event of the flow ended, in no order that matters."""
        meaning = MEANINGS[type(event)]
        if isinstance(event, FlowRegistered):
            self._register(event)
        elif isinstance(event, FlowSnapshot):
            self._take_over(event)
        elif isinstance(event, OutcomeRefused):
            self._events.add(event.at, "outcome.refused", task=event.task, worker=event.worker)
        elif isinstance(event, FlowEvent):
            return list(self._spans(event, meaning))
        return []

    def _register(self, event: FlowRegistered) -> None:
        self._begin(event.workflow, len(event.tasks), event.at, event.schedule, event.slot)
        self._plan = self._plans.of_registered(event)
        self._start_ms = max(event.at, event.start_ms)
        self._delayed_ms = event.start_ms if event.start_ms > event.at else 0
        self._attributes |= _said(by=event.by, definition=event.definition, forked_from=event.forked_from)
        caller = read_traceparent(event.traceparent) if event.traceparent else None
        self._links = () if caller is None else (caller,)
        if event.forked_from:
            self._links += (Traceparent(trace_id(event.forked_from), flow_span_id(event.forked_from), 1),)
        for task in (*event.taken, *event.blobs, *event.ignored, *event.passed):
            self._set_final(task, event.at)

    def _take_over(self, event: FlowSnapshot) -> None:
        """The flow as it was found. What was known before stays; what was not began now, for all we know."""
        running, suspended = self._running, self._suspended
        self._begin(event.workflow, len(event.tasks), event.at, event.schedule, event.slot)
        self._attributes["flower.found"] = True
        self._plan = self._plans.of_snapshot(event)
        self._start_ms = max(event.at, event.start_ms)
        self._running, self._suspended, self._waiting = {}, {}, {}
        for seq, task in enumerate(event.tasks, start=1):
            if task.status == Status.RUNNING:
                known = running.get(seq)
                is_known = known is not None and known.attempt == task.attempt
                self._running[seq] = (
                    known
                    if known is not None and is_known
                    else RunningAttempt(task.attempt, task.worker, event.at, is_found=True)
                )
            elif task.status == Status.SUSPEND and task.ended_as != GIVEN_UP:
                self._suspended[seq] = suspended.get(seq, event.at)
            elif task.status == Status.WAIT:
                self._waiting[seq] = _Waiting(
                    event.at, task.due_ms or 0, "retry" if task.failures else "round"
                )
            else:
                self._set_final(seq, event.at)
        self._paused_ms = event.at if event.paused else None

    def _begin(self, workflow: str, tasks: int, at: int, schedule: str, slot: int) -> None:
        self.has_ended = False
        if self._began_ms < 0:
            self._began_ms = at
        self._workflow = workflow
        self._final_ms = array("q", bytes(8 * tasks))
        self._attributes |= _said(flow=self.flow, workflow=workflow, tasks=tasks, schedule=schedule)
        if slot:
            self._attributes["flower.slot"] = slot

    def _spans(self, event: FlowEvent, meaning: Meaning) -> Iterator[Span]:
        if self._began_ms < 0:  # its beginning is lost
            self._began_ms = self._start_ms = event.at
        if meaning.end == "over" and self.has_ended:
            self._open_again(event)
        ends = meaning.end == "always" or (meaning.end == "said" and bool(getattr(event, "ends", False)))
        if self._delayed_ms and (ends or event.at >= self._delayed_ms):
            yield self._wait_span(
                0, Waited("start", self._began_ms, min(self._delayed_ms, event.at)), event.v, 0
            )
            self._delayed_ms = 0
        if not isinstance(event, TaskEvent):
            self._note(event)
        told: Any = event
        for move in meaning.moves:
            for task in named_tasks(told, move.tasks):
                if move.to is None:
                    self._note_progress(task, event)
                else:
                    yield from self._leave(task, event, meaning.ends_attempt)
                    if move.closes:
                        self._set_final(task, event.at)
                    else:
                        self._arrive(task, move.to, event)
        self._change_plan(event)
        if ends:
            yield self._end(event)

    def _change_plan(self, event: FlowEvent) -> None:
        """Tasks have other bodies from here on, or there are more."""
        if isinstance(event, TaskExpanded):
            self._grow(event)
        elif isinstance(event, FlowRerun) and event.bodies:
            self._plan = self._plan.with_bodies(event.bodies)

    def _grow(self, event: TaskExpanded) -> None:
        """There are items from here on."""
        self._plan = self._plan.with_items(event)
        missing = event.numbers.stop - 1 - len(self._final_ms)
        self._final_ms.extend([0] * max(0, missing))
        taken = event.taken_by
        for number in event.numbers:
            if number in taken:
                self._set_final(number, event.at)
            else:
                self._waiting[number] = _Waiting(event.at)

    def _leave(self, task: int, event: FlowEvent, how: How | None) -> Iterator[Span]:
        """What a task did until it was moved."""
        running = self._running.pop(task, None)
        suspended_ms = self._suspended.pop(task, None)
        if running is None and how is not None and isinstance(event, TaskEvent) and event.lease:
            worker = getattr(event, "worker", "")  # its start is lost
            running = RunningAttempt(event.attempt, worker, event.at, is_found=True)
        if running is not None:
            label = self._plan.label(task)
            yield attempt_span(event, how, running, task=task, label=label, trace=self.trace, parent=self._id)
        elif suspended_ms is not None:
            if suspended_ms < event.at:
                waited = Waited("operator", suspended_ms, event.at)
                yield self._wait_span(task, waited, event.v, 0)
        elif not self._is_final(task):
            yield from self._end_wait(task, event)

    def _arrive(self, task: int, to: Status, event: FlowEvent) -> None:
        """Where a task stands from here on."""
        if to is Status.RUNNING:
            if isinstance(event, TaskStarted):
                self._running[task] = RunningAttempt(event.attempt, event.worker, event.at)
        elif to is Status.SUSPEND:
            self._suspended[task] = event.at
        elif to is Status.WAIT:
            self._set_final(task, 0)
            is_due = isinstance(event, TaskRetrying | TaskAgain)
            due = "round" if isinstance(event, TaskAgain) else "retry"
            self._waiting[task] = _Waiting(event.at, event.due_ms if is_due else 0, due)

    def _end_wait(self, task: int, event: FlowEvent) -> Iterator[Span]:
        """How a ready task waited; nothing of one that was not ready, whose dependencies tell."""
        waiting = self._waiting.pop(task, None)
        since_ms = self._start_ms if waiting is None else max(waiting.since_ms, self._start_ms)
        for other in self._plan.waits_for(task):
            final_ms = self._final_ms[other - 1] if other <= len(self._final_ms) else 0
            if not final_ms and not isinstance(event, TaskStarted):
                return
            since_ms = max(since_ms, final_ms)
        pauses = self._pauses
        if self._paused_ms is not None:
            pauses = [*pauses, (self._paused_ms, event.at)]
        due_ms, due = (waiting.due_ms, waiting.due) if waiting else (0, "retry")
        for index, piece in enumerate(pieces(since_ms, event.at, due_ms, pauses, due)):
            yield self._wait_span(task, piece, event.v, index)

    def _wait_span(self, task: int, waited: Waited, version: int, index: int) -> Span:
        label = self._plan.label(task) if task else None
        name = f"{label.name} wait: {waited.reason}" if label else f"wait: {waited.reason}"
        return Span(
            trace=self.trace,
            id=span_id(self.flow, task, version, f"{waited.reason} {index}"),
            parent=self._id,
            name=name,
            start_ms=waited.from_ms,
            end_ms=waited.to_ms,
            attributes={"flower.wait.reason": waited.reason},
            task=task,
            label=label,
        )

    def _note(self, event: FlowEvent) -> None:
        """An event of the flow as a whole, or an operator's, becomes one of its span."""
        told: Any = event
        said: dict[str, Value] = {
            field: getattr(told, field)
            for field in ("task", "by", "reason", "priority")
            if hasattr(told, field)
        }
        error = getattr(told, "error", None)
        if error is not None:
            said["error"] = error.message
        self._events.add(event.at, str(type(event).__struct_config__.tag), **said)
        if isinstance(event, FlowEnding):
            self._cancelled_by = event.by if event.cancels is not None else self._cancelled_by
        if isinstance(event, FlowPaused):
            self._paused_ms = event.at if self._paused_ms is None else self._paused_ms
        elif self._paused_ms is not None and isinstance(event, FlowResumed | FlowCancelled | FlowEnding):
            self._pauses.append((self._paused_ms, event.at))
            self._paused_ms = None

    def _note_progress(self, task: int, event: FlowEvent) -> None:
        running = self._running.get(task)
        if running is None or not isinstance(event, TaskProgressed):
            return
        said: dict[str, Value] = {"note": event.note}
        if event.fraction is not None:
            said["fraction"] = event.fraction
        running.note(event.at, "progress", said)

    def _open_again(self, event: FlowEvent) -> None:
        """The flow had ended, and its span is told: what follows has a span of its own below that."""
        self.has_ended = False
        self._cancelled_by = None
        self._parent = flow_span_id(self.flow)
        self._id = span_id(self.flow, 0, event.v, "again")
        self._began_ms = event.at
        self._links = ()
        self._events = SpanEvents()

    def _end(self, event: FlowEvent) -> Span:
        self.has_ended = True
        by = event.by if isinstance(event, FlowCancelled) else self._cancelled_by
        how = "finished" if by is None else "cancelled"
        error = None if by is None else f"cancelled by {by}"
        return Span(
            trace=self.trace,
            id=self._id,
            parent=self._parent,
            name=f"{self._workflow} again" if self._parent else self._workflow,
            start_ms=self._began_ms,
            end_ms=event.at,
            attributes={**self._attributes, "flower.outcome": how},
            error=error,
            events=tuple(self._events.events),
            dropped_events=self._events.dropped,
            links=self._links,
        )

    def _is_final(self, task: int) -> bool:
        return 0 < task <= len(self._final_ms) and self._final_ms[task - 1] != 0

    def _set_final(self, task: int, at: int) -> None:
        if 0 < task <= len(self._final_ms):
            self._final_ms[task - 1] = at


def _said(**attributes: Value) -> dict[str, Value]:
    return {f"flower.{name}": value for name, value in attributes.items() if value != ""}
