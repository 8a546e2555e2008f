"""The projector service: one loop for each partition; it recovers a lost Redis, if it may."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from flower_engine.errors import LostError, PostgresBehindError
from flower_engine.log.client import AsyncRedis, connect, is_cluster
from flower_engine.log.partition import Partition
from flower_engine.otlp.extra import needs_otel
from flower_engine.projection.database import connect as connect_postgres
from flower_engine.projection.database import make_pool
from flower_engine.projection.write.shared_transactions import SharedTransactions
from flower_engine.runtime.asyncio_tasks import cancel_all, unless_stopped
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK
from flower_engine.runtime.gap_bridge import bridge_gaps
from flower_engine.runtime.garbage import collect_rarely
from flower_engine.runtime.growth import Growth, numbered_in
from flower_engine.runtime.installation import ensure_installation, settle_partition
from flower_engine.runtime.loss_recovery import recover_lost
from flower_engine.runtime.metrics.own_metrics import own_metrics, pages_of
from flower_engine.runtime.partition_lives import PartitionLives
from flower_engine.runtime.probes import probes_of
from flower_engine.runtime.redis_loss import Waiting, again_after_losses
from flower_engine.runtime.service_endpoint import service_endpoint
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.work_done import WorkDone, at_work
from flower_engine.store_faults import STORE_ERRORS, refuse_unusable
from flower_projector.event_counts import EventCounts
from flower_projector.hooks import Hooks, load_hook_modules
from flower_projector.parking import Parker
from flower_projector.partition_loop import PartitionLoop
from flower_projector.partition_shares import PartitionSharesLoop
from flower_projector.program_records import ProgramRecordsLoop
from flower_projector.retention_loop import keep_pruning
from flower_projector.retiring_loop import RetiringLoop
from flower_projector.task_log_loop import TaskLogLoop

_log = logging.getLogger(__name__)

_SAY_EVERY_FLOWS = 20_000


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Projects until ``stop`` is set; any number of these may run, one is active for each partition.

    A Redis that lost its state, or went back in time, is recovered where the settings allow it; else it is
    waited for until somebody does.

    Raises:
        SettingsError: the address for metrics cannot be listened on, or traces cannot be exported as set.
        StoreRefusedError: at start: a store refuses what Flower needs, which no waiting heals.
        InstallationError: the stores do not belong together, or the tables cannot be used.
        NewerEventError: an event of a newer version was met; everything before it is projected.
        ProgramError: a module of ``FLOWER_HOOK_MODULES`` does not import.
    """
    collect_rarely()
    load_hook_modules(settings)
    assert settings.redis_url is not None
    client = connect(settings.redis_url)
    healing = _Healing(client, settings, stop)
    metrics = own_metrics("projector", settings)
    counts = EventCounts() if metrics else None
    if metrics and counts:
        from flower_projector.projector_metrics import told_of  # noqa: PLC0415 # with the library

        metrics.tells.append(partial(told_of, counts))
    done = WorkDone("projector")
    hooks = Hooks(client, settings, stop)
    try:
        async with service_endpoint(settings, {**pages_of(metrics), **probes_of(done)}):
            with done.here():
                await again_after_losses(
                    stop,
                    lambda is_start: _serve_once(
                        *(client, settings, stop, is_start), counts=counts, hooks=hooks, healing=healing
                    ),
                    healing.heal,
                )
    finally:
        await hooks.close()
        await client.aclose()


async def _serve_once(
    client: AsyncRedis,
    settings: Settings,
    stop: asyncio.Event,
    is_start: bool,
    *,
    counts: EventCounts | None,
    hooks: Hooks,
    healing: "_Healing",
) -> None:
    """Projects until ``stop`` is set, or a single server of Redis is lost. On a cluster each partition has a
    life of its own."""
    partitions = await unless_stopped(stop, _open(client, settings, is_start))
    if partitions is None:
        return
    hooks.start(partitions)
    _log.info("projecting %d partitions of installation %s", len(partitions), partitions[0].installation)

    numbers = [one.number for one in partitions]
    shares = PartitionSharesLoop(settings, numbers, stop)
    shared = SharedTransactions()

    async def project(partition: Partition) -> None:
        where = (client, partition, settings, stop)
        await PartitionLoop(*where, counts=counts, shares=shares, shared=shared).run()

    tasks = _exporting_traces(settings, stop)
    assert settings.database_url is not None
    growth = Growth(client, partitions, numbers, really=numbered_in(settings.database_url))
    growing = asyncio.create_task(growth.begin_anew_when_changed())
    there: Sequence[Partition] = partitions
    if is_cluster(client):
        lives = PartitionLives(
            numbers,
            _Settled(client, partitions, settings).find,
            project,
            on_lost=healing.heal_one,
            stop=stop,
        )
        there = lives.living
        tasks.append(asyncio.create_task(lives.run()))
    else:
        tasks.extend(asyncio.create_task(project(partition)) for partition in partitions)
    tasks.append(asyncio.create_task(shares.run()))
    tasks.append(asyncio.create_task(Parker(client, there, settings).run(stop)))
    tasks.append(asyncio.create_task(ProgramRecordsLoop(client, there, settings).run(stop)))
    tasks.append(asyncio.create_task(TaskLogLoop(client, partitions, settings).run(stop)))
    tasks.append(asyncio.create_task(keep_pruning(client, settings, stop)))
    tasks.append(asyncio.create_task(RetiringLoop(client, settings).run(stop)))
    try:
        await asyncio.sleep(0)  # each begins, and is watched from then on: nobody is ready before that
        with at_work():
            await _all_unless(growing, tasks)
    finally:
        await cancel_all([growing, *tasks])


async def _all_unless(ending: asyncio.Task[None], tasks: Sequence[asyncio.Task[None]]) -> None:
    """Until all have ended; raises at once what ends one of them, or ``ending``."""
    working = asyncio.gather(*tasks)
    await asyncio.wait({ending, working}, return_when=asyncio.FIRST_COMPLETED)
    if ending.done():
        working.cancel()
        await asyncio.wait({working})
        ending.result()
    working.result()


async def _open(client: AsyncRedis, settings: Settings, is_start: bool) -> list[Partition]:
    assert settings.database_url is not None
    async with make_pool(settings.database_url, "projector", max_size=1) as pool:
        return await ensure_installation(client, pool, settings, is_start=is_start)


class _Settled:
    """Finds a partition of a cluster: first as the service began, then as both stores say."""

    def __init__(self, client: AsyncRedis, first: Sequence[Partition], settings: Settings) -> None:
        self._client = client
        self._first = {one.number: one for one in first}
        self._settings = settings

    async def find(self, number: int) -> Partition:
        first = self._first.pop(number, None)
        if first is not None:
            return first
        assert self._settings.database_url is not None
        async with await connect_postgres(self._settings.database_url, "projector") as connection:
            return await settle_partition(self._client, connection, number, self._settings)


def _exporting_traces(settings: Settings, stop: asyncio.Event) -> list[asyncio.Task[None]]:
    """The loop that exports traces, where that is set; others do without what it needs."""
    if settings.traces_endpoint is None:
        return []
    with needs_otel():
        from flower_projector.trace_export_loop import TraceExportLoop  # noqa: PLC0415 # an extra

        return [asyncio.create_task(TraceExportLoop(settings).run(stop))]


class _Healing:
    """What the projector does about a lost Redis, or a Postgres that lost a part of the history."""

    def __init__(self, client: AsyncRedis, settings: Settings, stop: asyncio.Event) -> None:
        self._client = client
        self._settings = settings
        self._stop = stop
        self._waiting = Waiting(stop)
        self._waitings: dict[int, Waiting] = {}
        self._bridging = asyncio.Lock()
        self._backoff = StoreBackoff(_log, "a store, in the middle of a recovery,")

    async def heal(self, error: LostError) -> None:
        """Recovers it, if the settings allow that; else waits a little."""
        await self._heal(error, self._waiting, None)

    async def heal_one(self, number: int, error: LostError) -> None:
        """The same for one partition of a cluster; others are worked on meanwhile."""
        waiting = self._waitings.setdefault(number, Waiting(self._stop))
        if isinstance(error, PostgresBehindError):
            async with self._bridging:  # it is Postgres that went back: all are bridged at once
                await self._heal(error, waiting, number)
        else:
            await self._heal(error, waiting, number)

    async def _heal(self, error: LostError, waiting: Waiting, only: int | None) -> None:
        if not self._settings.auto_recover:
            await waiting.wait(error)
            return
        _log.error("%s", error)
        assert self._settings.database_url is not None
        try:
            if isinstance(error, PostgresBehindError):
                done = await bridge_gaps(self._client, self._settings.database_url, _say_progress)
            else:
                done = await recover_lost(self._client, self._settings, _say_progress, only=only)
            if not done:
                await waiting.wait(error)
        except LostError as again:
            await waiting.wait(again)
        except STORE_ERRORS as failure:
            refuse_unusable(failure)
            await SYSTEM_CLOCK.rest(self._backoff.failed(failure), self._stop)
        else:
            self._backoff.worked()


def _say_progress(what: str, done: int, total: int) -> None:
    if done and (done == total or done % _SAY_EVERY_FLOWS < _SAY_EVERY_FLOWS // 10):
        _log.info("recovery: %d of %d %s are back", done, total, what)
