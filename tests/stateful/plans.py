"""The workflows, and the limits, of the state machines of the transitions."""

from typing import Any

from flower_engine.model.definitions.definition import (
    Keying,
    PlannedTask,
    TaskDefinition,
    WorkflowDefinition,
    plan_flow,
)
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.transitions.register_transition import FlowPlan

QUEUES = ("default", "bulk:50%")


def workflow(name: str, *tasks: tuple[str, int, tuple[int, ...] | None, str]) -> FlowPlan:
    definition = WorkflowDefinition(
        name=name,
        tasks=tuple(
            TaskDefinition(task_seq=seq, program=program, priority=priority, depends_on=depends, queue=queue)
            for seq, (program, priority, depends, queue) in enumerate(tasks, start=1)
        ),
    )
    return FlowPlan(name, plan_flow(definition))


def fragile() -> FlowPlan:
    """Its tasks are retried, and everything of it may take too long."""
    retry = RetryPolicy(max_attempts=3, delay_ms=1, backoff=1.0, jitter=0.0)
    limits: dict[str, Any] = {"retry": retry, "timeout_ms": 600_000, "queue_timeout_ms": 600_000}
    rows = [
        TaskDefinition(task_seq=1, program="A", **limits),
        TaskDefinition(task_seq=2, program="B", depends_on=()),
    ]
    rows += [TaskDefinition(task_seq=seq, program="B", depends_on=(1, seq - 1), **limits) for seq in (3, 4)]
    definition = WorkflowDefinition(name="fragile", tasks=tuple(rows))
    return FlowPlan("fragile", plan_flow(definition), timeout_ms=600_000)


HEAVY = Keying(fair_by="customer", programs={"B": "customer"})


def heavy() -> FlowPlan:
    """Tasks of different weights and customers."""
    tasks = [
        TaskDefinition(
            task_seq=seq,
            program="B",
            depends_on=(),
            units=1 + seq % 3,
            parameters={"customer": f"c{seq % 2}"},
        )
        for seq in range(1, 7)
    ]
    definition = WorkflowDefinition(name="heavy", tasks=tuple(tasks), keying=HEAVY)
    return FlowPlan("heavy", plan_flow(definition), keying=HEAVY)


def fork() -> FlowPlan:
    """A diamond whose first two tasks were taken over."""
    rows = ((), (1,), (1,), (2, 3), (4,))
    tasks = [
        TaskDefinition(task_seq=seq, program="B", depends_on=row) for seq, row in enumerate(rows, start=1)
    ]
    definition = WorkflowDefinition(name="fork", tasks=tuple(tasks))
    return FlowPlan("fork", plan_flow(definition), forked_from="x", taken={1: b"[1]"}, ignored=[2])


def with_data(name: str, *tasks: tuple[str, dict[int, bool], tuple[int, ...]], **fork: Any) -> FlowPlan:
    """A flow whose tasks read others: for each its program, what it reads (and whether it cannot do without),
    and what it only waits for."""
    planned = [
        PlannedTask(
            seq=seq,
            task_seq=seq,
            program=program,
            depends_on=tuple(sorted({*reads, *after})),
            parameters={
                f"p{other}": {"$from": other} if is_needed else {"$from": other, "default": 0}
                for other, is_needed in reads.items()
            },
            reads={str(other): other for other in reads},
            refs=bool(reads),
        )
        for seq, (program, reads, after) in enumerate(tasks, start=1)
    ]
    return FlowPlan(name, planned, **fork)


def pipe() -> FlowPlan:
    """Each task reads the one before it, and the last one the first, if that has a result."""
    return with_data(
        "pipe",
        ("A", {}, ()),
        ("B", {1: True}, ()),
        ("A", {2: True}, ()),
        ("C", {3: True, 1: False}, ()),
    )


def mesh() -> FlowPlan:
    """One result that several read, one that nobody needs, a reader of a reader, and mere order between."""
    return with_data(
        "mesh",
        ("B", {}, ()),
        ("A", {}, ()),
        ("B", {1: True, 2: False}, ()),
        ("B", {1: True}, (2,)),
        ("C", {3: True, 4: True}, ()),
        ("B", {}, (3,)),
        ("B", {2: False}, (6,)),
    )


def data_fork() -> FlowPlan:
    """What was taken over lies in the event, in a blob, or was given by an operator; or there is nothing."""
    return with_data(
        "data fork",
        ("B", {}, ()),
        ("B", {}, ()),
        ("B", {}, ()),
        ("B", {}, ()),
        ("B", {1: True, 2: True, 3: True}, ()),
        ("A", {4: False, 5: True}, ()),
        forked_from="x",
        taken={1: b'{"of":"another"}', 2: BlobRef(sha256="ab", bytes=70_000, store="api")},
        ignored=[3, 4],
        stand_ins={3: b"[3]"},
    )


def with_rules(name: str, *tasks: dict[str, Any], timeout_ms: int | None = None) -> FlowPlan:
    """Tasks with rules; ``reads``: whose results each takes, and whether it cannot do without."""
    planned: list[PlannedTask] = []
    for seq, given in enumerate(tasks, start=1):
        reads: dict[int, bool] = given.pop("reads", {})
        after: tuple[int, ...] = given.pop("after", ())
        planned.append(
            PlannedTask(
                seq=seq,
                task_seq=seq,
                program=given.pop("program", "B"),
                depends_on=tuple(sorted({*reads, *after})),
                parameters={
                    f"p{other}": {"$from": other} if is_needed else {"$from": other, "default": 0}
                    for other, is_needed in reads.items()
                },
                reads={str(other): other for other in reads},
                refs=bool(reads),
                **given,
            )
        )
    return FlowPlan(name, planned, timeout_ms=timeout_ms)


RETRY = RetryPolicy(max_attempts=2, delay_ms=1, backoff=1.0, jitter=0.0)


def branches() -> FlowPlan:
    """A join behind branches of which one may be given up, with a clean-up and a report of failures."""
    return with_rules(
        "branches",
        {"on_failure": "give_up"},
        {"program": "A"},
        {"after": (1,)},
        {"after": (2,)},
        {"after": (3, 4)},
        {"after": (1, 3, 4), "rule": "settled", "on_failure": "hold:60"},
        {"after": (1, 2), "rule": "failed", "retry": RETRY},
        {"after": (6, 7), "rule": "finished"},
        timeout_ms=600_000,
    )


def race() -> FlowPlan:
    """The first of several wins, two of three are enough, and what is read may be missing."""
    return with_rules(
        "race",
        {"on_failure": "pass", "stand_in": {"of": 1}},
        {"on_failure": "pass", "queue_timeout_ms": 600_000},
        {"on_failure": "hold:60", "queue_timeout_ms": 600_000},
        {"reads": {1: False, 2: False, 3: False}, "rule": "any", "retry": RETRY},
        {"after": (1, 2, 3), "rule": "at_least:2", "on_failure": "give_up"},
        {"reads": {2: True}, "after": (1,), "on_failure": "give_up"},
        {"after": (3, 6), "rule": "failed", "program": "C"},
        {"reads": {4: True, 7: False}, "program": "C"},
    )


def contest() -> FlowPlan:
    """Of several the first ones win, and what led to nothing else is cancelled; they share some of it."""
    return with_rules(
        "contest",
        {},
        {"program": "A", "on_failure": "hold:60"},
        {"after": (2,), "retry": RETRY, "queue_timeout_ms": 600_000},
        {"reads": {1: False, 3: False}, "rule": "any:cancel", "retry": RETRY},
        {"after": (3,), "on_failure": "pass", "program": "C"},
        {"on_failure": "give_up"},
        {"after": (1, 5, 6), "rule": "at_least:2:cancel", "program": "A"},
        {"after": (2, 6), "rule": "failed"},
        {"reads": {4: True}, "after": (7,)},
    )


def given_up() -> FlowPlan:
    """Whatever fails is given up, and everything behind it is passed over, step by step."""
    return with_rules(
        "given up",
        {"on_failure": "give_up", "retry": RETRY, "timeout_ms": 600_000},
        {"after": (1,), "on_failure": "give_up"},
        {"after": (2,), "on_failure": "give_up"},
        {"after": (2, 3), "rule": "failed"},
        {"after": (3, 4), "rule": "any"},
        {"after": (1, 2, 3), "rule": "finished"},
    )


def cleaned_up() -> FlowPlan:
    """Something is done, used and undone; what was used is counted at the end, too, and all of it takes too
    long one day, as may the cleanup."""
    return with_rules(
        "cleaned up",
        {"on_failure": "hold:60"},
        {"reads": {1: True}},
        {"reads": {1: True}, "after": (2,), "program": "A"},
        {"reads": {1: False}, "after": (2, 3), "rule": "settled", "finally_": True},
        {"reads": {4: False}, "retry": RETRY},
        {"after": (2, 3), "rule": "failed", "finally_": True, "on_failure": "give_up"},
        {"after": (3, 5), "rule": "settled", "program": "C"},
        {"after": (4, 5, 6), "rule": "finished"},
        timeout_ms=600_000,
    )


def kept_clean() -> FlowPlan:
    """A cleanup of two steps behind work that is done side by side; the first may begin early."""
    return with_rules(
        "kept clean",
        {},
        {"program": "A", "on_failure": "give_up"},
        {"after": (1,), "program": "C"},
        {"after": (1, 2, 3), "rule": "any", "finally_": True},
        {"after": (2, 3, 4), "rule": "settled", "finally_": True, "queue_timeout_ms": 600_000},
    )


def plain_plans() -> tuple[FlowPlan, ...]:
    return (
        workflow("line", *[("A", 0, None, "default")] * 3),
        workflow("diamond", ("A", 0, (), "default"), ("B", 0, (1,), "default"), ("C", -5, (1,), "default"),
                  ("A", 0, (2, 3), "default")),
        workflow("two:roots", ("A", 0, (), "default"), ("B", 0, (), "default"),
                  ("B", 0, (1, 2), "bulk:50%")),
        workflow("urgent", ("C", -20, None, "default"), ("C", 19, None, "default")),
        workflow("bulk", ("A", 5, None, "bulk:50%")),
        workflow("crowd", *[("B", 0, (), "default")] * 12),
        heavy(),
        fragile(),
        fork(),
        pipe(),
        mesh(),
        data_fork(),
    )  # fmt: skip


CONTROLS = (
    FlowControl(scope="global", max_running=3),
    FlowControl(scope="global", is_paused=True),
    FlowControl(scope="queue", name="bulk:50%", max_running=2),
    FlowControl(scope="queue", name="default", is_paused=True),
    FlowControl(scope="workflow", name="line", max_running=1, max_flows=1),
    FlowControl(scope="workflow", name="crowd", max_running=5),
    FlowControl(scope="workflow", name="diamond", max_flows=2, count_suspended=True, is_paused=True),
    FlowControl(scope="workflow", name="fragile", max_flows=1),
    FlowControl(scope="workflow", name="two:roots", max_flows=1, max_running=1),
    FlowControl(scope="workflow", name="contest", max_flows=1),
    FlowControl(scope="program", name="A", max_running=2),
    FlowControl(scope="program", name="B", max_running=4),
    FlowControl(scope="program", name="B", is_paused=True),
    FlowControl(scope="program", name="B", limit_by="customer", max_per_key=1),
    FlowControl(scope="program", name="C", max_running=1, is_paused=True),
)


FLOW_LIMITS = (
    FlowControl(scope="workflow", name="cleaned up", max_flows=1),
    FlowControl(scope="workflow", name="kept clean", max_flows=1, count_suspended=True),
    FlowControl(scope="workflow", name="cleaned up", max_flows=2, at_max_flows="cancel_oldest"),
)
