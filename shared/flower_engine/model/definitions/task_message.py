"""What a worker is given to run a task: the fields of its specification that a message carries.

The rest Redis holds where transitions read it: the lane's name (``model/flow_control/lanes.py``), the policy
(``model/tasks/task_policy.py``), the edges.
"""

from operator import attrgetter
from typing import Any

import msgspec

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.tasks.task_spec import DEFAULT_ROUNDS, TaskSpec


class TaskMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Field ``mN`` of a flow's hash; a new field of a task that no transition acts on travels here.

    ``slots``: the slot that a schedule fired the flow for, those before and behind it (ms, 0: there is none);
    a claim adds them, no field in Redis has them. ``used``: the same, of a task whose rule picks some of its
    dependencies: it sees results of these alone, in each attempt. ``round``: the same, of a task that asked
    for another round of itself: how often it did; and ``given``: parameters that hold in place of its own.
    ``definition``, ``item_key``, ``reads`` and ``refs`` are those of a ``PlannedTask``. The last two stay the
    last ones: claims look for them at the end of a message.
    """

    workflow: str
    task_seq: int
    task_name: str | None = None
    program: str
    parameters: dict[str, Any]
    no_retry_on: tuple[str, ...] = ()
    max_rounds: int = DEFAULT_ROUNDS
    rule: str = "ready"
    on_failure: str = "hold"
    stand_in: Any = None
    when: tuple[int, bool] | None = None
    finally_: bool = msgspec.field(default=False, name="finally")
    definition: str = ""
    item_key: str = ""
    slots: tuple[int, int, int] | None = None
    used: tuple[int, ...] = ()
    round: int = 0
    given: dict[str, Any] = {}
    reads: dict[str, int] = {}
    refs: bool = False


class SnapshotMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The same as the event ``flow.snapshot`` holds it, which has the workflow itself."""

    task_seq: int
    task_name: str | None = None
    program: str
    parameters: dict[str, Any] = {}
    no_retry_on: tuple[str, ...] = ()
    max_rounds: int = DEFAULT_ROUNDS
    rule: str = "ready"
    on_failure: str = "hold"
    stand_in: Any = None
    when: tuple[int, bool] | None = None
    finally_: bool = msgspec.field(default=False, name="finally")
    definition: str = ""
    item_key: str = ""
    reads: dict[str, int] = {}
    refs: bool = False


CARRIED = tuple(name for name in TaskMessage.__struct_fields__ if name in TaskSpec.__struct_fields__)
"""The fields that message and specification share."""
_carried = attrgetter(*CARRIED)


def may_read(message: TaskMessage, seq: int) -> bool:
    """Whether the task sees the result of this dependency; others have none for it."""
    return not message.used or seq in message.used


def parameters_in_round(message: TaskMessage, parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a task, or of its child, with those that are given for its round."""
    return {**parameters, **message.given} if message.round else parameters


def message_of(workflow: str, task: PlannedTask) -> TaskMessage:
    """What a worker is given for this task."""
    no_retry_on = task.retry.no_retry_on if task.retry else ()
    return TaskMessage(
        workflow=workflow,
        no_retry_on=no_retry_on,
        definition=task.definition,
        item_key=task.item_key,
        reads=task.reads,
        refs=task.refs,
        **dict(zip(CARRIED, _carried(task), strict=True)),
    )


def carried_by(message: SnapshotMessage) -> dict[str, Any]:
    """The fields of a planned task that a message holds, by name."""
    carried = dict(zip(CARRIED, _carried(message), strict=True))
    own = ("definition", "item_key", "reads", "refs")
    return {**carried, **{name: getattr(message, name) for name in own}}
