"""What is to be registered: a workflow, its parameters, and how this one flow differs."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

import msgspec

from flower_engine.client.flow_queries import TaskParameters
from flower_engine.errors import ParameterFault, ParametersError
from flower_engine.model.values.result_json import to_json
from flower_engine.model.values.storable import Unstorable, lost_in, unstorable_in

if TYPE_CHECKING:
    from flower_engine.authoring.workflow import Prepared, Workflow

P = ParamSpec("P")
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
    workflow_version: int | str | None = None,
    traceparent: str | None = None,
) -> NamedWorkflow:
    """A workflow by its name, with what this one flow has of its own.

    Args:
        workflow: its name (``task_id``).
        key: the same key gives the same flow, for as long as that is kept.
        priority: of all its tasks, -20 (first) to 19.
        delay: seconds before anything starts.
        start_at: nothing starts before; UTC where it has no offset.
        task_parameters: by taskSeq or name: parameters of one task.
        workflow_version: of this version: its number, its hash or 8 and more characters of that, or
            ``newest``; else as it is defined when it is registered.
        traceparent: the span for which it is registered (W3C Trace Context), a link of its trace; else the
            current one of OpenTelemetry, if there is any.
    """
    return NamedWorkflow(
        workflow,
        options_of(
            key=key,
            priority=priority,
            delay=delay,
            start_at=start_at,
            task_parameters=task_parameters,
            workflow_version=workflow_version,
            traceparent=traceparent,
        ),
    )


def options_of(
    *,
    key: str | None = None,
    priority: int | None = None,
    delay: float | timedelta | None = None,
    start_at: datetime | str | None = None,
    task_parameters: TaskParameters | None = None,
    workflow_version: int | str | None = None,
    traceparent: str | None = None,
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
        "workflowVersion": workflow_version,
        "traceparent": traceparent,
    }
    return {name: value for name, value in given.items() if value is not None}


@overload
def registration(
    workflow: "Workflow[P, R] | Prepared[P, R]", /, *args: P.args, **parameters: P.kwargs
) -> Registration[R]: ...


@overload
def registration(workflow: str | NamedWorkflow, /, **parameters: Any) -> Registration[Any]: ...


def registration(workflow: Any, /, *args: Any, **parameters: Any) -> Registration[Any]:
    """One flow of a workflow with these parameters, for ``register_many``. The workflow is one in Python,
    with or without options of ``.having``, or is given by its name (see :func:`named`).

    Raises:
        DefinitionError: parameters do not fit the workflow in Python; names them, and file and line.
        ParametersError: a parameter has no JSON form, or has no name where only the workflow's is known.
    """
    if not isinstance(workflow, str | NamedWorkflow):
        return _of_python(workflow, args, parameters)
    asked = named(workflow) if isinstance(workflow, str) else workflow
    if args:
        fault = f"{asked.name!r} is given by its name: give its parameters by name, too"
        raise ParametersError([ParameterFault(fault, "#/parameters")])
    return _registration(asked.name, asked.options, parameters, Any)


def result_type_of(workflow: Any) -> Any:
    """The type of the results of a workflow in Python; anything else is one."""
    from flower_engine.authoring.workflow import Workflow, without_options  # noqa: PLC0415 # as below

    plain = without_options(workflow, "told of a flow")
    return plain.result_type if isinstance(plain, Workflow) else plain


def document_of(workflow: "Mapping[str, Any] | Workflow[..., Any]") -> Mapping[str, Any]:
    """A workflow's document, made where it is one in Python.

    Raises:
        DefinitionError: it cannot be defined so.
    """
    if isinstance(workflow, Mapping):
        return workflow
    from flower_engine.authoring.workflow import without_options  # noqa: PLC0415 # as below

    return without_options(workflow, "defined").document()


def schedules_of(workflow: "Mapping[str, Any] | Workflow[..., Any]") -> list[dict[str, Any]]:
    """The documents of a workflow's schedules; where it is a document itself they are none of it.

    Raises:
        DefinitionError: one needs parameters that are not given.
    """
    return [] if isinstance(workflow, Mapping) else [one.document() for one in workflow.schedules.values()]


def _of_python(workflow: Any, args: tuple[Any, ...], parameters: Mapping[str, Any]) -> Registration[Any]:
    # Whoever has such a workflow has imported this already; others need not.
    from flower_engine.authoring.workflow import Prepared, Workflow  # noqa: PLC0415

    options: dict[str, Any] = {}
    if isinstance(workflow, Prepared):
        said = workflow.of_flow
        delay = None if said.delay_ms is None else said.delay_ms / 1000
        options = options_of(key=said.key, priority=said.priority, delay=delay, start_at=said.start_at)
        workflow = cast("Workflow[..., Any]", workflow.workflow)
    if not isinstance(workflow, Workflow):
        raise TypeError(f"{workflow!r} is no workflow, and no name of one")
    defined = cast("Workflow[..., Any]", workflow)
    given = defined.parameters(*args, **parameters)
    return _registration(defined.name, options, given, defined.result_type)


def _registration(
    workflow: str, options: Mapping[str, Any], parameters: Mapping[str, Any], result_type: Any
) -> Registration[Any]:
    key = options.get("key")
    own = key or f"client-{uuid.uuid4()}"
    return Registration(workflow, options, parameters, result_type, key=own, has_own_key=key is not None)


def encoded(value: Any) -> bytes:
    """JSON of what people give as parameters: also dates, paths, dataclasses, structs and pydantic models.

    Raises:
        ParametersError: it has no JSON form, or one that does not hold all of it (NaN); says where.
    """
    try:
        written = _encode(value)
        lost = lost_in(value, written, to_json)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise ParametersError([_without_json(value, error)]) from None
    if lost is not None:
        raise ParametersError([_fault_of(lost)])
    return written


def _without_json(value: Any, error: Exception) -> ParameterFault:
    if isinstance(error, UnicodeEncodeError):  # a lone surrogate: which text it is in, the error does not say
        lost = unstorable_in(value)
        if lost is not None:
            return _fault_of(lost)
    return ParameterFault(f"a value has no JSON form: {error}", "#")


def _fault_of(lost: Unstorable) -> ParameterFault:
    return ParameterFault(f"{lost.pointer or 'it'} {lost.what}; give {lost.instead}", f"#{lost.pointer}")


_encode = msgspec.json.Encoder(enc_hook=to_json).encode
