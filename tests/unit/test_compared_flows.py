"""A state machine that does not compare again what stands as it stood misses nothing by it."""

import msgspec

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.events.events import FlowRegistered
from flower_engine.model.flow_control.lanes import lane_of
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.fold import fold
from flower_engine.model.invariants.partition_state import LiveFlow, LiveTask
from stateful.compared_flows import ComparedFlows

FLOW = "018f3c5e-7a10-7000-8000-000000000001"
TASKS = (
    PlannedTask(seq=1, task_seq=1, program="A"),
    PlannedTask(seq=2, task_seq=2, program="A"),
    PlannedTask(seq=3, task_seq=3, program="A", depends_on=(1, 2)),
)


def _flow() -> FlowState:
    return fold([FlowRegistered(at=1, flow=FLOW, v=1, workflow="w", order=0, tasks=TASKS)])[FLOW]


def _held(version: int = 1, still_open: int = 2) -> LiveFlow:
    tasks = [LiveTask(lane=lane_of("w", planned)) for planned in TASKS]
    tasks[2] = msgspec.structs.replace(tasks[2], open=still_open)
    return LiveFlow(version=version, left=3, done=0, order=0, flags="", timeout_ms=0, tasks=tasks)


def _compared() -> ComparedFlows:
    """One that has found that the flow fits."""
    compared = ComparedFlows()
    assert list(compared.differences(_flow(), _held(), frozenset(), False)) == []
    return compared


def test_what_changes_in_redis_alone_is_found_and_again_as_long_as_it_differs() -> None:
    compared = _compared()
    for _ in range(2):
        assert len(list(compared.differences(_flow(), _held(version=2), frozenset(), False))) == 1
    assert list(compared.differences(_flow(), _held(), frozenset(), False)) == []


def test_what_changes_in_the_fold_alone_is_found_also_where_the_same_object_changes() -> None:
    compared, flow = _compared(), _flow()
    flow.task(1).failures += 1
    assert len(list(compared.differences(flow, _held(), frozenset(), False))) == 1


def test_what_may_not_be_once_dependents_are_told_is_found_then() -> None:
    compared, held = _compared(), _held(still_open=1)
    assert list(compared.differences(_flow(), held, {1}, False)) == []
    assert len(list(compared.differences(_flow(), held, frozenset(), False))) == 1
