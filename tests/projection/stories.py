"""Stories: logs of events that follow from each other, as the transitions would write them."""

import itertools
import re
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from flower_engine.log.entries import LogEntry
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.events.attempt_events import (
    FlowAgain,
    TaskAgain,
    TaskFinished,
    TaskLapsed,
    TaskProgressed,
    TaskRetrying,
    TaskReturned,
    TaskStarted,
    TaskSuspended,
)
from flower_engine.model.events.events import (
    AnyEvent,
    ControlChanged,
    FlowRegistered,
    FlowTimedOut,
    LogOpened,
    OutcomeRefused,
    TaskGivenUp,
    TaskOverdue,
    TasksPassed,
    TasksUnneeded,
    encode_event,
)
from flower_engine.model.events.operator_events import (
    FlowCancelled,
    FlowEnding,
    FlowPaused,
    FlowPrioritised,
    FlowRerun,
    FlowResumed,
    TaskIgnored,
    TasksIgnored,
    TaskUnignored,
)
from flower_engine.model.events.schedule_events import (
    ScheduleDefined,
    ScheduleEvent,
    ScheduleFired,
    ScheduleHeld,
    ScheduleMissed,
    ScheduleSkipped,
)
from flower_engine.model.events.snapshot_events import FlowSnapshot
from flower_engine.model.events.wait_events import (
    FlowSignalled,
    TaskAnswered,
    TaskAwaiting,
    TaskExpanded,
    TaskLifted,
    TaskVoted,
)
from flower_engine.model.folding.cleanup import cleanup_of
from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.folding.fold import fold_one
from flower_engine.model.folding.schedule_state import fold_schedules
from flower_engine.model.folding.unneeded import unneeded_in
from flower_engine.model.maps.earlier_items import TakenItem, input_of_item, same
from flower_engine.model.maps.map_items import Along, Given, item_like, items_of, numbers_of
from flower_engine.model.tasks.rules import PASS, decided, is_picked, rule_of, stands_as
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.model.values.ids import make_flow_id
from flower_engine.model.waits.wait_programs import kind_of, takes_signal
from projection.story_plans import SHAPES, WAITS, other_body, plan
from projection.story_snapshots import found, json_or_none

FIRST_MS = 1_790_000_000_000
_numbers = itertools.count(1)


_AT_THE_END = re.compile(
    rb'(\{"type":"[a-z._]+")(.*)(,"at":\d+)\}', re.DOTALL
)  # the transitions write it first


@dataclass
class Story:
    """A log that grows. Times rise by a millisecond with every third event, so that some share one."""

    events: list[AnyEvent] = field(default_factory=list[AnyEvent])
    leases: int = 0
    _folded: list[AnyEvent] = field(default_factory=list[AnyEvent], repr=False, compare=False)
    _stand: dict[str, FlowState] = field(default_factory=dict[str, FlowState], repr=False, compare=False)

    @property
    def now_ms(self) -> int:
        return FIRST_MS + len(self.events) // 3

    @property
    def entries(self) -> list[LogEntry]:
        """The events as they lie in the log."""
        return [
            LogEntry(
                f"{FIRST_MS + index // 3}-{index % 3}", _AT_THE_END.sub(rb"\1\3\2}", encode_event(event))
            )
            for index, event in enumerate(self.events)
        ]

    def open(self) -> None:
        self.events.append(LogOpened(at=self.now_ms, installation="here", generation=1, partition=0))

    def control(self) -> None:
        self.events.append(ControlChanged(at=self.now_ms, name="p:Program1", settings={"max_running": 2}))

    def schedule(self, number: int) -> None:
        """What becomes of the next slots of one of three schedules, each a minute after the one before."""
        uid = f"00000000-0000-4000-8000-00000000000{number % 3}"
        at, schedules = self.now_ms, fold_schedules(self.events)
        if uid not in schedules or number == 11:
            cursor = schedules[uid].cursor if uid in schedules else FIRST_MS
            version = 1 + (schedules[uid].version if uid in schedules else 0)
            defined = ScheduleDefined(
                at=at, schedule=uid, name=f"s{number % 3}", version=version, state="active", cursor=cursor
            )
            self.events.append(defined)
            return
        slot, flow = schedules[uid].cursor + 60_000, make_flow_id(at, 0, next(_numbers))
        head: dict[str, Any] = {"at": at, "schedule": uid, "slot": slot, "failures": number % 2}
        passed: dict[str, Any] = {"until": slot + 60_000, "count": 2, "reason": "unwatched", "late_ms": 40}
        if number // 3 == 2:
            passed["reason"] = "overlap"
        match number // 3:
            case 0:
                self.events.append(ScheduleFired(**head, flow=flow, late_ms=3))
            case 1:
                self.events.append(ScheduleMissed(**head, **passed))
            case 2:
                self.events.append(ScheduleSkipped(**head, **passed, detail="a\t"))
            case _ if (slot, "") not in schedules[uid].fates:
                self.events.append(ScheduleHeld(**head, flow=flow))
            case _:
                self.events.append(ScheduleFired(**head, flow=flow, last=True))

    def register(
        self, shape: Sequence[Sequence[int]] = SHAPES[1], workflow: str = "example", **more: Any
    ) -> str:
        """Registers a flow; returns its id."""
        flow = make_flow_id(self.now_ms, 0, next(_numbers))
        tasks = plan(shape) if shape else WAITS
        self.events.append(
            FlowRegistered(at=self.now_ms, flow=flow, v=1, workflow=workflow, order=0, tasks=tasks, **more)
        )
        return flow

    def wait(self, flow: str, task: int, number: int) -> None:
        """The task awaits; or what it awaits comes, or some of it."""
        state, planned = self._flow(flow).task(task), self._flow(flow).task(task).planned
        said: dict[str, Any] = {"task": task, "attempt": state.attempt}
        if not state.is_awaiting:
            said |= {"attempt": state.attempt + 1, "kind": kind_of(planned)}
            until_ms = self.now_ms + 60_000 if number % 2 and planned.program not in ("@map", "@flow") else 0
            self._operate(flow, TaskAwaiting, **said, until_ms=until_ms)
        elif planned.program == "@map" and planned.items is None and number % 4:
            self._expand(flow, planned, **said)
        elif planned.program == "@approval" and number % 3:
            names = (*(state.votes or ()), f"name {len(state.votes or ())}")
            self._operate(flow, TaskVoted, **said, by=names[-1], names=names, answer=msgspec.Raw(b"[1]"))
        elif planned.program == "@flow" and number % 3 == 1:
            self.hold_for_child(flow, task)
        elif planned.program == "@flow" and number % 3:
            rounds = {"round": state.round + 1, "rounds": self._flow(flow).rounds + 1}
            given, due_ms = msgspec.Raw(b'{"page":2}'), self.now_ms if number % 2 else 0
            self._operate(flow, TaskAgain, **said, **rounds, lease="", was=0, given=given, due_ms=due_ms)
        else:
            kept = [
                one for one in self._flow(flow).signals.values() if takes_signal(planned, one.name, one.key)
            ]
            said |= {"by": "bob", "signal": kept[0].id if kept else "", "ends": self._flow(flow).left == 1}
            self._operate(flow, TaskAnswered, **said, result=msgspec.Raw(b'{"n":7}'))

    def _expand(self, flow: str, planned: PlannedTask, **said: Any) -> None:
        state = self._flow(flow)
        values = tuple(msgspec.Raw(msgspec.json.encode(one)) for one in planned.parameters["over"])
        item = item_like(planned, planned.parameters)
        said |= {"by": "bob", "workflow": state.workflow, "first": len(state.tasks) + 1, "name": "n"}
        of_map = state.task(planned.seq)
        items = items_of(planned.seq, 1, item, Given("n", values))
        found = same(map(input_of_item, items), of_map.earlier if of_map.is_matched else ())
        taken = tuple(
            TakenItem(index, one.seq, one.result, one.blob)
            for index, one in enumerate(found)
            if one is not None
        )
        behind = () if of_map.is_matched else state.tasks
        chain = tuple(_along(one, planned) for one in behind if _goes_along(one, planned))
        self._operate(flow, TaskExpanded, **said, item=item, values=values, taken=taken, chain=chain)

    def hold_for_child(self, flow: str, task: int) -> None:
        """Nothing goes on in the child that it awaits."""
        error = TaskError(type="ChildSuspended", message="nothing goes on in it")
        self._operate(flow, TaskOverdue, task=task, error=error)

    def lift(self, flow: str, task: int) -> None:
        """The child that it awaits, or is held for, goes on; before that nothing did."""
        if self._flow(flow).task(task).is_awaiting:
            self.hold_for_child(flow, task)
        self._operate(flow, TaskLifted, task=task, attempt=self._flow(flow).task(task).attempt)

    def signal(self, flow: str, name: str) -> None:
        identity = f"signal {next(_numbers)}"
        self._operate(
            flow, FlowSignalled, name=name, id=identity, by="shop", key="k\t", payload=msgspec.Raw(b"[]")
        )

    def start(self, flow: str, task: int, worker: str = "worker-1") -> None:
        state = self._flow(flow)
        self.leases += 1
        self.events.append(
            TaskStarted(
                at=self.now_ms,
                flow=flow,
                v=state.version + 1,
                task=task,
                attempt=state.task(task).attempt + 1,
                lease=f"{self.leases}-0",
                worker=worker,
                used=_picked(state, state.task(task)),
            )
        )

    def finish(self, flow: str, task: int, result: bytes = b"null", blob: BlobRef | None = None) -> None:
        ends = self._flow(flow).left == 1
        said = {"result": msgspec.Raw(result)} if blob is None else {"blob": blob}
        self._end(flow, task, TaskFinished, **said, ends=ends)
        self._pass_over(flow)

    def suspend(self, flow: str, task: int, message: str = "no", lost: int = 0) -> None:
        """It has failed for good; what follows is what its definition says."""
        error = TaskError(type="ValueError", message=message, traceback="Traceback ...")
        if self._flow(flow).task(task).planned.on_failure in ("give_up", "pass"):
            self._fail(flow, task, error, lost)
        else:
            self._end(flow, task, TaskSuspended, error=error, lost=lost)
        self._pass_over(flow)

    def _fail(self, flow: str, task: int, error: TaskError, lost: int) -> None:
        state = self._flow(flow)
        failed = state.task(task)
        said: dict[str, Any] = {"task": task, "was": int(failed.status), "by": "on_failure"}
        said |= {"error": error, "lost": lost, "ends": state.left == 1}
        if failed.planned.on_failure == "pass":
            stand_in = failed.planned.stand_in
            result = b"" if stand_in is None else msgspec.json.encode(stand_in)
            self._operate(flow, TaskIgnored, **said, reason="ValueError: no", result=json_or_none(result))
        else:
            lease = failed.lease if failed.status is Status.RUNNING else ""
            self._operate(flow, TaskGivenUp, **said, attempt=failed.attempt if lease else 0, lease=lease)

    def give_up(self, flow: str, task: int) -> None:
        """Nobody decided in time."""
        self._operate(flow, TaskGivenUp, task=task, was=2, by="hold", ends=self._flow(flow).left == 1)
        self._pass_over(flow)

    def _pass_over(self, flow: str) -> None:
        """Rules pass over what they do, step by step: of each cause all that depends on it."""
        while passed := [one for one in self._flow(flow).tasks if _is_passed(one)]:
            state = self._flow(flow)
            cause = next(seq for seq in passed[0].planned.depends_on if state.task(seq).has_ended)
            behind = [one.planned.seq for one in passed if cause in one.planned.depends_on]
            ranges = tuple((seq, seq) for seq in behind)
            self._operate(flow, TasksPassed, ranges=ranges, cause=cause, ends=state.left == len(behind))
        while found := unneeded_in(self._flow(flow)):
            self._cancel(flow, found[0])
            self._pass_over(flow)

    def _cancel(self, flow: str, seq: int) -> None:
        """Nobody needs a task any more."""
        state = self._flow(flow)
        names = {Status.WAIT: "ranges", Status.RUNNING: "ran", Status.SUSPEND: "held"}
        item = state.task(seq).planned.item
        cause = item[0] if item else state.dependents[seq][0]
        said = {names[state.task(seq).status]: ((seq, seq),), "ends": state.left == 1}
        self._operate(flow, TasksUnneeded, cause=cause, **said)

    def give_back(self, flow: str, task: int) -> None:
        self._end(flow, task, TaskReturned)

    def lapse(self, flow: str, task: int) -> None:
        state = self._flow(flow).task(task)
        self._end(flow, task, TaskLapsed, worker=state.worker, lost=state.lost + 1)

    def retry(self, flow: str, task: int) -> None:
        error = TaskError(type="ValueError", message="again")
        failures = self._flow(flow).task(task).failures + 1
        self._end(flow, task, TaskRetrying, error=error, failures=failures, due_ms=self.now_ms)

    def again(self, flow: str, task: int, number: int) -> None:
        """Its program asks for another round, now or later."""
        state = self._flow(flow)
        given, due_ms = msgspec.Raw(b'{"cursor":%d}' % number), self.now_ms if number % 2 else 0
        round_ = state.task(task).round + 1
        self._end(flow, task, TaskAgain, round=round_, rounds=state.rounds + 1, given=given, due_ms=due_ms)

    def flow_again(self, flow: str, task: int, number: int) -> None:
        """Its program asks for another round of the flow, where it is a child; and this one ends, or will."""
        state = self._flow(flow)
        if state.parent is None or state.is_ending:
            return
        given, due_ms = msgspec.Raw(b'{"page":%d}' % number), self.now_ms if number % 3 else 0
        self._end(flow, task, FlowAgain, given=given, due_ms=due_ms)
        if number % 2:
            self.end(flow, "again")

    def progress(self, flow: str, task: int, fraction: float | None, note: str) -> None:
        self._end(flow, task, TaskProgressed, fraction=fraction, note=note)

    def fail_while_waiting(self, flow: str, task: int) -> None:
        error = TaskError(type="QueueTimeout", message="late")
        self._operate(flow, TaskOverdue, task=task, error=error)
        if self._flow(flow).task(task).planned.on_failure in ("give_up", "pass"):
            self._fail(flow, task, error, 0)
        self._pass_over(flow)

    def time_out(self, flow: str, spared: Set[int] = frozenset()) -> None:
        """Suspends what runs or is ready."""
        others = [t for t in self._flow(flow).tasks if t.planned.seq not in spared]
        running = tuple(t.planned.seq for t in others if t.status is Status.RUNNING)
        waiting = tuple(t.planned.seq for t in others if t.is_ready)
        error = TaskError(type="FlowTimeout", message="late")
        self._operate(flow, FlowTimedOut, error=error, running=running, waiting=waiting)

    def ignore(self, flow: str, task: int, result: bytes = b"") -> None:
        state = self._flow(flow)
        said = {"task": task, "was": int(state.task(task).status), "ends": state.left == 1}
        self._operate(flow, TaskIgnored, **said, by="bob", reason="old", result=json_or_none(result))
        self._pass_over(flow)

    def ignore_all(self, flow: str, tasks: Sequence[int], result: bytes = b"") -> None:
        """Passes over several, one run of numbers each."""
        state = self._flow(flow)
        stand = {seq: state.task(seq).status for seq in tasks}
        said = {
            "ranges": tuple((seq, seq) for seq in tasks if stand[seq] is Status.WAIT),
            "held": tuple((seq, seq) for seq in tasks if stand[seq] is Status.SUSPEND),
            "ends": state.left == len(tasks),
        }
        self._operate(flow, TasksIgnored, **said, by="bob", reason="old", result=json_or_none(result))
        self._pass_over(flow)

    def unignore(self, flow: str, task: int) -> None:
        behind = self._not_taken(flow)
        self._operate(flow, TaskUnignored, task=task, by="bob", behind=behind)
        self._pass_over(flow)

    def _not_taken(self, flow: str) -> tuple[int, ...]:
        return tuple(task.planned.seq for task in self._flow(flow).tasks if task.ended_as == "n")

    def rerun(
        self,
        flow: str,
        *tasks: int,
        parameters: dict[int, dict[str, Any]] | None = None,
        version: str = "",
        priority: int = -5,
    ) -> None:
        """``version``: the tasks are of that one from here on, and all that can be otherwise is."""
        state = self._flow(flow)
        tasks = tuple(dict.fromkeys([*tasks, *self._not_taken(flow)]))
        tasks, gone = _without_gone(state, tasks)
        by_status = {
            status: tuple(seq for seq in tasks if state.task(seq).status is status) for status in Status
        }
        self._operate(
            flow,
            FlowRerun,
            by="bob",
            finished=by_status[Status.FINISH],
            ignored=by_status[Status.IGNORE],
            suspended=by_status[Status.SUSPEND],
            waiting=by_status[Status.WAIT],
            bodies={seq: other_body(state.task(seq).planned, version, priority) for seq in tasks if version},
            parameters=parameters or {},
            **gone,
        )
        self._pass_over(flow)

    def rerun_cleanup(self, flow: str, tasks: Sequence[int]) -> None:
        """What failed of the cleanup of a flow that is ending runs again."""
        self._operate(flow, FlowRerun, by="bob", suspended=tuple(tasks), ending=True)
        self._pass_over(flow)

    def cancel(self, flow: str) -> None:
        state = self._flow(flow)
        lists = {
            name: tuple(t.planned.seq for t in state.tasks if t.status is status and not t.has_ended)
            for name, status in (
                ("waiting", Status.WAIT),
                ("running", Status.RUNNING),
                ("suspended", Status.SUSPEND),
            )
        }
        self._operate(flow, FlowCancelled, by="eve", reason="no need", **lists)

    def end(self, flow: str, cause: Literal["cancel", "timeout", "again"]) -> None:
        """Ends all but the cleanup of the flow, if it has one that is to run."""
        spared = cleanup_of(self._flow(flow))
        parents = [task.planned.seq for task in self._flow(flow).tasks if task.child]
        parents = [seq for seq in parents if seq not in spared and cause != "timeout"]
        if not spared and not parents and cause != "again":
            return
        if cause == "timeout":
            self.time_out(flow, spared)
        left = {*spared, *parents}
        open_tasks = [t for t in self._flow(flow).tasks if not t.has_ended and t.planned.seq not in left]
        lists = {
            name: tuple(t.planned.seq for t in open_tasks if t.status is status)
            for name, status in (
                ("waiting", Status.WAIT),
                ("running", Status.RUNNING),
                ("suspended" if cause == "cancel" else "given_up", Status.SUSPEND),
            )
        }
        stand = {seq: self._flow(flow).task(seq).status for seq in parents}
        lists["children"] = tuple(seq for seq in parents if stand[seq] is Status.WAIT)
        lists["held_children"] = tuple(seq for seq in parents if stand[seq] is Status.SUSPEND)
        until_ms = self.now_ms + 60_000
        said: dict[str, Any] = {"cause": cause, "by": "eve", "ends": not left}
        self._operate(flow, FlowEnding, **said, until_ms=until_ms if left else 0, **lists)
        self._pass_over(flow)
        for seq in parents[:2]:  # their children end; those of others do not yet
            ends = self._flow(flow).left == 1
            more: dict[str, Any] = {"reason": "its child has ended", "waiting": (seq,), "ends": ends}
            self._operate(flow, FlowEnding, cause=cause, by="", until_ms=until_ms, goes_on=True, **more)
            self._pass_over(flow)

    def pause(self, flow: str) -> None:
        self._operate(flow, FlowPaused, by="eve", reason="")

    def resume(self, flow: str) -> None:
        self._operate(flow, FlowResumed, by="eve")

    def prioritise(self, flow: str, priority: int) -> None:
        self._operate(flow, FlowPrioritised, by="bob", priority=priority)

    def snapshot(self, flow: str, lost_events: int = 0) -> None:
        """Says how the flow stands, as if so many events of it were lost that changed nothing that shows."""
        state = self._flow(flow)
        parent, again = state.parent, state.again
        more: dict[str, Any] = {}
        if parent is not None:
            more = {"parent": parent.flow, "parent_task": parent.task, "parent_attempt": parent.attempt}
            more["trunk"] = parent.trunk
        if again is not None:
            more |= {"again": (again.task, again.attempt, again.due_ms), "again_given": again.given}
        self.events.append(
            FlowSnapshot(
                at=self.now_ms,
                flow=flow,
                v=state.version + 1 + lost_events,
                workflow=state.workflow,
                order=state.order,
                tasks=tuple(found(state, task) for task in state.tasks),
                paused=state.paused is not None,
                ending=state.ending.cause if state.ending else "",
                timeout_due_ms=state.ending.until_ms if state.ending else 0,
                key=state.registered.key,
                start_ms=state.registered.start_ms,
                signals=tuple(state.signals.values()),
                signal_ids=tuple(sorted(state.signal_ids)),
                **more,
            )
        )

    def _operate(self, flow: str, event: type, **fields: object) -> None:
        version = self._flow(flow).version + 1
        self.events.append(event(at=self.now_ms, flow=flow, v=version, **fields))

    def refuse(self, flow: str, task: int) -> None:
        self.events.append(
            OutcomeRefused(
                at=self.now_ms, flow=flow, task=task, lease="0-1", worker="late", outcome="finished"
            )
        )

    def run(self, flow: str) -> None:
        """Runs the flow to its end."""
        while self._flow(flow).left:
            task = next(task.planned.seq for task in self._flow(flow).tasks if task.is_ready)
            self.start(flow, task)
            self.finish(flow, task, b'{"rows":7}')

    def flow_of(self, index: int) -> str:
        """The flow that an event is of."""
        event = self.events[index]
        assert not isinstance(event, LogOpened | ControlChanged | ScheduleEvent)
        return event.flow

    def flows(self) -> dict[str, FlowState]:
        """How its flows stand now; whoever tells more of them asks again."""
        if self.events[: len(self._folded)] != self._folded:  # somebody changed what was told
            self._folded, self._stand = [], {}
        for event in self.events[len(self._folded) :]:
            fold_one(self._stand, event)
            self._folded.append(event)
        return dict(self._stand)

    def tasks_of(self, status: Status) -> list[tuple[str, int]]:
        """(flow, task) of every task that stands so; of those that wait, the ready ones."""
        return [
            (flow.flow, task.planned.seq)
            for flow in self.flows().values()
            for task in flow.tasks
            if task.status is status and (status is not Status.WAIT or task.is_ready)
        ]

    def _flow(self, flow: str) -> FlowState:
        return self.flows()[flow]

    def _end(self, flow: str, task: int, kind: type, **rest: object) -> None:
        state = self._flow(flow)
        running: TaskState = state.task(task)
        head = {"at": self.now_ms, "flow": flow, "v": state.version + 1, "task": task}
        self.events.append(kind(**head, attempt=running.attempt, lease=running.lease, **rest))


def _without_gone(
    state: FlowState, tasks: Sequence[int]
) -> tuple[tuple[int, ...], dict[str, tuple[int, ...]]]:
    """What runs again, and the items that go because their maps do."""
    names = {
        Status.FINISH: "gone_finished",
        Status.IGNORE: "gone_ignored",
        Status.SUSPEND: "gone_suspended",
        Status.WAIT: "gone_waiting",
    }
    maps = [task.planned for task in state.tasks if task.planned.items is not None]
    anew = [one for one in maps if (one.along or one.seq) in tasks]
    gone = [number for one in anew for number in numbers_of(one.items)]
    kept = [
        number for one in maps if one not in anew and one.seq in tasks for number in numbers_of(one.items)
    ]
    tasks = tuple(dict.fromkeys([*tasks, *(one.seq for one in anew), *kept]))  # that map keeps its items
    again = tuple(seq for seq in tasks if seq not in gone and state.task(seq).ended_as != "v")
    maps = [state.task(seq).planned for seq in again if state.version % 3]
    matches = (one.seq for one in maps if one.program == "@map" and set(numbers_of(one.items)) <= set(gone))
    return again, {
        name: tuple(seq for seq in gone if state.task(seq).status is status) for status, name in names.items()
    } | {"matches": tuple(matches)}


def _goes_along(task: TaskState, over: PlannedTask) -> bool:
    """Whether a map gets its items together with another one."""
    planned = task.planned
    is_aligned = planned.parameters.get("aligned") is True and planned.depends_on == (over.seq,)
    return is_aligned and task.status is Status.WAIT and not task.is_awaiting


def _along(task: TaskState, over: PlannedTask) -> Along:
    planned = task.planned
    item = item_like(planned, planned.parameters)
    parameters = {**item.parameters, "n": planned.parameters["over"]}
    item = msgspec.structs.replace(item, parameters=parameters, reads={}, refs=True)
    return Along(task=planned.seq, over=over.seq, ref=str(over.task_seq), item=item)


def _picked(state: FlowState, task: TaskState) -> tuple[int, ...]:
    """The dependencies that a task begins with whose rule picks some."""
    rule = rule_of(task.planned.rule)
    if not rule.picks or task.used:
        return ()
    stand = {seq: state.task(seq) for seq in task.planned.depends_on}
    fit = [seq for seq, one in stand.items() if is_picked(rule, stands_as(one.status, one.ended_as))]
    return tuple(fit[: rule.most or 1])


def _is_passed(task: TaskState) -> bool:
    if task.edges is None or task.status is not Status.WAIT or task.used:
        return False
    return decided(rule_of(task.planned.rule), task.edges) is PASS
