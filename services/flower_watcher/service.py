"""The watcher service: six loops for each partition, and one each for flow control, schedules,
backfills and signals that are kept."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from flower_engine.errors import LostError
from flower_engine.log.client import AsyncRedis, connect, is_cluster
from flower_engine.log.partition import Partition
from flower_engine.runtime.asyncio_tasks import cancel_all, unless_stopped
from flower_engine.runtime.clock import SYSTEM_CLOCK
from flower_engine.runtime.growth import Growth
from flower_engine.runtime.metrics.own_metrics import own_metrics, pages_of
from flower_engine.runtime.partition_lives import PartitionLives, finder
from flower_engine.runtime.partitions_in_redis import (
    make_sure_of_servers,
    open_partitions,
    refuse_wrong_postgres,
)
from flower_engine.runtime.probes import probes_of
from flower_engine.runtime.redis_loss import again_after_losses
from flower_engine.runtime.service_endpoint import service_endpoint
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.work_done import WorkDone, at_work
from flower_watcher.backfills import BackfillLoop
from flower_watcher.decisions import DecisionLoop
from flower_watcher.fire_slots import FireLoop
from flower_watcher.flow_control import ControlLoop
from flower_watcher.kept_signals import KeptSignalsLoop
from flower_watcher.lapse import LapseLoop
from flower_watcher.looks import Looks
from flower_watcher.occasional_stores import OccasionalStores
from flower_watcher.schedule_sync import ScheduleSyncLoop
from flower_watcher.scheduled_workflows import Shared
from flower_watcher.timers import TimerLoop
from flower_watcher.trees import TreeLoop
from flower_watcher.workers import WorkersLoop

_log = logging.getLogger(__name__)
_AGAIN_SECONDS = 0.5
Run = Callable[[], Coroutine[Any, Any, None]]


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Watches until ``stop`` is set.

    Raises:
        SettingsError: the address for metrics cannot be listened on.
        StoreRefusedError: at start: a store refuses what Flower needs, which no waiting heals.
        InstallationError: Redis holds another kind of installation than the settings say.
    Redis that was lost is waited for until it is recovered; partitions that were added are watched, too.
    """
    assert settings.redis_url is not None
    client = connect(settings.redis_url)
    done = WorkDone("watcher")
    pages = {**pages_of(own_metrics("watcher", settings)), **probes_of(done)}
    try:
        async with service_endpoint(settings, pages):
            with done.here():
                await unless_stopped(
                    stop, again_after_losses(stop, lambda is_start: _watch(client, settings, is_start))
                )
    finally:
        await client.aclose()


async def _watch(client: AsyncRedis, settings: Settings, is_start: bool) -> None:
    """One life of the watcher: until it is cancelled, or until a single server of Redis is lost. On a cluster
    each partition has a life of its own."""
    lives: PartitionLives | None = None
    shared = Shared()
    trees = None if settings.database_url is None else OccasionalStores(settings, "watcher trees")
    if is_cluster(client):
        await make_sure_of_servers(client, settings)
        lives = PartitionLives(
            range(settings.partitions),
            finder(client, settings),
            lambda partition: _watch_one(client, partition, settings, shared, trees),
            growing=client,
        )
        partitions: Sequence[Partition] = lives.living
    else:
        partitions = await open_partitions(client, settings, is_start=is_start)
    if is_start and settings.database_url is not None:
        await refuse_wrong_postgres(settings.database_url)
    count = len(partitions) or settings.partitions
    _log.info("watching %d partitions; a lease lasts %g s", count, settings.lease_seconds)
    if lives is not None:
        runs: list[Run] = [lives.run]
    else:
        looks = Looks(client)
        runs = [
            loop.run
            for one in partitions
            for loop in _loops_of(client, one, settings, shared, trees, looks=looks)
        ]
        growth = Growth(client, partitions, [one.number for one in partitions])
        runs.append(growth.begin_anew_when_changed)
    tasks = [asyncio.create_task(run()) for run in runs]
    try:
        if lives is not None:
            await _until(lives.began, tasks)
        tasks += [asyncio.create_task(run()) for run in _of_all(client, partitions, settings, shared)]
        await asyncio.sleep(0)  # each begins, and is watched from then on: nobody is ready before that
        with at_work():
            await asyncio.gather(*tasks)
    finally:
        await cancel_all(tasks)
        if trees is not None:
            await trees.close_all()


def _loops_of(
    client: AsyncRedis,
    partition: Partition,
    settings: Settings,
    shared: Shared,
    trees: OccasionalStores | None,
    *,
    looks: Looks,
) -> list[LapseLoop | TimerLoop | DecisionLoop | WorkersLoop | FireLoop | TreeLoop]:
    return [
        LapseLoop(client, partition, settings, looks),
        TimerLoop(client, partition, settings, looks),
        DecisionLoop(client, partition, looks),
        WorkersLoop(client, partition, settings),
        FireLoop(client, partition, shared, looks=looks),
        *([] if trees is None else [TreeLoop(client, partition, trees)]),
    ]


async def _watch_one(
    client: AsyncRedis,
    partition: Partition,
    settings: Settings,
    shared: Shared,
    trees: OccasionalStores | None,
) -> None:
    """Watches one partition until it is lost."""
    loops = _loops_of(client, partition, settings, shared, trees, looks=Looks(client))
    tasks = [asyncio.create_task(loop.run()) for loop in loops]
    try:
        await asyncio.gather(*tasks)
    finally:
        await cancel_all(tasks)


def _of_all(
    client: AsyncRedis, partitions: Sequence[Partition], settings: Settings, shared: Shared
) -> list[Run]:
    """What is done for all partitions together."""
    if settings.database_url is None:
        _log.warning(
            "FLOWER_DATABASE_URL is not set: changes of ms_flow_control reach Redis by the API alone, and"
            " those of ms_schedule not at all; sub-flows do not begin"
        )
        return []
    where = (client, partitions, settings.database_url)
    loops = (
        ControlLoop(*where),
        ScheduleSyncLoop(*where, shared),
        BackfillLoop(settings),
        KeptSignalsLoop(settings),
    )
    if is_cluster(client):
        return [partial(_whatever_is_lost, loop.run) for loop in loops]
    return [loop.run for loop in loops]


async def _whatever_is_lost(run: Run) -> None:
    """What is done for all partitions goes on with those that are there."""

    async def wait(error: LostError) -> None:
        _log.debug("a partition was lost meanwhile: %s", error)
        await SYSTEM_CLOCK.rest(_AGAIN_SECONDS)

    await again_after_losses(asyncio.Event(), lambda _: run(), wait)


async def _until(began: asyncio.Event, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Until it has begun; raises what ends a task before that."""
    waiting = asyncio.create_task(began.wait())
    try:
        await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        await cancel_all([waiting])
