"""What a flow looks like to whoever asks: the structs that the API sends, as JSON in camelCase.

Times are named after the columns of ``kr_task_stat`` (``registered_ts``: ``registeredTs``) and are UTC.
Parameters and results stay the JSON that they are in the tables, undecoded.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec

from flower_engine.model.attempts import AttemptHistory
from flower_engine.model.blob_ref import BlobRef
from flower_engine.model.child_flows import child_flow_id
from flower_engine.model.event_meaning import How
from flower_engine.model.events import TaskError
from flower_engine.model.flow_state import FlowState, TaskState
from flower_engine.model.status import Status
from flower_engine.model.times import is_shown, nearest
from flower_engine.model.wait_parameters import SUBFLOW
from flower_engine.projection.read.end_views import END_WORDS, EndWord, NotTaken

_DEEP = 100  # what has no more brackets than this is not nested deeper either


class View(msgspec.Struct, rename="camel"):
    """The root of these structs."""


class DependenciesOpen(View, tag="dependencies", tag_field="reason"):
    """It waits for other tasks of its flow, given by their taskExecSeq."""

    depends_on: list[int]


class ItemsOpen(View, tag="items", tag_field="reason"):
    """A map that waits for its items: ``count`` of them, of which so many wait, run and have failed
    (somebody must decide on these; ``failed_items``: some, by taskExecSeq, at most ten)."""

    count: int
    waiting: int
    running: int
    failed: int
    failed_items: list[int] = []


class NoWorker(View, tag="noWorker", tag_field="reason"):
    """It is ready, but no live worker serves its program in its queue; ``is_queue_served``: some serve the
    queue, so it is the program that is missing."""

    program: str
    queue: str
    is_queue_served: bool = False


class CannotStart(View, tag="cannotStart", tag_field="reason"):
    """It is ready, but no live worker that serves its program in its queue can start it; ``worker``: one of
    them, which tries again now and then; ``detail``: why."""

    program: str
    queue: str
    worker: str
    detail: str


class NoVersion(View, tag="noVersion", tag_field="reason"):
    """It is ready, but the versions of its program that live workers serve in its queue have refused its
    parameters, and handed it back for another version."""

    program: str
    queue: str


class Ready(View, tag="ready", tag_field="reason"):
    """It is ready and waits for a free slot of a worker."""


class Unknown(View, tag="unknown", tag_field="reason"):
    """It is ready; what else it waits for cannot be said, and why."""

    detail: str


class RuleOpen(View, tag="rule", tag_field="reason"):
    """Its rule waits for some of the tasks ``depends_on`` (by taskExecSeq): ``needed`` of all that it depends
    on must finish or be passed over, and ``have`` did so far; of the rule ``failed`` one must fail."""

    rule: str
    depends_on: list[int]
    needed: int
    have: int


class RetryAt(View, tag="retry", tag_field="reason"):
    """It has failed and waits for its next attempt."""

    due_ts: "Moment"


class RoundAt(View, tag="round", tag_field="reason"):
    """Its program asked for another round of it, which begins then."""

    round: int
    due_ts: "Moment"


class Awaits(View, tag="awaits", tag_field="reason"):
    """It waits for the world (kind sleep, event or approval), to be decided (when, returns), to get its items
    or their list (map), or for its child (flow). ``what``: name and key of the event, the title of the
    approval, the condition, the program of the items, the workflow and the flow of the child; ``until_ts``:
    when a sleep is over, or when it has waited too long (null: never). ``answered_by``: who has answered
    while others are still to."""

    kind: str
    what: str
    until_ts: "Moment | None"
    answered_by: list[str] = []


class Delayed(View, tag="delayed", tag_field="reason"):
    """Its flow was registered to start later."""

    until_ts: "Moment"


class Paused(View, tag="paused", tag_field="reason"):
    """Its flow is paused."""

    by: str


class ScopePaused(View, tag="scopePaused", tag_field="reason"):
    """Everything, its queue, its workflow or its program is paused, by whom and why."""

    scope: str
    name: str
    by: str = ""
    because: str = ""


class LimitReached(View, tag="limit", tag_field="reason"):
    """A limit is reached: ``running`` of ``most`` units; ``key``: of this key alone. ``held_by``: flows that
    use it, at most ten. ``whole``: the limit, where ``most`` is but the share of this flow's partition."""

    scope: str
    name: str
    key: str
    running: int
    most: int
    held_by: list[str] = []
    whole: int | msgspec.UnsetType = msgspec.UNSET


class RateReached(View, tag="rate", tag_field="reason"):
    """``rate`` tasks have started within ``period_seconds``; the next may from ``until_ts`` on. ``whole``:
    the rate, where ``rate`` is but the share of this flow's partition."""

    scope: str
    name: str
    rate: int
    period_seconds: float
    until_ts: "Moment"
    whole: int | msgspec.UnsetType = msgspec.UNSET


class Behind(View, tag="behind", tag_field="reason"):
    """It is ready, behind ``tasks`` of higher or equal priority in its queue (``at_least``: or more)."""

    tasks: int
    at_least: bool


class NoPlace(View, tag="noPlace", tag_field="reason"):
    """Its flow waits until fewer than ``most`` flows of its workflow are under way; ``ahead`` come first.
    ``whole``: the limit, where ``most`` is but the share of this flow's partition."""

    under_way: int
    most: int
    ahead: int
    whole: int | msgspec.UnsetType = msgspec.UNSET


StatusWord = Literal["Wait", "Running", "Suspend", "Finish", "Ignore"]
_WORDS: dict[Status, StatusWord] = {
    Status.WAIT: "Wait",
    Status.RUNNING: "Running",
    Status.SUSPEND: "Suspend",
    Status.FINISH: "Finish",
    Status.IGNORE: "Ignore",
}

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
WaitReason = (
    DependenciesOpen
    | ItemsOpen
    | RuleOpen
    | RetryAt
    | RoundAt
    | Awaits
    | Delayed
    | Paused
    | ScopePaused
    | LimitReached
    | RateReached
    | Behind
    | NoPlace
    | NoWorker
    | CannotStart
    | NoVersion
    | Ready
    | Unknown
)


class FlowSummary(View, kw_only=True):
    """A flow without its tasks. ``workflow_version``: the hash of its workflow's version. ``lost_version``:
    the flow went on, and ended as this version, in a part of the history that is lost; what is shown here is
    older. ``schedule``: the name of the one that fired it, where that is known; ``slot_ts``: for which of its
    slots, with those before and after it. ``rounds``: how many all its loops had. ``unreadable``: what of
    it cannot be shown as it is stored, and why."""

    task_flow_id: str
    task_id: str
    status: StatusWord
    exec_status: int
    partition: int
    version: int
    rounds: int
    task_count: int
    waiting: int
    running: int
    suspended: int
    finished: int
    ignored: int
    registered_ts: Moment
    started_ts: Moment | None
    finished_ts: Moment | None
    suspended_ts: Moment | None
    registered_by: str | None
    key: str | None
    forked_from: str | None
    start_ts: Moment | None
    paused_ts: Moment | None
    paused_by: str | None
    cancelled_ts: Moment | None
    cancelled_by: str | None
    ending_ts: Annotated[
        Moment | None,
        msgspec.Meta(
            description="when a cancel or a timeout ended all of it but its cleanup; it is ending until"
            " finishedTs"
        ),
    ] = None
    ending_cause: Literal["cancel", "timeout"] | None = None
    ending_until_ts: Annotated[Moment | None, msgspec.Meta(description="how long its cleanup may take")] = (
        None
    )
    workflow_version: str | None = None
    lost_version: int | None = None
    schedule: str | None = None
    schedule_uid: str | None = None
    slot_ts: Moment | None = None
    previous_slot_ts: Moment | None = None
    next_slot_ts: Moment | None = None
    parent_flow_id: Annotated[
        str | None, msgspec.Meta(description="of a child: the flow whose task awaits it; null: it is none")
    ] = None
    parent_task: int | None = None
    parent_attempt: int | None = None
    trunk_flow_id: Annotated[str | None, msgspec.Meta(description="the flow at the top of its tree")] = None
    unreadable: list[str] = []


class ProgressView(View):
    """What a program told of its progress: a share of the whole (0..1), if it can tell, and a note."""

    fraction: float | None = None
    note: str = ""


class AwaitingView(View):
    """What a task waits for of the world: kind sleep, event, approval, when, map, flow or returns; ``until``:
    when a sleep is over, or when it has waited too long (null: never); ``answered_by``: who has answered
    while others are still to."""

    kind: str
    since: Moment
    until: Moment | None
    answered_by: list[str]


class AttemptView(View):
    """One attempt of a task; ``how`` says how it ended. Of one that waits for the world `worker` is empty,
    and `by` says who answered it, or sent the signal that it took. One that asked for another ``round`` says
    which, and the parameters that hold in it (``given``)."""

    attempt: int
    worker: str
    started_ts: Moment
    ended_ts: Moment | None
    how: How
    error: TaskError | None
    by: str | None
    round: int | None
    given: Annotated[
        msgspec.Raw,
        msgspec.Meta(
            description="parameters that hold in the round that it asked for; null: it asked for none",
            extra_json_schema={"type": ["object", "null"]},
        ),
    ]

    @classmethod
    def of(cls, attempt: AttemptHistory) -> "AttemptView":
        return cls(
            attempt=attempt.attempt,
            worker=attempt.worker,
            started_ts=moment(attempt.started_ms),
            ended_ts=_moment(attempt.ended_ms),
            how=attempt.how,
            error=attempt.error,
            by=attempt.by or None,
            round=attempt.round or None,
            given=msgspec.Raw(attempt.given or b"null"),
        )


class ItemCounts(View):
    """How many items of a map there are, and how they stand; ``failed`` are those that somebody must decide
    on."""

    count: int = 0
    waiting: int = 0
    running: int = 0
    failed: int = 0
    finished: int = 0
    ignored: int = 0


class TaskView(View):
    """One task of a flow."""

    task_exec_seq: int
    task_seq: int
    task_name: str | None
    program: str
    queue: str
    status: StatusWord
    exec_status: int
    workflow_version: Annotated[
        str | None,
        msgspec.Meta(
            description="hash of the version that a rerun gave it the body of; null: the flow's own version"
        ),
    ]
    task_priority: int
    depends_on: list[int]
    when_is: Annotated[
        tuple[int, bool] | None,
        msgspec.Meta(description="of a branch: the taskExecSeq of the decision, and what it must say"),
    ]
    wait_reason: WaitReason | None
    attempt: int
    lost: int
    worker: str | None
    registered_ts: Moment
    started_ts: Moment | None
    finished_ts: Moment | None
    suspended_ts: Moment | None
    failures: int
    retry_ts: Moment | None
    again_ts: Annotated[Moment | None, msgspec.Meta(description="when its next round begins")]
    round: Annotated[
        int,
        msgspec.Meta(
            description="how often its program asked for another round since it began from the start"
        ),
    ]
    given: Annotated[
        msgspec.Raw,
        msgspec.Meta(
            description="parameters that hold in this round in place of its own; null: in none yet",
            extra_json_schema={"type": ["object", "null"]},
        ),
    ]
    max_rounds: Annotated[int, msgspec.Meta(description="how many rounds its program may ask for")]
    progress: ProgressView | None
    awaiting: AwaitingView | None
    ignored_by: str | None
    ignore_reason: str | None
    parameters: Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "object"})]
    result: msgspec.Raw
    blob: Annotated[BlobRef | None, msgspec.Meta(description="where its result lies, if that is large")]
    has_stand_in: Annotated[
        bool, msgspec.Meta(description="whether it was passed over with a result, which may be null")
    ]
    error: TaskError | None
    rule: Annotated[str, msgspec.Meta(description="when it starts, by how its dependencies end")]
    on_failure: Annotated[str, msgspec.Meta(description="what follows its failure for good")]
    finally_: Annotated[
        bool, msgspec.Meta(description="whether it cleans up: a cancel and the flow's timeout spare it")
    ]
    ended_as: Annotated[
        EndWord | None, msgspec.Meta(description="how it has ended; null: it is Finish, or has not ended")
    ]
    gives_up_ts: Annotated[
        Moment | None, msgspec.Meta(description="when it is given up, unless somebody decides before")
    ]
    not_taken: Annotated[
        NotTaken | None, msgspec.Meta(description="why its rule passed over it, where it did")
    ]
    item_of: Annotated[int | None, msgspec.Meta(description="of an item: the taskExecSeq of its map")]
    item_index: Annotated[
        int | None, msgspec.Meta(description="of an item: which element of the list it was given, from 0 on")
    ]
    item_key: Annotated[
        str | None, msgspec.Meta(description="of an item: its key, where the map says by what they differ")
    ]
    items: Annotated[ItemCounts | None, msgspec.Meta(description="of a map that has items: how they stand")]
    child_flow_id: Annotated[
        str | None,
        msgspec.Meta(
            description="of a sub-flow: the flow that does it, in its latest attempt; null: none yet"
        ),
    ] = None

    @property
    def has_ended(self) -> bool:
        """Whether what depends on it may go on."""
        return Status(self.exec_status).is_final or self.ended_as == "givenUp"


class TaskDetail(TaskView, kw_only=True):
    """A task with its flow and all its attempts."""

    task_flow_id: str
    task_id: str
    attempts: list[AttemptView]

    @classmethod
    def of(cls, flow: "FlowView", task: TaskView, attempts: list[AttemptView]) -> "TaskDetail":
        fields = {name: getattr(task, name) for name in TaskView.__struct_fields__}
        return cls(**fields, task_flow_id=flow.task_flow_id, task_id=flow.task_id, attempts=attempts)


class FailedTask(View):
    """What to look at first: a task that failed for good, why, and all its attempts."""

    task_exec_seq: int
    task_seq: int
    task_name: str | None
    program: str
    attempt: int
    error: TaskError | None
    attempts: list[AttemptView] = []
    item_of: int | None = None
    item_index: int | None = None
    item_key: str | None = None


class FlowView(FlowSummary, kw_only=True):
    """A flow with its tasks; those that failed are named first. ``parameters``: the flow's own, where its
    workflow takes some. ``result``: what it returns, when it has finished; ``result_blob``: where that lies,
    if it is too large to be shown; ``result_problem``: why it returns nothing. ``is_behind``: it is shown as
    of a version before the one that was asked for, as Postgres has no later one yet."""

    parameters: Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": ["object", "null"]})]
    result: Any = None
    result_blob: BlobRef | None = None
    result_problem: str | None = None
    is_behind: bool = False

    failed_tasks: list[FailedTask]
    tasks: list[TaskView]


class EventView(View):
    """One event of a flow's history; ``error`` says why it cannot be shown, and then it is null: Postgres
    refused it, or it is nothing that can be read."""

    position: str
    archived: bool
    event: msgspec.Raw
    error: str | None

    @classmethod
    def of(cls, position: str, raw: bytes | None, error: str | None, *, archived: bool) -> "EventView":
        """``raw``: the event's JSON; None: there is none."""
        if raw is not None and raw.count(b"[") + raw.count(b"{") > _DEEP and _is_too_deep(raw):
            raw, error = None, "it is nested deeper than a parser goes"
        return cls(position, archived, msgspec.Raw(b"null" if raw is None else raw), error)


def _is_too_deep(raw: bytes) -> bool:
    try:
        msgspec.json.decode(raw)
    except RecursionError:
        return True
    return False


def failed_tasks(tasks: Sequence[TaskView]) -> list[FailedTask]:
    """Those of the tasks that failed for good."""
    return [
        FailedTask(
            task_exec_seq=task.task_exec_seq,
            task_seq=task.task_seq,
            task_name=task.task_name,
            program=task.program,
            attempt=task.attempt,
            error=task.error,
            item_of=task.item_of,
            item_index=task.item_index,
            item_key=task.item_key,
        )
        for task in tasks
        if task.exec_status == Status.SUSPEND
    ]


def add_children(flow: FlowView) -> None:
    """Names the flows that do tasks of this one."""
    for task in flow.tasks:
        if task.program == SUBFLOW and task.attempt:
            task.child_flow_id = child_flow_id(flow.task_flow_id, task.task_exec_seq, task.attempt)


def view_of_state(flow: FlowState, partition: int) -> FlowView:
    """The same view, from the fold of a flow's events, for flows that Postgres does not have yet."""
    status = flow.status
    count = [task.status for task in flow.tasks].count
    started = [task.started_ms for task in flow.tasks if task.started_ms is not None]
    tasks = [_view_of_task(task, flow.registered_ms) for task in flow.tasks]
    view = FlowView(
        task_flow_id=flow.flow,
        task_id=flow.workflow,
        status=_WORDS[status],
        exec_status=status,
        partition=partition,
        version=flow.version,
        rounds=flow.rounds,
        task_count=len(flow.tasks),
        waiting=count(Status.WAIT),
        running=count(Status.RUNNING),
        suspended=count(Status.SUSPEND),
        finished=count(Status.FINISH),
        ignored=count(Status.IGNORE),
        registered_ts=moment(flow.registered_ms),
        started_ts=_moment(min(started, default=None)),
        finished_ts=_moment(flow.ended_ms),
        suspended_ts=_moment(flow.suspended_ms),
        registered_by=flow.registered.by or None,
        key=flow.registered.key or None,
        forked_from=flow.registered.forked_from or None,
        start_ts=_moment(flow.registered.start_ms or None),
        paused_ts=_moment(flow.paused and flow.paused.at),
        paused_by=flow.paused and flow.paused.by,
        cancelled_ts=_moment(flow.cancelled and flow.cancelled.at),
        cancelled_by=flow.cancelled and flow.cancelled.by,
        ending_ts=_moment(flow.ending and flow.ending.at),
        ending_cause=flow.ending and flow.ending.cause,
        ending_until_ts=_moment((flow.ending and flow.ending.until_ms) or None),
        workflow_version=flow.registered.definition or None,
        schedule_uid=flow.registered.schedule or None,
        slot_ts=_moment(flow.registered.slot or None),
        previous_slot_ts=_moment(flow.registered.previous_slot or None),
        next_slot_ts=_moment(flow.registered.next_slot or None),
        unreadable=[] if is_shown(flow.registered.start_ms) else [beyond("startTs")],
        parameters=msgspec.Raw(msgspec.json.encode(flow.registered.parameters or None)),
        parent_flow_id=flow.registered.parent or None,
        parent_task=flow.registered.parent_task or None,
        parent_attempt=flow.registered.parent_attempt or None,
        trunk_flow_id=flow.registered.trunk or None,
        failed_tasks=failed_tasks(tasks),
        tasks=tasks,
    )
    add_children(view)
    return view


def moment(ms: float) -> datetime:
    """Milliseconds since the Unix epoch as a time in UTC; the nearest one that can be shown."""
    return datetime.fromtimestamp(nearest(ms) / 1000, UTC)


def beyond(field: str) -> str:
    """What is told of a field with a time that cannot be shown."""
    return f"{field}: it is beyond the years 1 to 9999, and shown as the nearest time of these"


def _moment(ms: int | None) -> datetime | None:
    return None if ms is None else moment(ms)


def _awaiting(task: TaskState) -> AwaitingView | None:
    said = task.awaiting
    if said is None:
        return None
    until = moment(said.until_ms) if said.until_ms else None
    return AwaitingView(said.kind, moment(said.at), until, list(task.votes or ()))


def _view_of_task(task: TaskState, registered_ms: int) -> TaskView:
    planned = task.planned
    return TaskView(
        task_exec_seq=planned.seq,
        task_seq=planned.task_seq,
        task_name=planned.task_name,
        program=planned.program,
        queue=planned.queue,
        status=_WORDS[task.status],
        exec_status=task.status,
        workflow_version=planned.definition or None,
        task_priority=planned.priority,
        depends_on=list(planned.own_dependencies),
        when_is=planned.when,
        wait_reason=None,
        attempt=task.attempt,
        lost=task.lost,
        worker=task.worker or None,
        registered_ts=moment(task.came_ms or registered_ms),
        started_ts=_moment(task.started_ms),
        finished_ts=_moment(task.finished_ms),
        suspended_ts=_moment(task.suspended_ms),
        failures=task.failures,
        retry_ts=_moment(task.retry_ms),
        again_ts=_moment(task.again_ms),
        round=task.round,
        given=msgspec.Raw(task.given or b"null"),
        max_rounds=planned.max_rounds,
        progress=task.progress and ProgressView(task.progress.fraction, task.progress.note),
        awaiting=_awaiting(task),
        ignored_by=task.ignored_by,
        ignore_reason=task.ignore_reason,
        parameters=msgspec.Raw(msgspec.json.encode(planned.parameters)),
        result=msgspec.Raw(task.result or b"null"),
        blob=task.blob,
        has_stand_in=task.status == Status.IGNORE and (task.result is not None or task.blob is not None),
        error=task.error,
        rule=planned.rule,
        on_failure=planned.on_failure,
        finally_=planned.finally_,
        ended_as=END_WORDS.get(task.ended_as),
        gives_up_ts=_moment(task.gives_up_ms),
        not_taken=None,
        item_of=planned.item and planned.item[0],
        item_index=planned.item and planned.item[1],
        item_key=planned.item_key or None,
        items=None,
    )
