"""How the whole engine stands, in numbers for monitoring: read from the stores when somebody asks."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flower_engine.errors import FlowerError, StoreUnavailableError
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.insight.partition_gauges import LimitGauge, PartitionGauges, Task, read_gauges
from flower_engine.log.client import apart, is_cluster, one_server, send
from flower_engine.log.each_partition import from_all
from flower_engine.log.partition import Partition
from flower_engine.projection.read.gauges_query import (
    PostgresGauges,
    longest_ready_ms,
    read_postgres_gauges,
)
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.metrics.catalogue import MOST_LABELS, OTHER
from flower_engine.runtime.metrics.service_metrics import Told, Values
from flower_engine.store_faults import STORE_ERRORS

_FRESH_SECONDS = 1.0  # whoever asks more often gets the same again
_STORE_SECONDS = 4.0  # what monitoring waits for is 10 s, mostly
_MOST_AT_ONCE = 8
_MOST_HEADS = 20
_MEMORY = ("used_memory", "maxmemory")
_ERRORS = (*STORE_ERRORS, FlowerError)


class EngineGauges:
    """Numbers of Redis, Postgres and all partitions; of a store that is away none but that it is."""

    def __init__(self, stores: PostgresStores, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._stores = stores
        self._told: Told = {}
        self._until = 0.0

    async def told(self) -> Told:
        """The numbers, not older than a second."""
        if self._clock.monotonic() >= self._until:
            self._told = await self._read()
            self._until = self._clock.monotonic() + _FRESH_SECONDS
        return self._told

    async def _read(self) -> Told:
        postgres = await self._postgres()
        redis = await self._redis(postgres.queues if postgres else ())
        told: dict[str, Values] = {
            "flower_store_up": {
                ("postgres",): int(postgres is not None),
                ("redis",): int(redis is not None),
            }
        }
        replica = self._stores.replica
        if replica is not None:
            told["flower_store_up"] = {
                **told["flower_store_up"],
                ("replica",): int(replica.problem is None),
            }
        if postgres is not None:
            told |= _of_postgres(postgres)
        if redis is not None:
            partitions, memory = redis
            queues = _most(partitions)
            told |= _of_partitions(partitions, queues)
            told |= _of_memory(memory)
            told["flower_oldest_ready_seconds"] = await self._oldest(partitions, queues)
        return told

    async def _postgres(self) -> PostgresGauges | None:
        try:
            async with asyncio.timeout(_STORE_SECONDS), self._stores.postgres() as connection:
                return await read_postgres_gauges(connection, MOST_LABELS)
        except _ERRORS:  # TimeoutError is an OSError
            return None

    async def _redis(self, queues: Iterable[str]) -> tuple[list[PartitionGauges], Mapping[str, Any]] | None:
        also = frozenset(queues)
        room = asyncio.Semaphore(_MOST_AT_ONCE)

        async def one(partition: Partition) -> PartitionGauges:
            async with room, self._stores.log_readers:
                return await read_gauges(self._stores.redis, partition, also)

        try:
            async with asyncio.timeout(_STORE_SECONDS):
                partitions = self._partitions()
                if is_cluster(self._stores.redis):
                    return await from_all(self._stores.redis, partitions, one), await self._memory()
                await send(self._stores.redis, "PING")
                found = await asyncio.gather(*map(one, partitions))
                return list(found), await self._memory()
        except _ERRORS:
            return None

    def _partitions(self) -> Sequence[Partition]:
        """None, as long as the API has not made sure of its stores: they are up all the same."""
        try:
            return self._stores.living
        except StoreUnavailableError:
            return ()

    async def _memory(self) -> Mapping[str, Any]:
        """Of all servers together."""
        redis, whole = self._stores.redis, Counter[str]()
        try:
            for number in await apart(redis, (one.number for one in self._partitions() or ())) or [0]:
                found = await send(one_server(redis, number), "INFO", "memory")
                whole.update({name: found[name] for name in _MEMORY if name in found})
        except STORE_ERRORS:  # it may be forbidden
            return {}
        return whole

    async def _oldest(self, partitions: Sequence[PartitionGauges], queues: Sequence[str]) -> Values:
        heads: dict[str, list[Task]] = {}
        for one in partitions:
            for queue, tasks in one.heads.items():
                heads.setdefault(queue if queue in queues else OTHER, []).extend(tasks)
        found: dict[tuple[str, ...], float] = {(queue,): 0.0 for queue in queues if not heads.get(queue)}
        try:
            async with asyncio.timeout(_STORE_SECONDS), self._stores.postgres() as connection:
                for queue, tasks in heads.items():
                    age_ms = await longest_ready_ms(connection, tasks[:_MOST_HEADS])
                    if age_ms is not None:
                        found[queue,] = age_ms / 1000
        except _ERRORS:
            return {}
        return found


def _most(partitions: Sequence[PartitionGauges]) -> Sequence[str]:
    """The queues that have lines of their own: those with most tasks, and then by name."""
    sizes: Counter[str] = Counter()
    for one in partitions:
        for queue, count in (*one.ready.items(), *one.running.items()):
            sizes[queue] += count
    return sorted(sizes, key=lambda queue: (-sizes[queue], queue))[:MOST_LABELS]


def _of_postgres(found: PostgresGauges) -> dict[str, Values]:
    return {
        "flower_suspended_tasks": {(): found.suspended},
        "flower_open_flows": {(): found.open_flows},
        "flower_postgres_bytes": {(): found.size_bytes},
        "flower_follower_lag_seconds": {(name,): ms / 1000 for name, ms in found.followers.items()},
    }


def _of_partitions(found: Sequence[PartitionGauges], queues: Sequence[str]) -> dict[str, Values]:
    workers = {worker.worker: worker for one in found for worker in one.workers}.values()
    serving = Counter(queue for worker in workers for queue in worker.queues)
    return {
        "flower_ready_tasks": _by_queue([one.ready for one in found], queues),
        "flower_running_tasks": _by_queue([one.running for one in found], queues),
        "flower_queue_workers": _by_queue([serving], queues),
        "flower_workers": {(): len(workers)},
        "flower_limit_used_ratio": _used([limit for one in found for limit in one.limits]),
        "flower_paused_scopes": {
            (): len({limit.name for one in found for limit in one.limits if limit.value.is_paused})
        },
        "flower_projection_lag_events": {(): sum(one.lag_events for one in found)},
        "flower_projection_lag_seconds": {(): max((one.lag_ms for one in found), default=0) / 1000},
        "flower_log_bytes": {(): sum(one.log_bytes for one in found)},
        "flower_task_log_bytes": {(): sum(one.task_log_bytes for one in found)},
        "flower_log_events": {(): sum(one.log_events for one in found)},
        "flower_watcher_tick_age_seconds": {(): max((one.tick_age_ms for one in found), default=0) / 1000},
        "flower_schedules_overdue_seconds": {(): max((one.overdue_ms for one in found), default=0) / 1000},
    }


def _by_queue(counts: Sequence[Mapping[str, int]], queues: Sequence[str]) -> Values:
    values: dict[tuple[str, ...], float] = {(queue,): 0 for queue in queues}
    known = set(queues)
    for count in counts:
        for queue, number in count.items():
            label = queue if queue in known else OTHER
            values[label,] = values.get((label,), 0) + number
    return values


def _used(limits: Sequence[LimitGauge]) -> Values:
    """Of limits of a number at once; a partition has its share of each."""
    running: Counter[tuple[str, str]] = Counter()
    most: Counter[tuple[str, str]] = Counter()
    for limit in limits:
        if limit.value.most:
            name = (limit.name.scope, limit.name.name)
            running[name] += limit.running
            most[name] += limit.value.most
    ratios = {name: running[name] / most[name] for name in most}
    first = sorted(ratios, key=lambda name: (-ratios[name], name))
    values: dict[tuple[str, ...], float] = {name: ratios[name] for name in first[:MOST_LABELS]}
    if len(first) > MOST_LABELS:  # those that are used least
        rest = max(ratios[name] for name in first[MOST_LABELS:])
        values[OTHER, OTHER] = max(rest, values.get((OTHER, OTHER), 0))
    return values


def _of_memory(memory: Mapping[str, Any]) -> dict[str, Values]:
    names = {
        "flower_redis_memory_bytes": "used_memory",
        "flower_redis_memory_limit_bytes": "maxmemory",
    }
    return {name: {(): float(memory[field])} for name, field in names.items() if field in memory}
