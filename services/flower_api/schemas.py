"""The JSON of the API: what it takes (pydantic, which finds every fault) and what it sends (msgspec)."""

from typing import Annotated, Any, ClassVar, Literal, Self

import msgspec
from fastapi import Header
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from flower_api.request_times import TimeText
from flower_engine.flows.effects import Effect
from flower_engine.log.durability import Durability
from flower_engine.model.definitions.dag_layout import DagLayout
from flower_engine.model.definitions.definition_differences import Difference
from flower_engine.model.definitions.workflow_document import WorkflowDocument
from flower_engine.model.tasks.task_spec import (
    MAX_DURATION_MS,
    MAX_NAME_LENGTH,
    MAX_PRIORITY,
    MAX_TASKS,
    MIN_PRIORITY,
    TASK_NAME_PATTERN,
)
from flower_engine.projection.definitions.version_rows import KeptVersion
from flower_engine.projection.read.event_views import EventView
from flower_engine.projection.read.failed_tasks import FailedEntry
from flower_engine.projection.read.view_fields import Moment, View
from flower_engine.projection.read.views import FlowSummary
from flower_engine.traces.traceparent import (
    MOST_TRACEPARENT,
    NO_TRACEPARENT_PATTERN,
    TRACEPARENT_PATTERN,
    settled_traceparent,
)

MAX_REGISTRATIONS = 1_000
UUID_PATTERN = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
NAME_PATTERN = r"^[^\x00]*$"  # Postgres keeps no NUL


def _settled(text: str) -> str:
    settled = settled_traceparent(text)
    if settled is None:
        raise ValueError("it is no traceparent of W3C Trace Context, as 00-<trace>-<span>-01 is")
    return settled


WorkflowName = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH, pattern=NAME_PATTERN)]


IdempotencyKey = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$")]
KeyHeader = Annotated[
    IdempotencyKey | None,
    Header(alias="Idempotency-Key", description="what is sent again with the same key is done once"),
]
WorkflowVersion = Annotated[
    Annotated[int, Field(ge=1, le=9_999_999)] | Annotated[str, Field(min_length=1, max_length=64)],
    Field(description='a number, a hash or its first 8 characters or more, or "newest"'),
]
TraceparentHeader = Annotated[
    str | None,
    Header(
        alias="traceparent",
        description="the span for which the flow is started (W3C Trace Context); a link of the flow's trace."
        " One that is none is ignored",
    ),
]
TraceparentField = Annotated[
    str,
    AfterValidator(_settled),
    Field(
        max_length=MOST_TRACEPARENT,
        pattern=TRACEPARENT_PATTERN,
        json_schema_extra={"not": {"pattern": NO_TRACEPARENT_PATTERN}},
    ),
]
Reason = Annotated[str, Field(max_length=1_000, pattern=NAME_PATTERN)]
TaskName = Annotated[str, Field(pattern=f"^{TASK_NAME_PATTERN}$")]
Tasks = Annotated[
    list[Annotated[int, Field(ge=1, le=MAX_TASKS)] | TaskName],
    Field(min_length=1, max_length=MAX_TASKS, description="by taskExecSeq, or by name"),
]


def _name_in_json(name: str) -> str:
    """In camelCase, without the "_" that ends what is a word of Python."""
    return to_camel(name.removesuffix("_"))


class RequestBody(BaseModel):
    """The root of what the API takes: unknown keys are refused, so that none is ignored silently."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=_name_in_json)
    came_later: ClassVar[frozenset[str]] = frozenset()
    """Fields that its calls did not have from the first; see ``said_in`` of ``operation_answers.py``."""


_BOTH_STARTS: dict[str, Any] = {
    "required": ["startAt", "delaySeconds"],
    "properties": {"startAt": {"type": "string"}, "delaySeconds": {"type": "number"}},
}


class Overrides(RequestBody):
    """How a flow differs from its workflow's definition, and when it starts. All of it may be left out."""

    model_config = ConfigDict(json_schema_extra={"not": _BOTH_STARTS})

    # Pydantic would make a deep copy of a default that is a dict, for each flow of a bulk call.
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="replaces these in every task that defines them"
    )
    task_parameters: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="by taskSeq, or by name: sets these of one task"
    )
    priority: int | None = Field(None, ge=MIN_PRIORITY, le=MAX_PRIORITY, description="of all its tasks")
    start_at: TimeText | None = Field(None, description="nothing starts before; UTC where no offset is given")
    delay_seconds: float | None = Field(
        None, ge=0, le=MAX_DURATION_MS / 1000, allow_inf_nan=False, description="instead of startAt"
    )
    key: IdempotencyKey | None = Field(None, description="the same key gives the same flow")
    workflow_version: WorkflowVersion | None = Field(None, description="absent: as it is defined now")
    traceparent: TraceparentField | None = Field(
        None, description="the span for which the flow is started, instead of the header of that name"
    )

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        if self.start_at is not None and self.delay_seconds is not None:
            raise ValueError("give startAt or delaySeconds, not both")
        return self


class Registration(Overrides):
    """A flow to start."""

    task_id: WorkflowName


class Registered(View, omit_defaults=True):
    """The seed's reply, with the flow's id; ``duplicate``: nothing new was started, because its key was known
    or the workflow's flow limit says skip. ``durability``: what held of the registration when this was sent:
    it was in Redis' memory, synced to its disk, or in a replica's memory, too."""

    status: Literal["succeeded"]
    task_id: str
    task_flow_id: str
    duplicate: bool = False
    durability: Durability | None = None


class RegistrationFailed(View):
    """The seed's reply for a workflow that nobody defined."""

    status: Literal["failed"]
    task_id: str
    description: str


class BulkEntry(View, omit_defaults=True):
    """What became of one registration; ``code`` is what HTTP would have answered to it alone, ``type`` that
    of the problem."""

    status: Literal["succeeded", "failed"]
    task_id: str
    code: int
    task_flow_id: str | None = None
    duplicate: bool = False
    durability: Durability | None = None
    description: str | None = None
    type: str | None = None


class NamedFlow(View):
    """The flow that a name means."""

    task_flow_id: str


class BulkEffect(View):
    """What an operation on many would do to a flow: to how many of its tasks, as the effect of an operation
    on one names them; ``elsewhere``: to so many other flows of its tree, too."""

    runs: int
    reopens: int
    asked_again: int
    passed_over: int
    vanished: int
    matched: int
    cut_off: int
    cleanup: int
    within: int
    ready: int
    withdrawn: int
    runs_on: int
    awaits: int
    prioritised: int
    moved: int
    held_up: int
    ends: bool
    elsewhere: int

    @classmethod
    def of(cls, effect: Effect, elsewhere: int) -> Self:
        return cls(
            **{name: len(getattr(effect, name)) for name in cls.__struct_fields__[:-3]},
            held_up=sum(len(one.tasks) for one in effect.held_up),
            ends=effect.ends,
            elsewhere=elsewhere,
        )


class BulkConcerned(View, omit_defaults=True):
    """A flow that an operation on many concerns, and its tasks that are meant, by taskExecSeq. Where that was
    asked for, its ``effect``, or why it would be refused (``refusal``); ``did``: what it comes to there: a
    ``resume`` of what is not paused to ``rerun``, a ``pause`` of what is paused to ``nothing``."""

    task_flow_id: str
    task_id: str
    tasks: list[int]
    did: str | None = None
    effect: BulkEffect | None = None
    refusal: str | None = None


class BulkMatches(View, tag="count", tag_field="kind", omit_defaults=True):
    """How many flows match; ``more``: than that. ``warnings``: nothing is known of a name in the filter. Of
    a ``fault``: so many ``tasks`` are meant. ``flows``: the first 20 of a fault, and as many as ``foretell``
    asks for, each with what would become of it; the oldest first."""

    matches: int
    more: bool
    warnings: list[str] = msgspec.field(default_factory=list)
    tasks: int | None = None
    flows: list[BulkConcerned] = msgspec.field(default_factory=list)


class BulkProgress(View, tag="progress", tag_field="kind"):
    """How far an operation on many flows is."""

    done: int
    refused: int
    of: int


class BulkRefusal(View):
    """A flow that an operation on many was refused for."""

    task_flow_id: str
    detail: str


class BulkOperated(View):
    """A flow for which an operation on many is done, and what that was (``did``, as a dry run has it).
    ``tasks``: those that `ignore` passed over; ``priority``: of `priority` the one that all of its tasks had
    before, null where they had several."""

    task_flow_id: str
    did: str
    tasks: list[int]
    priority: int | None


class BulkResult(View, tag="result", tag_field="kind"):
    """How an operation on many flows ended; at most 100 refusals are told. ``operated``: the first 1,000
    flows for which it is done, with what it takes to undo that."""

    ended: Literal["finished", "stopped"]
    done: int
    refused: int
    refusals: list[BulkRefusal]
    operated: list[BulkOperated] = msgspec.field(default_factory=list)


class TasksPage(View, omit_defaults=True):
    """Failed tasks, newest first; ``next`` is the cursor of the next page. A page may be short. ``warnings``:
    nothing is there, and nothing is known of a name that was asked for."""

    tasks: list[FailedEntry]
    next: str | None
    warnings: list[str] = msgspec.field(default_factory=list)


class FlowsPage(View, omit_defaults=True):
    """Flows, newest first; ``next`` is the cursor of the next page. ``warnings``: nothing is there, and
    nothing is known of the workflow that was asked for."""

    flows: list[FlowSummary]
    next: str | None
    warnings: list[str] = msgspec.field(default_factory=list)


class EventsPage(View):
    """Events of a flow in order; ``next`` goes on as ``after``. A page may be short and not the last."""

    task_flow_id: str
    partition: int
    events: list[EventView]
    next: str | None


class WorkflowEntry(View, omit_defaults=True):
    """A workflow and how many tasks it has; ``problem``: why its rows, edited with SQL, cannot be run. (Not
    looked for behind the first 2,000 rows of a page.)"""

    task_id: str
    task_count: int
    problem: str = ""


class WorkflowsPage(View):
    """Workflows by name; ``next`` is the cursor of the next page."""

    workflows: list[WorkflowEntry]
    next: str | None


class VersionView(View):
    """A version of a workflow. ``createdBy`` null: it was found in rows that had been edited with SQL;
    ``isNewest``: it was put to use last, whatever its number."""

    number: int
    hash: str
    created_ts: Moment
    created_by: str | None
    task_count: int
    is_newest: bool

    @classmethod
    def of(cls, version: KeptVersion, **more: Any) -> Self:
        return cls(
            number=version.number,
            hash=version.hash,
            created_ts=version.created_ts,
            created_by=version.by,
            task_count=version.tasks,
            is_newest=version.is_newest,
            **more,
        )


class VersionsPage(View):
    """Versions of a workflow, the highest number first; ``next`` is the cursor of the next page."""

    task_id: str
    versions: list[VersionView]
    next: int | None


class VersionDetail(VersionView, kw_only=True, omit_defaults=True):
    """A version with its definition. Where it was asked for: how its graph is drawn (of tasks in the order of
    their taskSeqs), and what in it is different from another version."""

    definition: WorkflowDocument
    layout: DagLayout | None = None
    differences: list[Difference] | None = None


class WorkerView(View):
    """A worker that is alive; ``stuck`` names attempts that hold a slot though they were told to stop,
    ``transfers`` what attempts bring from or to stores of blobs, and what they wait for,
    ``unable`` programs that it cannot start now, each with the reason, ``outdated`` files that were changed
    since it imported them: it runs what they held then."""

    worker: str
    host: str
    pid: int
    slots: int
    queues: list[str]
    programs: list[str]
    running: int
    stuck: list[str]
    transfers: list[str]
    unable: dict[str, str]
    outdated: list[str]
    started_ts: Moment
    seen_ts: Moment


class Workers(View, omit_defaults=True):
    """The workers whose last heartbeat is not long ago. ``warnings``: queues that no definition names."""

    workers: list[WorkerView]
    warnings: list[str] = msgspec.field(default_factory=list)


class Dependency(View):
    """Something that the API needs; ``problem`` says what is wrong with it. ``missing``: the partitions of
    Redis that cannot be worked on, where others can; ``retiring``: those that get no new flows."""

    name: str
    ready: bool
    problem: str | None
    missing: list[int] = msgspec.field(default_factory=list[int])
    retiring: list[int] = msgspec.field(default_factory=list[int])


class Readiness(View):
    """Whether the API can do its work; ``degraded``: not in all partitions, or without its replica."""

    status: Literal["ready", "degraded", "not ready"]
    dependencies: list[Dependency]


class Alive(View):
    """The process answers."""

    status: Literal["alive"]
