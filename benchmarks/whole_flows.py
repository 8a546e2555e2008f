"""What operations on whole flows cost Redis: ``python -m benchmarks.whole_flows [TASKS [TURNS]]`` (10,000
tasks, 3 turns).

Of each operation that concerns every task of a flow the longest call, in ms of CPU of Redis' main thread, as
the kernel counts it: so other work on the machine disturbs it less than a clock. The least of all turns is
told, and what that comes to for 10,000 tasks. The flows: a chain, tasks that have nothing to do with each
other, the same with a task that cleans up, and a map with its items.
"""

from collections.abc import Awaitable, Callable

import msgspec

from benchmarks.one_redis import Exchange, empty_partition, meter_of, run_on_redis
from flower_engine.log.client import AsyncRedis, connect, send
from flower_engine.log.partition import Partition
from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition, plan_flow
from flower_engine.model.values.ids import make_flow_id
from flower_engine.runtime.deciding import Decider
from flower_engine.transitions import operator_transitions as operators
from flower_engine.transitions.register_transition import FlowPlan, Start, register
from flower_engine.transitions.worker_transitions import (
    Claim,
    Outcome,
    OutcomeKind,
)

SLOTS = 50
MOST_MS = 50.0
"""What an operation may take for 10,000 tasks."""


def definitions(kind: str, tasks: int) -> tuple[TaskDefinition, ...]:
    """The tasks of a flow of this kind."""
    program = "A"
    if kind == "chain":
        return tuple(
            TaskDefinition(task_seq=seq, program=program, depends_on=(seq - 1,) if seq > 1 else ())
            for seq in range(1, tasks + 1)
        )
    if kind == "map":
        over = {"over": {"$from": 1}, "program": program, "as": "n", "tolerate": 0.5}
        return (
            TaskDefinition(task_seq=1, program=program, depends_on=()),
            TaskDefinition(task_seq=2, program="@map", depends_on=(1,), parameters=over),
            TaskDefinition(task_seq=3, program=program, depends_on=(2,), parameters={"n": {"$from": 2}}),
        )
    cleans_up = kind == "with a cleanup"
    last = TaskDefinition(
        task_seq=tasks, program=program, depends_on=(1,) if cleans_up else (), finally_=cleans_up
    )
    rows = (TaskDefinition(task_seq=seq, program=program, depends_on=()) for seq in range(1, tasks))
    return (*rows, last)


class Case:
    """A flow of a kind, of which some tasks run."""

    def __init__(self, client: AsyncRedis, partition: Partition, kind: str, tasks: int) -> None:
        self.client, self.partition, self.kind, self.tasks = client, partition, kind, tasks
        self.flow = make_flow_id(0, 0, 1)
        self.exchange = Exchange(client, partition)
        self.held: list[Claim] = []

    async def begin(self) -> None:
        """Registers the flow; one task has run, of a map all items are there, and none runs."""
        rows = definitions(self.kind, self.tasks)
        plan = FlowPlan("bench", plan_flow(WorkflowDefinition(name="bench", tasks=rows)))
        await register(self.client, self.partition, [Start(self.flow, plan)])
        payload = msgspec.json.encode(list(range(self.tasks)))
        while not self.held:
            self.held = await self.exchange([], 1)
        one = self.held.pop()
        await self.exchange([Outcome(one, OutcomeKind.FINISHED, payload if self.kind == "map" else b"1")], 0)
        if self.kind == "map":
            assert await Decider(self.client, self.partition, "w1").run_once()
        for _ in range(self.tasks // 500 + 1):  # wide fan-outs go to their lanes in steps
            await self.exchange([], 0)

    async def finish_all(self, kind: OutcomeKind = OutcomeKind.FINISHED, payload: bytes = b"1") -> None:
        """Works off what is there."""
        decider = Decider(self.client, self.partition, "w1")
        claims = await self.exchange([], SLOTS)
        while claims or await decider.run_once():
            claims = await self.exchange([Outcome(claim, kind, payload) for claim in claims], SLOTS)


async def _cancel(case: Case) -> None:
    await operators.cancel(case.client, case.partition, case.flow, by="ann")


async def _pause(case: Case) -> None:
    await operators.pause(case.client, case.partition, case.flow, by="ann")


async def _resume(case: Case) -> None:
    await operators.resume(case.client, case.partition, case.flow, by="ann")


async def _prioritise(case: Case) -> None:
    await operators.prioritise(case.client, case.partition, case.flow, by="ann", priority=5)


async def _ignore_all(case: Case) -> None:
    tasks = range(2, case.tasks) if case.kind != "map" else range(4, case.tasks + 4)
    await operators.ignore(case.client, case.partition, case.flow, by="ann", tasks=list(tasks))


async def _rerun_all(case: Case) -> None:
    await operators.rerun(case.client, case.partition, case.flow, by="ann", selection="all")


async def _suspend_all(case: Case) -> None:
    error = b'{"type":"ValueError","message":"no"}'
    await case.finish_all(OutcomeKind.SUSPENDED, error)


async def _rerun_failed(case: Case) -> None:
    await operators.rerun(case.client, case.partition, case.flow, by="ann", selection="failed")


Step = Callable[[Case], Awaitable[None]]
OPERATIONS: dict[str, tuple[str, tuple[str, ...], tuple[Step, ...], Step]] = {
    "cancel": ("operator/cancel", ("chain", "independent", "map"), (), _cancel),
    "cancel that spares a cleanup": ("operator/cancel", ("with a cleanup",), (), _cancel),
    "pause": ("operator/pause", ("chain", "independent", "map"), (), _pause),
    "resume": ("operator/resume", ("chain", "independent", "map"), (_pause,), _resume),
    "priority": ("operator/prioritise", ("chain", "independent", "map"), (), _prioritise),
    "ignore all": ("operator/ignore", ("chain", "independent", "map"), (), _ignore_all),
    "rerun all": ("operator/rerun", ("chain", "independent", "map"), (), _rerun_all),
    "rerun what failed": ("operator/rerun", ("independent",), (_suspend_all,), _rerun_failed),
}


async def main(url: str, tasks: int, turns: int) -> None:
    """Prints every operation."""
    async with connect(url) as client:
        meter = await meter_of(client)
        await send(client, "CONFIG", "SET", "busy-reply-threshold", 120_000)  # the machine may be busy
        least: dict[tuple[str, str], float] = {}
        for turn in range(turns + 1):
            for name, (script, kinds, before, operate) in OPERATIONS.items():
                for kind in kinds:
                    partition = await empty_partition(client)
                    case = Case(client, partition, kind, 100 if turn == 0 else tasks)
                    await case.begin()
                    for step in before:
                        await step(case)
                    meter.longest.clear()
                    await operate(case)
                    if turn:  # the first loads the scripts
                        key = name, kind
                        least[key] = min(least.get(key, 1e9), meter.longest[script])
    print(f"\n| {tasks:,} tasks, least of {turns} turns | flow | ms of Redis' CPU | for each 10,000 |")
    print("|---|---|---|---|")
    for (name, kind), ms in sorted(least.items(), key=lambda one: -one[1]):
        each = ms / tasks * 10_000
        print(
            f"| {name} | {kind} | {ms:.1f} | {each:.1f}{'' if each <= MOST_MS else ' (over)'} |", flush=True
        )


if __name__ == "__main__":
    run_on_redis(main, 10_000, 3)
