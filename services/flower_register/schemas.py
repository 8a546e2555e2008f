"""The JSON of the API: what it takes (pydantic, which finds every fault) and what it sends (msgspec)."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from flower_engine.model.definition import (
    DEFAULT_QUEUE,
    MAX_NAME_LENGTH,
    MAX_PRIORITY,
    MAX_TASKS,
    MIN_PRIORITY,
    TaskDefinition,
    WorkflowDefinition,
)
from flower_engine.projection.definitions import MAX_TASK_SEQ
from flower_engine.projection.views import EventView, FlowSummary, Moment, View

MAX_REGISTRATIONS = 1_000
NAME_PATTERN = r"^[^\x00]*$"  # Postgres keeps no NUL

WorkflowName = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH, pattern=NAME_PATTERN)]


class Taken(BaseModel):
    """The root of what the API takes: unknown keys are refused, so that none is ignored silently."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class Registration(Taken):
    """A flow to start."""

    task_id: WorkflowName


class TaskBody(Taken):
    """A task definition. What the bounds say is checked with the whole workflow, so that rows are named."""

    task_seq: int = Field(json_schema_extra={"minimum": -MAX_TASK_SEQ, "maximum": MAX_TASK_SEQ})
    program: str = Field(json_schema_extra={"minLength": 1, "maxLength": MAX_NAME_LENGTH})
    task_priority: int = Field(0, json_schema_extra={"minimum": MIN_PRIORITY, "maximum": MAX_PRIORITY})
    parameters: dict[str, Any] = {}
    depends_on: list[int] | None = Field(
        None, description="taskSeqs; absent or null: the previous taskSeq, []: none"
    )
    queue: str = Field(DEFAULT_QUEUE, json_schema_extra={"minLength": 1, "maxLength": MAX_NAME_LENGTH})

    def to_model(self) -> TaskDefinition:
        return TaskDefinition(
            seq=self.task_seq,
            program=self.program,
            priority=self.task_priority,
            parameters=self.parameters,
            depends_on=None if self.depends_on is None else tuple(self.depends_on),
            queue=self.queue,
        )


class WorkflowBody(Taken):
    """A workflow to define: what GET answers may be sent back."""

    task_id: str | None = Field(None, description="if given, the one in the path")
    tasks: list[TaskBody] = Field(json_schema_extra={"minItems": 1, "maxItems": MAX_TASKS})

    def to_model(self, name: str) -> WorkflowDefinition:
        return WorkflowDefinition(name=name, tasks=tuple(task.to_model() for task in self.tasks))


class Registered(View):
    """The seed's reply, with the flow's id."""

    status: Literal["succeeded"]
    task_id: str
    task_flow_id: str


class RegistrationFailed(View):
    """The seed's reply for a workflow that nobody defined."""

    status: Literal["failed"]
    task_id: str
    description: str


class BulkEntry(View, omit_defaults=True):
    """What became of one registration; ``code`` is what HTTP would have answered to it alone."""

    status: Literal["succeeded", "failed"]
    task_id: str
    code: int
    task_flow_id: str | None = None
    description: str | None = None


class FlowsPage(View):
    """Flows, newest first; ``next`` is the cursor of the next page."""

    flows: list[FlowSummary]
    next: str | None


class EventsPage(View):
    """Events of a flow in order; ``next`` goes on as ``after``. A page may be short and not the last."""

    task_flow_id: str
    partition: int
    events: list[EventView]
    next: str | None


class TaskDefinitionView(View):
    """A task definition; ``dependsOn`` null means the previous taskSeq."""

    task_seq: int
    program: str
    task_priority: int
    parameters: dict[str, Any]
    depends_on: list[int] | None
    queue: str


class WorkflowView(View):
    """A workflow as it is defined."""

    task_id: str
    tasks: list[TaskDefinitionView]

    @classmethod
    def of(cls, definition: WorkflowDefinition) -> "WorkflowView":
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
                )
                for task in definition.tasks
            ],
        )


class WorkflowEntry(View):
    """A workflow and how many tasks it has."""

    task_id: str
    task_count: int


class WorkflowsPage(View):
    """Workflows by name; ``next`` is the cursor of the next page."""

    workflows: list[WorkflowEntry]
    next: str | None


class WorkerView(View):
    """A worker that is alive."""

    worker: str
    host: str
    pid: int
    slots: int
    queues: list[str]
    programs: list[str]
    started_ts: Moment
    seen_ts: Moment


class Workers(View):
    """The workers whose last heartbeat is not long ago."""

    workers: list[WorkerView]


class Dependency(View):
    """Something that the API needs; ``problem`` says what is wrong with it."""

    name: str
    ready: bool
    problem: str | None


class Readiness(View):
    """Whether the API can do all its work."""

    status: Literal["ready", "not ready"]
    dependencies: list[Dependency]


class Alive(View):
    """The process answers."""

    status: Literal["alive"]
