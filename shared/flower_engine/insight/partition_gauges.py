"""How a partition stands, in numbers for monitoring, at a bounded cost: few round trips, nothing scanned."""

from collections import Counter
from collections.abc import Collection, Sequence
from itertools import islice
from typing import Any

import msgspec

from flower_engine.insight.backlog import read_backlog
from flower_engine.log.client import AsyncRedis, queue_command, send
from flower_engine.log.engine_clock import read_engine_time
from flower_engine.log.keys import GROUP
from flower_engine.log.partition import Partition
from flower_engine.model.flow_control.limits import (
    LimitName,
    LimitValue,
    limits_tasks,
    parse_limit,
    setting_of,
)
from flower_engine.model.values.key_parts import escape, unescape
from flower_engine.transitions.worker_transitions import WorkerInfo, live_workers

_MOST_SHARES = 5_000
_MOST_LANES = 5_000  # looked at; beyond, the numbers of ready tasks are too small
_MOST_HEADS = 20  # of a queue

Task = tuple[str, int]
"""A flow's id, and the number of the task in it."""


class LimitGauge(msgspec.Struct, frozen=True):
    """``name`` is about tasks, and not about the tasks of a single key; ``most``: None is none."""

    name: LimitName
    running: int
    value: LimitValue


class PartitionGauges(msgspec.Struct, frozen=True, kw_only=True):
    """``heads``: the next tasks of each queue, some of them; ``lag_ms``: the age of the oldest event that is
    not projected; ``tick_age_ms``: since a watcher looked; ``overdue_ms``: since a watcher should have looked
    at a schedule."""

    ready: Counter[str]
    heads: dict[str, list[Task]]
    running: Counter[str]
    limits: list[LimitGauge]
    workers: list[WorkerInfo]
    log_events: int
    log_bytes: int
    task_log_bytes: int
    lag_events: int
    lag_ms: int
    tick_age_ms: int
    overdue_ms: int


async def read_gauges(
    client: AsyncRedis, partition: Partition, also: Collection[str] = ()
) -> PartitionGauges:
    """The partition as it is; ``also``: queues that are looked at though no worker ever attended them.

    Raises:
        RedisError, OSError: Redis cannot be asked now.
    """
    keys = partition.keys
    time, clock_ms = await read_engine_time(client, keys)
    now_ms = time.now(clock_ms)
    async with client.pipeline(transaction=False) as pipe:
        queue_command(pipe, "SMEMBERS", keys.queues)
        queue_command(pipe, "HGETALL", keys.boards)
        queue_command(pipe, "HGETALL", keys.limits)
        queue_command(pipe, "HGETALL", keys.running)
        queue_command(pipe, "HGET", keys.meta, "projected_to")
        queue_command(pipe, "XLEN", keys.log)
        queue_command(pipe, "MEMORY USAGE", keys.log)
        queue_command(pipe, "ZRANGE", keys.schedules, 0, 0, "WITHSCORES")
        queue_command(pipe, "MEMORY USAGE", keys.tasklog)
        attended, boards, limits, units, noted, length, size, due, lines = await pipe.execute()
    queues = sorted({unescape(name.decode()) for name in attended} | set(also))
    backlog = await read_backlog(client, partition)
    ready, heads = await _ready(client, partition, queues, boards)
    return PartitionGauges(
        ready=ready,
        heads=heads,
        running=await _leased(client, partition, queues),
        limits=_limits(limits, units),
        workers=await live_workers(client, partition),
        log_events=length,
        log_bytes=size or 0,
        task_log_bytes=lines or 0,
        lag_events=backlog.events,
        lag_ms=await _lag_ms(client, partition, noted, clock_ms) if backlog.events else 0,
        tick_age_ms=max(0, now_ms - time.tick) if time.tick else 0,
        overdue_ms=max(0, clock_ms - int(float(due[1]))) if due else 0,
    )


async def _ready(
    client: AsyncRedis, partition: Partition, queues: Sequence[str], boards: dict[bytes, bytes]
) -> tuple[Counter[str], dict[str, list[Task]]]:
    """How many tasks are ready in each queue, and the next of some lanes."""
    keys = partition.keys
    by_key = {escape(queue): queue for queue in queues}
    places = [(queue, "") for queue in queues]
    for board, names in boards.items():
        for name in names.decode().split(","):
            places.append((by_key.get(name) or unescape(name), board.decode()))
    shares = await _ranges(client, [keys.ready(queue, board) for queue, board in places])
    found = [
        (queue, keys.share(share.decode(), board))
        for (queue, board), names in zip(places, shares, strict=True)
        for share in names
    ][:_MOST_SHARES]
    lanes = await _ranges(client, [share for _, share in found])
    named = [
        (queue, lane.decode()) for (queue, _), names in zip(found, lanes, strict=True) for lane in names
    ][:_MOST_LANES]
    async with client.pipeline(transaction=False) as pipe:
        for _, lane in named:
            queue_command(pipe, "ZCARD", keys.lane(lane))
            queue_command(pipe, "ZRANGE", keys.lane(lane), 0, 0)
        replies: list[Any] = await pipe.execute() if named else []
    ready: Counter[str] = Counter(dict.fromkeys(queues, 0))
    heads: dict[str, list[Task]] = {}
    for index, (queue, _) in enumerate(named):
        count, first = replies[2 * index], replies[2 * index + 1]
        ready[queue] += count
        if first and len(heads.setdefault(queue, [])) < _MOST_HEADS:
            flow, _, task = first[0].decode().rpartition(":")
            heads[queue].append((flow, int(task)))
    return ready, heads


async def _ranges(client: AsyncRedis, keys: Sequence[str]) -> list[list[bytes]]:
    if not keys:
        return []
    async with client.pipeline(transaction=False) as pipe:
        for key in keys:
            queue_command(pipe, "ZRANGE", key, 0, _MOST_LANES - 1)
        return await pipe.execute()


async def _leased(client: AsyncRedis, partition: Partition, queues: Sequence[str]) -> Counter[str]:
    """How many tasks workers hold; a queue that nobody ever attended has no group, and none is held."""
    async with client.pipeline(transaction=False) as pipe:
        for queue in queues:
            queue_command(pipe, "XPENDING", partition.keys.work(queue), GROUP)
        replies: list[Any] = await pipe.execute(raise_on_error=False) if queues else []
    return Counter(
        {
            queue: int(reply["pending"]) if isinstance(reply, dict) else 0  # pyright: ignore[reportUnknownArgumentType]
            for queue, reply in zip(queues, replies, strict=True)
        }
    )


async def _lag_ms(client: AsyncRedis, partition: Partition, noted: bytes | None, clock_ms: int) -> int:
    """The age of the first entry behind the projected position, as of a second ago."""
    behind = f"({noted.decode()}" if noted else "-"
    entries: list[Any] = await send(client, "XRANGE", partition.keys.log, behind, "+", "COUNT", 1)
    return max(0, clock_ms - int(entries[0][0].partition(b"-")[0])) if entries else 0


def _limits(settings: dict[bytes, bytes], units: dict[bytes, bytes]) -> list[LimitGauge]:
    found: list[LimitGauge] = []
    for name, text in islice(settings.items(), _MOST_LANES):
        limit = name.decode()
        if setting_of(limit) == limit and limits_tasks(limit):
            value = LimitValue.parse(text.decode())
            found.append(LimitGauge(parse_limit(limit), int(units.get(name, 0)), value))
    return found
