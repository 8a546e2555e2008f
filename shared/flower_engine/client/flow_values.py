"""Flows, tasks, events and workers as the API tells of them.

Fields have the API's names in snake_case, times are UTC. What an API of another version has more, or less,
does no harm.
"""

from datetime import datetime
from typing import Any, Literal

import msgspec

from flower_engine.client.client_errors import FailedTaskError
from flower_engine.model.values.blob_ref import BlobRef

StatusWord = Literal["Wait", "Running", "Suspend", "Finish", "Ignore", "Cancelled", "Failed", "Ending"]
_MOST_SHOWN = 200
_OTHERS = ("dependencies", "items", "rule")  # reasons that are other tasks of the flow


class _Told(msgspec.Struct, rename="camel", kw_only=True):
    """The root of what the API tells."""


class TaskErrorTold(_Told):
    """Why an attempt failed."""

    type: str = ""
    message: str = ""
    traceback: str | None = None


class Task(_Told):
    """One task of a flow. ``parameters`` and ``result`` are plain JSON values; ``blob`` says where a large
    result is kept instead; ``wait_reason`` why a task in Wait waits, in the API's words;
    ``workflow_version`` the version that a rerun gave it the body of. ``ended_as`` says how it has ended,
    where that is not Finish: ``passedOver``, ``notTaken`` (why: ``not_taken``), ``cancelled``,
    ``unneeded`` (the joins that went on without it: ``not_needed_by``), ``vanished``, ``givenUp``;
    ``gives_up_ts`` when one that is held is given up; ``awaiting`` what one waits for of the world. An item
    names its map (``item_of``, a ``task_exec_seq``) and which element of the list it was given
    (``item_index``, from 0 on, and ``item_key`` where the map says keys); ``items`` of a map says how many of
    them there are and how they stand. ``round`` is how often its program asked for another round,
    ``again_ts`` when the next one begins, and ``given`` the parameters that hold in it instead."""

    task_exec_seq: int
    task_seq: int
    program: str
    status: StatusWord
    task_name: str | None = None
    queue: str = "default"
    task_priority: int = 0
    depends_on: list[int] = []
    when_is: tuple[int, bool] | None = None
    wait_reason: dict[str, Any] | None = None
    attempt: int = 0
    failures: int = 0
    lost: int = 0
    worker: str | None = None
    registered_ts: datetime | None = None
    started_ts: datetime | None = None
    finished_ts: datetime | None = None
    suspended_ts: datetime | None = None
    retry_ts: datetime | None = None
    again_ts: datetime | None = None
    round: int = 0
    given: dict[str, Any] | None = None
    max_rounds: int = 1_000
    progress: dict[str, Any] | None = None
    ignored_by: str | None = None
    ignore_reason: str | None = None
    parameters: dict[str, Any] = {}
    result: Any = None
    blob: BlobRef | None = None
    has_stand_in: bool = False
    workflow_version: str | None = None
    error: TaskErrorTold | None = None
    rule: str = "ready"
    on_failure: str = "hold"
    finally_: bool = False
    ended_as: str | None = None
    gives_up_ts: datetime | None = None
    not_taken: dict[str, Any] | None = None
    not_needed_by: list[int] | None = None
    item_of: int | None = None
    item_index: int | None = None
    item_key: str | None = None
    taken_from: int | None = None
    items: dict[str, int] | None = None
    child_flow_id: str | None = None
    awaiting: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """Its name in the workflow; of a task without one, that of its program."""
        return self.task_name or self.program

    @property
    def seconds(self) -> float | None:
        """From the start of its last attempt to its end; None: it has not ended, or never began."""
        end = self.finished_ts or self.suspended_ts
        return (end - self.started_ts).total_seconds() if end and self.started_ts else None


class LogLine(_Told):
    """A line that a task wrote. ``stream``: ``out``, ``err``, ``log`` (the library logging), or ``engine``:
    what Flower says of the log; then ``missing`` lines are not there. ``level`` is a number of logging."""

    task_exec_seq: int
    attempt: int
    text: str
    stream: str = "out"
    level: int = 20
    task_name: str | None = None
    number: int | None = None
    ts: datetime | None = None
    logger: str = ""
    missing: int = 0

    def __str__(self) -> str:
        return self.text


class FlowEntry(_Told):
    """A flow without its tasks: how many of them stand where, and when what happened. ``slot_ts``: the slot
    that it was fired for, of the schedule of this name (None where it is not known) and uid, with the slots
    before and after it; all None where no schedule fired it. Of a child: the flow, task and attempt that
    await it, and the flow at the top of their tree."""

    task_flow_id: str
    task_id: str
    status: StatusWord
    version: int
    rounds: int = 0
    task_count: int = 0
    waiting: int = 0
    running: int = 0
    suspended: int = 0
    finished: int = 0
    ignored: int = 0
    registered_ts: datetime | None = None
    started_ts: datetime | None = None
    finished_ts: datetime | None = None
    suspended_ts: datetime | None = None
    registered_by: str | None = None
    key: str | None = None
    forked_from: str | None = None
    start_ts: datetime | None = None
    paused_ts: datetime | None = None
    paused_by: str | None = None
    cancelled_ts: datetime | None = None
    cancelled_by: str | None = None
    ending_ts: datetime | None = None
    ending_cause: str | None = None
    ending_until_ts: datetime | None = None
    workflow_version: Any = None
    schedule: str | None = None
    schedule_uid: str | None = None
    slot_ts: datetime | None = None
    previous_slot_ts: datetime | None = None
    next_slot_ts: datetime | None = None
    parent_flow_id: str | None = None
    parent_task: int | None = None
    parent_attempt: int | None = None
    parent_round: int = 0
    trunk_flow_id: str | None = None

    @property
    def id(self) -> str:
        return self.task_flow_id

    @property
    def workflow(self) -> str:
        return self.task_id

    @property
    def word(self) -> StatusWord:
        """Its status; "Cancelled" where the tables say Ignore for that, and "Failed" where they say Suspend
        of one that has ended, with tasks that were given up. "Ending": all that is left of it is its cleanup,
        and nothing of that is in Suspend."""
        if self.status == "Suspend" and self.finished_ts:
            return "Failed"
        if self.ending_ts and not self.finished_ts and self.status in ("Wait", "Running"):
            return "Ending"
        return "Cancelled" if self.status == "Ignore" and self.cancelled_ts else self.status

    @property
    def counts(self) -> str:
        """How many tasks stand where, in words."""
        names = ("finished", "running", "waiting", "suspended", "ignored")
        return ", ".join(f"{getattr(self, name)} {name}" for name in names if getattr(self, name))


class Flow(FlowEntry):
    """A flow with its tasks, as it stood at one moment. ``parameters``: what it was registered with, where
    its workflow says which it takes; ``result``: what its workflow returns, as plain JSON, once it has
    finished; ``result_blob``: where that lies, if it is too large to be told (a handle's ``result()`` fetches
    it); ``result_problem``: why it returns nothing; ``is_behind``: it is shown as it stood before the last
    operation of the handle, as Postgres has no more yet."""

    tasks: list[Task] = []
    parameters: dict[str, Any] | None = None
    result: Any = None
    result_blob: BlobRef | None = None
    result_problem: str | None = None
    is_behind: bool = False

    @property
    def is_over(self) -> bool:
        """Whether nothing more of it happens by itself: it has ended, or what is left waits for tasks that
        failed for good."""
        if self.finished_ts is not None:
            return True
        return self.suspended > 0 and not self.running and not any(map(_may_go_on, self.tasks))

    @property
    def failed(self) -> list[FailedTaskError]:
        """The tasks that failed for good, each with why."""
        return [
            FailedTaskError(
                task.task_exec_seq,
                task.name,
                task.error.type if task.error else "?",
                task.error.message if task.error else "",
                (task.error.traceback or "") if task.error else "",
            )
            for task in self.tasks
            if task.status == "Suspend"
        ]

    @property
    def why_it_waits(self) -> str:
        """What keeps its tasks, in the API's words: those that wait for others are left out."""
        reasons = [(task, task.wait_reason or {}) for task in self.tasks if task.status == "Wait"]
        lines = [
            f"task {task.task_exec_seq} ({task.name}) waits: {_words(reason)}"
            for task, reason in reasons
            if reason and not is_for_others(reason)
        ]
        return "; ".join(lines[:3]) or self.counts

    def as_html(self) -> str:
        """As a notebook shows it."""
        from flower_engine.client import flow_tables  # noqa: PLC0415 # needs rich

        return flow_tables.as_html(flow_tables.Lines(*self._lines()))

    _repr_html_ = as_html

    def __rich__(self) -> Any:
        from flower_engine.client import flow_tables  # noqa: PLC0415 # needs rich

        return flow_tables.as_table(flow_tables.Lines(*self._lines()))

    def _lines(self) -> tuple[str, list[tuple[str, ...]], int]:
        shown = self.tasks[:_MOST_SHOWN]
        title = f"{self.workflow} {self.id}: {self.word} ({self.counts})"
        return title, list(map(_line, shown)), len(self.tasks) - len(shown)


class Event(_Told):
    """One event of a flow's history. ``event`` is what happened, as plain JSON; None: it cannot be shown, and
    ``error`` says why."""

    position: str
    archived: bool = False
    event: dict[str, Any] | None = None
    error: str | None = None


class Worker(_Told):
    """A live worker, with what it serves and how much of it is busy."""

    worker: str
    host: str = ""
    pid: int = 0
    slots: int = 0
    running: int = 0
    queues: list[str] = []
    programs: list[str] = []
    stuck: list[str] = []
    unable: dict[str, str] = {}
    outdated: list[str] = []
    started_ts: datetime | None = None
    seen_ts: datetime | None = None


class Operated(_Told):
    """What an operation did: the flow's version after it, and the tasks concerned by their number (none where
    the answer to a first sending was lost). ``effect``: of a dry run what it would do, by the names of the
    API. ``tree``: what it did, or would do, to other flows of the tree; ``more_in_tree``: to so many
    children more, which are not told. ``names``: of a dry run of a fork to another version what its tasks are
    called."""

    task_flow_id: str
    operation: str
    version: int
    tasks: list[int] = []
    warnings: list[str] = []
    effect: dict[str, Any] | None = None
    tree: "list[Operated]" = []
    more_in_tree: int | bool = 0  # True: an API of the version before says only that there are more
    names: dict[int, str] = {}


class WorkflowEntry(_Told):
    """A workflow; ``problem``: why it cannot be run."""

    task_id: str
    task_count: int = 0
    problem: str = ""


class DeployedWorkflow(_Told):
    """What a deploy did with a workflow, or would: ``action`` is a word for it, ``differences`` are those of
    its definition, ``drift`` what SQL had edited since the API wrote it last."""

    task_id: str
    action: str
    task_count: int = 0
    hash: str | None = None
    differences: list[dict[str, Any]] = []
    drift: list[dict[str, Any]] = []
    problem: str = ""


class Schedule(_Told):
    """A schedule as it stands. ``state``: active, paused, finished (no slot is to come) or problem (it does
    not fire, as ``problems`` say); ``definition``: its document; ``next``: its next slots."""

    schedule: str
    task_id: str
    state: str
    version: int
    is_paused: bool = False
    reason: str = ""
    definition: dict[str, Any] = {}
    next: list[datetime] = []
    last_slot: datetime | None = None
    last_flow: str | None = None
    fired: int = 0
    skipped: int = 0
    missed: int = 0
    failures: int = 0
    problems: list[dict[str, Any]] = []
    warnings: list[str] = []


class ScheduleSlot(_Told):
    """What became of a slot, or of ``count`` slots in a row from ``slot`` to ``until``: fired, skipped,
    missed, or held."""

    slot: datetime
    until: datetime
    state: str
    count: int = 1
    reason: str = ""
    detail: str = ""
    flow: str = ""
    late_ms: int = 0
    backfill: str = ""


class PreviewedSlot(_Told):
    """A slot to come: on the clocks of its schedule's time zone and of another one. ``due_ts`` has its
    jitter; ``shift`` says what a change of clocks does to it."""

    slot: datetime
    due_ts: datetime
    local: str
    other: str
    shift: str | None = None


class SlotStory(_Told):
    """What became of a slot. ``state``: fired, skipped, missed, held, coming, due, none (the schedule has no
    such slot) or unknown (it is kept no more); ``said``: that, and why, in a sentence."""

    schedule: str
    slot: datetime
    state: str
    said: str
    fates: list[ScheduleSlot] = []


class Backfill(_Told):
    """A backfill. ``state``: open, paused, finished, cancelled or problem. Of its ``total`` slots so many
    wait, are ``running``, have ``ended``, ``failed`` (their flow did, or was cancelled), or were
    ``refused``. ``slots``: of a dry run, which has no ``id``."""

    id: str
    schedule: str
    state: str
    first: datetime = msgspec.field(name="from")
    last: datetime = msgspec.field(name="to")
    which: str = "missed"
    total: int = 0
    waiting: int = 0
    running: int = 0
    ended: int = 0
    failed: int = 0
    refused: int = 0
    reason: str = ""
    problem: str = ""
    slots: list["BackfillSlot"] = []

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it; flows of one that was cancelled may go on."""
        return self.state not in ("open", "paused")


class BackfillSlot(_Told):
    """A slot of a backfill. ``action``: fire or rerun; ``state``: waiting, sent, running, ended, failed or
    refused, as ``detail`` says."""

    slot: datetime
    action: str
    state: str = "waiting"
    flow: str = ""
    detail: str = ""


class DeployedSchedule(_Told):
    """The same of a schedule."""

    schedule: str
    task_id: str
    action: str
    hash: str | None = None
    differences: list[dict[str, Any]] = []
    drift: list[dict[str, Any]] = []
    problem: str = ""


class Deployed(_Told):
    """What a deploy did (``applied``), or would do. ``expected``, ``expected_schedules``: to be given back
    with the deploy that is to do just this."""

    source: str
    applied: bool
    workflows: list[DeployedWorkflow] = []
    expected: dict[str, str | None] = {}
    warnings: list[str] = []
    schedules: list[DeployedSchedule] = []
    expected_schedules: dict[str, str | None] = {}


def _line(task: Task) -> tuple[str, ...]:
    seconds, why = task.seconds, ""
    if task.status == "Suspend" and task.error is not None:
        why = f"{task.error.type}: {task.error.message.partition(chr(10))[0]}"
    elif task.status == "Wait" and task.wait_reason:
        why = str(task.wait_reason.get("reason", ""))
    named = f"{task.task_exec_seq} {task.task_name or ''}".rstrip()
    return named, task.program, task.status, "" if seconds is None else f"{seconds:.1f}", why


def is_for_others(reason: dict[str, Any]) -> bool:
    """Whether a task with this wait reason waits for other tasks of its flow, so for those that failed, too:
    it depends on them, gathers its items, or its map is held."""
    is_held_with_map = reason.get("reason") == "scopePaused" and reason.get("scope") == "map"
    return is_held_with_map or reason.get("reason") in _OTHERS


def _may_go_on(task: Task) -> bool:
    if task.gives_up_ts is not None:
        return True
    return task.status == "Wait" and not is_for_others(task.wait_reason or {})


def _words(reason: dict[str, Any]) -> str:
    more = ", ".join(f"{name} {value}" for name, value in reason.items() if name != "reason")
    return f"{reason['reason']} ({more})" if more else str(reason["reason"])
