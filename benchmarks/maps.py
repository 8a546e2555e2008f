"""What a map costs Redis: ``python -m benchmarks.maps [ITEMS [TURNS]]`` (10,000 items, 4 turns).

In turns, on one Redis: a list, a map over it, and a task that reads the list of what its items returned; and
as many tasks that have nothing to do with each other. The same with a window (``limit``), with tolerance
and outcomes, and with half as many items and a map that goes along them. CPU time of Redis, so that a busy
machine counts for little. Of each script the longest call of
a turn, as Redis' slow log has it: that is time on the clock, so the least of all turns is told.
"""

import asyncio
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from flower_bench.environment import describe_environment
from flower_engine.embedded.home import Home
from flower_engine.embedded.valkey import EmbeddedValkey
from flower_engine.log.client import AsyncRedis, connect, send
from flower_engine.log.partition import Partition
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.model.values.ids import make_flow_id
from flower_engine.runtime.deciding import Decider
from flower_engine.transitions.installation_transitions import install
from flower_engine.transitions.loader import Script
from flower_engine.transitions.register_transition import FlowPlan, Start, register
from flower_engine.transitions.watcher_transitions import lapse
from flower_engine.transitions.worker_transitions import (
    Outcome,
    OutcomeKind,
    Service,
    attend,
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


async def _cpu_ms(client: AsyncRedis) -> float:
    info: dict[str, Any] = await client.info("cpu")  # pyright: ignore[reportUnknownMemberType]
    return 1000 * (float(info["used_cpu_sys"]) + float(info["used_cpu_user"]))


async def _put(content: bytes) -> BlobRef:
    """A large list is a blob; where that lies costs Redis nothing."""
    return BlobRef(sha256="ab", bytes=len(content), store="api")


async def run(client: AsyncRedis, kind: str, items: int, longest: dict[str, list[float]]) -> float:
    """Runs one flow to its end; ms of Redis' CPU, its log not counted."""
    await send(client, "FLUSHALL", "SYNC")
    meta = await install(client, 0, "benchmark", 1)
    partition = Partition(0, meta.installation, meta.generation)
    await attend(client, partition, ["default"])
    await lapse(client, partition, queues=[], lease_ms=30_000, tick_gap_ms=10_000, max_lost=3)
    await send(client, "SLOWLOG", "RESET")
    flow, decider = make_flow_id(0, 0, 1), Decider(client, partition, "w1", put=_put)
    service, before = Service(("default",), ("A",)).args(), await _cpu_ms(client)
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
    spent = await _cpu_ms(client) - before
    assert ran == (items if KINDS[kind] is None else items + 2), (kind, ran)
    await _note_longest(client, kind, longest)
    return spent


async def _note_longest(client: AsyncRedis, kind: str, longest: dict[str, list[float]]) -> None:
    names = {Script(name).sha: name.partition("/")[2] for name in SCRIPTS}
    entries: list[dict[str, Any]] = await client.slowlog_get(100_000)  # pyright: ignore[reportUnknownMemberType]
    found: dict[str, float] = {}
    for entry in entries:
        words = bytes(entry["command"]).decode(errors="replace").split(" ")
        if len(words) > 1 and words[1] in names:
            key = f"{kind}: {names[words[1]]}"
            found[key] = max(found.get(key, 0.0), entry["duration"] / 1000)
    for key, ms in found.items():
        longest.setdefault(key, []).append(ms)


async def main(url: str, items: int, turns: int) -> None:
    """Prints every case."""
    spent: dict[str, list[float]] = {kind: [] for kind in KINDS}
    longest: dict[str, list[float]] = {}
    async with connect(url) as client:
        await send(client, "CONFIG", "SET", "slowlog-log-slower-than", 2_000, "slowlog-max-len", 100_000)
        for kind in KINDS:  # scripts are loaded, memory is had
            await run(client, kind, 100, {})
        for _ in range(turns):
            for kind in KINDS:
                spent[kind].append(await run(client, kind, items, longest))
    base = _mean(spent["independent tasks"])
    print(
        f"\n| {items:,} in {turns} turns | ms of Redis' CPU, mean | least to most | times independent tasks |"
    )
    print("|---|---|---|---|")
    for kind, found in spent.items():
        range_ = f"{min(found):.0f} to {max(found):.0f}"
        print(f"| {kind} | {_mean(found):.0f} | {range_} | {_mean(found) / base:.2f} |")
    print("\n| longest call of a turn, over 2 ms | ms: least of the turns | most |\n|---|---|---|")
    for key, ms in sorted(longest.items(), key=lambda item: -min(item[1])):
        print(f"| {key} | {min(ms):.1f} | {max(ms):.1f} |")


def _mean(found: Iterable[float]) -> float:
    numbers = list(found)
    return sum(numbers) / len(numbers)


if __name__ == "__main__":
    for name, value in describe_environment().items():
        print(f"{name}: {value}")
    with tempfile.TemporaryDirectory() as folder, Home(Path(folder)) as home:
        valkey = EmbeddedValkey(home, durable=False)
        address = valkey.start()
        try:
            words = [int(word) for word in sys.argv[1:]]
            asyncio.run(main(address, *(words + [10_000, 4][len(words) :])))
        finally:
            valkey.stop()
