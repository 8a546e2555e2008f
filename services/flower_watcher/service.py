"""The watcher service: five loops for each partition, and one each for flow control, schedules,
backfills and signals that are kept."""

import asyncio
import logging

from flower_engine.log.client import AsyncRedis, connect
from flower_engine.runtime.asyncio_tasks import cancel_all, unless_stopped
from flower_engine.runtime.installation import open_partitions, refuse_wrong_postgres
from flower_engine.runtime.metrics.own_metrics import own_metrics, pages_of
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
from flower_watcher.schedule_sync import ScheduleSyncLoop
from flower_watcher.scheduled_workflows import Shared
from flower_watcher.timers import TimerLoop
from flower_watcher.workers import WorkersLoop

_log = logging.getLogger(__name__)


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Watches until ``stop`` is set.

    Raises:
        SettingsError: the address for metrics cannot be listened on.
        StoreRefusedError: at start: a store refuses what Flower needs, which no waiting heals.
        InstallationError: Redis holds another kind of installation than the settings say.
    Redis that was lost is waited for until it is recovered.
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
    partitions = await open_partitions(client, settings, is_start=is_start)
    if is_start and settings.database_url is not None:
        await refuse_wrong_postgres(settings.database_url)
    _log.info("watching %d partitions; a lease lasts %g s", len(partitions), settings.lease_seconds)
    shared = Shared()
    loops = [
        loop
        for partition in partitions
        for loop in (
            LapseLoop(client, partition, settings),
            TimerLoop(client, partition, settings),
            DecisionLoop(client, partition),
            WorkersLoop(client, partition, settings),
            FireLoop(client, partition, shared),
        )
    ]
    tasks = [asyncio.create_task(loop.run()) for loop in loops]
    if settings.database_url is None:
        _log.warning(
            "FLOWER_DATABASE_URL is not set: changes of ms_flow_control reach Redis by the API alone, and"
            " those of ms_schedule not at all"
        )
    else:
        url = settings.database_url
        tasks.append(asyncio.create_task(ControlLoop(client, partitions, url).run()))
        tasks.append(asyncio.create_task(ScheduleSyncLoop(client, partitions, url, shared).run()))
        tasks.append(asyncio.create_task(BackfillLoop(settings).run()))
        tasks.append(asyncio.create_task(KeptSignalsLoop(settings).run()))
    try:
        with at_work():
            await asyncio.gather(*tasks)
    finally:
        await cancel_all(tasks)
