"""What rules and failures make of tasks: what their golden events mean."""

from flower_engine.model.events.events import AnyEvent, TaskGivenUp, TasksPassed, TasksUnneeded
from flower_engine.model.tasks.task_error import TaskError
from golden.meanings.names import POISON

MEANINGS: dict[str, AnyEvent] = {
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
    "tasks.passed/*-ranges-unmet": TasksPassed(
        flow="00000000-0000-7000-8000-000000000025",
        v=7,
        ranges=((5, 5),),
        cause=2,
        unmet=((4, 4),),
        at=1795941105862,
    ),
    "tasks.passed/*-unmet-ends": TasksPassed(
        flow="00000000-0000-7000-8000-000000000028",
        v=4,
        ranges=(),
        cause=1,
        unmet=((2, 2),),
        ends=True,
        at=1795941105937,
    ),
    "tasks.unneeded/*-ranges-ran-held": TasksUnneeded(
        flow="00000000-0000-7000-8000-000000000001",
        v=7,
        cause=5,
        ranges=((4, 4),),
        ran=((2, 2),),
        held=((3, 3),),
        at=1795986936884,
    ),
    "tasks.unneeded/*-ranges": TasksUnneeded(
        flow="00000000-0000-7000-8000-000000000002", v=5, cause=152, ranges=((2, 101),), at=1795986937765
    ),
    "tasks.unneeded/*-ranges-ends": TasksUnneeded(
        flow="00000000-0000-7000-8000-000000000002",
        v=7,
        cause=152,
        ranges=((102, 151),),
        ends=True,
        at=1795986937919,
    ),
}
