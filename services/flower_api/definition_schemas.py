"""The JSON of definitions: what the API takes (pydantic, which finds every fault) and shows (msgspec).

Both are made from the fields of ``TaskSpec``: names, types, defaults, descriptions and bounds.
"""

import math
from typing import TYPE_CHECKING, Any, Self, cast, get_args, get_origin

import msgspec
from pydantic import Field, create_model

from flower_api.schemas import RequestBody
from flower_engine.model.definition import TaskDefinition, WorkflowDefinition
from flower_engine.model.field_types import SPEC_FIELDS, SpecField
from flower_engine.model.task_spec import (
    MAX_DURATION_MS,
    MAX_TASKS,
    RetryPolicy,
    longest_delay,
)
from flower_engine.projection.read.views import View

_RETRY = RetryPolicy()
_DURATION: dict[str, Any] = {"exclusiveMinimum": 0, "maximum": MAX_DURATION_MS / 1000}


def _ms(seconds: float) -> int:
    """Milliseconds; what is no number of seconds becomes one that the check of the workflow refuses."""
    ms = seconds * 1000
    return round(ms) if math.isfinite(ms) else -1


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000


class RetryBody(RequestBody):
    """What follows a failed attempt. The bounds are checked with the whole workflow."""

    max_attempts: int
    delay_seconds: float = _RETRY.delay_ms / 1000
    backoff: float = _RETRY.backoff
    max_delay_seconds: float | None = Field(
        None, description=f"absent: {_RETRY.max_delay_ms / 1000:g}, or delaySeconds if that is longer"
    )
    jitter: float = _RETRY.jitter
    no_retry_on: list[str] = Field([], description="error types; their subclasses, too")

    def to_model(self) -> RetryPolicy:
        delay_ms, longest = _ms(self.delay_seconds), self.max_delay_seconds
        return RetryPolicy(
            max_attempts=self.max_attempts,
            delay_ms=delay_ms,
            backoff=self.backoff,
            max_delay_ms=longest_delay(delay_ms) if longest is None else _ms(longest),
            jitter=self.jitter,
            no_retry_on=tuple(self.no_retry_on),
        )


class RetryView(View):
    """What follows a failed attempt."""

    max_attempts: int
    delay_seconds: float
    backoff: float
    max_delay_seconds: float
    jitter: float
    no_retry_on: list[str]

    @classmethod
    def of(cls, retry: RetryPolicy) -> "RetryView":
        return cls(
            max_attempts=retry.max_attempts,
            delay_seconds=retry.delay_ms / 1000,
            backoff=retry.backoff,
            max_delay_seconds=retry.max_delay_ms / 1000,
            jitter=retry.jitter,
            no_retry_on=list(retry.no_retry_on),
        )


def _name(field: SpecField) -> str:
    """The field's name in JSON, before it is in camelCase: that of its column."""
    if field.is_duration:
        return field.name.removesuffix("_ms") + "_seconds"
    return "task_priority" if field.name == "priority" else field.name


_BY_NAME = {_name(field): field for field in SPEC_FIELDS.values() if field.name != "seq"}
_SHOWN_FIRST = ("task_seq", "program", "task_priority", "parameters", "depends_on")
_FIELDS = {name: _BY_NAME[name] for name in (*_SHOWN_FIRST, *_BY_NAME)}
"""What a definition says, by name in JSON."""


def _type(field: SpecField, retry: type) -> Any:
    """The type of a field in JSON; ``retry``: the class of a retry policy there."""
    kind = field.type
    if field.is_duration:
        kind = float
    elif kind is RetryPolicy:
        kind = retry
    elif get_origin(kind) is tuple:
        kind = list[get_args(kind)[0]]
    return kind | None if field.is_optional else kind


def _taken(value: Any, field: SpecField) -> Any:
    """What came over HTTP, as the model has it."""
    if value is None:
        return None
    if field.is_duration:
        return _ms(value)
    if field.type is RetryPolicy:
        return value.to_model()
    return tuple(cast(list[Any], value)) if isinstance(value, list) else value


def _shown(value: Any, field: SpecField) -> Any:
    """What the model has, as it is shown."""
    if value is None:
        return None
    if field.is_duration:
        return _seconds(value)
    if field.type is RetryPolicy:
        return RetryView.of(value)
    return list(cast(tuple[Any, ...], value)) if isinstance(value, tuple) else value


def _body_field(field: SpecField) -> tuple[Any, Any]:
    """A field for pydantic. Its bounds are described, and checked with the whole workflow."""
    bounds = field.bounds
    if field.is_duration:
        bounds = {name: bound // 1000 for name, bound in bounds.items()}
    described: dict[str, Any] = {"description": field.description, "json_schema_extra": bounds or None}
    if field.default is msgspec.NODEFAULT:
        return _type(field, RetryBody), Field(**described)
    return _type(field, RetryBody), Field(field.default, **described)


class _TaskBody(RequestBody):
    def to_model(self) -> TaskDefinition:
        """What it defines."""
        return TaskDefinition(
            **{field.name: _taken(getattr(self, name), field) for name, field in _FIELDS.items()}
        )


if TYPE_CHECKING:
    TaskBody = _TaskBody
else:
    TaskBody = create_model(
        "TaskBody",
        __base__=_TaskBody,
        __doc__="A task definition. What the bounds say is checked with the whole workflow, so that rows are"
        " named.",
        **{name: _body_field(field) for name, field in _FIELDS.items()},
    )


class WorkflowBody(RequestBody):
    """A workflow to define: what GET answers may be sent back."""

    task_id: str | None = Field(None, description="if given, the one in the path")
    tasks: list[TaskBody] = Field(json_schema_extra={"minItems": 1, "maxItems": MAX_TASKS})
    timeout_seconds: float | None = Field(
        None, json_schema_extra=_DURATION, description="of a whole flow, from its start"
    )

    def to_model(self, name: str) -> WorkflowDefinition:
        return WorkflowDefinition(
            name=name,
            tasks=tuple(task.to_model() for task in self.tasks),
            timeout_ms=None if self.timeout_seconds is None else _ms(self.timeout_seconds),
        )


if TYPE_CHECKING:
    TaskDefinitionView = View
else:
    TaskDefinitionView = msgspec.defstruct(
        "TaskDefinitionView",
        [(name, _type(field, RetryView)) for name, field in _FIELDS.items()],
        bases=(View,),
        namespace={"__doc__": "A task definition; ``dependsOn`` null means the previous taskSeq."},
    )


class WorkflowView(View):
    """A workflow as it is defined."""

    task_id: str
    tasks: list[TaskDefinitionView]
    timeout_seconds: float | None

    @classmethod
    def of(cls, definition: WorkflowDefinition) -> Self:
        return cls(
            task_id=definition.name,
            tasks=[
                TaskDefinitionView(
                    **{name: _shown(getattr(task, field.name), field) for name, field in _FIELDS.items()}
                )
                for task in definition.tasks
            ],
            timeout_seconds=_seconds(definition.timeout_ms),
        )


class DefinedView(WorkflowView, omit_defaults=True):
    """The same right after it was defined. ``warnings``: programs and queues that no worker has served."""

    warnings: list[str] = msgspec.field(default_factory=list)
