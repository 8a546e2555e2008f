"""What flows of stories are registered with."""

from collections.abc import Sequence
from typing import Any

import msgspec

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.tasks.task_spec import RetryPolicy

SHAPES: tuple[tuple[tuple[int, ...], ...], ...] = (  # for each task the tasks it depends on
    ((),),
    ((), (1,), (2,)),
    ((), (1,), (1,), (2, 3)),
    ((), (), (), (1, 3)),
    ((), (), (), (1, 2), (1, 3), (4, 5), (3,), (1, 7)),
)
RULED: dict[int, dict[str, Any]] = {
    1: {"on_failure": "give_up"},
    2: {"on_failure": "pass", "stand_in": {"rows": [0, None]}},
    3: {"on_failure": "hold:60"},
    4: {"rule": "any:cancel"},
    5: {"rule": "failed"},
    6: {"rule": "settled", "finally_": True},
    8: {"rule": "finished", "on_failure": "pass"},
}
"""What the tasks of the last shape say of rules and failures."""


def plan(shape: Sequence[Sequence[int]]) -> tuple[PlannedTask, ...]:
    """Planned tasks of this shape, no two alike."""
    rules = RULED if shape == SHAPES[-1] else {}
    return tuple(
        PlannedTask(
            seq=seq,
            task_seq=seq * 10,
            program=f"Program{seq}",
            priority=seq - 2,
            queue="default" if seq % 2 else "other",
            depends_on=tuple(depends_on),
            reads={"first": depends_on[0]} if depends_on else {},
            refs=bool(depends_on),
            parameters={"A": "ä\t\\\n", "n": seq} if seq > 1 else {},
            **rules.get(seq, {}),
        )
        for seq, depends_on in enumerate(shape, start=1)
    )


WAITS = (
    PlannedTask(seq=1, task_seq=10, program="@sleep", parameters={"seconds": 1}),
    PlannedTask(seq=2, task_seq=20, program="@approval", parameters={"of": 3}),
    PlannedTask(seq=3, task_seq=30, program="@event", depends_on=(1,), parameters={"name": "paid"}),
    PlannedTask(seq=4, task_seq=40, program="Program4", depends_on=(2, 3)),
    PlannedTask(
        seq=5,
        task_seq=50,
        program="@map",
        depends_on=(1,),
        parameters={"over": ["a", {"b": 2}], "program": "Program5", "as": "n"},
    ),
    PlannedTask(
        seq=6,
        task_seq=60,
        program="Program6",
        depends_on=(5,),
        parameters={"all": {"$from": 50}},
        reads={"50": 5},
        refs=True,
    ),
    PlannedTask(seq=7, task_seq=70, program="@flow", parameters={"workflow": "another"}),
    PlannedTask(
        seq=8,
        task_seq=80,
        program="@map",
        depends_on=(5,),
        parameters={"over": {"$from": 50}, "program": "Program8", "as": "n", "aligned": True},
        reads={"50": 5},
        refs=True,
    ),
)
"""A flow that waits for the world, and for a child, and has a map, and one that goes along it."""


def other_body(task: PlannedTask, version: str, priority: int) -> PlannedTask:
    """The task as another version has it."""
    return msgspec.structs.replace(
        task,
        program=f"{task.program}'",
        queue="third",
        priority=priority,
        parameters={"version": version},
        definition=version,
        retry=RetryPolicy(max_attempts=2),
        reads={},
        refs=False,
        fair_key="x",
    )
