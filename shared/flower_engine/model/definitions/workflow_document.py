"""The document of a workflow: its definition as JSON, the same in the API, in files, in versions and deploys.

It is made from the fields of ``TaskSpec``: names in camelCase, durations in seconds. What the API takes has
the same names, and is checked by pydantic, which finds every fault.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, cast, get_args, get_origin

import msgspec

from flower_engine.errors import DefinitionError
from flower_engine.model.decisions.decision_tasks import said_trees
from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition
from flower_engine.model.tasks.field_types import SPEC_FIELDS, SpecField
from flower_engine.model.tasks.rule_texts import normal_on_failure
from flower_engine.model.tasks.task_names import branches_of, numbered
from flower_engine.model.tasks.task_spec import RetryPolicy, longest_delay
from flower_engine.model.waits.wait_parameters import DECISION

_RETRY = RetryPolicy()


class Document(msgspec.Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """The root of what a document consists of."""


class RetryDocument(Document):
    """What follows a failed attempt. ``maxDelaySeconds`` null: the default, or ``delaySeconds`` if longer."""

    max_attempts: int
    delay_seconds: float = _RETRY.delay_ms / 1000
    backoff: float = _RETRY.backoff
    max_delay_seconds: float | None = None
    jitter: float = _RETRY.jitter
    no_retry_on: list[str] = []

    @classmethod
    def of(cls, retry: RetryPolicy) -> Self:
        return cls(
            max_attempts=retry.max_attempts,
            delay_seconds=retry.delay_ms / 1000,
            backoff=retry.backoff,
            max_delay_seconds=retry.max_delay_ms / 1000,
            jitter=retry.jitter,
            no_retry_on=list(retry.no_retry_on),
        )

    def to_model(self) -> RetryPolicy:
        return retry_policy_of(self)


def retry_policy_of(said: Any) -> RetryPolicy:
    """The policy that an object with the fields of a :class:`RetryDocument` describes."""
    delay_ms, longest = ms_of_seconds(said.delay_seconds), said.max_delay_seconds
    return RetryPolicy(
        max_attempts=said.max_attempts,
        delay_ms=delay_ms,
        backoff=said.backoff,
        max_delay_ms=longest_delay(delay_ms) if longest is None else ms_of_seconds(longest),
        jitter=said.jitter,
        no_retry_on=tuple(said.no_retry_on),
    )


def ms_of_seconds(seconds: float) -> int:
    """Milliseconds; what is no number of seconds becomes one that the check of the workflow refuses."""
    ms = seconds * 1000
    return round(ms) if math.isfinite(ms) else -1


def optional_ms(seconds: float | None) -> int | None:
    """The same of what need not be said."""
    return None if seconds is None else ms_of_seconds(seconds)


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000


def _name(field: SpecField) -> str:
    """The field's name in a document, before it is in camelCase: that of its column."""
    if field.is_duration:
        return field.name.removesuffix("_ms") + "_seconds"
    return "task_priority" if field.name == "priority" else field.name


_BY_NAME = {_name(field): field for field in SPEC_FIELDS.values() if field.name != "seq"}
_SHOWN_FIRST = ("task_seq", "task_name", "program", "task_priority", "parameters", "depends_on")
FIELDS = {name: _BY_NAME[name] for name in (*_SHOWN_FIRST, *_BY_NAME)}
"""What a document says of a task, by name before it is in camelCase."""


def type_of(field: SpecField, retry: type) -> Any:
    """The type of a field in a document; ``retry``: the class of a retry policy there."""
    kind = field.type
    if field.is_duration:
        kind = float
    elif kind is RetryPolicy:
        kind = retry
    elif field.name == "depends_on":
        kind = list[int | str]  # where it comes from people, by number or by name
    elif field.name == "when":
        kind = list[bool | int | str]
    elif get_origin(kind) is tuple:
        kind = list[get_args(kind)[0]]
    return kind | None if field.is_optional else kind


def _taken(value: Any, field: SpecField) -> Any:
    """What a document says, as the model has it."""
    if value is None:
        return None
    if field.is_duration:
        return ms_of_seconds(value)
    if field.type is RetryPolicy:
        return retry_policy_of(value)
    return tuple(cast(list[Any], value)) if get_origin(field.type) is tuple else value


def task_definitions(workflow: str, said: Sequence[Any]) -> tuple[TaskDefinition, ...]:
    """The tasks that objects with the fields of a document define.

    Raises:
        DefinitionError: a dependency or decision names no task, or a text is no condition.
    """
    depends_on = numbered(workflow, [(task.task_seq, task.task_name, task.depends_on) for task in said])
    branches = branches_of(workflow, [(task.task_seq, task.task_name, task.when) for task in said])
    problems: list[str] = []
    tasks = tuple(
        _task_definition(workflow, task, numbers, branch, problems)
        for task, numbers, branch in zip(said, depends_on, branches, strict=True)
    )
    if problems:
        raise DefinitionError(workflow, problems)
    return tasks


def _task_definition(
    workflow: str,
    said: Any,
    depends_on: tuple[int, ...] | None,
    when: tuple[int, bool] | None,
    problems: list[str],
) -> TaskDefinition:
    values = {field.name: _taken(getattr(said, name), field) for name, field in FIELDS.items()}
    values["on_failure"] = normal_on_failure(values["on_failure"])
    values["depends_on"], values["when"] = depends_on, when
    if said.program == DECISION:
        row = f"row (task_id {workflow!r}, task_seq {said.task_seq})"
        values["parameters"] = said_trees(row, said.program, said.parameters, problems)
    return TaskDefinition(**values)


def _shown(value: Any, field: SpecField) -> Any:
    """What the model has, as a document says it."""
    if value is None:
        return None
    if field.is_duration:
        return _seconds(value)
    if field.type is RetryPolicy:
        return RetryDocument.of(value)
    return list(cast(tuple[Any, ...], value)) if isinstance(value, tuple) else value


def _struct_field(name: str, field: SpecField) -> Any:
    kind = type_of(field, RetryDocument)
    if field.default is msgspec.NODEFAULT:
        return name, kind
    if isinstance(field.default, dict):
        return name, kind, msgspec.field(default_factory=dict)
    return name, kind, _shown(field.default, field)


if TYPE_CHECKING:
    TaskDocument = Document
else:
    TaskDocument = msgspec.defstruct(
        "TaskDocument",
        [_struct_field(name, field) for name, field in FIELDS.items()],
        bases=(Document,),
        namespace={"__doc__": "A task definition; ``dependsOn`` null means the previous taskSeq."},
        kw_only=True,
    )


def _task_document(task: TaskDefinition) -> TaskDocument:
    return TaskDocument(**{name: _shown(getattr(task, field.name), field) for name, field in FIELDS.items()})


class WorkflowDocument(Document):
    """A workflow as it is defined."""

    task_id: str
    tasks: list[TaskDocument]
    timeout_seconds: float | None = None
    cleanup_timeout_seconds: float | None = None
    parameters_schema: dict[str, Any] | None = None
    returns: Any = None
    labels: dict[str, str] = {}
    description: str | None = None
    pin: str | None = None

    @classmethod
    def of(cls, definition: WorkflowDefinition) -> Self:
        return cls(
            task_id=definition.name,
            parameters_schema=definition.parameters_schema,
            returns=definition.returns,
            labels=definition.labels,
            description=definition.description,
            pin=definition.pin,
            tasks=[_task_document(task) for task in definition.tasks],
            timeout_seconds=_seconds(definition.timeout_ms),
            cleanup_timeout_seconds=_seconds(definition.cleanup_timeout_ms),
        )

    def to_model(self) -> WorkflowDefinition:
        """What it defines; not checked as a whole.

        Raises:
            DefinitionError: a dependency names no task.
        """
        return WorkflowDefinition(
            name=self.task_id,
            tasks=task_definitions(self.task_id, self.tasks),
            timeout_ms=optional_ms(self.timeout_seconds),
            cleanup_timeout_ms=optional_ms(self.cleanup_timeout_seconds),
            parameters_schema=self.parameters_schema,
            returns=self.returns,
            labels=self.labels,
            description=self.description,
            pin=self.pin,
        )
