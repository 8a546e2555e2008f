"""Events: the facts in the log, as frozen structs in a union tagged by ``type``.

The Lua scripts write them as JSON; this file is how Python reads them. A new field has a default; a
changed meaning is a new tag. ``tests/golden/`` holds bytes of every event ever written.

``at`` is Redis TIME in milliseconds. ``v`` is the flow's version: it counts the flow's events from 1.
"""

from typing import Any

import msgspec

from flower_engine.errors import NewerEventError
from flower_engine.model.definition import PlannedTask


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What every event carries."""

    at: int


class LogOpened(Event, frozen=True, tag="log.opened"):
    """The first event of a partition's log, and the first one after each recovery."""

    installation: str
    generation: int
    partition: int


class FlowEvent(Event, frozen=True):
    """What every event of a flow carries."""

    flow: str
    v: int


class FlowRegistered(FlowEvent, frozen=True, tag="flow.registered"):
    """A flow exists; all its tasks wait.

    ``order`` places the flow's tasks behind those registered before it in their lanes.
    """

    workflow: str
    order: int
    tasks: tuple[PlannedTask, ...]


class TaskEvent(FlowEvent, frozen=True):
    """What every event of an attempt carries; ``lease`` is the work entry's id."""

    task: int
    attempt: int
    lease: str


class TaskStarted(TaskEvent, frozen=True, tag="task.started"):
    """A worker claimed the task: Wait -> Running."""

    worker: str


class TaskFinished(TaskEvent, frozen=True, tag="task.finished"):
    """Running -> Finish. ``ends`` says that it was the last open task of its flow."""

    result: msgspec.Raw = msgspec.Raw(b"null")
    ends: bool = False


class TaskError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why an attempt failed."""

    type: str
    message: str
    traceback: str = ""


class TaskSuspended(TaskEvent, frozen=True, tag="task.suspended"):
    """Failed for good, or lost too many workers (then ``lost`` counts them): Running -> Suspend."""

    error: TaskError
    lost: int = 0


class TaskReturned(TaskEvent, frozen=True, tag="task.returned"):
    """A stopping worker handed the attempt back: Running -> Wait."""


class TaskLapsed(TaskEvent, frozen=True, tag="task.lapsed"):
    """The worker was lost: Running -> Wait. ``lost`` counts the workers lost on this task so far."""

    worker: str
    lost: int


class OutcomeRefused(Event, frozen=True, tag="outcome.refused"):
    """A late outcome of a lease that is not the current one; it changes nothing."""

    flow: str
    task: int
    lease: str
    worker: str
    outcome: str


AnyTaskEvent = TaskStarted | TaskFinished | TaskSuspended | TaskReturned | TaskLapsed
AnyEvent = LogOpened | FlowRegistered | AnyTaskEvent | OutcomeRefused

_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
_encoder = msgspec.json.Encoder()
_TAGS = {struct.__struct_config__.tag for struct in AnyEvent.__args__}


class _Tag(msgspec.Struct):
    type: Any = None


def decode_event(raw: bytes) -> AnyEvent:
    """The event that these JSON bytes hold.

    Raises:
        NewerEventError: its ``type`` is unknown here, so a newer version wrote it.
        msgspec.DecodeError: it is not an event at all (msgspec.ValidationError: a field is wrong).
    """
    try:
        return _decoder.decode(raw)
    except msgspec.ValidationError:
        tag = msgspec.json.decode(raw, type=_Tag).type
        if isinstance(tag, str) and tag not in _TAGS:
            raise NewerEventError(
                f"event type {tag!r} is unknown to this version; upgrade this service before it goes on"
            ) from None
        raise


def encode_event(event: AnyEvent) -> bytes:
    """The event as JSON bytes; for tests and recovery (the scripts write their own)."""
    return _encoder.encode(event)
