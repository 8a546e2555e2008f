"""What a map costs Redis: ``python -m benchmarks.maps [ITEMS [TURNS]]`` (10,000 items, 4 turns).

In turns, on one Redis: a list, a map over it, and a task that reads the list of what its items returned; and
as many tasks that have nothing to do with each other. The same with a window (``limit``), with tolerance
and outcomes, and with half as many items and a map that goes along them. CPU time of Redis' main thread, as
the kernel counts it, so that a busy machine counts for little; also of the longest call of each script, of
those, too, of a list that is made anew with a new element in front (scope ``changed``), and of flows of three
tasks that begin as children of as many tasks.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from benchmarks.one_redis import Exchange, Meter, empty_partition, meter_of, run_on_redis
from flower_engine.flows.matched_maps import rerun_matched
from flower_engine.log.client import AsyncRedis, connect
from flower_engine.log.partition import Partition
from flower_engine.log.reader import read_behind
from flower_engine.model.definitions.definition import (
    PlannedTask,
    TaskDefinition,
    WorkflowDefinition,
    plan_flow,
)
from flower_engine.model.events.events import decode_event
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.fold import fold
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.model.values.ids import make_flow_id
from flower_engine.runtime.deciding import Decider
from flower_engine.transitions.register_transition import FlowPlan, Start, register
from flower_engine.transitions.tree_transitions import Begun, begin_children, look_at_trees
from flower_engine.transitions.worker_transitions import Outcome, OutcomeKind

SLOTS = 50
WINDOW = 500
SCRIPTS = (
    "register/register",
    *(f"worker/{name}" for name in ("finish_and_claim", "expand", "decisions", "read_items", "decide")),
    *("watcher/tree", "watcher/begin_children"),
)
KINDS: dict[str, dict[str, Any] | None] = {
    "independent tasks": None,
    "a map": {},
    f"a map, limit {WINDOW}": {"limit": WINDOW},
    "a map, tolerate, outcomes": {"tolerate": 0.5, "outcomes": True},
    "two maps, aligned": {"chain": True},
}


def plan_of(kind: str, items: int) -> FlowPlan:
    """The flow of a kind."""
    bounds = KINDS[kind]
    if bounds is None:
        return FlowPlan(
            "tasks", [PlannedTask(seq=seq, task_seq=seq, program="A") for seq in range(1, items + 1)]
        )
    over = {"over": {"$from": 1}, "program": "A", "as": "n", **bounds}
    if over.pop("chain", False):
        return FlowPlan("chain", _chain(over))
    read: dict[str, Any] = {"reads": {"1": 1}, "refs": True, "depends_on": (1,)}
    last: dict[str, Any] = {
        "reads": {"2": 2},
        "refs": True,
        "depends_on": (2,),
        "parameters": {"all": {"$from": 2}},
    }
    return FlowPlan(
        "map",
        [
            PlannedTask(seq=1, task_seq=1, program="A"),
            PlannedTask(seq=2, task_seq=2, program="@map", parameters=over, **read),
            PlannedTask(seq=3, task_seq=3, program="A", **last),
        ],
    )


def _chain(over: dict[str, Any]) -> list[PlannedTask]:
    """A map, one that goes along it, and what reads the list of that."""
    along = {"over": {"$from": 2}, "program": "A", "as": "n", "aligned": True}
    return [
        PlannedTask(seq=1, task_seq=1, program="A"),
        _reader(2, "@map", over),
        _reader(3, "@map", along),
        _reader(4, "A", {"all": {"$from": 3}}),
    ]


def _reader(seq: int, program: str, parameters: dict[str, Any]) -> PlannedTask:
    before = seq - 1
    return PlannedTask(
        seq=seq,
        task_seq=seq,
        program=program,
        parameters=parameters,
        reads={str(before): before},
        refs=True,
        depends_on=(before,),
    )


async def _put(content: bytes) -> BlobRef:
    """A large list is a blob; where that lies costs Redis nothing."""
    return BlobRef(sha256="ab", bytes=len(content), store="api")


class Worker:
    """All that is done of one partition."""

    def __init__(self, client: AsyncRedis, partition: Partition) -> None:
        self.decider = Decider(client, partition, "w1", put=_put)
        self._exchange = Exchange(client, partition)

    async def work(self, results: Mapping[int, bytes], most: int | None = None) -> int:
        """Works off what there is; what tasks come to is 1, or one of these results by their numbers.
        ``most`` (None: all there are): so many tasks. Returns how many ran."""
        outcomes: list[Outcome] = []
        ran = 0
        while True:
            wanted = SLOTS if most is None else min(SLOTS, most - ran)
            got = await self._exchange.answered(outcomes, wanted)
            ran += len(got.claims)
            outcomes = [
                Outcome(claim, OutcomeKind.FINISHED, results.get(claim.task, b"1")) for claim in got.claims
            ]
            if not got.claims and not got.more and (ran == most or not await self.decider.run_once()):
                return ran


def _note_longest(meter: Meter, kind: str, longest: dict[str, list[float]]) -> None:
    for script in SCRIPTS:
        if script in meter.longest:
            longest.setdefault(f"{kind}: {script.partition('/')[2]}", []).append(meter.longest[script])


async def run(
    client: AsyncRedis, meter: Meter, kind: str, items: int, longest: dict[str, list[float]]
) -> float:
    """Runs one flow to its end; ms of CPU of Redis' main thread."""
    partition = await empty_partition(client)
    meter.longest.clear()
    worker, before = Worker(client, partition), meter.ms()
    await register(client, partition, [Start(make_flow_id(0, 0, 1), plan_of(kind, items))])
    is_chain = bool((KINDS[kind] or {}).get("chain"))
    values = msgspec.json.encode(list(range(items // 2 if is_chain else items)))
    ran = await worker.work({} if KINDS[kind] is None else {1: values})
    spent = meter.ms() - before
    assert ran == (items if KINDS[kind] is None else items + 2), (kind, ran)
    _note_longest(meter, kind, longest)
    return spent


async def run_changed(
    client: AsyncRedis, meter: Meter, kind: str, items: int, longest: dict[str, list[float]]
) -> None:
    """Runs a flow with maps until only its last task is left, and its list anew, with a new element in
    front: the others take over what the same ones came to."""
    partition = await empty_partition(client)
    worker, flow = Worker(client, partition), make_flow_id(0, 0, 1)
    await register(client, partition, [Start(flow, plan_of(kind, items))])
    maps = 2 if (KINDS[kind] or {}).get("chain") else 1
    values = list(range(items // maps))
    await worker.work({1: msgspec.json.encode(values)}, 1)
    assert await worker.decider.run_once() == 1
    await worker.work({}, len(values) * maps)
    while await worker.decider.run_once():  # its lists
        pass

    async def state() -> FlowState:
        entries = (await read_behind(client, partition.keys, None, 10_000_000)).entries
        return fold(decode_event(one.raw) for one in entries)[flow]

    await rerun_matched(state, client, partition, flow, by="bench", selection=[1], scope="changed")
    meter.longest.clear()
    ran = await worker.work({1: msgspec.json.encode([-1, *values[:-1]])})
    assert ran == 1 + maps + 1, ran
    _note_longest(meter, f"{kind}, changed", longest)


async def run_children(
    client: AsyncRedis, meter: Meter, children: int, longest: dict[str, list[float]]
) -> None:
    """So many tasks that flows of three tasks do."""
    partition = await empty_partition(client)
    worker, row = Worker(client, partition), TaskDefinition(task_seq=1, program="A")
    child = FlowPlan(
        "child",
        plan_flow(WorkflowDefinition(name="child", tasks=tuple(_copy(row, seq) for seq in (1, 2, 3)))),
    )
    parent = TaskDefinition(task_seq=1, program="@flow", depends_on=(), parameters={"workflow": "child"})
    rows = tuple(msgspec.structs.replace(parent, task_seq=seq) for seq in range(1, children + 1))
    plan = FlowPlan("parent", plan_flow(WorkflowDefinition(name="parent", tasks=rows)))
    meter.longest.clear()
    await register(client, partition, [Start(make_flow_id(0, 0, 1), plan)])
    left = children
    while left:
        more, due = await look_at_trees(client, partition)
        words = await begin_children(client, partition, [(one, Begun("begins", child)) for one in due])
        left -= words.count("ok")
        assert due or more or await worker.work({}, 0) == 0
    assert await worker.work({}) == 3 * children
    _note_longest(meter, "children", longest)


def _copy(row: TaskDefinition, seq: int) -> TaskDefinition:
    return msgspec.structs.replace(row, task_seq=seq, depends_on=(seq - 1,) if seq > 1 else ())


async def main(url: str, items: int, turns: int) -> None:
    """Prints every case."""
    spent: dict[str, list[float]] = {kind: [] for kind in KINDS}
    longest: dict[str, list[float]] = {}
    async with connect(url) as client:
        meter = await meter_of(client)
        for kind in KINDS:  # scripts are loaded, memory is had
            await run(client, meter, kind, 100, {})
        for _ in range(turns):
            for kind in KINDS:
                spent[kind].append(await run(client, meter, kind, items, longest))
            for kind in ("a map", "a map, tolerate, outcomes", "two maps, aligned"):
                await run_changed(client, meter, kind, items, longest)
            await run_children(client, meter, items // 4, longest)
    base = _mean(spent["independent tasks"])
    print(
        f"\n| {items:,} in {turns} turns | ms of Redis' CPU, mean | least to most | times independent tasks |"
    )
    print("|---|---|---|---|")
    for kind, found in spent.items():
        range_ = f"{min(found):.0f} to {max(found):.0f}"
        print(f"| {kind} | {_mean(found):.0f} | {range_} | {_mean(found) / base:.2f} |")
    print("\n| longest call of a turn, over 2 ms | ms of CPU: least of the turns | most |\n|---|---|---|")
    for key, ms in sorted(longest.items(), key=lambda item: -min(item[1])):
        if max(ms) > 2:
            print(f"| {key} | {min(ms):.1f} | {max(ms):.1f} |")


def _mean(found: Iterable[float]) -> float:
    numbers = list(found)
    return sum(numbers) / len(numbers)


if __name__ == "__main__":
    run_on_redis(main, 10_000, 4)
