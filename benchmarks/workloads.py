"""What is measured, each on a whole engine of real processes with the embedded stores."""

import asyncio
import statistics
import time
from collections.abc import Callable

import msgspec
import psycopg

from benchmarks.engine import BenchEngine
from benchmarks.http_load import load, post
from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.keys import Keys

LINE = "line"
CHAIN = "chain"
CHAIN_TASKS = 40
SINGLE_REQUESTS = 5_000
BULK_REQUESTS = 200
BULK_SIZE = 100
_POLL_SECONDS = 0.02
_ENDED = "SELECT count(*) FROM kr_flow_stat WHERE finished_ts IS NOT NULL AND task_id = %s"
_LAST_FINISH = (
    "SELECT (extract(epoch FROM finished_ts) * 1000)::bigint FROM kr_flow_stat WHERE task_flow_id = %s"
)


class Figure(msgspec.Struct, frozen=True):
    """One measured number. ``target`` holds where the floor is that of the reference machine."""

    workload: str
    value: float
    unit: str
    target: float
    higher_is_better: bool = True


def noops(count: int) -> list[dict[str, object]]:
    """A workflow of so many Noop tasks, one after the other."""
    return [{"taskSeq": seq, "program": "Noop", "taskPriority": 0} for seq in range(1, count + 1)]


async def register_single(engine: BenchEngine, clients: int) -> Figure:
    """Single registrations over HTTP; no worker runs."""
    request = post(f"/register/{LINE}")
    seconds, _ = await load(engine.host, engine.port, request, requests=SINGLE_REQUESTS, clients=clients)
    return Figure(
        f"register, single calls, {clients} connections", SINGLE_REQUESTS / seconds, "calls/s", 1_000
    )


async def register_bulk(engine: BenchEngine, clients: int) -> Figure:
    """Registrations in bulk calls of 100; no worker runs."""
    request = post("/register", msgspec.json.encode([{"taskId": LINE}] * BULK_SIZE))
    seconds, _ = await load(engine.host, engine.port, request, requests=BULK_REQUESTS, clients=clients)
    flows = BULK_REQUESTS * BULK_SIZE
    return Figure(
        f"register, bulk calls of {BULK_SIZE}, {clients} connections", flows / seconds, "flows/s", 10_000
    )


async def backlog(engine: BenchEngine, flows: int, tasks: int, wait: Callable[[str], None]) -> list[Figure]:
    """A worker meets a backlog of three-task flows while the projector runs.

    The time is from the first task's start (Redis' clock) to the last flow's end in ``kr_flow_stat``, which
    the projector writes in the transaction that writes ``kr_task_stat``.
    """
    client = engine.redis
    keys = Keys(0)
    before = await last_position(client, keys)
    cpu_before = await redis_cpu_seconds(client)
    engine.start_worker()
    with psycopg.connect(engine.database_url, autocommit=True) as connection:
        while True:
            row = connection.execute(_ENDED, [LINE]).fetchone()
            ended = int(row[0]) if row else 0
            wait(f"{ended} of {flows} flows projected")
            if ended >= flows:
                break
            await asyncio.sleep(_POLL_SECONDS)
    projected_ms = time.time() * 1000
    cpu_seconds = await redis_cpu_seconds(client) - cpu_before
    first, last = await span_of_events(client, keys, before)
    what = "backlog of three-task flows"
    to_projected, to_finish = tasks / (projected_ms - first) * 1000, tasks / (last - first) * 1000
    return [
        Figure(f"{what}, to the last one projected", to_projected, "tasks/s", 6_000),
        Figure(f"{what}, to the last finish event", to_finish, "tasks/s", 0),
        Figure(f"{what}, Redis CPU", cpu_seconds / tasks * 1e6, "us/task", 45, higher_is_better=False),
    ]


async def chain(engine: BenchEngine, repeats: int) -> Figure:
    """One flow of 40 tasks, nothing else running: from the register call to the last finish event."""
    times: list[float] = []
    with psycopg.connect(engine.database_url, autocommit=True) as connection:
        for _ in range(repeats):
            began_ms = time.time() * 1000
            reply = (await engine.client.post(f"/register/{CHAIN}")).raise_for_status().json()
            times.append(await _finished_ms(connection, reply["taskFlowId"]) - began_ms)
    return Figure(
        f"chain of {CHAIN_TASKS}, register call to last finish, median of {repeats}",
        statistics.median(times), "ms", 60, higher_is_better=False,
    )  # fmt: skip


async def redis_cpu_seconds(client: AsyncRedis) -> float:
    """What Redis' main thread has used so far, user and system."""
    info = await send(client, "INFO", "cpu")
    return float(info["used_cpu_user_main_thread"]) + float(info["used_cpu_sys_main_thread"])


async def _finished_ms(connection: psycopg.Connection, flow: str) -> float:
    while True:
        row = connection.execute(_LAST_FINISH, [flow]).fetchone()
        if row and row[0]:
            return float(row[0])
        await asyncio.sleep(_POLL_SECONDS)


async def last_position(client: AsyncRedis, keys: Keys) -> str:
    found = await send(client, "XREVRANGE", keys.log, "+", "-", "COUNT", 1)
    return found[0][0].decode()


async def span_of_events(client: AsyncRedis, keys: Keys, after: str) -> tuple[float, float]:
    """Milliseconds of the first entry after a position (the first start) and of the log's last entry."""
    found = await send(client, "XRANGE", keys.log, f"({after}", "+", "COUNT", 1)
    if not found:
        raise RuntimeError("the log was trimmed too early: raise FLOWER_LOG_TAIL_EVENTS for the benchmark")
    last = await last_position(client, keys)
    return float(found[0][0].decode().partition("-")[0]), float(last.partition("-")[0])
