"""What trees and loops cost Redis at their largest: ``python -m benchmarks.large_trees [TASKS]`` (100,000).

A tree of so many tasks, as ten children each of which has a map over a tenth of them, and as a thousand
children; and the end of a round (``Again(..., of="flow")``) of a flow with a tenth of the tasks. Told are the
longest call of each script, in ms of CPU of Redis' main thread as the kernel counts it, so that other work on
the machine disturbs it less than a clock, and the memory of Redis without its log.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from benchmarks.one_redis import Exchange, Meter, empty_partition, meter_of, run_on_redis
from flower_engine.flows.begun_children import ChildPlans
from flower_engine.flows.memory_sources import MemoryDefinitions
from flower_engine.log.client import AsyncRedis, connect, send
from flower_engine.log.partition import Partition
from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition, plan_flow
from flower_engine.model.values.ids import make_flow_id
from flower_engine.runtime.clock import SYSTEM_CLOCK
from flower_engine.runtime.deciding import Decider
from flower_engine.transitions import operator_transitions as operators
from flower_engine.transitions.register_transition import FlowPlan, Start, register
from flower_engine.transitions.tree_transitions import begin_children, look_at_trees
from flower_engine.transitions.watcher_transitions import fire
from flower_engine.transitions.worker_transitions import (
    Outcome,
    OutcomeKind,
)

MOST_MS, MOST_MS_WHOLE = 20.0, 50.0
"""What a call may take, and an operation on a whole flow for 10,000 tasks."""
SLOTS = 100
A_MINUTE_MS = 60_000
_WHOLE = ("operator/", "watcher/tree")
_ERROR = b'{"type":"ValueError","message":"no"}'


def task(seq: int, *depends_on: int, program: str = "A", **more: Any) -> TaskDefinition:
    return TaskDefinition(task_seq=seq, program=program, depends_on=depends_on, **more)


def subflow(seq: int, workflow: str) -> TaskDefinition:
    """A task that a flow of this workflow does."""
    return task(seq, program="@flow", parameters={"workflow": workflow})


class Tree:
    """A partition with its worker and its watcher."""

    def __init__(self, client: AsyncRedis, partition: Partition) -> None:
        self.client, self.partition = client, partition
        self.definitions = MemoryDefinitions(SYSTEM_CLOCK)
        self._plans = ChildPlans(self.definitions, SYSTEM_CLOCK)
        self._decider = Decider(client, partition, "w1")
        self.exchange = Exchange(client, partition)
        self.flow = make_flow_id(0, 0, 1)

    async def define(self, name: str, *tasks: TaskDefinition) -> None:
        """A workflow that children may be of."""
        await self.definitions.put(WorkflowDefinition(name=name, tasks=tasks), "benchmark")

    async def register(self, *tasks: TaskDefinition) -> None:
        """The trunk."""
        plan = FlowPlan("trunk", plan_flow(WorkflowDefinition(name="trunk", tasks=tasks)))
        await register(self.client, self.partition, [Start(self.flow, plan)])

    async def look(self) -> bool:
        """A look of a watcher at trees; whether there was something."""
        more, due = await look_at_trees(self.client, self.partition)
        begun = [(one, made) for one in due if (made := await self._plans.begin(one)) is not None]
        if begun:
            await begin_children(self.client, self.partition, begun)
        return bool(begun or more)

    async def settle(self) -> None:
        """All that needs no worker; the log is trimmed, as it is behind a projector."""
        while True:
            has_begun, has_decided = await self.look(), await self._decider.run_once()
            await self.exchange([], 0)
            await send(self.client, "XTRIM", self.partition.keys.log, "MAXLEN", 0)
            if not has_begun and not has_decided:
                return

    async def release(self, tasks: int) -> None:
        """What is to be released goes to its lanes."""
        for _ in range(tasks // 500 + 1):
            await self.exchange([], 0)

    async def run(self, most: int) -> None:
        """Works off so many tasks; the trees are looked at meanwhile."""
        claims = await self.exchange([], SLOTS)
        done = 0
        while claims and done < most:
            done += len(claims)
            claims = await self.exchange(
                [Outcome(claim, OutcomeKind.FINISHED, b"1") for claim in claims], SLOTS
            )
            if not claims:
                await self.settle()
                claims = await self.exchange([], SLOTS)
            await send(self.client, "XTRIM", self.partition.keys.log, "MAXLEN", 0)
        if claims:
            await self.exchange([Outcome(claim, OutcomeKind.RETURNED, b"null") for claim in claims], 0)


async def _memory(client: AsyncRedis) -> int:
    info: dict[str, Any] = await send(client, "INFO", "memory")
    return int(info["used_memory"])


def _told(what: str, meter: Meter, tasks: int) -> None:
    """The longest call of each script that took a millisecond."""
    for script, ms in sorted(meter.longest.items(), key=lambda one: -one[1]):
        most = MOST_MS_WHOLE * max(1.0, tasks / 10_000) if script.startswith(_WHOLE) else MOST_MS
        if ms >= 1:
            print(f"| {what} | {script} | {ms:.1f}{'' if ms <= most else ' (over)'} |", flush=True)
    meter.longest.clear()


async def of_a_tree(client: AsyncRedis, meter: Meter, tasks: int, children: int, *, is_told: bool) -> None:
    """A tree is begun, run for a tenth, paused, goes on, has another priority, and is cancelled."""
    partition = await empty_partition(client)
    tree, each = Tree(client, partition), tasks // children
    before = await _memory(client)
    over = {"over": list(range(each)), "program": "A", "as": "n"}
    await tree.define("child", task(1, program="@map", parameters=over))
    await tree.register(*(subflow(seq, "child") for seq in range(1, children + 1)))
    meter.longest.clear()
    name = f"{children:,} children of {each:,} tasks: "
    where: Any = (client, partition, tree.flow)
    steps: dict[str, Callable[[], Awaitable[Any]]] = {
        "begun": tree.settle,
        "a tenth runs": lambda: tree.run(tasks // 10),
        "paused": lambda: operators.pause(*where, by="ann"),
        "goes on": lambda: operators.resume(*where, by="ann"),
        "priority": lambda: operators.prioritise(*where, by="ann", priority=5),
        "runs on": lambda: tree.run(tasks // 10),
        "cancelled": lambda: operators.cancel(*where, by="ann"),
    }
    for what, step in steps.items():
        await step()
        await tree.settle()
        if what == "begun":
            await tree.release(tasks)
            if is_told:
                size = (await _memory(client) - before) / tasks
                print(f"| {name}{what} | memory | {size:,.0f} bytes a task |", flush=True)
        if is_told:
            _told(name + what, meter, each)


ROUNDS: dict[str, Callable[[int], list[TaskDefinition]]] = {
    "independent tasks": lambda tasks: [task(seq) for seq in range(1, tasks + 1)],
    "a chain": lambda tasks: [task(1), *(task(seq, seq - 1) for seq in range(2, tasks + 1))],
    "independent tasks, half of them failed": lambda tasks: [task(seq) for seq in range(1, tasks + 1)],
    "independent tasks, with rules": lambda tasks: [
        *(task(seq, on_failure="give_up") for seq in range(1, tasks + 1)),
    ],
    "independent tasks and a cleanup": lambda tasks: [
        *(task(seq) for seq in range(1, tasks)),
        task(tasks, 1, rule="settled", finally_=True),
    ],
}


async def of_a_round(client: AsyncRedis, meter: Meter, name: str, tasks: int, *, is_told: bool) -> None:
    """A round of a flow ends, of which one task has run."""
    partition = await empty_partition(client)
    tree = Tree(client, partition)
    await tree.define("round", *ROUNDS[name](tasks))
    await tree.register(subflow(1, "round"), task(2, 1))
    await tree.settle()
    await tree.release(tasks)
    failed = 0
    while "failed" in name and failed < tasks // 2:
        claims = await tree.exchange([], SLOTS)
        failed += len(claims)
        await tree.exchange([Outcome(claim, OutcomeKind.SUSPENDED, _ERROR) for claim in claims], 0)
    (asks,) = await tree.exchange([], 1)
    await tree.exchange([Outcome(asks, OutcomeKind.FLOW_AGAIN, msgspec.json.encode({}), 0)], 0)
    meter.longest.clear()
    while (await fire(client, partition, lease_ms=A_MINUTE_MS, tick_gap_ms=A_MINUTE_MS)).next_ms == 0:
        pass  # a watcher comes again at once
    if is_told:
        _told(f"the round of {tasks:,} {name} ends", meter, tasks)
    await tree.settle()
    if is_told:
        _told(f"the next one begins ({name})", meter, tasks)


async def main(url: str, tasks: int) -> None:
    """Prints every case."""
    async with connect(url) as client:
        meter = await meter_of(client)
        await send(client, "CONFIG", "SET", "busy-reply-threshold", 120_000)  # the machine may be busy
        for name in ROUNDS:  # the first calls load the scripts
            await of_a_round(client, meter, name, 200, is_told=False)
        await of_a_tree(client, meter, 1_000, 10, is_told=False)
        print("\n| step | script | longest call, ms of Redis' CPU |")
        print("|---|---|---|")
        for name in ROUNDS:
            await of_a_round(client, meter, name, tasks // 10, is_told=True)
        for children in (10, 1_000):
            await of_a_tree(client, meter, tasks, children, is_told=True)


if __name__ == "__main__":
    run_on_redis(main, 100_000)
