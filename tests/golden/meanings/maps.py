"""Maps with windows and keys: what their golden events mean."""

import msgspec

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.definitions.task_message import SnapshotMessage
from flower_engine.model.events.events import AnyEvent, FlowRegistered
from flower_engine.model.events.operator_events import FlowRerun
from flower_engine.model.events.snapshot_events import FlowSnapshot, SnapshotTask
from flower_engine.model.events.wait_events import TaskExpanded
from flower_engine.model.maps.earlier_items import EarlierItem, TakenItem
from flower_engine.model.maps.map_items import Along
from flower_engine.model.values.blob_ref import BlobRef

MEANINGS: dict[str, AnyEvent] = {
    "task.expanded/*-window": TaskExpanded(
        flow="00000000-0000-7000-8000-000000000001",
        v=3,
        task=1,
        attempt=1,
        by="w1",
        workflow="etl",
        first=2,
        name="n",
        item=PlannedTask(
            seq=0,
            task_seq=1,
            program="A",
            on_failure="give_up",
            window="1t.00000000-0000-7000-8000-000000000001.1",
        ),
        values=(
            msgspec.Raw(b'"a"'),
            msgspec.Raw(b'"b"'),
        ),
        at=1795942930144,
    ),
    "flow.snapshot/*-window": FlowSnapshot(
        flow="00000000-0000-7000-8000-000000000001",
        v=4,
        workflow="etl",
        order=0,
        tasks=(
            SnapshotTask(
                message=SnapshotMessage(
                    task_seq=1,
                    program="@map",
                    parameters={"over": ["a", "b"], "program": "A", "as": "n", "limit": 1, "tolerate": 0.5},
                ),
                queue="default",
                priority=0,
                attempt=1,
                items=(
                    2,
                    2,
                ),
            ),
            SnapshotTask(
                message=SnapshotMessage(task_seq=1, program="A", parameters={"n": "a"}, on_failure="give_up"),
                queue="default",
                priority=0,
                dependents=(1,),
                window="1t.00000000-0000-7000-8000-000000000001.1",
            ),
            SnapshotTask(
                message=SnapshotMessage(task_seq=1, program="A", parameters={"n": "b"}, on_failure="give_up"),
                queue="default",
                priority=0,
                dependents=(1,),
                window="1t.00000000-0000-7000-8000-000000000001.1",
            ),
        ),
        at=1795942930158,
    ),
    "task.expanded/*-item-keys": TaskExpanded(
        flow="00000000-0000-7000-8000-000000000001",
        v=3,
        task=1,
        attempt=1,
        by="w1",
        workflow="etl",
        first=2,
        name="n",
        item=PlannedTask(
            seq=0,
            task_seq=1,
            program="A",
            on_failure="give_up",
            window="1t.00000000-0000-7000-8000-000000000001.1",
        ),
        values=(
            msgspec.Raw(b'"a"'),
            msgspec.Raw(b'"b"'),
        ),
        item_keys=(
            "a",
            "b",
        ),
        at=1795943531351,
    ),
    "flow.snapshot/*-item-keys": FlowSnapshot(
        flow="00000000-0000-7000-8000-000000000001",
        v=4,
        workflow="etl",
        order=0,
        tasks=(
            SnapshotTask(
                message=SnapshotMessage(
                    task_seq=1,
                    program="@map",
                    parameters={
                        "over": ["a", "b"],
                        "program": "A",
                        "as": "n",
                        "limit": 1,
                        "tolerate": 0.5,
                        "key": "",
                    },
                ),
                queue="default",
                priority=0,
                attempt=1,
                items=(
                    2,
                    2,
                ),
            ),
            SnapshotTask(
                message=SnapshotMessage(
                    task_seq=1, program="A", parameters={"n": "a"}, on_failure="give_up", item_key="a"
                ),
                queue="default",
                priority=0,
                dependents=(1,),
                window="1t.00000000-0000-7000-8000-000000000001.1",
            ),
            SnapshotTask(
                message=SnapshotMessage(
                    task_seq=1, program="A", parameters={"n": "b"}, on_failure="give_up", item_key="b"
                ),
                queue="default",
                priority=0,
                dependents=(1,),
                window="1t.00000000-0000-7000-8000-000000000001.1",
            ),
        ),
        at=1795943531361,
    ),
    "task.expanded/*-chain": TaskExpanded(
        flow="00000000-0000-7000-8000-000000000001",
        v=3,
        task=1,
        attempt=1,
        by="w1",
        workflow="etl",
        first=3,
        name="n",
        item=PlannedTask(
            seq=0,
            task_seq=1,
            program="A",
            on_failure="give_up",
            window="1t.00000000-0000-7000-8000-000000000001.1",
        ),
        values=(
            msgspec.Raw(b'"a"'),
            msgspec.Raw(b'"b"'),
        ),
        item_keys=(
            "a",
            "b",
        ),
        chain=(
            Along(
                task=2,
                over=1,
                ref="1",
                item=PlannedTask(
                    seq=0, task_seq=2, program="A", parameters={"customer": {"$from": 1}}, refs=True
                ),
            ),
        ),
        at=1795954301471,
    ),
    "flow.snapshot/*-chain": FlowSnapshot(
        flow="00000000-0000-7000-8000-000000000001",
        v=4,
        workflow="etl",
        order=0,
        tasks=(
            SnapshotTask(
                message=SnapshotMessage(
                    task_seq=1,
                    program="@map",
                    parameters={
                        "over": ["a", "b"],
                        "program": "A",
                        "as": "n",
                        "limit": 1,
                        "tolerate": 0.5,
                        "key": "",
                    },
                ),
                queue="default",
                priority=0,
                dependents=(2,),
                attempt=1,
                items=(
                    3,
                    2,
                ),
            ),
            SnapshotTask(
                message=SnapshotMessage(
                    task_seq=2,
                    program="@map",
                    parameters={"over": {"$from": 1}, "program": "A", "as": "customer", "aligned": True},
                    reads={"1": 1},
                    refs=True,
                ),
                queue="default",
                priority=0,
                items=(
                    5,
                    2,
                ),
                along=1,
            ),
            *(
                SnapshotTask(
                    message=SnapshotMessage(
                        task_seq=1, program="A", parameters={"n": key}, on_failure="give_up", item_key=key
                    ),
                    queue="default",
                    priority=0,
                    dependents=(1, behind),
                    window="1t.00000000-0000-7000-8000-000000000001.1",
                )
                for key, behind in (("a", 5), ("b", 6))
            ),
            *(
                SnapshotTask(
                    message=SnapshotMessage(
                        task_seq=2,
                        program="A",
                        parameters={"customer": {"$from": 1}},
                        item_key=key,
                        reads={"1": before},
                        refs=True,
                    ),
                    queue="default",
                    priority=0,
                    dependents=(2,),
                )
                for key, before in (("a", 3), ("b", 4))
            ),
        ),
        at=1795954301507,
    ),
    "flow.rerun/*-matches": FlowRerun(
        flow="00000000-0000-7000-8000-000000000001",
        v=11,
        by="alice",
        waiting=(2,),
        gone_finished=(3, 4),
        matches=(2,),
        at=1795965520898,
    ),
    "flow.snapshot/*-earlier": FlowSnapshot(
        flow="00000000-0000-7000-8000-000000000001",
        v=13,
        workflow="etl",
        order=0,
        tasks=(
            SnapshotTask(
                message=SnapshotMessage(task_seq=1, program="A"),
                queue="default",
                priority=0,
                dependents=(2,),
                status=3,
                attempt=1,
                lease="1795965520467-0",
                result=msgspec.Raw(b'["a","b"]'),
            ),
            SnapshotTask(
                message=SnapshotMessage(
                    task_seq=2,
                    program="@map",
                    parameters={"over": {"$from": 1}, "program": "A", "as": "n"},
                    reads={"1": 1},
                    refs=True,
                ),
                queue="default",
                priority=0,
                attempt=3,
                awaiting="map",
                earlier=(
                    EarlierItem(3, "1e5d91fe9d337096022fb9e0", msgspec.Raw(b"[1]")),
                    EarlierItem(
                        4, "2fb174b80da2d5b2859e0e6c", blob=BlobRef(sha256="ab", bytes=70_000, store="api")
                    ),
                ),
            ),
            *(
                SnapshotTask(
                    message=SnapshotMessage(task_seq=2, program="A", parameters={"n": name}),
                    queue="default",
                    priority=0,
                    status=9,
                    attempt=1,
                    ended_as="v",
                )
                for name in "ab"
            ),
        ),
        at=1795965521095,
    ),
    "task.expanded/*-taken": TaskExpanded(
        flow="00000000-0000-7000-8000-000000000001",
        v=14,
        task=2,
        attempt=3,
        by="w1",
        workflow="etl",
        first=5,
        name="n",
        item=PlannedTask(seq=0, task_seq=2, program="A"),
        values=(msgspec.Raw(b'"a"'), msgspec.Raw(b'"b"')),
        taken=(
            TakenItem(0, 3, msgspec.Raw(b"[1]")),
            TakenItem(1, 4, blob=BlobRef(sha256="ab", bytes=70_000, store="api")),
        ),
        at=1795965521141,
    ),
    "flow.registered/*-earlier": FlowRegistered(
        flow="00000000-0000-7000-8000-000000000002",
        v=1,
        order=2,
        workflow="etl",
        tasks=(
            PlannedTask(seq=1, task_seq=1, program="A"),
            PlannedTask(
                seq=2,
                task_seq=2,
                program="@map",
                depends_on=(1,),
                parameters={"over": {"$from": 1}, "program": "A", "as": "n"},
                reads={"1": 1},
                refs=True,
            ),
        ),
        forked_from="00000000-0000-7000-8000-000000000001",
        taken={1: msgspec.Raw(b'["a","b"]')},
        earlier={
            2: (
                EarlierItem(
                    -6, "2fb174b80da2d5b2859e0e6c", blob=BlobRef(sha256="ab", bytes=70_000, store="api")
                ),
            )
        },
        at=1795967702330,
    ),
}
