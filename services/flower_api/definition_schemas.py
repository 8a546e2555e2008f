"""The JSON of definitions: what the API takes (pydantic) and what it shows (msgspec)."""

import math
from typing import Any, Self

import msgspec
from pydantic import Field

from flower_api.schemas import Taken
from flower_engine.model.definition import (
    DEFAULT_QUEUE,
    MAX_DURATION_MS,
    MAX_NAME_LENGTH,
    MAX_PRIORITY,
    MAX_TASKS,
    MAX_UNITS,
    MIN_PRIORITY,
    RetryPolicy,
    TaskDefinition,
    WorkflowDefinition,
    longest_delay,
)
from flower_engine.projection.definitions.definition_rows import MAX_TASK_SEQ
from flower_engine.projection.read.views import View

_RETRY = RetryPolicy()
_DURATION: dict[str, Any] = {"exclusiveMinimum": 0, "maximum": MAX_DURATION_MS / 1000}


def _ms(seconds: float) -> int:
    """Milliseconds; what is no number of seconds becomes one that the check of the workflow refuses."""
    ms = seconds * 1000
    return round(ms) if math.isfinite(ms) else -1


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000


class RetryBody(Taken):
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


class TaskBody(Taken):
    """A task definition. What the bounds say is checked with the whole workflow, so that rows are named."""

    task_seq: int = Field(json_schema_extra={"minimum": -MAX_TASK_SEQ, "maximum": MAX_TASK_SEQ})
    program: str = Field(json_schema_extra={"minLength": 1, "maxLength": MAX_NAME_LENGTH})
    task_priority: int = Field(0, json_schema_extra={"minimum": MIN_PRIORITY, "maximum": MAX_PRIORITY})
    parameters: dict[str, Any] = Field({}, description="of any JSON type")
    depends_on: list[int] | None = Field(
        None, description="taskSeqs; absent or null: the previous taskSeq, []: none"
    )
    queue: str = Field(DEFAULT_QUEUE, json_schema_extra={"minLength": 1, "maxLength": MAX_NAME_LENGTH})
    retry: RetryBody | None = Field(None, description="null: the first failure suspends")
    timeout_seconds: float | None = Field(
        None, json_schema_extra=_DURATION, description="of one attempt, start to finish"
    )
    queue_timeout_seconds: float | None = Field(
        None, json_schema_extra=_DURATION, description="from ready to start"
    )
    units: int = Field(
        1,
        json_schema_extra={"minimum": 1, "maximum": MAX_UNITS},
        description="how much it counts against limits while it runs",
    )

    def to_model(self) -> TaskDefinition:
        return TaskDefinition(
            seq=self.task_seq,
            program=self.program,
            priority=self.task_priority,
            parameters=self.parameters,
            depends_on=None if self.depends_on is None else tuple(self.depends_on),
            queue=self.queue,
            retry=self.retry and self.retry.to_model(),
            timeout_ms=None if self.timeout_seconds is None else _ms(self.timeout_seconds),
            queue_timeout_ms=None if self.queue_timeout_seconds is None else _ms(self.queue_timeout_seconds),
            units=self.units,
        )


class WorkflowBody(Taken):
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


class TaskDefinitionView(View):
    """A task definition; ``dependsOn`` null means the previous taskSeq."""

    task_seq: int
    program: str
    task_priority: int
    parameters: dict[str, Any]
    depends_on: list[int] | None
    queue: str
    retry: RetryView | None
    timeout_seconds: float | None
    queue_timeout_seconds: float | None
    units: int


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
                    task_seq=task.seq,
                    program=task.program,
                    task_priority=task.priority,
                    parameters=task.parameters,
                    depends_on=None if task.depends_on is None else list(task.depends_on),
                    queue=task.queue,
                    retry=task.retry and RetryView.of(task.retry),
                    timeout_seconds=_seconds(task.timeout_ms),
                    queue_timeout_seconds=_seconds(task.queue_timeout_ms),
                    units=task.units,
                )
                for task in definition.tasks
            ],
            timeout_seconds=_seconds(definition.timeout_ms),
        )


class DefinedView(WorkflowView, omit_defaults=True):
    """The same right after it was defined. ``warnings``: programs and queues that no worker has served."""

    warnings: list[str] = msgspec.field(default_factory=list)
