"""What becomes of a decision: the same for whoever decides it, a worker, a watcher or a test."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from flower_engine.errors import ParameterError
from flower_engine.model.decisions.conditions import decided
from flower_engine.model.decisions.decision_tasks import CONDITION
from flower_engine.model.definitions.child_flows import VALUE
from flower_engine.model.definitions.task_message import TaskMessage
from flower_engine.model.parameters.references import NoValueError, Read, resolved_value
from flower_engine.model.tasks.raised_errors import encode_error
from flower_engine.model.values.floats import spelled_out
from flower_engine.model.waits.wait_parameters import RETURNS

_decode = msgspec.json.decode
_encode = msgspec.json.Encoder().encode


class Decided(NamedTuple):
    """``says``: what the condition came to ("returned": it is none, but what a child returns), and
    ``payload`` the JSON of the task's result; None: it cannot be decided, and ``payload`` is the JSON of the
    error. Of a map: ``gathered``, and it is the list, or ``stored``, and it is the JSON of the BlobRef of
    where that lies."""

    says: bool | Literal["gathered", "stored", "returned"] | None
    payload: bytes


def outcome_of(message: TaskMessage, contents: Mapping[int, bytes | None]) -> Decided:
    """Evaluates a decision. ``contents``: the JSON of what it reads, by the number of the task; None:
    that one has no result. It never raises: what cannot be decided now never can, from these values."""

    def read(name: str) -> Any:
        content = contents.get(message.reads.get(name, 0))
        if content is None:
            raise NoValueError(name)
        return _decode(content)

    if message.program == RETURNS:
        return _returned(message, read)
    try:
        found = decided(message.parameters.get(CONDITION), read)
    except (ParameterError, ValueError, LookupError, TypeError, RecursionError) as error:
        return Decided(None, encode_error(error))
    return Decided(found.is_met, _encode(found))


def _returned(message: TaskMessage, read: Read) -> Decided:
    """What a child returns; whoever hands it in stores it where it is too large to travel with an event."""
    try:
        value = message.parameters.get(VALUE)
        if message.refs:
            value = resolved_value(value, read, no_secret, "what the flow returns")
        payload = spelled_out(_encode(value))
    except (ParameterError, ValueError, LookupError, TypeError, RecursionError) as error:
        return Decided(None, encode_error(error))
    return Decided("returned", payload)


def no_secret(name: str) -> str:
    """Refuses a secret where values are told."""
    raise ParameterError(f"it asks for the secret {name}, and what flows hand each other is told to people")
