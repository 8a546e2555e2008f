"""What becomes of a decision: the same for whoever decides it, a worker, a watcher or a test."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from flower_engine.errors import ParameterError
from flower_engine.model.conditions import decided
from flower_engine.model.decision_tasks import CONDITION
from flower_engine.model.raised_errors import encode_error
from flower_engine.model.references import NoValueError
from flower_engine.model.task_message import TaskMessage

_decode = msgspec.json.decode
_encode = msgspec.json.Encoder().encode


class Decided(NamedTuple):
    """``says``: what the condition came to, and ``payload`` the JSON of the task's result; None: it cannot be
    decided, and ``payload`` is the JSON of the error. Of a map: ``gathered``, and it is the list, or
    ``stored``, and it is the JSON of the BlobRef of where that lies."""

    says: bool | Literal["gathered", "stored"] | None
    payload: bytes


def outcome_of(message: TaskMessage, contents: Mapping[int, bytes | None]) -> Decided:
    """Evaluates a decision. ``contents``: the JSON of what it reads, by the number of the task; None:
    that one has no result. It never raises: what cannot be decided now never can, from these values."""

    def read(name: str) -> Any:
        content = contents.get(message.reads.get(name, 0))
        if content is None:
            raise NoValueError(name)
        return _decode(content)

    try:
        found = decided(message.parameters.get(CONDITION), read)
    except (ParameterError, ValueError, LookupError, TypeError, RecursionError) as error:
        return Decided(None, encode_error(error))
    return Decided(found.is_met, _encode(found))
