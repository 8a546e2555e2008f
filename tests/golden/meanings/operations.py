"""What operators do, and what ends a flow: what their golden events mean."""

import msgspec

from flower_engine.model.definitions.definition import PlannedTask, TaskKeys
from flower_engine.model.events.events import AnyEvent, FlowTimedOut
from flower_engine.model.events.operator_events import (
    FlowCancelled,
    FlowEnding,
    FlowPaused,
    FlowPrioritised,
    FlowRerun,
    FlowResumed,
    TaskIgnored,
    TaskUnignored,
)
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.model.tasks.task_spec import RetryPolicy
from golden.meanings.names import POISON

MEANINGS: dict[str, AnyEvent] = {
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
    "flow.rerun/*-finished": FlowRerun(
        flow="00000000-0000-7000-8000-000000000020", v=6, by="alice", finished=(1,), at=1795931093675
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
    "flow.ending/*-cancel-waiting-running": FlowEnding(
        flow="00000000-0000-7000-8000-000000000011",
        v=4,
        cause="cancel",
        by="alice",
        reason="no need",
        until_ms=1795931481862,
        waiting=(3,),
        running=(1,),
        at=1795930881862,
    ),
    "flow.rerun/*-suspended-ending": FlowRerun(
        flow="00000000-0000-7000-8000-000000000011",
        v=8,
        by="alice",
        suspended=(4,),
        ending=True,
        at=1795930881871,
    ),
    "flow.ending/*-cancel-waiting-suspended": FlowEnding(
        flow="00000000-0000-7000-8000-000000000012",
        v=6,
        cause="cancel",
        by="alice",
        until_ms=1795934481890,
        waiting=(3,),
        suspended=(1,),
        at=1795930881890,
    ),
    "flow.timed_out/*-waiting": FlowTimedOut(
        flow="00000000-0000-7000-8000-000000000012",
        v=7,
        error=TaskError(type="CleanupTimeout", message="the cleanup took longer than 3600 s"),
        waiting=(4,),
        at=1795930881892,
    ),
    "flow.ending/*-timeout-ends": FlowEnding(
        flow="00000000-0000-7000-8000-000000000012",
        v=8,
        cause="timeout",
        by="timeout",
        given_up=(4,),
        ends=True,
        at=1795930881892,
    ),
    "flow.ending/*-timeout-given-up": FlowEnding(
        flow="00000000-0000-7000-8000-000000000013",
        v=5,
        cause="timeout",
        by="timeout",
        until_ms=1795934481899,
        waiting=(3,),
        given_up=(1, 2, 5),
        at=1795930881899,
    ),
    "flow.ending/*-cancel-running": FlowEnding(
        flow="00000000-0000-7000-8000-000000000014",
        v=3,
        cause="cancel",
        by="alice",
        until_ms=1795934481909,
        running=(1,),
        at=1795930881909,
    ),
    "flow.ending/*-cancel-children": FlowEnding(
        flow="00000000-0000-7000-8000-000000000015",
        v=9,
        cause="cancel",
        by="alice",
        reason="enough",
        until_ms=1795957831004,
        waiting=(3,),
        children=(1, 5),
        held_children=(2,),
        at=1795954231004,
    ),
    "flow.ending/*-cancel-waiting-goes-on-ends": FlowEnding(
        flow="00000000-0000-7000-8000-000000000015",
        v=12,
        cause="cancel",
        by="",
        reason="its child has ended",
        until_ms=1795957831004,
        waiting=(2,),
        goes_on=True,
        ends=True,
        at=1795954231090,
    ),
    "task.unignored/*-ending": TaskUnignored(
        flow="00000000-0000-7000-8000-000000000014", v=5, task=2, by="alice", ending=True, at=1795930881912
    ),
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
    "task.unignored/*-plain": TaskUnignored(
        flow="00000000-0000-7000-8000-000000000008", v=5, task=1, by="alice", at=1795521713153
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
    "flow.rerun/*-gone": FlowRerun(
        flow="00000000-0000-7000-8000-000000000001",
        v=10,
        by="alice",
        finished=(1, 2),
        gone_finished=(4,),
        at=1795931380287,
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
    "task.unignored/*-behind": TaskUnignored(
        flow="00000000-0000-7000-8000-000000000009", v=4, task=1, by="alice", behind=(2,), at=1795907600389
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
    "flow.rerun/*-gone-unfinished": FlowRerun(
        flow="00000000-0000-7000-8000-000000000029",
        v=16,
        by="alice",
        waiting=(2,),
        gone_ignored=(7,),
        gone_suspended=(6,),
        gone_waiting=(8,),
        at=1795941105962,
    ),
}
