"""What the API takes as a definition: pydantic, which finds every fault.

The names, types, defaults, descriptions and bounds are those of ``TaskSpec``; what is shown is the document
(``model/definitions/workflow_document.py``).
"""

from typing import TYPE_CHECKING, Any

import msgspec
from pydantic import Field, create_model

from flower_api.schemas import RequestBody
from flower_engine.model.definitions.definition import WorkflowDefinition
from flower_engine.model.definitions.definition_header import MAX_DESCRIPTION_LENGTH, MAX_LABELS
from flower_engine.model.definitions.workflow_document import (
    FIELDS,
    WorkflowDocument,
    optional_ms,
    task_definitions,
    type_of,
)
from flower_engine.model.partitions.pins import PINS
from flower_engine.model.tasks.field_types import SpecField
from flower_engine.model.tasks.task_spec import MAX_DURATION_MS, MAX_TASKS, RetryPolicy

_RETRY = RetryPolicy()
_DURATION: dict[str, Any] = {"exclusiveMinimum": 0, "maximum": MAX_DURATION_MS / 1000}


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


def _body_field(field: SpecField) -> tuple[Any, Any]:
    """A field for pydantic. Its bounds are described, and checked with the whole workflow."""
    bounds = field.bounds
    if field.is_duration:
        bounds = {name: bound // 1000 for name, bound in bounds.items()}
    described: dict[str, Any] = {"description": field.description, "json_schema_extra": bounds or None}
    if field.default is msgspec.NODEFAULT:
        return type_of(field, RetryBody), Field(**described)
    return type_of(field, RetryBody), Field(field.default, **described)


if TYPE_CHECKING:
    TaskBody = RequestBody
else:
    TaskBody = create_model(
        "TaskBody",
        __base__=RequestBody,
        __doc__="A task definition. What the bounds say is checked with the whole workflow, so that rows are"
        " named.",
        **{name: _body_field(field) for name, field in FIELDS.items()},
    )


class WorkflowBody(RequestBody):
    """A workflow to define: what GET answers may be sent back."""

    task_id: str | None = Field(None, description="if given, the one in the path")
    tasks: list[TaskBody] = Field(json_schema_extra={"minItems": 1, "maxItems": MAX_TASKS})
    timeout_seconds: float | None = Field(
        None, json_schema_extra=_DURATION, description="of a whole flow, from its start"
    )
    cleanup_timeout_seconds: float | None = Field(
        None,
        json_schema_extra=_DURATION,
        description="of all tasks with finally together, once the flow is ending; absent: an hour",
    )
    parameters_schema: dict[str, Any] | None = Field(
        None, description="JSON Schema (2020-12) of an object: what flows take"
    )
    returns: Any = Field(None, description="what a flow returns: a reference, or JSON with references in it")
    labels: dict[str, str] = Field(default_factory=dict, json_schema_extra={"maxProperties": MAX_LABELS})
    description: str | None = Field(None, json_schema_extra={"maxLength": MAX_DESCRIPTION_LENGTH})
    pin: str | None = Field(
        None,
        json_schema_extra={"enum": [*PINS, None]},
        description="its flows lie in one partition (workflow), or those with the same limitBy do (key)",
    )

    def to_model(self, name: str) -> WorkflowDefinition:
        """What it defines.

        Raises:
            DefinitionError: a dependency names no task.
        """
        return WorkflowDefinition(
            name=name,
            tasks=task_definitions(name, self.tasks),
            timeout_ms=optional_ms(self.timeout_seconds),
            cleanup_timeout_ms=optional_ms(self.cleanup_timeout_seconds),
            parameters_schema=self.parameters_schema,
            returns=self.returns,
            labels=self.labels,
            description=self.description,
            pin=self.pin,
        )


class DefinedView(WorkflowDocument):
    """The same right after it was defined. ``warnings``: programs and queues that no worker has served,
    what some live workers' programs do not take, and tasks that wait for a decision though their rule is
    ``settled``."""

    warnings: list[str] | msgspec.UnsetType = msgspec.UNSET
