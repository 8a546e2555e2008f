"""What tasks that wait for the world cost: ``python -m benchmarks.waits [TASKS]`` (100,000).

One flow a task, with one behind it. Of each kind: bytes of Redis a flow, beside the same flow that waits for
a worker; what Redis does while nothing happens but the looks of a watcher, beside an empty one; and its time
for one signal, and for one sleep that is over.
"""

import asyncio
from typing import Any

from benchmarks.one_redis import run_on_redis
from flower_engine.log.client import AsyncRedis, connect, send
from flower_engine.log.partition import Partition
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.values.ids import make_flow_id
from flower_engine.transitions.installation_transitions import install
from flower_engine.transitions.register_transition import FlowPlan, Start, register
from flower_engine.transitions.wait_transitions import Sent, signal
from flower_engine.transitions.watcher_transitions import fire, lapse
from flower_engine.transitions.worker_transitions import attend

IDLE_SECONDS = 20.0
FIRE_SECONDS, TICK_SECONDS = 0.2, 0.5  # as a watcher looks
CALLS = 1_000
A_CALL = 500
WORKER: tuple[str, dict[str, Any]] = ("A", {})


def _program(kind: str, number: int) -> tuple[str, dict[str, Any]]:
    return {
        "a worker": WORKER,
        "@sleep": ("@sleep", {"seconds": 1_000_000}),
        "@event": ("@event", {"name": "paid", "key": f"order {number}"}),
        "@event, timeout": (
            "@event",
            {"name": "paid", "key": f"order {number}", "timeout_seconds": 1_000_000},
        ),
        "@approval": ("@approval", {"title": "Publish?", "timeout_seconds": 1_000_000}),
    }[kind]


KINDS = ("a worker", "@sleep", "@event", "@event, timeout", "@approval")


def _plan(kind: str, number: int) -> FlowPlan:
    program, parameters = _program(kind, number)
    first = PlannedTask(seq=1, task_seq=1, program=program, parameters=parameters)
    return FlowPlan("orders", [first, PlannedTask(seq=2, task_seq=2, program="A", depends_on=(1,))])


async def _info(client: AsyncRedis, section: str) -> dict[str, Any]:
    return await client.info(section)  # pyright: ignore[reportUnknownMemberType]


async def _cpu_seconds(client: AsyncRedis) -> float:
    info = await _info(client, "cpu")
    return float(info["used_cpu_sys"]) + float(info["used_cpu_user"])


async def _fill(client: AsyncRedis, partition: Partition, kind: str, count: int) -> float:
    """Registers so many flows; bytes of Redis for each, without the log."""
    await send(client, "XTRIM", partition.keys.log, "MAXLEN", 0)
    before = int((await _info(client, "memory"))["used_memory"])
    numbers = range(1, count + 1)
    for at in range(0, count, A_CALL):
        starts = [Start(make_flow_id(0, 0, n), _plan(kind, n)) for n in numbers[at : at + A_CALL]]
        await register(client, partition, starts)
        await send(client, "XTRIM", partition.keys.log, "MAXLEN", 0)
    return (int((await _info(client, "memory"))["used_memory"]) - before) / count


async def _idle(client: AsyncRedis, partition: Partition) -> float:
    """Which share of a core Redis uses while a watcher looks and nothing happens."""
    await lapse(client, partition, queues=["default"], lease_ms=30_000, tick_gap_ms=10_000, max_lost=3)
    before, rounds = await _cpu_seconds(client), round(IDLE_SECONDS / TICK_SECONDS)
    for number in range(rounds):
        if number:
            await lapse(
                client, partition, queues=["default"], lease_ms=30_000, tick_gap_ms=10_000, max_lost=3
            )
        for _ in range(round(TICK_SECONDS / FIRE_SECONDS)):
            await fire(client, partition, lease_ms=30_000, tick_gap_ms=10_000)
            await asyncio.sleep(FIRE_SECONDS)
    return (await _cpu_seconds(client) - before) / (
        rounds * round(TICK_SECONDS / FIRE_SECONDS) * FIRE_SECONDS
    )


async def _signals(client: AsyncRedis, partition: Partition, count: int) -> float:
    """Microseconds of Redis for a signal that a task awaits, spread over all flows."""
    step = max(1, count // CALLS)
    before = await _cpu_seconds(client)
    for number in range(1, CALLS * step + 1, step):
        sent = Sent(name="paid", key=f"order {number}", id="1", by="benchmark")
        (done,) = await signal(client, partition, sent, [make_flow_id(0, 0, number)])
        assert done.word == "taken"
    return (await _cpu_seconds(client) - before) / CALLS * 1e6


async def _sleeps(client: AsyncRedis, partition: Partition) -> float:
    """Microseconds of Redis for a sleep that is over, a hundred a call."""
    members: list[bytes] = await send(client, "ZRANGE", partition.keys.timers, 0, CALLS - 1)
    for member in members:
        await send(client, "ZADD", partition.keys.timers, 1, member)
    before = await _cpu_seconds(client)
    for _ in range(CALLS // 100):
        assert len((await fire(client, partition, lease_ms=30_000, tick_gap_ms=10_000)).fired) == 100
    return (await _cpu_seconds(client) - before) / CALLS * 1e6


async def main(url: str, count: int) -> None:
    """Prints every case."""
    async with connect(url) as client:
        empty = 0.0
        for kind in (None, *KINDS):
            await send(client, "FLUSHALL", "SYNC")
            meta = await install(client, 0, "benchmark", 1)
            partition = Partition(0, meta.installation, meta.generation)
            await attend(client, partition, ["default"])
            await lapse(client, partition, queues=[], lease_ms=30_000, tick_gap_ms=10_000, max_lost=3)
            if kind is None:
                empty = await _idle(client, partition)
                print(f"an empty Redis, while a watcher looks: {empty:.3%} of a core")
                continue
            size = await _fill(client, partition, kind, count)
            said = f"{count:,} flows that wait for {kind}: {size:,.0f} bytes each"
            if kind != "a worker":
                said += f"; idle: {await _idle(client, partition):.3%} of a core"
            if kind == "@event":
                said += f"; {await _signals(client, partition, count):.0f} us a signal"
            if kind == "@sleep":
                said += f"; {await _sleeps(client, partition):.0f} us a sleep that is over"
            print(said, flush=True)


if __name__ == "__main__":
    run_on_redis(main, 100_000)
