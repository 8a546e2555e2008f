"""Every event that was ever written is still decoded, to what it meant when it was written."""

import json
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from flower_engine.model.blob_ref import BlobRef
from flower_engine.model.definition import PlannedTask, TaskKeys
from flower_engine.model.events import (
    AnyEvent,
    ControlChanged,
    FlowCancelled,
    FlowPaused,
    FlowPrioritised,
    FlowRegistered,
    FlowRerun,
    FlowResumed,
    FlowSignalled,
    FlowSnapshot,
    FlowTimedOut,
    KeptSignal,
    LogOpened,
    OutcomeRefused,
    SnapshotTask,
    TaskAnswered,
    TaskAwaiting,
    TaskError,
    TaskExpanded,
    TaskFinished,
    TaskGivenUp,
    TaskIgnored,
    TaskLapsed,
    TaskOverdue,
    TaskProgressed,
    TaskRetrying,
    TaskReturned,
    TasksPassed,
    TaskStarted,
    TaskSuspended,
    TaskUnignored,
    TaskVoted,
    decode_event,
    encode_event,
)
from flower_engine.model.schedule_events import (
    ScheduleDefined,
    ScheduleFired,
    ScheduleHeld,
    ScheduleMissed,
    ScheduleSkipped,
)
from flower_engine.model.task_message import SnapshotMessage
from flower_engine.model.task_spec import RetryPolicy

EVENTS = Path(__file__).parent / "events"
ONE = "018f3c5e-7a10-7000-8000-000000000001"
TWO = "018f3c5e-7a10-7000-8000-000000000002"
THREE = "018f3c5e-7a10-7000-8000-000000000003"
POISON = (
    "1 workers or processes were lost while they ran this task; it is suspended so that it takes no more with"
    " it. The last one: process 7 was ended by signal 11"
)
SCHEDULE = "5b1c2a66-0f3e-4f0a-9c55-2d3c6b7a8e90"

MEANINGS: dict[str, AnyEvent] = {
    "log.opened/*": LogOpened(
        at=1795422380112, installation="0f0b9a52-6a5e-4d52-9c5f-0d9d2c6e6b11", generation=1, partition=0
    ),
    "flow.registered/*-dag": FlowRegistered(
        at=1795422380113,
        flow=ONE,
        v=1,
        workflow='nightly "花" load',
        order=0,
        tasks=(
            PlannedTask(
                seq=1,
                task_seq=10,
                program="Extract",
                parameters={
                    "URL": 'https://example.org/?q="1"',
                    "DEPTH": 3,
                    "DEEP": {"a": [None, True, 1.5]},
                },
            ),
            PlannedTask(seq=2, task_seq=20, program="Load", priority=-5, queue="slow", depends_on=(1,)),
            PlannedTask(seq=3, task_seq=30, program="Tidy"),
            PlannedTask(seq=4, task_seq=40, program="Report", depends_on=(1, 2, 3)),
        ),
    ),
    "flow.registered/*-schedule": FlowRegistered(
        at=1795960860007,
        flow=THREE,
        v=1,
        workflow="w",
        order=0,
        tasks=(PlannedTask(seq=1, task_seq=1, program="Extract"),),
        schedule=SCHEDULE,
        slot=1795960860000,
        previous_slot=1795960800000,
        next_slot=1795960920000,
    ),
    "flow.registered/*-one-task": FlowRegistered(
        at=1795422380156,
        flow=TWO,
        v=1,
        workflow="w",
        order=4,
        tasks=(PlannedTask(seq=1, task_seq=1, program="Extract"),),
    ),
    "task.started/*": TaskStarted(
        at=1795422380122, flow=ONE, v=2, task=1, attempt=1, lease="1795422380122-0", worker="host-1-ab12"
    ),
    "task.returned/*": TaskReturned(
        at=1795422380125, flow=ONE, v=4, task=1, attempt=1, lease="1795422380122-0"
    ),
    "task.returned/*-unfit": TaskReturned(
        at=1795422380125,
        flow=ONE,
        v=4,
        task=1,
        attempt=1,
        lease="1795422380122-0",
        unfit=("0123456789abcdef", "89abcdef01234567"),
        error=TaskError(type="ParameterError", message="program 'Load' has no parameter 'b'; it takes a"),
    ),
    "task.lapsed/*": TaskLapsed(
        at=1795422380137,
        flow=ONE,
        v=5,
        task=3,
        attempt=1,
        lease="1795422380122-1",
        worker="host-1-ab12",
        lost=1,
    ),
    "task.finished/*-result": TaskFinished(
        at=1795422380153,
        flow=ONE,
        v=8,
        task=1,
        attempt=2,
        lease="1795422380140-0",
        result=msgspec.Raw('{"rows":7,"note":"花 \\"q\\"\\n"}'.encode()),
    ),
    "task.finished/*-ends": TaskFinished(
        at=1795422380165, flow=TWO, v=3, task=1, attempt=1, lease="1795422380156-0", ends=True
    ),
    "task.suspended/*-error": TaskSuspended(
        at=1795422380165,
        flow=ONE,
        v=11,
        task=2,
        attempt=1,
        lease="1795422380156-0",
        error=TaskError(type="ValueError", message='no "table"', traceback="line 1\nline 2"),
    ),
    "task.suspended/*-lost": TaskSuspended(
        at=1795422380155,
        flow=ONE,
        v=9,
        task=3,
        attempt=2,
        lease="1795422380140-1",
        lost=2,
        error=TaskError(
            type="WorkerLost",
            message="2 workers were lost while they ran this task, the last one host-2-cd34; it is suspended"
            " so that it takes no more workers with it",
        ),
    ),
    "outcome.refused/*": OutcomeRefused(
        at=1795422380139,
        flow=ONE,
        task=3,
        lease="1795422380122-1",
        worker="host-1-ab12",
        outcome="finished",
    ),
    "flow.cancelled/*-reason-suspended": FlowCancelled(
        flow="00000000-0000-7000-8000-000000000009", v=6, by="alice", suspended=(1,), at=1795521713157
    ),
    "flow.cancelled/*-reason-waiting-running": FlowCancelled(
        flow="00000000-0000-7000-8000-00000000000a",
        v=3,
        by="alice",
        waiting=(2,),
        running=(1,),
        at=1795521713157,
    ),
    "flow.cancelled/*-reason-waiting": FlowCancelled(
        flow="00000000-0000-7000-8000-000000000008",
        v=12,
        by="alice",
        reason="no need",
        waiting=(
            2,
            3,
        ),
        at=1795521713156,
    ),
    "flow.paused/*-reason": FlowPaused(
        flow="00000000-0000-7000-8000-000000000008", v=2, by="alice", reason="look first", at=1795521713151
    ),
    "flow.registered/*-forked-from-taken-ignored-key-start-ms": FlowRegistered(
        flow="00000000-0000-7000-8000-000000000007",
        v=1,
        workflow="etl",
        order=9,
        tasks=(
            PlannedTask(seq=1, task_seq=1, program="A"),
            PlannedTask(seq=2, task_seq=2, program="A", depends_on=(1,)),
            PlannedTask(seq=3, task_seq=3, program="A", depends_on=(2,)),
        ),
        forked_from="another",
        taken={1: msgspec.Raw(b"[1]")},
        ignored=(2,),
        by="alice",
        key="order 7",
        start_ms=1795521713149,
        at=1795521713129,
    ),
    "flow.registered/*-definition": FlowRegistered(
        flow="00000000-0000-7000-8000-00000000000d",
        v=1,
        workflow="etl",
        order=13,
        tasks=(PlannedTask(seq=1, task_seq=1, program="A"),),
        definition="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        by="alice",
        at=1795521713150,
    ),
    "flow.registered/*-plain": FlowRegistered(
        flow="00000000-0000-7000-8000-000000000008",
        v=1,
        workflow="etl",
        order=12,
        tasks=(
            PlannedTask(seq=1, task_seq=1, program="A"),
            PlannedTask(seq=2, task_seq=2, program="A", depends_on=(1,)),
            PlannedTask(seq=3, task_seq=3, program="A", depends_on=(2,)),
        ),
        by="alice",
        at=1795521713150,
    ),
    "flow.registered/*-policies": FlowRegistered(
        flow="018f3c5e-7a10-7000-8000-000000000002",
        v=1,
        workflow="w",
        order=4,
        tasks=(
            PlannedTask(
                seq=1,
                task_seq=1,
                program="Extract",
                retry=RetryPolicy(
                    max_attempts=3,
                    delay_ms=250,
                    backoff=1.5,
                    max_delay_ms=60000,
                    jitter=0.0,
                    no_retry_on=("ValueError",),
                ),
                timeout_ms=30000,
                queue_timeout_ms=60000,
            ),
        ),
        timeout_ms=90000,
        by="cli",
        at=1795521713120,
    ),
    "flow.registered/*-timeout-ms": FlowRegistered(
        flow="00000000-0000-7000-8000-000000000006",
        v=1,
        workflow="etl",
        order=7,
        tasks=(
            PlannedTask(seq=1, task_seq=1, program="A"),
            PlannedTask(seq=2, task_seq=2, program="A"),
        ),
        timeout_ms=60000,
        at=1795521713127,
    ),
    "flow.rerun/*-ignored-parameters": FlowRerun(
        flow="00000000-0000-7000-8000-000000000008",
        v=9,
        by="alice",
        ignored=(
            1,
            2,
            3,
        ),
        parameters={1: {"A": 1}},
        at=1795521713155,
    ),
    "flow.rerun/*-waiting-parameters-keys": FlowRerun(
        flow="00000000-0000-7000-8000-00000000000b",
        v=2,
        by="alice",
        waiting=(1,),
        parameters={1: {"A": "c"}},
        keys={1: TaskKeys(fair_key="c", program_key="c")},
        at=1795850521875,
    ),
    "flow.rerun/*-suspended-bodies": FlowRerun(
        flow="00000000-0000-7000-8000-00000000000d",
        v=4,
        by="alice",
        suspended=(1,),
        bodies={
            1: PlannedTask(
                seq=1,
                task_seq=1,
                program="A",
                parameters={"A": 2.5},
                retry=RetryPolicy(max_attempts=2, no_retry_on=("KeyError",)),
                units=2,
                definition="9f86d081",
            )
        },
        at=1795876143966,
    ),
    "flow.rerun/*-suspended": FlowRerun(
        flow="00000000-0000-7000-8000-000000000006",
        v=4,
        by="alice",
        suspended=(
            1,
            2,
        ),
        at=1795521713128,
    ),
    "flow.prioritised/*-plain": FlowPrioritised(
        flow="00000000-0000-7000-8000-000000000008", v=3, by="alice", priority=-3, at=1795521713152
    ),
    "schedule.defined/*-plain": ScheduleDefined(
        at=1795960800100,
        schedule=SCHEDULE,
        name='nightly "花"',
        version=3,
        state="active",
        cursor=1795960800000,
    ),
    "schedule.defined/*-failures-problem": ScheduleDefined(
        at=1795960800101,
        schedule=SCHEDULE,
        failures=2,
        name='nightly "花"',
        version=4,
        state="problem",
        cursor=1795960800000,
        problem='timezone: there is no zone "Mars"',
    ),
    "schedule.fired/*-plain": ScheduleFired(
        at=1795960860007, schedule=SCHEDULE, slot=1795960860000, flow=THREE, late_ms=7
    ),
    "schedule.fired/*-failures-backfill-last": ScheduleFired(
        at=1795960920007,
        schedule=SCHEDULE,
        failures=1,
        slot=1795960800000,
        flow=THREE,
        late_ms=120007,
        backfill="b-1",
        last=True,
    ),
    "schedule.skipped/*-overlap": ScheduleSkipped(
        at=1795960980003,
        schedule=SCHEDULE,
        slot=1795960980000,
        until=1795960980000,
        reason="overlap",
        detail="a flow of it is under way",
        flow=THREE,
        late_ms=3,
    ),
    "schedule.skipped/*-range": ScheduleSkipped(
        at=1795961100003,
        schedule=SCHEDULE,
        failures=3,
        slot=1795961040000,
        until=1795961100000,
        count=2,
        reason="failures",
        late_ms=60003,
        last=True,
    ),
    "schedule.missed/*-range": ScheduleMissed(
        at=1795964700003,
        schedule=SCHEDULE,
        slot=1795961160000,
        until=1795964640000,
        count=59,
        reason="unwatched",
        late_ms=3540003,
    ),
    "schedule.held/*-plain": ScheduleHeld(
        at=1795964700003, schedule=SCHEDULE, slot=1795964700000, flow=THREE
    ),
    "flow.registered/*-slot": FlowRegistered(
        at=1795876366312,
        flow="01a22291-252b-7000-8000-000075a884d2",
        v=1,
        workflow="etl",
        order=21,
        tasks=(PlannedTask(seq=1, task_seq=1, program="A"),),
        schedule=SCHEDULE,
        slot=1795876267307,
        next_slot=1795876268307,
    ),
    "flow.snapshot/*-slot": FlowSnapshot(
        at=1795876366320,
        flow="01a22291-252b-7000-8000-000075a884d2",
        v=2,
        workflow="etl",
        order=21,
        tasks=(
            SnapshotTask(
                message=SnapshotMessage(task_seq=1, program="A", parameters={}), queue="default", priority=0
            ),
        ),
        schedule=SCHEDULE,
        slot=1795876267307,
        next_slot=1795876268307,
    ),
    "schedule.skipped/*-one-overlap": ScheduleSkipped(
        at=1795876366324,
        schedule=SCHEDULE,
        slot=1795876268307,
        until=1795876268307,
        reason="overlap",
        flow="01a22291-252b-7000-8000-000075a884d2",
        late_ms=98017,
    ),
    "schedule.skipped/*-paused": ScheduleSkipped(
        at=1795876366342,
        schedule=SCHEDULE,
        slot=1795876274307,
        until=1795876274307,
        reason="paused",
        late_ms=92035,
    ),
    "schedule.fired/*-failures-last": ScheduleFired(
        at=1795876366346,
        schedule=SCHEDULE,
        failures=1,
        slot=1795876275307,
        flow="01a22291-446b-7000-8000-00007b730ce0",
        late_ms=91039,
        last=True,
    ),
    "control.changed/*-settings": ControlChanged(
        name="p:A",
        settings={"scope": "program", "name": "A", "max_running": 2, "changed_by": "alice"},
        by="alice",
        at=1795521713160,
    ),
    "control.changed/*-plain": ControlChanged(name="p:A", at=1795521713161),
    "flow.resumed/*-plain": FlowResumed(
        flow="00000000-0000-7000-8000-000000000008", v=3, by="alice", at=1795521713152
    ),
    "flow.timed_out/*-error-running-waiting": FlowTimedOut(
        flow="00000000-0000-7000-8000-000000000006",
        v=3,
        error=TaskError(type="FlowTimeout", message="the flow took longer than 60 s"),
        running=(1,),
        waiting=(2,),
        at=1795521713127,
    ),
    "task.ignored/*-was-reason-ends": TaskIgnored(
        flow="00000000-0000-7000-8000-000000000008",
        v=8,
        task=3,
        was=0,
        by="alice",
        ends=True,
        at=1795521713154,
    ),
    "task.ignored/*-was-reason": TaskIgnored(
        flow="00000000-0000-7000-8000-000000000008",
        v=4,
        task=1,
        was=0,
        by="alice",
        reason="known",
        at=1795521713152,
    ),
    "task.lapsed/*-worker-lost-error": TaskLapsed(
        flow="00000000-0000-7000-8000-000000000004",
        v=8,
        task=1,
        attempt=2,
        lease="1795521713125-0",
        worker="w1",
        lost=1,
        error=TaskError(type="ProcessLost", message="process 7 was ended by signal 11"),
        at=1795521713125,
    ),
    "flow.registered/*-traceparent": FlowRegistered(
        at=1795894800123,
        flow="00000000-0000-7000-8000-000000000011",
        v=1,
        order=12,
        workflow="etl",
        tasks=(PlannedTask(seq=1, task_seq=1, program="A"),),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ),
    "flow.registered/*-timeout-ms-key-start-ms": FlowRegistered(
        at=1795775134373,
        flow="00000000-0000-7000-8000-000000000002",
        v=1,
        order=4,
        workflow="etl",
        tasks=(PlannedTask(seq=1, task_seq=1, program="A"),),
        timeout_ms=60_000,
        key="order 8",
        start_ms=1795775734373,
    ),
    "flow.snapshot/*-plain": FlowSnapshot(
        flow="00000000-0000-7000-8000-000000000001",
        v=9,
        workflow='nightly "花" load',
        order=0,
        tasks=(
            SnapshotTask(
                message=SnapshotMessage(
                    task_seq=1, program="A", parameters={"A": [1]}, no_retry_on=("ValueError",)
                ),
                queue="default",
                priority=-3,
                dependents=(2,),
                attempt=1,
                failures=1,
                due_ms=1795775435077,
                units=2,
                policy=(3.0, 600_000.0, 2.0, 300_000.0, 0.1, 60_000.0, 0.0),
                progress={"fraction": 0.5, "note": "half"},
            ),
            SnapshotTask(message=SnapshotMessage(task_seq=2, program="A"), queue="default", priority=0),
            SnapshotTask(
                message=SnapshotMessage(task_seq=3, program="A"),
                queue="default",
                priority=0,
                status=3,
                attempt=1,
                lease="1795775134354-1",
            ),
            SnapshotTask(
                message=SnapshotMessage(task_seq=4, program="A"),
                queue="default",
                priority=0,
                status=2,
                attempt=1,
                lease="1795775134354-2",
            ),
        ),
        at=1795775134376,
    ),
    "flow.snapshot/*-timeout-ms-timeout-due-ms": FlowSnapshot(
        flow="00000000-0000-7000-8000-000000000003",
        v=2,
        workflow="etl",
        order=5,
        tasks=(SnapshotTask(message=SnapshotMessage(task_seq=1, program="A"), queue="default", priority=0),),
        timeout_ms=60_000,
        timeout_due_ms=1795780346160,
        at=1795780286160,
    ),
    "flow.snapshot/*-timeout-ms-start-ms-paused-key": FlowSnapshot(
        flow="00000000-0000-7000-8000-000000000002",
        v=3,
        workflow="etl",
        order=4,
        tasks=(SnapshotTask(message=SnapshotMessage(task_seq=1, program="A"), queue="default", priority=0),),
        timeout_ms=60_000,
        start_ms=1795775734373,
        paused=True,
        key="order 8",
        at=1795775134376,
    ),
    "task.overdue/*-error": TaskOverdue(
        flow="00000000-0000-7000-8000-000000000005",
        v=2,
        task=1,
        error=TaskError(type="QueueTimeout", message="no worker took it within 60 s"),
        at=1795521713126,
    ),
    "task.progressed/*-fraction-note": TaskProgressed(
        flow="00000000-0000-7000-8000-000000000004",
        v=3,
        task=1,
        attempt=1,
        lease="1795521713121-2",
        fraction=0.5,
        note="half",
        at=1795521713122,
    ),
    "task.progressed/*-note": TaskProgressed(
        flow="00000000-0000-7000-8000-000000000004",
        v=4,
        task=1,
        attempt=1,
        lease="1795521713121-2",
        note="no share",
        at=1795521713123,
    ),
    "task.progressed/*-plain": TaskProgressed(
        flow="00000000-0000-7000-8000-000000000004",
        v=5,
        task=1,
        attempt=1,
        lease="1795521713121-2",
        at=1795521713123,
    ),
    "task.retrying/*-error-failures-due-ms": TaskRetrying(
        flow="00000000-0000-7000-8000-000000000004",
        v=6,
        task=1,
        attempt=1,
        lease="1795521713121-2",
        error=TaskError(type="E", message="no", traceback="line 1"),
        failures=1,
        due_ms=1795521713123,
        at=1795521713123,
    ),
    "task.unignored/*-plain": TaskUnignored(
        flow="00000000-0000-7000-8000-000000000008", v=5, task=1, by="alice", at=1795521713153
    ),
    "flow.registered/*-data-by": FlowRegistered(
        flow="00000000-0000-7000-8000-00000000000f",
        v=1,
        workflow="etl",
        order=26,
        tasks=(
            PlannedTask(seq=1, task_seq=1, program="A"),
            PlannedTask(seq=2, task_seq=2, program="A"),
            PlannedTask(
                seq=3,
                task_seq=3,
                program="A",
                depends_on=(1, 2),
                parameters={
                    "rows": {"$from": 1, "path": "/rows"},
                    "old": {"$from": "second", "optional": True},
                },
                reads={"1": 1, "second": 2},
                refs=True,
            ),
            PlannedTask(seq=4, task_seq=4, program="A", depends_on=(3,)),
        ),
        by="alice",
        parameters={"day": "2026-01-05"},
        definition="ab12",
        at=1795861717366,
    ),
    "task.finished/*-blob": TaskFinished(
        flow="00000000-0000-7000-8000-00000000000f",
        v=4,
        task=1,
        attempt=1,
        lease="1795861717367-1",
        blob=BlobRef(sha256="ab", bytes=70000, store="api"),
        at=1795861717367,
    ),
    "flow.registered/*-data": FlowRegistered(
        flow="00000000-0000-7000-8000-000000000010",
        v=1,
        workflow="etl",
        order=30,
        tasks=(
            PlannedTask(seq=1, task_seq=1, program="A"),
            PlannedTask(seq=2, task_seq=2, program="A"),
            PlannedTask(
                seq=3,
                task_seq=3,
                program="A",
                depends_on=(1, 2),
                parameters={
                    "rows": {"$from": 1, "path": "/rows"},
                    "old": {"$from": "second", "optional": True},
                },
                reads={"1": 1, "second": 2},
                refs=True,
            ),
            PlannedTask(seq=4, task_seq=4, program="A", depends_on=(3,)),
        ),
        parameters={"day": "2026-01-05"},
        definition="ab12",
        at=1795861717368,
    ),
    "task.ignored/*-result": TaskIgnored(
        flow="00000000-0000-7000-8000-000000000010",
        v=2,
        task=1,
        was=0,
        by="alice",
        reason="known",
        result=msgspec.Raw(b'{"rows":0}'),
        at=1795861717377,
    ),
    "flow.snapshot/*-kept-blob": FlowSnapshot(
        flow="00000000-0000-7000-8000-00000000000f",
        v=5,
        workflow="etl",
        order=26,
        tasks=(
            SnapshotTask(
                message=SnapshotMessage(task_seq=1, program="A"),
                queue="default",
                priority=0,
                dependents=(3,),
                status=3,
                attempt=1,
                lease="1795861717367-1",
                blob=BlobRef(sha256="ab", bytes=70000, store="api"),
            ),
            SnapshotTask(
                message=SnapshotMessage(task_seq=2, program="A"),
                queue="default",
                priority=0,
                dependents=(3,),
                status=1,
                attempt=1,
                lease="1795861717367-2",
                worker="w1",
            ),
            SnapshotTask(
                message=SnapshotMessage(
                    task_seq=3,
                    program="A",
                    parameters={
                        "rows": {"$from": 1, "path": "/rows"},
                        "old": {"$from": "second", "optional": True},
                    },
                    reads={"1": 1, "second": 2},
                    refs=True,
                ),
                queue="default",
                priority=0,
                dependents=(4,),
            ),
            SnapshotTask(message=SnapshotMessage(task_seq=4, program="A"), queue="default", priority=0),
        ),
        at=1795861717378,
    ),
    "flow.snapshot/*-kept-result": FlowSnapshot(
        flow="00000000-0000-7000-8000-000000000010",
        v=3,
        workflow="etl",
        order=30,
        tasks=(
            SnapshotTask(
                message=SnapshotMessage(task_seq=1, program="A"),
                queue="default",
                priority=0,
                dependents=(3,),
                status=9,
                result=msgspec.Raw(b'{"rows":0}'),
            ),
            SnapshotTask(
                message=SnapshotMessage(task_seq=2, program="A"), queue="default", priority=0, dependents=(3,)
            ),
            SnapshotTask(
                message=SnapshotMessage(
                    task_seq=3,
                    program="A",
                    parameters={
                        "rows": {"$from": 1, "path": "/rows"},
                        "old": {"$from": "second", "optional": True},
                    },
                    reads={"1": 1, "second": 2},
                    refs=True,
                ),
                queue="default",
                priority=0,
                dependents=(4,),
            ),
            SnapshotTask(message=SnapshotMessage(task_seq=4, program="A"), queue="default", priority=0),
        ),
        at=1795861717378,
    ),
    "flow.registered/*-fork-with-data": FlowRegistered(
        flow="00000000-0000-7000-8000-000000000011",
        v=1,
        workflow="etl",
        order=34,
        tasks=(
            PlannedTask(seq=1, task_seq=1, program="A"),
            PlannedTask(seq=2, task_seq=2, program="A"),
            PlannedTask(
                seq=3,
                task_seq=3,
                program="A",
                depends_on=(1, 2),
                parameters={
                    "rows": {"$from": 1, "path": "/rows"},
                    "old": {"$from": "second", "optional": True},
                },
                reads={"1": 1, "second": 2},
                refs=True,
            ),
        ),
        forked_from="another",
        blobs={1: BlobRef(sha256="ab", bytes=70000, store="api")},
        ignored=(2,),
        stand_ins={2: msgspec.Raw(b"[2]")},
        parameters={"day": "2026-01-05"},
        definition="ab12",
        at=1795861717380,
    ),
    "task.ignored/*-result-ends": TaskIgnored(
        flow="00000000-0000-7000-8000-000000000011",
        v=2,
        task=3,
        was=0,
        by="alice",
        result=msgspec.Raw(b"null"),
        ends=True,
        at=1795861717380,
    ),
    "task.finished/*-blob-ends": TaskFinished(
        flow="00000000-0000-7000-8000-000000000012",
        v=3,
        task=1,
        attempt=1,
        lease="1795861717385-0",
        blob=BlobRef(sha256="ab", bytes=70000, store="api"),
        ends=True,
        at=1795861717386,
    ),
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
    "flow.rerun/*-gone": FlowRerun(
        flow="00000000-0000-7000-8000-000000000001",
        v=10,
        by="alice",
        finished=(1, 2),
        gone_finished=(4,),
        at=1795931380287,
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
    "flow.snapshot/*-signals": FlowSnapshot(
        flow="00000000-0000-7000-8000-000000000001",
        v=13,
        workflow="etl",
        order=0,
        tasks=(
            SnapshotTask(
                message=SnapshotMessage(task_seq=1, program="@sleep", parameters={"seconds": 0.001}),
                queue="default",
                priority=0,
                dependents=(4,),
                attempt=1,
                awaiting="sleep",
                until_ms=1795905010667,
            ),
            SnapshotTask(
                message=SnapshotMessage(task_seq=2, program="@event", parameters={"name": "paid"}),
                queue="default",
                priority=0,
                status=3,
                attempt=1,
            ),
            SnapshotTask(
                message=SnapshotMessage(task_seq=3, program="@approval", parameters={"of": 2}),
                queue="default",
                priority=0,
                attempt=1,
                awaiting="approval",
                votes=("alice",),
            ),
            SnapshotTask(
                message=SnapshotMessage(
                    task_seq=4, program="@event", parameters={"name": "paid", "key": "7"}
                ),
                queue="default",
                priority=0,
            ),
            SnapshotTask(
                message=SnapshotMessage(
                    task_seq=5,
                    program="@event",
                    parameters={
                        "name": "packed",
                        "timeout_seconds": 60,
                        "on_timeout": "default",
                        "default": {"paid": 0},
                    },
                ),
                queue="default",
                priority=0,
                attempt=1,
                awaiting="event",
                until_ms=1795905070666,
            ),
            SnapshotTask(
                message=SnapshotMessage(
                    task_seq=6, program="@event", parameters={"name": "packed", "timeout_seconds": 60}
                ),
                queue="default",
                priority=0,
                attempt=1,
                awaiting="event",
                until_ms=1795905070666,
            ),
        ),
        signals=(
            KeptSignal(name="paid", key="7", id="order 7", by="shop", payload=msgspec.Raw(b"null")),
            KeptSignal(name="paid", key="8", id="order 8", by="shop", payload=msgspec.Raw(b"null")),
            KeptSignal(name="paid", id="order 9", by="shop", payload=msgspec.Raw(b"null")),
        ),
        signal_ids=(
            "order 6",
            "order 7",
            "order 8",
            "order 9",
        ),
        at=1795905010796,
    ),
    "task.given_up/*-error": TaskGivenUp(
        flow="00000000-0000-7000-8000-000000000007",
        v=4,
        task=1,
        was=1,
        by="on_failure",
        attempt=1,
        lease="1795907600259-0",
        error=TaskError(type="ValueError", message="no", traceback="line 1"),
        at=1795907600260,
    ),
    "tasks.passed/*-ranges": TasksPassed(
        flow="00000000-0000-7000-8000-000000000007", v=5, ranges=((2, 2),), cause=1, at=1795907600260
    ),
    "task.ignored/*-on-failure-error": TaskIgnored(
        flow="00000000-0000-7000-8000-000000000007",
        v=6,
        task=4,
        was=1,
        by="on_failure",
        reason="ValueError: no",
        error=TaskError(type="ValueError", message="no", traceback="line 1"),
        at=1795907600261,
    ),
    "task.started/*-used": TaskStarted(
        flow="00000000-0000-7000-8000-000000000007",
        v=8,
        task=3,
        attempt=1,
        lease="1795907600262-0",
        worker="w1",
        used=(1,),
        at=1795907600262,
    ),
    "task.ignored/*-on-failure-result-error-ends": TaskIgnored(
        flow="00000000-0000-7000-8000-000000000007",
        v=10,
        task=3,
        was=1,
        by="on_failure",
        reason="ValueError: no",
        result=msgspec.Raw(b'{"rows":0}'),
        error=TaskError(type="ValueError", message="no", traceback="line 1"),
        ends=True,
        at=1795907600286,
    ),
    "flow.rerun/*-ignored-suspended": FlowRerun(
        flow="00000000-0000-7000-8000-000000000007",
        v=11,
        by="alice",
        ignored=(2,),
        suspended=(1,),
        at=1795907600301,
    ),
    "task.given_up/*-error-lost-short": TaskGivenUp(
        flow="00000000-0000-7000-8000-000000000007",
        v=13,
        task=1,
        was=1,
        by="on_failure",
        attempt=2,
        lease="1795907600304-0",
        error=TaskError(
            type="ProcessLost",
            message=POISON,
        ),
        lost=1,
        at=1795907600304,
    ),
    "tasks.passed/*-ranges-ends": TasksPassed(
        flow="00000000-0000-7000-8000-000000000007",
        v=14,
        ranges=((2, 2),),
        cause=1,
        ends=True,
        at=1795907600304,
    ),
    "task.given_up/*-held": TaskGivenUp(
        flow="00000000-0000-7000-8000-000000000008",
        v=4,
        task=1,
        was=2,
        by="hold",
        attempt=1,
        at=1795907600347,
    ),
    "task.given_up/*-held-ends": TaskGivenUp(
        flow="00000000-0000-7000-8000-000000000008",
        v=6,
        task=2,
        was=2,
        by="on_failure",
        ends=True,
        at=1795907600347,
    ),
    "task.unignored/*-behind": TaskUnignored(
        flow="00000000-0000-7000-8000-000000000009", v=4, task=1, by="alice", behind=(2,), at=1795907600389
    ),
    "task.suspended/*-error-short": TaskSuspended(
        flow="00000000-0000-7000-8000-000000000009",
        v=7,
        task=1,
        attempt=1,
        lease="1795907600401-0",
        error=TaskError(type="E", message="no"),
        at=1795907600403,
    ),
    "task.ignored/*-on-failure-result-ends": TaskIgnored(
        flow="00000000-0000-7000-8000-00000000000a",
        v=3,
        task=1,
        was=2,
        by="on_failure",
        reason="QueueTimeout: no worker took it within 0.001 s",
        result=msgspec.Raw(b"[1]"),
        ends=True,
        at=1795907600434,
    ),
    "task.given_up/*-error-lost-ends-short": TaskGivenUp(
        flow="00000000-0000-7000-8000-00000000000b",
        v=3,
        task=1,
        was=1,
        by="on_failure",
        attempt=1,
        lease="1795907600444-0",
        error=TaskError(
            type="ProcessLost",
            message=POISON,
        ),
        lost=1,
        ends=True,
        at=1795907600457,
    ),
    "task.ignored/*-on-failure-error-lost-ends-short": TaskIgnored(
        flow="00000000-0000-7000-8000-00000000000c",
        v=3,
        task=1,
        was=1,
        by="on_failure",
        reason=f"ProcessLost: {POISON}",
        error=TaskError(
            type="ProcessLost",
            message=POISON,
        ),
        lost=1,
        ends=True,
        at=1795907600466,
    ),
    "flow.registered/*-forked-from-ignored-passed": FlowRegistered(
        flow="00000000-0000-7000-8000-00000000000d",
        v=1,
        workflow="etl",
        order=22,
        tasks=(
            PlannedTask(seq=1, task_seq=1, program="A"),
            PlannedTask(seq=2, task_seq=2, program="A", depends_on=(1,), rule="finished"),
            PlannedTask(seq=3, task_seq=3, program="A", depends_on=(1,)),
            PlannedTask(seq=4, task_seq=4, program="A", depends_on=(3,), rule="any"),
        ),
        forked_from="another",
        ignored=(1,),
        passed=(2,),
        by="alice",
        at=1795907600488,
    ),
}
"""By event type and name of the file, where ``*`` stands for who wrote it."""

FILES = sorted(EVENTS.rglob("*.json"))
TYPES = sorted(str(kind.__struct_config__.tag) for kind in get_args(AnyEvent))


def meaning_of(file: Path) -> AnyEvent | None:
    variant = file.stem.removeprefix("lua").removeprefix("python")
    return MEANINGS.get(f"{file.parent.name}/*{variant}")


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_an_event_once_written_still_means_the_same(file: Path) -> None:
    assert decode_event(file.read_bytes()) == meaning_of(file)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_golden_file_holds_one_event_of_its_folders_type(file: Path) -> None:
    raw = file.read_bytes()
    assert raw.count(b"\n") == 0
    assert json.loads(raw)["type"] == file.parent.name


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("writer", ["lua", "python"])
def test_every_event_type_has_golden_bytes_of_each_writer(kind: str, writer: str) -> None:
    assert list((EVENTS / kind).glob(f"{writer}*.json")), (
        f"no golden file of {kind} as {writer} writes it: see tests/golden/README.md"
    )


def test_every_golden_folder_belongs_to_an_event_type() -> None:
    assert sorted(folder.name for folder in EVENTS.iterdir()) == TYPES


@pytest.mark.parametrize("name", MEANINGS)
def test_what_python_writes_today_is_golden(name: str) -> None:
    written = encode_event(MEANINGS[name])
    assert written in {file.read_bytes() for file in EVENTS.glob(name.replace("*", "python*") + ".json")}
