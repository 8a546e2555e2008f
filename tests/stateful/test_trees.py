"""The state machine of the transitions, with trees of flows: children begin once, doubled, late and not at
all, and whatever is done to parents and children, each knows how the other stands, or somebody will look."""

from typing import Any, cast

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from flower_engine.log.client import send_blocking
from flower_engine.model.child_flows import child_flow_id
from flower_engine.model.decision_outcomes import Decided
from flower_engine.model.definition import PlannedTask
from flower_engine.model.flow_state import FlowState, TaskState
from flower_engine.model.lanes import lane_of
from flower_engine.model.status import Status
from flower_engine.model.wait_parameters import RETURNS, SUBFLOW
from flower_engine.transitions.decision_transitions import Undecided, decide
from flower_engine.transitions.register_transition import FlowPlan
from flower_engine.transitions.tree_transitions import Begun, DueChild, begin_children, look_at_trees
from stateful import expectations
from stateful.test_transitions import RuledTransitions, run_machine

pytestmark = pytest.mark.hypothesis
AN_ERROR = b'{"type":"ParameterError","message":"no"}'


def _tasks(*tasks: dict[str, Any]) -> tuple[PlannedTask, ...]:
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
    before = _tasks(*tasks)
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
    "line": _tasks({}, {"on_failure": "give_up"}),  # of which a limit lets one flow at a time in
    "nest": _tasks({"child": "leaf"}, {"depends_on": (1,), "program": "A"}),
}
PARENTS = (
    FlowPlan("one", _tasks({"child": "leaf"}, {"depends_on": (1,)})),
    FlowPlan(
        "nested", _tasks({"child": "nest"}, {}, {"child": "line", "depends_on": (2,)}), timeout_ms=600_000
    ),
    FlowPlan(
        "ruled",
        _tasks(
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

    def _in_line(self) -> set[str]:
        found = super()._in_line()
        for workflow in CHILDREN:
            new = self.partition.keys.new(workflow)
            flows = cast(list[bytes], send_blocking(self.blocking, "ZRANGE", new, 0, -1))
            found |= {flow.decode() for flow in flows}
        return found

    def _is_done(
        self, asked: expectations.Asked, flow: FlowState, tasks: set[int], version_before: int
    ) -> bool:
        """What it lets go on may await a child at once."""
        if asked.verb in ("cancel", "pause"):
            return super()._is_done(asked, flow, tasks, version_before)
        waits = all(flow.task(seq).status is Status.WAIT or flow.task(seq).ended_as == "n" for seq in tasks)
        return flow.version > version_before and (asked.verb != "rerun" or waits)

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
        """The first counts; what is of an earlier attempt, or in a pause, changes nothing."""
        begun: list[tuple[DueChild, Begun]] = []
        expected: list[str] = []
        held = {name for name in self.oracle.flows if self._is_held(name)}
        for flow, task, _ in self._tasks_that(has_child=False):
            says = data.draw(st.sampled_from(["begins", "begins", "begins", "cannot", "late"]))
            attempt = task.attempt - (says == "late")
            member = f"{flow.flow}:{task.planned.seq}".encode()
            due = DueChild(member, attempt, False, lane_of(flow.workflow, task.planned), b"", {})
            if says == "cannot":
                begun.append((due, Begun("cannot", payload=AN_ERROR)))
            else:
                begun.append((due, Begun("begins", plan=_plan_of(task.planned))))
            expected.append("stale" if says == "late" or flow.flow in held else "ok")
        for time in range(sends):
            words = self.run(begin_children(self.client, self.partition, begun))
            assert time or words == expected
        self._read_log()

    def _is_held(self, flow: str) -> bool:
        state = self.oracle.flows[flow]
        return state.paused is not None or flow in self.oracle.delayed or flow in self._in_line()

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

    def _is_awaited(self, child: FlowState) -> bool:
        parent = child.parent
        assert parent is not None
        flow = self.oracle.flows[parent.flow]
        return flow.ended_ms is None and flow.task(parent.task).child == parent.attempt

    @precondition(lambda self: self._undecided())
    @rule(data=st.data())
    def tell_what_some_return(self, data: st.DataObject) -> None:
        made: list[tuple[Undecided, Decided]] = []
        for name, task in self._undecided():
            outcome = data.draw(
                st.sampled_from([Decided("returned", b'{"of":"it"}'), Decided(None, AN_ERROR)])
            )
            made.append((Undecided(f"{name}:{task.planned.seq}".encode(), task.attempt, b"", {}), outcome))
        assert self.run(decide(self.client, self.partition, "w", made)) == ["ok"] * len(made)
        self._read_log()

    def _undecided(self) -> list[tuple[str, TaskState]]:
        return [
            (flow.flow, task)
            for flow in self.oracle.flows.values()
            for task in flow.tasks
            if task.planned.program == RETURNS and task.is_awaiting
        ]


def _plan_of(task: PlannedTask) -> FlowPlan:
    """That of its child, with its priority."""
    workflow: str = task.parameters["workflow"]
    tasks = [msgspec.structs.replace(one, priority=task.priority) for one in CHILDREN[workflow]]
    return FlowPlan(workflow, tasks)


def test_trees_of_flows_follow_the_model(redis_url: str) -> None:
    run_machine(redis_url, examples=60, base=TreeTransitions)
