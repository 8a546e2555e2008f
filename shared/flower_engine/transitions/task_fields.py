"""The fields of a flow's hash that describe a task: what register writes and a restore writes again.

``lua/lib/flows.lua`` is where they are read.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from flower_engine.log.keys import lane_of
from flower_engine.model.definition import PlannedTask, RetryPolicy
from flower_engine.model.floats import spelled_out
from flower_engine.transitions.loader import Arg

_encode = msgspec.json.Encoder().encode
_NO_RETRY = RetryPolicy(max_attempts=0)


class TaskMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a worker is given to run a task."""

    workflow: str
    task_seq: int
    program: str
    parameters: dict[str, Any]
    no_retry_on: tuple[str, ...] = ()


_decode = msgspec.json.Decoder(TaskMessage).decode


def task_fields(
    workflow: str, task: PlannedTask, dependents: Sequence[int], final: Collection[int]
) -> list[Arg]:
    """Name and value of each field that follows from the definition, flat; ``final``: tasks that are."""
    seq = task.seq
    fields: list[Arg] = [f"m{seq}", task_message(workflow, task), f"l{seq}", task_lane(workflow, task)]
    if len(task.depends_on) > 1:
        opened = sum(dependency not in final for dependency in task.depends_on)
        fields += (f"o{seq}", opened)
    if dependents:
        fields += (f"d{seq}", ",".join(map(str, dependents)))
    policy = task_policy(task)
    if policy:
        fields += (f"p{seq}", policy)
    return fields


def task_lane(workflow: str, task: PlannedTask) -> str:
    """The lane where the task waits when it is ready."""
    return lane_of(workflow, task)


def task_message(workflow: str, task: PlannedTask) -> bytes:
    """The JSON of the task's :class:`TaskMessage`."""
    message = TaskMessage(
        workflow=workflow,
        task_seq=task.task_seq,
        program=task.program,
        parameters=task.parameters,
        no_retry_on=task.retry.no_retry_on if task.retry else (),
    )
    return spelled_out(_encode(message))


def with_parameters(message: bytes, parameters: Mapping[str, Any], unset: Collection[str] = ()) -> bytes:
    """The message with these parameters set, those of ``unset`` taken away, and the others as they are."""
    known = _decode(message)
    kept = {name: value for name, value in known.parameters.items() if name not in unset}
    return spelled_out(_encode(msgspec.structs.replace(known, parameters={**kept, **parameters})))


def encoded_parameters(message: bytes) -> bytes:
    """The JSON of the parameters in a message."""
    return spelled_out(_encode(_decode(message).parameters))


def decode_message(message: bytes) -> TaskMessage:
    """A message as :func:`task_message` made it."""
    return _decode(message)


def task_policy(task: PlannedTask) -> str:
    """``max_attempts delay_ms backoff max_delay_ms jitter timeout_ms queue_timeout_ms``, or "" for none.

    ``max_attempts`` 0: no retry policy; timeouts 0: none.
    """
    if not (task.retry or task.timeout_ms or task.queue_timeout_ms):
        return ""
    retry = task.retry or _NO_RETRY
    return (
        f"{retry.max_attempts} {retry.delay_ms} {retry.backoff!r} {retry.max_delay_ms} {retry.jitter!r}"
        f" {task.timeout_ms or 0} {task.queue_timeout_ms or 0}"
    )
