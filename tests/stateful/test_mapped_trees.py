"""The state machine of the transitions, with maps whose items other flows do: children of items that come,
fail, vanish and come again, also below children."""

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.maps.decision_outcomes import Decided
from flower_engine.model.maps.map_expansion import with_taken
from flower_engine.transitions import expansion_segments
from flower_engine.transitions.decision_transitions import Undecided, decide
from flower_engine.transitions.register_transition import FlowPlan
from stateful import expectations
from stateful.test_maps import MappedTransitions, earlier_of
from stateful.test_transitions import run_machine
from stateful.test_trees import CHILDREN, TreeTransitions, tasks_of

pytestmark = pytest.mark.hypothesis
MOST_TRUNKS = 4
RETURNED = Decided("returned", b'{"of":"it"}')


def each(workflow: str, elements: Any = (1, 2), **more: Any) -> dict[str, Any]:
    """A map each of whose items a flow of this workflow does."""
    return {"program": "@map", "parameters": {"over": elements, "workflow": workflow, "as": "n", **more}}


def over(seq: int, workflow: str, **more: Any) -> dict[str, Any]:
    """The same over what another task gives."""
    reads: dict[str, Any] = {"depends_on": (seq,), "reads": {str(seq): seq}, "refs": True}
    return {**each(workflow, {"$from": seq}, **more), **reads}


PLANS = (
    FlowPlan("each", tasks_of(each("leaf"), {"depends_on": (1,)})),
    FlowPlan(
        "tolerant each",
        tasks_of(
            {}, over(1, "line", tolerate=0.5), {"depends_on": (2,), "rule": "settled"}, {"child": "clean"}
        ),
        timeout_ms=600_000,
    ),
    FlowPlan(
        "each that fails",
        tasks_of(
            {**each("leaf"), "on_failure": "pass", "stand_in": 7},
            {**each("line", limit=1), "on_failure": "hold:60"},
            {"depends_on": (1, 2), "rule": "settled"},
        ),
    ),
    FlowPlan("below", tasks_of({"child": "many"}, each("clean"), {"depends_on": (1, 2), "rule": "any"})),
)


MANY = {"many": tasks_of({}, over(1, "leaf"), {"depends_on": (2,), "program": "A"})}


class MappedTreeTransitions(MappedTransitions, TreeTransitions):
    """Flows with maps of workflows, and children that have such maps themselves."""

    plans = PLANS * 3
    children = CHILDREN | MANY

    @initialize()
    def start(self) -> None:
        """Items of the first flows are there from the start, and children of theirs."""
        super().start()
        self.go_on(rounds=1)

    @precondition(lambda self: len(self.registered) < MOST_TRUNKS)
    @rule(numbers=st.lists(st.integers(0, 11), min_size=1, max_size=2), again=st.booleans())
    def register_flows(self, numbers: list[int], again: bool, delay_ms: int = 0) -> None:
        """Few trunks: what there is to do is done to their children."""
        super().register_flows(numbers, again, delay_ms)

    @rule(rounds=st.integers(1, 3))
    def go_on(self, rounds: int) -> None:
        """Whatever needs nobody to decide goes on: maps, children, programs, and what is returned."""
        for _ in range(rounds):
            for name, task in self._undecided():
                one = self._read(name, task)
                if task.planned.items is None:
                    expansion = self._expansion(name, task, one, 2)
                    expansion = with_taken(expansion, task.planned.seq, earlier_of(task))
                    self._expand(one, expansion, f"w{next(self.numbers)}", 0)
                    self._read_log()
                else:
                    self._hand_in(one, self._gathering(name, task, one), 1)
            self._begin_all()
            self.finish_all(0, 20)
            returned = [
                Undecided(f"{name}:{task.planned.seq}".encode(), task.attempt, b"", {})
                for name, task in self._to_be_returned()
            ]
            self.run(decide(self.client, self.partition, "w", [(one, RETURNED) for one in returned]))
            self._read_log()

    def _is_done(
        self, asked: expectations.Asked, flow: FlowState, tasks: set[int], version_before: int
    ) -> bool:
        return MappedTransitions._is_done(self, asked, flow, tasks, version_before)


def test_maps_of_workflows_follow_the_model(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expansion_segments, "LEAST_COMMON", 2)
    run_machine(redis_url, examples=30, base=MappedTreeTransitions)
