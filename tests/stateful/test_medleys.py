"""The state machine of the transitions, with flows that have all of it: rules, waits, maps, children, windows
and cleanups, also of each other."""

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.transitions.operator_transitions import Operated
from flower_engine.transitions.register_transition import FlowPlan
from flower_engine.transitions.wait_transitions import Sent, signal
from stateful import expectations
from stateful.test_mapped_trees import MANY, each, over
from stateful.test_transitions import run_machine
from stateful.test_trees import CHILDREN, tasks_of
from stateful.test_waits import WaitTransitions
from stateful.test_windowed_trees import WindowedTreeTransitions

pytestmark = pytest.mark.hypothesis
TIMEOUT: dict[str, Any] = {"timeout_seconds": 600}


def paid(key: str = "", **more: Any) -> dict[str, Any]:
    """Waits for a signal."""
    return {"program": "@event", "parameters": {"name": "paid", "key": key, **TIMEOUT}, **more}


def asked(of: int = 1, **more: Any) -> dict[str, Any]:
    """Waits for so many answers."""
    return {"program": "@approval", "parameters": {"of": of, **TIMEOUT}, **more}


def mapped(elements: Any = (1, 2), **more: Any) -> dict[str, Any]:
    """A map of a program."""
    return {"program": "@map", "parameters": {"over": elements, "program": "A", "as": "n"}, **more}


def behind(*seqs: int, rule: str = "settled") -> dict[str, Any]:
    return {"depends_on": seqs, "rule": rule}


CLEANS_UP: dict[str, Any] = {"finally_": True}
ASKS = {
    "asks": tasks_of(paid(), behind(1, rule="ready"), asked(**behind(1, 2), **CLEANS_UP)),
    "clean map": tasks_of(
        {}, mapped(**behind(1), **CLEANS_UP), {**each("line"), **behind(1, 2), **CLEANS_UP}
    ),
}
PLANS = (
    FlowPlan(
        "asking",
        tasks_of(
            asked(on_failure="give_up"),
            paid("1", on_failure="pass", stand_in={"of": 1}),
            asked(2, on_failure="hold:60", depends_on=(1,)),
            behind(1, 2, 3, rule="any"),
            paid(**behind(1, 2, 4), **CLEANS_UP),
            {"depends_on": (5,)},
            {"program": "@sleep", "parameters": {"seconds": 0.001}, **behind(1, 3, rule="failed")},
        ),
        timeout_ms=600_000,
    ),
    FlowPlan(
        "asking below",
        tasks_of(
            {"child": "asks"},
            each("asks", (1, 2), limit=1),
            {"child": "clean map", "on_failure": "give_up"},
            {**asked(2), **behind(1, 2, 3), **CLEANS_UP},
        ),
        timeout_ms=600_000,
    ),
    FlowPlan(
        "cleaned maps",
        tasks_of(
            {},
            over(1, "asks", limit=1),
            mapped(depends_on=(1,)),
            mapped(**behind(2, 3), **CLEANS_UP),
            {"child": "asks", **behind(2, 3), **CLEANS_UP},
            {"depends_on": (4, 5)},
        ),
        timeout_ms=600_000,
    ),
    FlowPlan("line", CHILDREN["line"]),
)
LIMITS = (
    FlowControl(scope="workflow", name="asks", max_flows=1),
    FlowControl(scope="workflow", name="asks", max_flows=1, at_max_flows="cancel_oldest"),
    FlowControl(scope="workflow", name="line", max_flows=1, at_max_flows="cancel_oldest"),
    FlowControl(scope="workflow", name="line", max_flows=1, at_max_flows="skip", count_suspended=True),
    FlowControl(scope="workflow", name="asking below", max_flows=1, at_max_flows="cancel_oldest"),
)


class MedleyTransitions(WindowedTreeTransitions, WaitTransitions):
    """Whatever may happen to trunks and children that wait, map and clean up."""

    plans = PLANS * 3
    children = CHILDREN | MANY | ASKS

    def _plan_of(self, task: PlannedTask) -> FlowPlan:
        """Children take too long, too."""
        plan = super()._plan_of(task)
        return FlowPlan(plan.workflow, plan.planned, timeout_ms=600_000)

    def _under_way(self) -> list[FlowState]:
        return [flow for flow in self.oracle.flows.values() if flow.ended_ms is None]

    @precondition(lambda self: self._under_way())
    @rule(data=st.data(), key=st.sampled_from(["", "1"]), number=st.integers(1, 40))
    def send_to_any(self, data: st.DataObject, key: str, number: int) -> None:
        """Also to children, and to what is ending, or paused."""
        flow = data.draw(st.sampled_from(self._under_way()))
        sent = Sent(name="paid", key=key, id=f"s{number}", by="shop", payload=b"[%d]" % flow.version)
        expected = self._expected_word(flow, key, sent.id, "keep")
        (done,) = self.run(signal(self.client, self.partition, sent, [flow.flow]))
        assert (done.word, done.task) == expected
        self._read_log()
        self._note_lost_leases()

    @precondition(lambda self: self._under_way())
    @rule(data=st.data(), by=st.sampled_from(["ann", "bob"]), is_no=st.booleans())
    def answer_any(self, data: st.DataObject, by: str, is_no: bool) -> None:
        flow = data.draw(st.sampled_from(self._under_way()))
        for task in flow.tasks:
            if task.is_awaiting and task.planned.program == "@approval":
                seq = task.planned.seq
                expected = self._expected_end(flow, seq, by, is_no, None)
                done = self._answer(flow.flow, by=by, task=seq, answer=b"{}", is_no=is_no)
                assert isinstance(done, Operated) == (expected is not None), f"{seq} of {flow}: {done}"
                break
        self._read_log()
        self._note_lost_leases()

    @rule(timers=st.sampled_from(["d", "f", "g", "ds", "dg"]))
    def take_too_long(self, timers: str) -> None:
        """What awaits, or is held, or all of a flow."""
        self.fire_now(timers, 30)

    @rule(control=st.sampled_from(LIMITS))
    def limit_flows(self, control: FlowControl) -> None:
        """Flows of children's workflows crowd each other out, whosever they are."""
        self.set_control_now([control], 1)

    def _is_done(
        self, asked: expectations.Asked, flow: FlowState, tasks: set[int], version_before: int
    ) -> bool:
        return WindowedTreeTransitions._is_done(self, asked, flow, tasks, version_before)


def test_flows_with_all_of_it_follow_the_model(redis_url: str) -> None:
    run_machine(redis_url, examples=25, base=MedleyTransitions)
