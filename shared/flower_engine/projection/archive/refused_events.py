"""What can still be said of an event that cannot be read, or whose values Postgres refuses.

The events themselves are archived as they are, as bytes with the reason; this keeps the statuses right.
"""

import re

import msgspec

from flower_engine.errors import NewerEventError
from flower_engine.model.events.attempt_events import (
    FlowAgain,
    TaskAgain,
    TaskFinished,
    TaskLapsed,
    TaskProgressed,
    TaskRetrying,
    TaskSuspended,
)
from flower_engine.model.events.event_base import NO_VALUE
from flower_engine.model.events.events import AnyEvent, FlowRegistered, TaskGivenUp, decode_event
from flower_engine.model.events.operator_events import FlowRerun, TaskIgnored, TasksIgnored
from flower_engine.model.events.schedule_events import ScheduleDefined, SlotsPassed
from flower_engine.model.events.snapshot_events import FlowSnapshot
from flower_engine.model.events.wait_events import FlowSignalled, TaskAnswered, TaskExpanded, TaskVoted
from flower_engine.model.maps.earlier_items import EarlierItem
from flower_engine.model.tasks.task_error import TaskError

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What ``decode_event`` raises for bytes that are no event, beside NewerEventError."""

# As the scripts write JSON; ids and types also as jsonb shows it.
# Values of people's making come behind what the transitions say, but for a few plain fields at the end.
_VALUE = re.compile(rb',"(?:result|blob|error|answer|payload|given)":')
_TAIL = re.compile(rb'(?:,"ends":true)?(?:,"lost":\d+)?(?:,"failures":\d+,"due_ms":\d+)?(?:,"at":\d+)?\}$')
_FLOW = re.compile(rb'"flow": ?"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"')
_TYPE = re.compile(rb'"type": ?"([a-z._]{1,64})"')


def without_values(event: AnyEvent, why: str) -> AnyEvent:
    """The event with the values of people's making left out."""
    replace = msgspec.structs.replace
    if isinstance(event, TaskFinished):
        return replace(event, result=msgspec.Raw(b"null"), blob=None)
    if isinstance(event, TaskAnswered):
        return replace(event, result=msgspec.Raw(b"null"), blob=None)
    if isinstance(event, TaskVoted | FlowSignalled | TaskExpanded | TaskAgain | FlowAgain):
        return _without_given(event)
    if isinstance(event, TaskIgnored | TaskGivenUp):
        return _without_error(event, why)
    if isinstance(event, TasksIgnored):
        return replace(event, result=NO_VALUE)
    if isinstance(event, TaskSuspended | TaskRetrying | TaskLapsed):
        return replace(event, error=_left_out(why))
    if isinstance(event, FlowRegistered):
        tasks = tuple(replace(task, parameters={}, reads={}, stand_in=None) for task in event.tasks)
        taken = dict.fromkeys([*event.taken, *event.blobs], msgspec.Raw(b"null"))
        bare = {seq: tuple(map(_without_result, items)) for seq, items in event.earlier.items()}
        said = {"taken": taken, "blobs": {}, "stand_ins": {}, "earlier": bare}
        return replace(event, tasks=tasks, **said, key="", parameters={})
    if isinstance(event, FlowSnapshot):
        bare = tuple(
            replace(
                task,
                message=replace(task.message, parameters={}, reads={}, stand_in=None),
                progress=None,
                result=NO_VALUE,
                given=NO_VALUE,
                blob=None,
                earlier=task.earlier and tuple(map(_without_result, task.earlier)),
            )
            for task in event.tasks
        )
        signals = tuple(replace(signal, payload=msgspec.Raw(b"null")) for signal in event.signals)
        return replace(event, tasks=bare, key="", signals=signals, again_given=NO_VALUE)
    if isinstance(event, TaskProgressed):
        return replace(event, note="")
    if isinstance(event, FlowRerun):
        bodies = {
            seq: replace(body, parameters={}, reads={}, stand_in=None) for seq, body in event.bodies.items()
        }
        return replace(event, bodies=bodies, parameters={})
    if isinstance(event, SlotsPassed):
        return replace(event, detail="")
    if isinstance(event, ScheduleDefined):
        return replace(event, problem="")
    return event


def _without_result(item: EarlierItem) -> EarlierItem:
    return msgspec.structs.replace(item, result=msgspec.Raw(b"null"), blob=None)


def _without_given(event: TaskVoted | FlowSignalled | TaskExpanded | TaskAgain | FlowAgain) -> AnyEvent:
    """What somebody gave goes: an answer, a payload, the values of items, the parameters of a round."""
    replace, nothing = msgspec.structs.replace, msgspec.Raw(b"null")
    if isinstance(event, TaskVoted):
        return replace(event, answer=nothing)
    if isinstance(event, FlowSignalled):
        return replace(event, payload=nothing)
    if isinstance(event, TaskAgain | FlowAgain):
        return replace(event, given=msgspec.Raw(b"{}"))
    item = replace(event.item, parameters={})
    chain = tuple(replace(one, item=replace(one.item, parameters={})) for one in event.chain)
    taken = tuple(replace(one, result=nothing) for one in event.taken)
    return replace(event, name="", item=item, values=(nothing,) * len(event.values), chain=chain, taken=taken)


def _without_error(event: TaskIgnored | TaskGivenUp, why: str) -> AnyEvent:
    """A stand-in goes, and the error of an attempt, with the reason that is made of it."""
    replace = msgspec.structs.replace
    error = None if event.error is None else _left_out(why)
    if isinstance(event, TaskGivenUp):
        return replace(event, error=error)
    return replace(event, result=NO_VALUE, error=error, reason=event.reason if error is None else "")


def outline(raw: bytes, why: str) -> AnyEvent | None:
    """The event without its values, where these are all that cannot be read; else None."""
    value, tail = _VALUE.search(raw), _TAIL.search(raw)
    if value is None or tail is None or value.end() > tail.start():
        return None
    error = msgspec.json.encode(_left_out(why))
    stand_in = value.group() + error if value.group() == b',"error":' else b""
    try:
        return decode_event(raw[: value.start()] + stand_in + tail.group())
    except (*UNREADABLE, NewerEventError):
        return None


def event_of(raw: bytes, error: str | None) -> AnyEvent:
    """An archived event; of one whose values Postgres refused, what can be read.

    Raises:
        UNREADABLE: nothing can.
        NewerEventError: it is of a newer version.
    """
    try:
        return decode_event(raw)
    except UNREADABLE:
        event = outline(raw, error or "unreadable")
        if event is None:
            raise
        return event


def flow_and_type(raw: bytes) -> tuple[str | None, str | None]:
    """The flow id and type that unreadable bytes seem to name. What is of a schedule is of no flow."""
    flow, kind = _FLOW.search(raw), _TYPE.search(raw)
    word = kind[1].decode() if kind else None
    return flow[1].decode() if flow and not (word or "").startswith("schedule.") else None, word


def _left_out(why: str) -> TaskError:
    return TaskError(type="Unstorable", message=f"the error itself could not be kept: {why}")
