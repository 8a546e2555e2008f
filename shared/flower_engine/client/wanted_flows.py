"""What is to be registered: a workflow, its parameters, and how this one flow differs."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec

from flower_engine.client.flow_queries import TaskParameters
from flower_engine.errors import ParameterFault, ParametersError
from flower_engine.model.result_json import to_json

R = TypeVar("R")


class NamedWorkflow(msgspec.Struct, frozen=True):
    """A workflow by its name, with options of one registration; see :func:`named`."""

    name: str
    options: Mapping[str, Any]


class Registration(msgspec.Struct, Generic[R], frozen=True):
    """One flow to register; ``result_type`` is what its result is. Its key is made here, once: whoever sends
    the registration again, sends the same."""

    workflow: str
    options: Mapping[str, Any]
    parameters: Mapping[str, Any]
    result_type: Any
    key: str
    has_own_key: bool

    def body(self) -> dict[str, Any]:
        """What the API is sent."""
        parameters = {"parameters": self.parameters} if self.parameters else {}
        return {**parameters, **self.options, "key": self.key}


def named(
    workflow: str,
    *,
    key: str | None = None,
    priority: int | None = None,
    delay: float | timedelta | None = None,
    start_at: datetime | str | None = None,
    task_parameters: TaskParameters | None = None,
) -> NamedWorkflow:
    """A workflow by its name, with what this one flow has of its own.

    Args:
        workflow: its name (``task_id``).
        key: the same key gives the same flow, for as long as that is kept.
        priority: of all its tasks, -20 (first) to 19.
        delay: seconds before anything starts.
        start_at: nothing starts before; UTC where it has no offset.
        task_parameters: by taskSeq or name: parameters of one task.
    """
    return NamedWorkflow(
        workflow,
        options_of(
            key=key, priority=priority, delay=delay, start_at=start_at, task_parameters=task_parameters
        ),
    )


def options_of(
    *,
    key: str | None = None,
    priority: int | None = None,
    delay: float | timedelta | None = None,
    start_at: datetime | str | None = None,
    task_parameters: TaskParameters | None = None,
) -> dict[str, Any]:
    """Options of a registration under the API's names; those that are not given are left out."""
    if isinstance(start_at, datetime):
        start_at = (start_at if start_at.tzinfo else start_at.replace(tzinfo=UTC)).isoformat()
    seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay
    by_task = {str(seq): values for seq, values in (task_parameters or {}).items()}
    given = {
        "key": key,
        "priority": priority,
        "delaySeconds": seconds,
        "startAt": start_at,
        "taskParameters": by_task or None,
    }
    return {name: value for name, value in given.items() if value is not None}


def registration(workflow: str | NamedWorkflow, /, *args: Any, **parameters: Any) -> Registration[Any]:
    """One flow of a workflow with these parameters, for ``register_many``.

    Raises:
        ParametersError: parameters without a name are given for a workflow that is only known by its name.
    """
    asked = NamedWorkflow(workflow, {}) if isinstance(workflow, str) else workflow
    if args:
        fault = f"{asked.name!r} is given by its name: give its parameters by name, too"
        raise ParametersError([ParameterFault(fault, "#/parameters")])
    key = asked.options.get("key")
    return Registration(
        asked.name,
        asked.options,
        parameters,
        Any,
        key=key or f"client-{uuid.uuid4()}",
        has_own_key=key is not None,
    )


def encoded(value: Any) -> bytes:
    """JSON of what people give as parameters: also dates, paths, dataclasses, structs and pydantic models.

    Raises:
        ParametersError: it has no JSON form.
    """
    try:
        return _encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise ParametersError([ParameterFault(f"a value has no JSON form: {error}", "#")]) from None


_encode = msgspec.json.Encoder(enc_hook=to_json).encode
