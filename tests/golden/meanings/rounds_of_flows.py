"""Events of sub-flows that loop: who asks, the end of a round, and the next one."""

import msgspec

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.definitions.task_message import SnapshotMessage
from flower_engine.model.events.attempt_events import FlowAgain, TaskAgain
from flower_engine.model.events.events import AnyEvent, FlowRegistered
from flower_engine.model.events.operator_events import FlowEnding
from flower_engine.model.events.snapshot_events import FlowSnapshot, SnapshotTask

PARENT = "00000000-0000-7000-8000-000000000041"
CHILD = "00000000-0000-7000-bd1c-2e60cdb14f0d"

MEANINGS: dict[str, AnyEvent] = {
    "flow.again/*-given": FlowAgain(
        flow=CHILD,
        v=3,
        task=1,
        attempt=1,
        lease="1795964810729-0",
        given=msgspec.Raw(b'{"page":2}'),
        at=1795964810741,
    ),
    "flow.again/*-due-ms-given": FlowAgain(
        flow=CHILD,
        v=3,
        task=1,
        attempt=1,
        lease="1795964810729-0",
        due_ms=1795964840741,
        given=msgspec.Raw(b'{"page":2}'),
        at=1795964810741,
    ),
    "task.again/*-was-given": TaskAgain(
        flow=PARENT,
        v=3,
        task=1,
        attempt=1,
        lease="",
        round=1,
        rounds=1,
        was=0,
        given=msgspec.Raw(b'{"page":2}'),
        at=1795964810774,
    ),
    "flow.ending/*-again-waiting-running-ends": FlowEnding(
        flow=CHILD,
        v=4,
        cause="again",
        by="again",
        reason="task 1 asked for another round of the flow",
        waiting=(1,),
        running=(2,),
        ends=True,
        at=1795964810774,
    ),
    "flow.registered/*-parent-round": FlowRegistered(
        flow="00000000-0000-7000-a90b-0d6a2b3a4c5d",
        v=1,
        order=0,
        workflow="child",
        tasks=(PlannedTask(seq=1, task_seq=1, program="A"),),
        definition="99aa1c4288c162360b185854e27a89b998c8e2b93d2dbbc7140f85b0b44cf94d",
        by="parent",
        parent=PARENT,
        parent_task=1,
        parent_attempt=2,
        parent_round=1,
        trunk=PARENT,
        at=1795964810802,
    ),
    "flow.snapshot/*-again": FlowSnapshot(
        flow=CHILD,
        v=6,
        workflow="child",
        order=0,
        tasks=(
            SnapshotTask(
                message=SnapshotMessage(task_seq=1, program="A"),
                queue="default",
                priority=0,
                status=9,
                attempt=1,
                ended_as="c",
            ),
            SnapshotTask(
                message=SnapshotMessage(task_seq=2, program="C", rule="settled", finally_=True),
                queue="default",
                priority=0,
            ),
        ),
        timeout_due_ms=1795968410741,
        ending="again",
        again=(1, 1, 1795964840741),
        again_given=msgspec.Raw(b'{"page":2}'),
        parent=PARENT,
        parent_task=1,
        parent_attempt=1,
        trunk=PARENT,
        at=1795964810811,
    ),
}
