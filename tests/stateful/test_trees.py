"""The state machine of the transitions, with trees of flows: children begin once, doubled, late and not at
all, and whatever is done to parents and children, each knows how the other stands, or somebody will look."""

from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from flower_engine.errors import HeldForChildrenError, RefusedError
from flower_engine.log.client import send_blocking
from flower_engine.model.definitions.child_flows import child_flow_id
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.flow_control.lanes import lane_of
from flower_engine.model.flow_control.map_windows import Window
from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.maps.decision_outcomes import Decided
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.tasks.status import Status
from flower_engine.model.values.ids import make_flow_id
from flower_engine.model.waits.wait_parameters import RETURNS, SUBFLOW
from flower_engine.transitions import watcher_transitions
from flower_engine.transitions.decision_transitions import Undecided, decide
from flower_engine.transitions.operator_transitions import Operated, rerun
from flower_engine.transitions.register_transition import FlowPlan, Start
from flower_engine.transitions.restored_flow import Restored
from flower_engine.transitions.tree_transitions import Begun, DueChild, begin_children, look_at_trees
from scripts.small_steps import in_small
from stateful import expectations
from stateful.machine_calls import outcome_of
from stateful.machines import RuledTransitions, run_machine

pytestmark = pytest.mark.hypothesis
AN_ERROR = b'{"type":"ParameterError","message":"no"}'


def tasks_of(*tasks: dict[str, Any]) -> tuple[PlannedTask, ...]:
    """Tasks of a flow; ``child``: the workflow of the one that a flow does."""
    planned: list[PlannedTask] = []
    for seq, given in enumerate(tasks, start=1):
        workflow = given.pop("child", None)
        said: dict[str, Any] = {"program": "B"}
        if workflow is not None:
            said = {"program": SUBFLOW, "parameters": {"workflow": workflow}}
        planned.append(PlannedTask(seq=seq, task_seq=seq, **said | given))
    return tuple(planned)


def _returning(*tasks: dict[str, Any]) -> tuple[PlannedTask, ...]:
    """A child that returns what its last task gives."""
    before = tasks_of(*tasks)
    last = len(before)
    returns = PlannedTask(
        seq=last + 1,
        task_seq=last + 1,
        program=RETURNS,
        depends_on=(last,),
        parameters={"value": {"$from": str(last)}},
        reads={str(last): last},
        refs=True,
    )
    return (*before, returns)


CHILDREN = {
    "leaf": _returning({}, {"program": "A", "depends_on": (1,)}),
    "line": tasks_of({}, {"on_failure": "give_up"}),  # of which a limit lets one flow at a time in
    "clean": tasks_of(
        {}, {"finally_": True, "rule": "settled", "depends_on": (1,)}, {"program": "C", "depends_on": (1,)}
    ),
    "nest": tasks_of({"child": "leaf"}, {"depends_on": (1,), "program": "A"}),
}
PARENTS = (
    FlowPlan("cleaned", tasks_of({"child": "clean"}, {"depends_on": (1,)})),
    FlowPlan("one", tasks_of({"child": "leaf"}, {"depends_on": (1,)})),
    FlowPlan(
        "nested", tasks_of({"child": "nest"}, {}, {"child": "line", "depends_on": (2,)}), timeout_ms=600_000
    ),
    FlowPlan(
        "ruled",
        tasks_of(
            {"child": "line", "on_failure": "give_up"},
            {"child": "leaf", "on_failure": "pass", "stand_in": {"of": 1}},
            {"child": "line", "on_failure": "hold:60"},
            {"depends_on": (1, 2, 3), "rule": "settled"},
            {"depends_on": (1, 2), "rule": "failed"},
        ),
    ),
)


class TreeTransitions(RuledTransitions):
    """Flows some of whose tasks other flows do."""

    plans = PARENTS * 4
    children = CHILDREN

    @initialize()
    def start(self) -> None:
        """A tree is there from the start: there are many rules, and few steps."""
        super().start()
        starts = [Start(make_flow_id(next(self.numbers), 0, 7), self.plans[number]) for number in (0, 1)]
        self.registered += starts
        self._register(*starts)
        self._read_log()
        self._begin_all()

    def _begin_all(self) -> None:
        begun: list[tuple[DueChild, Begun]] = []
        for flow, task, _ in self._tasks_that(has_child=False):
            member = f"{flow.flow}:{task.planned.seq}".encode()
            due = DueChild(member, task.attempt, False, lane_of(flow.workflow, task.planned), b"", {})
            begun.append((due, Begun("begins", plan=self._plan_of(task.planned))))
        self.run(begin_children(self.client, self.partition, begun))
        self._read_log()

    def _lines(self) -> list[str]:
        return [*super()._lines(), *map(self.partition.keys.new, self.children)]

    def _is_done(
        self, asked: expectations.Asked, flow: FlowState, tasks: set[int], version_before: int
    ) -> bool:
        """What it lets go on may await a child at once; what is cancelled waits for the end of children."""
        if asked.verb == "cancel":
            left = {seq for seq in tasks if flow.task(seq).awaits_end}
            assert left == {seq for seq in tasks if self._has_child_under_way(flow, seq)}
            return super()._is_done(asked, flow, tasks - left, version_before)
        if asked.verb == "pause":
            return super()._is_done(asked, flow, tasks, version_before)
        waits = all(flow.task(seq).status is Status.WAIT or flow.task(seq).ended_as == "n" for seq in tasks)
        return flow.version > version_before and (asked.verb != "rerun" or waits)

    def _has_child_under_way(self, flow: FlowState, seq: int) -> bool:
        """Whether a child of a task, of any of its attempts, has not ended."""
        if flow.ended_ms is not None or flow.task(seq).planned.program != SUBFLOW:
            return False
        attempts = range(1, flow.task(seq).attempt + 1)
        known = [self.oracle.flows.get(child_flow_id(flow.flow, seq, attempt)) for attempt in attempts]
        return any(child is not None and child.ended_ms is None for child in known)

    @precondition(lambda self: self._children())
    @rule(data=st.data(), looks=st.integers(0, 3))
    def cancel_a_tree(self, data: st.DataObject, looks: int) -> None:
        """A flow that has children is cancelled, and a watcher goes down some of its tree."""
        parents = {flow.parent.flow for flow in self._children() if flow.parent is not None}
        flow = self.oracle.flows[data.draw(st.sampled_from(sorted(parents)))]
        self.ask_now(expectations.Asked("cancel", [], "", False), flow, 1)
        for _ in range(looks):
            self.look_at_trees(50)

    def _tasks_that(self, *, has_child: bool) -> list[tuple[FlowState, TaskState, str]]:
        """Tasks that await a child which is there, or is to begin, with the id of that."""
        found: list[tuple[FlowState, TaskState, str]] = []
        for flow in self.oracle.flows.values():
            for task in flow.tasks:
                if task.planned.program == SUBFLOW and task.is_awaiting and flow.ended_ms is None:
                    child = child_flow_id(flow.flow, task.planned.seq, task.attempt)
                    if (child in self.oracle.flows) == has_child:
                        found.append((flow, task, child))
        return found

    def _children(self) -> list[FlowState]:
        return [flow for flow in self.oracle.flows.values() if flow.parent is not None]

    @precondition(lambda self: self._tasks_that(has_child=False))
    @rule(data=st.data(), sends=st.integers(1, 2))
    def begin_some(self, data: st.DataObject, sends: int) -> None:
        """The first counts; what is of an earlier attempt, in a pause, or waits for ends, changes nothing."""
        begun: list[tuple[DueChild, Begun]] = []
        expected: list[str] = []
        in_line = self._in_line()
        held = {name for name in self.oracle.flows if self._is_held(name, in_line)}
        for flow, task, child in self._tasks_that(has_child=False):
            says = data.draw(st.sampled_from(["begins", "begins", "begins", "cannot", "late"]))
            attempt = task.attempt - (says == "late")
            member = f"{flow.flow}:{task.planned.seq}".encode()
            due = DueChild(member, attempt, False, lane_of(flow.workflow, task.planned), b"", {})
            if says == "cannot":
                begun.append((due, Begun("cannot", payload=AN_ERROR)))
            else:
                begun.append((due, Begun("begins", plan=self._plan_of(task.planned))))
            lacks_place = says == "begins" and not self._has_place(task, child)
            is_stale = says == "late" or flow.flow in held or lacks_place or task.awaits_end
            expected.append("stale" if is_stale else "ok")
        for time in range(sends):
            words = self.run(begin_children(self.client, self.partition, begun))
            assert time or words == expected
        self._read_log()

    def _has_place(self, task: TaskState, child: str) -> bool:
        """Whether a child has the place that it needs in the window of a map."""
        window = Window.parse(task.planned.window)
        if window is None or window.most is None:
            return True
        inside = self.partition.keys.inside(task.planned.window)
        return send_blocking(self.blocking, "ZSCORE", inside, child) is not None

    @rule(who=st.integers(0, 1), asks=st.booleans(), looks=st.booleans())
    def ask_for_rounds(self, who: int, asks: bool, looks: bool) -> None:
        """Whatever a worker holds asks for another round of its flow, or does so the next time; and where a
        watcher looks, that begins."""
        worker = self.workers[who]
        kind = OutcomeKind.FLOW_AGAIN if asks else OutcomeKind.FINISHED
        (reply,) = self._call(worker, [outcome_of(claim, kind) for claim in worker.held], 5, 1)
        worker.held = []
        self._check_claims(worker, 5, reply)
        if looks:
            self.fire_now("r", 30)
            self._begin_all()

    def _is_held(self, flow: str, in_line: set[str]) -> bool:
        state = self.oracle.flows[flow]
        return state.paused is not None or flow in self.oracle.delayed or flow in in_line

    @rule(most=st.integers(1, 3))
    def look_at_trees(self, most: int) -> None:
        """A watcher does some of what is noted."""
        self.run(look_at_trees(self.client, self.partition, most))
        self._read_log()
        self._note_lost_leases()

    @precondition(lambda self: self._children())
    @rule(data=st.data(), verb=st.sampled_from(expectations.VERBS))
    def operate_on_a_child(self, data: st.DataObject, verb: str) -> None:
        """It may be done, or refused; what matters is what its parent knows then."""
        flow = data.draw(st.sampled_from(self._children()))
        seqs = st.lists(st.integers(1, len(flow.tasks)), min_size=1, max_size=2, unique=True)
        chosen: Any = data.draw(seqs)
        if verb == "rerun":
            chosen = data.draw(st.one_of(st.just(chosen), st.sampled_from(["failed", "all"])))
        awaited = self._is_awaited(flow)
        was_over = flow.ended_ms is not None
        asked = expectations.Asked(verb, chosen, "", False)
        done = self._operate(asked, flow, next(self.numbers))
        if was_over and not awaited:
            assert isinstance(done, Exception), f"{asked} was done to a child that nobody awaits"
        self._read_log()
        self._note_lost_leases()

    @precondition(lambda self: self._held_for_children())
    @rule(data=st.data(), leaves=st.booleans())
    def ask_of_children(self, data: st.DataObject, leaves: bool) -> None:
        """A rerun of what failed tells what is held because of children, and changes nothing; or leaves that
        alone."""
        flow = data.draw(st.sampled_from(self._held_for_children()))
        held = {task.planned.seq: task.attempt for task in flow.tasks if task.is_held_for_child}
        before = flow.version
        where = (self.client, self.partition, flow.flow)
        try:
            self.run(rerun(*where, by="eve", selection="failed", children="leave" if leaves else "ask"))
        except HeldForChildrenError as error:
            assert not leaves
            assert error.attempts == held
        except RefusedError:
            assert leaves
        else:
            assert leaves
        self._read_log()
        self._note_lost_leases()
        assert leaves or flow.version == before
        assert {seq: flow.task(seq).child for seq in held} == held

    def _held_for_children(self) -> list[FlowState]:
        flows = self.oracle.flows.values()
        return [flow for flow in flows if any(task.is_held_for_child for task in flow.tasks)]

    @precondition(lambda self: self._tasks_that(has_child=True) or self._tasks_that_had_children())
    @rule(data=st.data(), scope=st.sampled_from(["dependents", "only"]), takes_up=st.booleans())
    def open_for_a_child(self, data: st.DataObject, scope: Any, takes_up: bool) -> None:
        """A task that has ended, or is passed over for this, awaits the child that it had, which somebody
        takes up, or nobody does."""
        for flow, task, _ in self._tasks_that(has_child=True)[:1]:
            self._operate(
                expectations.Asked("ignore", [task.planned.seq], "", False), flow, next(self.numbers)
            )
            self._read_log()
            self.look_at_trees(50)
        if not self._tasks_that_had_children():
            return
        flow, task, child = data.draw(st.sampled_from(self._tasks_that_had_children()))
        is_awaited = flow.parent is None or flow.ended_ms is None or self._is_awaited(flow)
        restored = None if flow.ended_ms is None else Restored.of(flow)
        where = (self.client, self.partition, flow.flow)
        before, seq, attempt = flow.version, task.planned.seq, task.attempt
        given: dict[str, Any] = {"by": "eve", "selection": [seq], "scope": scope, "restored": restored}
        try:
            self.run(rerun(*where, **given, children="keep"))
        except RefusedError:
            self._read_log()
            assert flow.version == before
            return
        assert is_awaited
        self._read_log()
        self._note_lost_leases()
        assert task.child == attempt
        if takes_up:
            again = expectations.Asked("rerun", "all", "", False)
            done = self._operate(again, self.oracle.flows[child], next(self.numbers))
            assert isinstance(done, Operated), done
            self._read_log()

    def _tasks_that_had_children(self) -> list[tuple[FlowState, TaskState, str]]:
        """Those that have ended, with the children of their last attempts, which have ended, too."""
        found: list[tuple[FlowState, TaskState, str]] = []
        for flow in self.oracle.flows.values():
            for task in flow.tasks:
                if task.planned.program == SUBFLOW and task.has_ended and task.attempt:
                    child = child_flow_id(flow.flow, task.planned.seq, task.attempt)
                    known = self.oracle.flows.get(child)
                    if known is not None and known.ended_ms is not None:
                        found.append((flow, task, child))
        return found

    def _plan_of(self, task: PlannedTask) -> FlowPlan:
        """That of its child, with its priority."""
        workflow: str = task.parameters["workflow"]
        tasks = [msgspec.structs.replace(one, priority=task.priority) for one in self.children[workflow]]
        return FlowPlan(workflow, tasks)

    def _is_awaited(self, child: FlowState) -> bool:
        parent = child.parent
        assert parent is not None
        flow = self.oracle.flows[parent.flow]
        return flow.ended_ms is None and flow.task(parent.task).child == parent.attempt

    @precondition(lambda self: self._to_be_returned())
    @rule(data=st.data())
    def tell_what_some_return(self, data: st.DataObject) -> None:
        made: list[tuple[Undecided, Decided]] = []
        for name, task in self._to_be_returned():
            outcome = data.draw(
                st.sampled_from([Decided("returned", b'{"of":"it"}'), Decided(None, AN_ERROR)])
            )
            made.append((Undecided(f"{name}:{task.planned.seq}".encode(), task.attempt, b"", {}), outcome))
        assert self.run(decide(self.client, self.partition, "w", made)) == ["ok"] * len(made)
        self._read_log()

    def _to_be_returned(self) -> list[tuple[str, TaskState]]:
        return [
            (flow.flow, task)
            for flow in self.oracle.flows.values()
            for task in flow.tasks
            if task.planned.program == RETURNS and task.is_awaiting
        ]


def test_trees_of_flows_follow_the_model(redis_url: str) -> None:
    run_machine(redis_url, examples=60, base=TreeTransitions)


class EmptiedTransitions(TreeTransitions):
    """The same where tasks leave their lanes in steps before a round of their flow ends: one a call."""

    def _is_emptied(self, flow: str) -> bool:
        counters: bytes | None = send_blocking(self.blocking, "HGET", self.partition.keys.flow(flow), "c")
        return counters is not None and any(b"l" in flags for flags in counters.split(b" ")[4:])

    def _is_held(self, flow: str, in_line: set[str]) -> bool:
        return self._is_emptied(flow) or super()._is_held(flow, in_line)

    @rule(
        data=st.data(),
        who=st.integers(0, 1),
        steps=st.integers(1, 3),
        verb=st.sampled_from(expectations.VERBS),
    )
    def operate_in_between(self, data: st.DataObject, who: int, steps: int, verb: str) -> None:
        """All that a worker gets asks for another round; some steps are taken, and somebody acts."""
        worker = self.workers[who]
        for _ in range(2):
            asked = [outcome_of(claim, OutcomeKind.FLOW_AGAIN) for claim in worker.held]
            (reply,) = self._call(worker, asked, 5, 1)
            worker.held = []
            self._check_claims(worker, 5, reply)
        for _ in range(steps):
            self.fire_now("r", 30)
        self._begin_all()
        found = [flow for flow in self._children() if self._is_emptied(flow.flow)]
        if found:
            flow = data.draw(st.sampled_from(found))
            seqs = st.lists(st.integers(1, len(flow.tasks)), min_size=1, max_size=2, unique=True)
            self._operate(expectations.Asked(verb, data.draw(seqs), "", False), flow, next(self.numbers))
            self._read_log()
            self._note_lost_leases()


def test_trees_follow_the_model_while_lanes_are_emptied_in_steps(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small(monkeypatch, watcher_transitions, EMPTY_STEP="1")
    run_machine(redis_url, examples=40, base=EmptiedTransitions, in_steps=True)
