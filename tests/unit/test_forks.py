"""What a fork plans, without any store."""

from flower_engine.flows.forks import plan_of_fork
from flower_engine.model.definitions.definition import Keying, PlannedTask
from flower_engine.model.events.events import FlowRegistered
from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.tasks.status import Status

FLOW = "00000000-0001-7000-8000-000000000001"


def test_what_a_rerun_gave_in_place_of_a_reference_is_read_no_more() -> None:
    tasks = (
        PlannedTask(seq=1, task_seq=1, program="Make"),
        PlannedTask(
            seq=2, task_seq=2, program="Read", depends_on=(1,), reads={"1": 1}, refs=True, parameters={"x": 5}
        ),
    )
    registered = FlowRegistered(at=1, flow=FLOW, v=1, workflow="etl", order=0, tasks=tasks)
    states = [TaskState(planned=tasks[0], status=Status.FINISH, result=b"1"), TaskState(planned=tasks[1])]
    flow = FlowState(
        flow=FLOW, workflow="etl", order=0, registered_ms=1, tasks=states, dependents=[[], [2], []],
        registered=registered,
    )  # fmt: skip

    forked = plan_of_fork(flow, [2], {}, Keying()).planned[1]

    assert (forked.parameters, forked.reads, forked.refs) == ({"x": 5}, {}, False)
    assert forked.depends_on == (1,)
