"""What cannot be of maps, decisions and starts is said: each of these is broken here by hand."""

import msgspec
import pytest

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.events.attempt_events import TaskStarted
from flower_engine.model.events.events import FlowRegistered
from flower_engine.model.events.operator_events import FlowRerun
from flower_engine.model.events.wait_events import TaskAwaiting, TaskExpanded
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.fold import fold
from flower_engine.model.invariants.item_invariants import item_differences
from flower_engine.model.invariants.partition_state import LiveFlow, LiveState, LiveTask
from flower_engine.model.invariants.wait_invariants import wait_differences
from stateful.starts import Starts

FLOW = "018f3c5e-7a10-7000-8000-000000000001"


def _expanded() -> FlowState:
    tasks = (
        PlannedTask(
            seq=1, task_seq=1, program="@map", parameters={"over": [1, 2], "program": "A", "as": "n"}
        ),
        PlannedTask(seq=2, task_seq=2, program="@when", parameters={"condition": True}),
    )
    item = PlannedTask(seq=0, task_seq=1, program="A")
    values = (msgspec.Raw(b"1"), msgspec.Raw(b"2"))
    return fold([
        FlowRegistered(at=1, flow=FLOW, v=1, workflow="w", order=0, tasks=tasks),
        TaskAwaiting(at=1, flow=FLOW, v=2, task=1, attempt=1, kind="map"),
        TaskAwaiting(at=1, flow=FLOW, v=3, task=2, attempt=1, kind="when"),
        TaskExpanded(at=1, flow=FLOW, v=4, task=1, attempt=1, by="w", workflow="w", first=3, name="n",
                     item=item, values=values),
    ])[FLOW]  # fmt: skip


def _held(left: int = 4, tasks: int = 4) -> LiveFlow:
    return LiveFlow(
        version=4,
        left=left,
        done=0,
        order=0,
        flags="",
        timeout_ms=0,
        tasks=[LiveTask() for _ in range(tasks)],
    )


def test_a_map_as_it_should_be_has_no_differences() -> None:
    assert list(item_differences(_expanded(), _held())) == []


def test_an_item_that_is_none_of_its_map_is_named() -> None:
    flow = _expanded()
    flow.task(4).planned = msgspec.structs.replace(flow.task(4).planned, item=(1, 7))
    assert "its items are" in " ".join(item_differences(flow, _held()))
    flow.task(4).planned = msgspec.structs.replace(flow.task(4).planned, item=(1, 1))
    flow.task(1).planned = msgspec.structs.replace(flow.task(1).planned, items=(3, 1))
    assert "tasks [4] are items of no map" in " ".join(item_differences(flow, _held()))


def test_states_of_items_that_are_not_as_many_as_it_has_are_named() -> None:
    assert "and it has 2" in " ".join(item_differences(_expanded(), _held(tasks=3)))
    assert "3 are left" in " ".join(item_differences(_expanded(), _held(left=3)))


def test_a_decision_that_nobody_would_be_given_is_named() -> None:
    flow, held = _expanded(), _held()
    live = LiveState(
        flows={FLOW: held}, ended=set(), lanes={}, shares={}, ready={}, leases={}, timers={}, releasing=set()
    )
    (found,) = wait_differences({FLOW: flow}, live, set())
    assert found == f"to be decided are [], tasks await ['{FLOW}:2']"
    live.decide.add(f"{FLOW}:2")
    (found,) = wait_differences({FLOW: flow}, live, set())
    assert found == "0 decisions are counted, 1 are to be made"


def test_a_second_start_in_one_generation_is_refused() -> None:
    started = TaskStarted(at=1, flow=FLOW, v=2, task=1, attempt=1, lease="1-0", worker="w")
    starts = Starts()
    starts.append(started)
    with pytest.raises(AssertionError, match="begins again"):
        starts.append(started)
    starts.append(FlowRerun(at=1, flow=FLOW, v=3, by="ann", finished=(1,)))
    starts.append(started)
