"""What tasks with references take, worked out once for messages that are alike.

Flows of a workflow often share theirs, and to find the references in one takes longer than all else that is
done for a task here.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, cast

import msgspec

from flower_engine.model.definitions.task_message import TaskMessage
from flower_engine.model.folding.kept_results import INLINE
from flower_engine.model.parameters.reference_forms import FormError, From, form_of
from flower_engine.model.values.json_pointer import NotThereError, value_at
from flower_engine.programs.parameter_binding import Provenance
from flower_engine.programs.provenance import LateProvenance

_MOST_BYTES = 4 * 1024  # of a message: of longer ones nothing is remembered
_PLANS = 1024
_FLOW_BYTES = 37  # of a member: the flow, and the colon before the task

_decode = msgspec.json.decode
_decode_message = msgspec.json.Decoder(TaskMessage).decode


class _Read(NamedTuple):
    parameter: str
    producer: bytes  # its number, as it ends the names of results
    path: str


class InputPlan:
    """Of tasks whose parameters are numbers, texts, and parts of results: as most are."""

    __slots__ = ("_constants", "_reads", "message", "provenance")

    def __init__(self, message: TaskMessage, constants: dict[str, Any], reads: tuple[_Read, ...]) -> None:
        """``constants``: every parameter, None where something is read in its place."""
        self.message = message
        self.provenance: Mapping[str, Provenance] = LateProvenance(message.parameters)
        self._constants = constants
        self._reads = reads

    def parameters(
        self, member: bytes, kept: Mapping[bytes, bytes], most_bytes: int
    ) -> dict[str, Any] | None:
        """The parameters of one task, by results that came with its claim (named as in ``Exchange.inputs``).
        None where one of them did not come, is no value, or where all together have more bytes."""
        flow = member[:_FLOW_BYTES]
        parameters = self._constants.copy()
        for parameter, producer, path in self._reads:
            payload = kept.get(flow + producer, b"")
            most_bytes -= len(payload)
            if payload[:1] != INLINE or most_bytes < 0:
                return None
            value = _decode(payload[1:])
            if path:
                try:
                    value = value_at(value, path)
                except NotThereError:
                    return None
            parameters[parameter] = value
        return parameters


def plan_of(message: bytes) -> InputPlan | None:
    """The plan for a message; None: it has something else to resolve, or nothing at all."""
    return _plan(message) if len(message) <= _MOST_BYTES else None


@lru_cache(_PLANS)
def _plan(encoded: bytes) -> InputPlan | None:
    message = _decode_message(encoded)
    if not message.refs or message.used or message.round:
        return None
    constants: dict[str, Any] = {}
    reads: list[_Read] = []
    for name, value in message.parameters.items():
        constants[name] = None if isinstance(value, dict | list) else value
        if isinstance(value, list):
            return None
        if isinstance(value, dict):
            try:
                form = form_of(cast("dict[str, Any]", value))
            except FormError:
                return None
            if not isinstance(form, From) or form.name not in message.reads:
                return None
            reads.append(_Read(name, b"%d" % message.reads[form.name], form.path))
    return InputPlan(message, constants, tuple(reads))
