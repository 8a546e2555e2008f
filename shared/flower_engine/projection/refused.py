"""What can still be said of an event that cannot be read, or whose values Postgres refuses.

The events themselves are archived as they are, as bytes with the reason; this keeps the statuses right.
"""

import re

import msgspec

from flower_engine.errors import NewerEventError
from flower_engine.model.events import (
    AnyEvent,
    FlowRegistered,
    TaskError,
    TaskFinished,
    TaskSuspended,
    decode_event,
)

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What ``decode_event`` raises for bytes that are no event, beside NewerEventError."""

# Values of people's making come last in an event; what stands before them is made by the transitions.
_VALUE = re.compile(rb',"(?:result|error)":')
_FLOW = re.compile(rb'"flow":"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"')
_TYPE = re.compile(rb'"type":"([a-z.]{1,64})"')
_ENDS = b',"ends":true}'


def without_values(event: AnyEvent, why: str) -> AnyEvent:
    """The event with the values of people's making left out."""
    replace = msgspec.structs.replace
    if isinstance(event, TaskFinished):
        return replace(event, result=msgspec.Raw(b"null"))
    if isinstance(event, TaskSuspended):
        return replace(event, error=_left_out(why))
    if isinstance(event, FlowRegistered):
        return replace(event, tasks=tuple(replace(task, parameters={}) for task in event.tasks))
    return event


def outline(raw: bytes, why: str) -> AnyEvent | None:
    """The event without its values, where these are all that cannot be read; else None."""
    value = _VALUE.search(raw)
    if value is None:
        return None
    if value.group().startswith(b',"error"'):
        rest = b',"error":' + msgspec.json.encode(_left_out(why)) + b"}"
    else:
        rest = _ENDS if raw.endswith(_ENDS) else b"}"
    try:
        return decode_event(raw[: value.start()] + rest)
    except (*UNREADABLE, NewerEventError):
        return None


def flow_and_type(raw: bytes) -> tuple[str | None, str | None]:
    """The flow id and type that unreadable bytes seem to name."""
    flow, kind = _FLOW.search(raw), _TYPE.search(raw)
    return flow[1].decode() if flow else None, kind[1].decode() if kind else None


def _left_out(why: str) -> TaskError:
    return TaskError(type="Unstorable", message=f"the error itself could not be kept: {why}")
