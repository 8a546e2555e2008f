"""The state machine of the transitions, with maps of workflows that have a window: children that wait for a
place in it, give it and get it back, whatever is done to them and to those that await them."""

from collections import Counter

import pytest
from hypothesis.stateful import invariant  # pyright: ignore[reportUnknownVariableType]

from flower_engine.model.definitions.child_flows import child_flow_id
from flower_engine.model.flow_control.map_windows import Window
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.register_transition import FlowPlan
from stateful.test_mapped_trees import MANY, MappedTreeTransitions, each, over
from stateful.test_transitions import run_machine
from stateful.test_trees import CHILDREN, tasks_of

pytestmark = pytest.mark.hypothesis

PLANS = (
    FlowPlan("windowed", tasks_of(each("leaf", (1, 2, 3), limit=1), {"depends_on": (1,)})),
    FlowPlan(
        "windowed lines",
        tasks_of(
            each("line", (1, 2, 3), limit=2, tolerate=1),
            each("clean", (1, 2, 3), limit=2),
            {"depends_on": (1, 2), "rule": "settled"},
        ),
        timeout_ms=600_000,
    ),
    FlowPlan("windowed below", tasks_of({}, over(1, "many", limit=1), each("nest", (1, 2), limit=1))),
)
NESTED = {"many": tasks_of({}, over(1, "leaf", limit=1), {"depends_on": (2,), "program": "A"})}


class WindowedTreeTransitions(MappedTreeTransitions):
    """Flows with maps of workflows of which so many children go on at once, also below each other."""

    plans = PLANS * 4
    children = CHILDREN | MANY | NESTED

    def _waiting_children(self) -> set[str]:
        """Those that wait for a place in a window, begun or not."""
        flows = self.oracle.flows.values()
        windows = {task.planned.window for flow in flows for task in flow.tasks} - {""}
        return self._members([self.partition.keys.outside(window) for window in windows])

    def _in_line(self) -> set[str]:
        return super()._in_line() | (self._waiting_children() & self.oracle.flows.keys())

    @invariant()
    def no_more_children_go_on_than_a_window_lets(self) -> None:
        """Counted from the events alone, but for which of the children wait."""
        waiting = self._waiting_children()
        going_on: Counter[str] = Counter()
        for flow in self.oracle.flows.values():
            for task in flow.tasks:
                child = self.oracle.flows.get(child_flow_id(flow.flow, task.planned.seq, task.child or 0))
                if task.planned.window and task.status is Status.WAIT and child is not None:
                    going_on[task.planned.window] += child.ended_ms is None and child.flow not in waiting
        for name, count in going_on.items():
            window = Window.parse(name)
            assert window is not None
            assert window.most is None or count <= window.most, f"{count} go on in window {name}"


def test_windows_of_maps_of_workflows_follow_the_model(redis_url: str) -> None:
    run_machine(redis_url, examples=60, base=WindowedTreeTransitions)
