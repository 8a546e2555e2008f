"""The fields of a flow's hash that describe a task: what register writes and a restore writes again.

``lua/lib/flows.lua`` is where they are read.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.definitions.task_message import TaskMessage, message_of
from flower_engine.model.definitions.task_rules import TaskRules
from flower_engine.model.flow_control.lanes import lane_of
from flower_engine.model.folding.kept_results import reads_of
from flower_engine.model.tasks.task_policy import TaskPolicy
from flower_engine.model.values.floats import spelled_out
from flower_engine.model.waits.wait_parameters import EVENT, RETURNS
from flower_engine.model.waits.wait_programs import has_type, is_wait, wait_text
from flower_engine.transitions.loader import Arg

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(TaskMessage).decode


def task_fields(
    workflow: str, task: PlannedTask, dependents: Sequence[int], final: Collection[int], links: str = ""
) -> list[Arg]:
    """Name and value of each field that follows from the definition, flat; ``final``: tasks that are;
    ``links``: what ``data_fields`` has of it."""
    seq = task.seq
    fields: list[Arg] = [f"m{seq}", task_message(workflow, task), f"l{seq}", lane_of(workflow, task)]
    if len(task.depends_on) > 1:
        opened = sum(dependency not in final for dependency in task.depends_on)
        fields += (f"o{seq}", opened)
    if dependents or links:
        fields += (f"d{seq}", ",".join(map(str, dependents)) + links)
    policy = TaskPolicy.of(task)
    if policy:
        fields += (f"p{seq}", policy.text())
    if is_wait(task.program):
        fields += (f"w{seq}", wait_text(task))
    rules = TaskRules.of(task)
    if rules:
        fields += (f"y{seq}", rules.text())
    return fields


def returns_flag(tasks: Iterable[PlannedTask]) -> str:
    """The flag of a flow that is to return something; "" for others."""
    return "y" if any(task.program == RETURNS for task in tasks) else ""


def typed_fields(tasks: Iterable[PlannedTask]) -> list[Arg]:
    """Name and value of the field that says which tasks take signals of a certain type only; [] for none."""
    typed = [task.seq for task in tasks if task.program == EVENT and has_type(task)]
    return ["E", ",".join(map(str, typed))] if typed else []


def task_message(workflow: str, task: PlannedTask) -> bytes:
    """The JSON of the task's :class:`TaskMessage`."""
    return spelled_out(_encode(message_of(workflow, task)))


def with_parameters(message: bytes, parameters: Mapping[str, Any], unset: Collection[str] = ()) -> bytes:
    """The message with these parameters set, those of ``unset`` taken away, and the others as they are."""
    known = _decode(message)
    kept = {name: value for name, value in known.parameters.items() if name not in unset}
    new = msgspec.structs.replace(known, parameters={**kept, **parameters})
    still = reads_of(new)
    reads = {name: seq for name, seq in new.reads.items() if seq in still}
    return spelled_out(_encode(msgspec.structs.replace(new, reads=reads)))


def encoded_parameters(message: bytes) -> bytes:
    """The JSON of the parameters in a message."""
    return spelled_out(_encode(_decode(message).parameters))


def decode_message(message: bytes) -> TaskMessage:
    """A message as :func:`task_message` made it."""
    return _decode(message)
