"""What a map costs Redis: ``python -m benchmarks.maps [ITEMS [TURNS]]`` (10,000 items, 4 turns).

In turns, on one Redis: a list, a map over it, and a task that reads the list of what its items returned; and
as many tasks that have nothing to do with each other. The same with a window (``limit``), with tolerance
and outcomes, and with half as many items and a map that goes along them. CPU time of Redis' main thread, as
the kernel counts it, so that a busy machine counts for little; also of the longest call of each script.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from benchmarks.one_redis import Meter, empty_partition, meter_of, run_on_redis
from flower_engine.log.client import AsyncRedis, connect
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.model.values.ids import make_flow_id
from flower_engine.runtime.deciding import Decider
from flower_engine.transitions.register_transition import FlowPlan, Start, register
from flower_engine.transitions.worker_transitions import (
    Outcome,
    OutcomeKind,
    Service,
    finish_and_claim,
)

SLOTS = 50
WINDOW = 500
SCRIPTS = (
    "register/register",
    *(f"worker/{name}" for name in ("finish_and_claim", "expand", "decisions", "decide")),
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


async def run(
    client: AsyncRedis, meter: Meter, kind: str, items: int, longest: dict[str, list[float]]
) -> float:
    """Runs one flow to its end; ms of CPU of Redis' main thread."""
    partition = await empty_partition(client)
    meter.longest.clear()
    flow, decider = make_flow_id(0, 0, 1), Decider(client, partition, "w1", put=_put)
    service, before = Service(("default",), ("A",)).args(), meter.ms()
    await register(client, partition, [Start(flow, plan_of(kind, items))])
    is_chain = bool((KINDS[kind] or {}).get("chain"))
    values = msgspec.json.encode(list(range(items // 2 if is_chain else items)))
    outcomes: list[Outcome] = []
    number = ran = 0
    while True:
        number += 1
        got = await finish_and_claim(
            client, partition, "w1", number, answered=number - 1, outcomes=outcomes, wanted=SLOTS,
            service_args=service,
        )  # fmt: skip
        ran += len(got.claims)
        outcomes = [
            Outcome(
                claim,
                OutcomeKind.FINISHED,
                values if (kind != "independent tasks" and claim.task == 1) else b"1",
            )
            for claim in got.claims
        ]
        if not got.claims and not got.more and not await decider.run_once():
            break
    spent = meter.ms() - before
    assert ran == (items if KINDS[kind] is None else items + 2), (kind, ran)
    for script in SCRIPTS:
        if script in meter.longest:
            longest.setdefault(f"{kind}: {script.partition('/')[2]}", []).append(meter.longest[script])
    return spent


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
