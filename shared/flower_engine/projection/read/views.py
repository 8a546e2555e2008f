"""What a flow looks like to whoever asks: the structs that the API sends, as JSON in camelCase.

Times are named after the columns of ``kr_task_stat`` (``registered_ts``: ``registeredTs``) and are UTC.
Parameters and results stay the JSON that they are in the tables, undecoded.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from flower_engine.model.definitions.child_flows import child_flow_id
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.model.waits.wait_parameters import SUBFLOW
from flower_engine.projection.read.attempt_views import AttemptView
from flower_engine.projection.read.end_views import EndWord, NotTaken
from flower_engine.projection.read.view_fields import Moment, View
from flower_engine.projection.read.wait_views import WaitReason

StatusWord = Literal["Wait", "Running", "Suspend", "Finish", "Ignore"]


STATUS_WORDS: Mapping[Status, StatusWord] = {
    Status.WAIT: "Wait",
    Status.RUNNING: "Running",
    Status.SUSPEND: "Suspend",
    Status.FINISH: "Finish",
    Status.IGNORE: "Ignore",
}


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
            description="when a cancel, a timeout, or a task that asked for another round of it, ended all of"
            " it but its cleanup; it is ending until finishedTs"
        ),
    ] = None
    ending_cause: Literal["cancel", "timeout", "again"] | None = None
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
    parent_round: Annotated[
        int, msgspec.Meta(description="of a child: which round of its parent's task it is (0: the first)")
    ] = 0
    trunk_flow_id: Annotated[str | None, msgspec.Meta(description="the flow at the top of its tree")] = None
    unreadable: list[str] = msgspec.field(default_factory=list)


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
    taken_from: Annotated[
        int | None,
        msgspec.Meta(
            description="of an item that did not run, as an earlier one of its map was the same: the"
            " taskExecSeq of that, whose result it has"
        ),
    ]
    child_flow_id: Annotated[
        str | None,
        msgspec.Meta(
            description="of a sub-flow: the flow that does it, in its latest attempt; null: none yet"
        ),
    ] = None
    not_needed_by: Annotated[
        list[int] | None,
        msgspec.Meta(
            description="of one that is not needed: the joins that went on without it (taskExecSeq; at most"
            " ten)"
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
    attempts: list[AttemptView] = msgspec.field(default_factory=list)
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

    def referred_to(self) -> dict[str, TaskView]:
        """Its tasks by what references call them: their taskSeq as text, or their name. Items, which have the
        taskSeq of their map, are called by none."""
        own = [task for task in self.tasks if task.item_of is None]
        found = {str(task.task_seq): task for task in own}
        return found | {task.task_name: task for task in own if task.task_name is not None}


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
