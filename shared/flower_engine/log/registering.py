"""The transition ``register``: starts flows, many in one call."""

from collections.abc import Sequence

import msgspec

from flower_engine.log.client import AsyncRedis
from flower_engine.log.keys import lane_name
from flower_engine.log.partition import Partition
from flower_engine.log.scripts import Arg, Script
from flower_engine.model.definition import PlannedTask, dependents_of

_script = Script("register")
_encode = msgspec.json.Encoder().encode

TASKS_PER_CALL = 3_000  # keeps one call to a few milliseconds of Redis' time
WIDE_ROOTS = 500  # more roots than this are released in steps, like any wide fan-out


class TaskMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is given to run a task."""

    workflow: str
    task_seq: int
    program: str
    parameters: dict[str, object]


class FlowPlan:
    """A workflow's flows as the script wants them; encode it once, register many."""

    def __init__(self, workflow: str, tasks: Sequence[PlannedTask]) -> None:
        self.workflow = workflow
        self.tasks = len(tasks)
        dependents = dependents_of(tasks)
        roots = [task.seq for task in tasks if not task.depends_on]
        wide = len(roots) > WIDE_ROOTS
        lanes = {task.seq: _lane(workflow, task) for task in tasks}
        fields: list[Arg] = []
        for task in tasks:
            fields += (f"m{task.seq}", _message(workflow, task), f"l{task.seq}", lanes[task.seq])
            if len(task.depends_on) > 1:
                fields += (f"o{task.seq}", len(task.depends_on))
            if dependents[task.seq]:
                fields += (f"d{task.seq}", ",".join(map(str, dependents[task.seq])))
        if wide:  # each root waits for a task 0 that is already final
            fields += ("d0", ",".join(map(str, roots)))
        tail = b',"workflow":' + _encode(workflow) + b',"tasks":' + _encode(tasks) + b"}"
        args: list[Arg] = [len(tasks), tail, int(wide), 0 if wide else len(roots)]
        for root in () if wide else roots:
            args += (root, lanes[root])
        self.args: tuple[Arg, ...] = (*args, len(fields), *fields)


async def register(
    client: AsyncRedis, partition: Partition, flows: Sequence[tuple[str, FlowPlan]]
) -> list[str]:
    """Registers flows, given as (flow id, plan), in order; splits very large calls.

    Returns ``ok`` or ``duplicate`` (it is or was registered already: as good) for each.

    Raises:
        LostError: Redis lost its state. Flows of earlier parts of a split call stay registered.
    """
    words: list[str] = []
    first = 0
    while first < len(flows):
        last, tasks = first, 0
        while last < len(flows) and (last == first or tasks + flows[last][1].tasks <= TASKS_PER_CALL):
            tasks += flows[last][1].tasks
            last += 1
        reply = await _script.run(client, partition.keys.meta, _args(partition, flows[first:last]))
        words += [word.decode() for word in partition.check(reply)[1:]]
        first = last
    return words


def _args(partition: Partition, flows: Sequence[tuple[str, FlowPlan]]) -> list[Arg]:
    numbers: dict[int, int] = {}
    plans: list[Arg] = []
    entries: list[Arg] = []
    for flow_id, plan in flows:
        number = numbers.get(id(plan))
        if number is None:
            number = numbers[id(plan)] = len(numbers) + 1
            plans += plan.args
        entries += (flow_id, number)
    return [partition.generation, len(numbers), *plans, *entries]


def _lane(workflow: str, task: PlannedTask) -> str:
    return lane_name(task.queue, task.priority, workflow, task.program)


def _message(workflow: str, task: PlannedTask) -> bytes:
    return _encode(
        TaskMessage(
            workflow=workflow, task_seq=task.task_seq, program=task.program, parameters=task.parameters
        )
    )
