"""Tasks that wait for the world, decide, or have items: what their golden events mean."""

import msgspec

from flower_engine.model.definitions.definition import PlannedTask, TaskKeys
from flower_engine.model.events.events import AnyEvent
from flower_engine.model.events.wait_events import (
    FlowSignalled,
    TaskAnswered,
    TaskAwaiting,
    TaskExpanded,
    TaskLifted,
    TaskVoted,
)
from flower_engine.model.values.blob_ref import BlobRef

MEANINGS: dict[str, AnyEvent] = {
    "task.awaiting/*-until": TaskAwaiting(
        flow="00000000-0000-7000-8000-000000000001",
        v=2,
        task=1,
        attempt=1,
        kind="sleep",
        until_ms=1795905010667,
        at=1795905010666,
    ),
    "task.awaiting/*-for-ever": TaskAwaiting(
        flow="00000000-0000-7000-8000-000000000001", v=3, task=2, attempt=1, kind="event", at=1795905010666
    ),
    "task.voted/*-names": TaskVoted(
        flow="00000000-0000-7000-8000-000000000001",
        v=12,
        task=3,
        attempt=1,
        by="alice",
        names=("alice",),
        answer=msgspec.Raw(b'{"approved":true}'),
        at=1795905010746,
    ),
    "task.expanded/*-items": TaskExpanded(
        flow="00000000-0000-7000-8000-000000000001",
        v=5,
        task=2,
        attempt=1,
        by="w1",
        first=4,
        workflow="etl",
        name="n",
        item=PlannedTask(seq=0, task_seq=2, program="A"),
        values=(msgspec.Raw(b'"a"'),),
        at=1795931380265,
    ),
    "task.answered/*-blob": TaskAnswered(
        flow="00000000-0000-7000-8000-000000000001",
        v=9,
        task=2,
        attempt=2,
        by="w1",
        blob=BlobRef(sha256="ab", bytes=70004, store="api"),
        at=1795931380276,
    ),
    "task.answered/*-by": TaskAnswered(
        flow="00000000-0000-7000-8000-000000000001",
        v=19,
        task=3,
        attempt=1,
        by="bob",
        result=msgspec.Raw(b'{"answer":{"approved":true},"by":["alice","bob"],"at":1795905010922}'),
        at=1795905010922,
    ),
    "task.answered/*-by-ends": TaskAnswered(
        flow="00000000-0000-7000-8000-000000000003",
        v=3,
        task=1,
        attempt=1,
        by="time",
        result=msgspec.Raw(b"null"),
        ends=True,
        at=1795905010974,
    ),
    "task.answered/*-signal": TaskAnswered(
        flow="00000000-0000-7000-8000-000000000001",
        v=8,
        task=2,
        attempt=1,
        by="shop",
        signal="order 6",
        result=msgspec.Raw(b'{"paid":6}'),
        at=1795905010694,
    ),
    "task.answered/*-signal-ends": TaskAnswered(
        flow="00000000-0000-7000-8000-000000000002",
        v=4,
        task=1,
        attempt=1,
        by="shop",
        signal="all",
        result=msgspec.Raw(b'{"paid":6}'),
        ends=True,
        at=1795905010951,
    ),
    "flow.signalled/*-key": FlowSignalled(
        flow="00000000-0000-7000-8000-000000000001",
        v=9,
        name="paid",
        id="order 7",
        by="shop",
        key="7",
        payload=msgspec.Raw(b"null"),
        at=1795905010709,
    ),
    "flow.signalled/*-payload": FlowSignalled(
        flow="00000000-0000-7000-8000-000000000001",
        v=7,
        name="paid",
        id="order 6",
        by="shop",
        payload=msgspec.Raw(b'{"paid":6}'),
        at=1795905010694,
    ),
    "task.lifted/*-opened": TaskLifted(
        flow="00000000-0000-7000-8000-000000000020", v=7, task=1, attempt=1, was=0, at=1795931093676
    ),
    "task.lifted/*-child": TaskLifted(
        flow="00000000-0000-7000-8000-000000000020", v=5, task=1, attempt=1, at=1795931093676
    ),
    "task.awaiting/*-sleep-used": TaskAwaiting(
        flow="00000000-0000-7000-8000-000000000025",
        v=5,
        task=7,
        attempt=1,
        kind="sleep",
        until_ms=1795941705852,
        used=(1,),
        at=1795941105852,
    ),
    "task.awaiting/*-when": TaskAwaiting(
        flow="00000000-0000-7000-8000-000000000025", v=4, task=2, attempt=1, kind="when", at=1795941105852
    ),
    "task.awaiting/*-map": TaskAwaiting(
        flow="00000000-0000-7000-8000-000000000024", v=4, task=2, attempt=1, kind="map", at=1795941105804
    ),
    "task.awaiting/*-child": TaskAwaiting(
        flow="00000000-0000-7000-8000-00000000002a", v=2, task=1, attempt=1, kind="flow", at=1795941105967
    ),
    "task.awaiting/*-returns": TaskAwaiting(
        flow="00000000-0000-7000-bd9c-bdc8eedf5ac3", v=8, task=2, attempt=1, kind="returns", at=1795941106014
    ),
    "task.awaiting/*-approval": TaskAwaiting(
        flow="00000000-0000-7000-8000-000000000001", v=4, task=3, attempt=1, kind="approval", at=1795941105271
    ),
    "task.expanded/*-keys": TaskExpanded(
        flow="00000000-0000-7000-8000-000000000029",
        v=3,
        task=2,
        attempt=1,
        by="w1",
        workflow="keyed",
        first=6,
        name="customer",
        item=PlannedTask(seq=0, task_seq=2, program="A", definition="9f86d081"),
        values=(msgspec.Raw(b'"c1"'), msgspec.Raw(b'"c2"'), msgspec.Raw(b'"c3"')),
        keys=(
            TaskKeys(fair_key="c1", workflow_key="c1", program_key="c1"),
            TaskKeys(fair_key="c2", workflow_key="c2", program_key="c2"),
            TaskKeys(fair_key="c3", workflow_key="c3", program_key="c3"),
        ),
        at=1795941105943,
    ),
}
