"""The worker service: puts the loops together, runs them until it is told to stop, and ends cleanly."""

import asyncio
import logging
import os
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from redis.exceptions import RedisError

from flower_engine.log.client import AsyncRedis, connect
from flower_engine.log.partition import Partition
from flower_engine.log.working import Service, attend, leave
from flower_engine.programs.loading import load_programs
from flower_engine.programs.registry import Kind, Registry
from flower_engine.runtime.installation import open_partitions
from flower_engine.runtime.patience import Patience
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.tasks import cancel_all
from flower_worker.bell import BellLoop
from flower_worker.drain import drain, stop_attempts
from flower_worker.exchange import ExchangeLoop
from flower_worker.execute import Executor
from flower_worker.heartbeat import HeartbeatLoop
from flower_worker.identity import make_worker_info
from flower_worker.processes import Processes
from flower_worker.slots import AskKind, Slots
from flower_worker.threads import Threads

_log = logging.getLogger(__name__)
_LEAVE_SECONDS = 2.0
T = TypeVar("T")


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Runs tasks until ``stop`` is set.

    Raises:
        ProgramError: a module of programs does not import, or a program cannot be served.
        InstallationError: Redis holds another kind of installation than the settings say.
        LostError: Redis lost its state.
    """
    registry = load_programs(settings.programs)
    assert settings.redis_url is not None
    client = connect(settings.redis_url)
    try:
        partitions = await _unless(stop, open_partitions(client, settings))
        if partitions is not None:
            await _Worker(settings, registry, client, partitions).run(stop)
    finally:
        await client.aclose()


class _Worker:
    """The parts of one worker, and the order in which they begin and end."""

    def __init__(
        self, settings: Settings, registry: Registry, client: AsyncRedis, partitions: Sequence[Partition]
    ) -> None:
        self._settings = settings
        self._client = client
        self._partitions = partitions
        self._info = make_worker_info(settings, registry)
        light = tuple(sorted(program.name for program in registry if program.kind is not Kind.PROCESS))
        heavy = tuple(sorted(program.name for program in registry if program.kind is Kind.PROCESS))
        queues = settings.queues
        services = {
            AskKind.ALL: Service(queues, light + heavy).args(),
            AskKind.LIGHT: Service(queues, light).args(),
            AskKind.HEAVY: Service(queues, heavy).args(),
        }
        processes = (settings.processes or os.cpu_count() or 1) if heavy else 0
        slots = Slots(settings.concurrency, processes)
        self._executor = Executor(
            registry, self._info.worker, Threads(settings.concurrency), Processes(settings.programs)
        )
        self._exchanges = [
            ExchangeLoop(
                client,
                partition,
                self._info.worker,
                queues=queues,
                services=services,
                slots=slots,
                executor=self._executor,
            )
            for partition in partitions
        ]
        self._bells = [
            BellLoop(client, exchange, slots, Service(queues, programs), heavy=programs is heavy)
            for exchange in self._exchanges
            for programs in (light, heavy)
            if programs
        ]
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._heartbeats = HeartbeatLoop(settings, self._info, self._exchanges, self._fail)

    async def run(self, stop: asyncio.Event) -> None:
        """Works until told to stop, then drains; on a failure it stops what runs and raises it."""
        loops: list[asyncio.Task[None]] = []
        try:
            began = await _unless(stop, self._begin())
            if began is None:
                return
            loops += [asyncio.create_task(loop.run()) for loop in (*self._exchanges, *self._bells)]
            await self._until(asyncio.create_task(stop.wait()), loops)
            for exchange in self._exchanges:
                exchange.stop_claiming()
            _log.info("worker %s stops: it takes no more tasks", self._info.worker)
            await cancel_all(loops[len(self._exchanges) :])
            draining = asyncio.create_task(
                drain(self._exchanges, self._executor, self._settings.grace_seconds)
            )
            await self._until(draining, loops[: len(self._exchanges)])
            await self._heartbeats.stop(_LEAVE_SECONDS)
            if draining.result():
                await self._leave()
        except BaseException:
            await stop_attempts(self._exchanges, self._executor)
            raise
        finally:
            await self._end(loops)

    async def _begin(self) -> bool:
        """Queues exist and the worker is known before it claims its first task."""
        patience = Patience(_log, "Redis")
        for partition in self._partitions:
            while True:
                try:
                    await attend(self._client, partition, self._settings.queues)
                    break
                except (RedisError, OSError) as error:
                    await asyncio.sleep(patience.failed(error))
        self._heartbeats.start()
        began = asyncio.create_task(self._heartbeats.began.wait())
        await self._until(began, [])
        _log.info(
            "worker %s serves queues %s with %d slots: %s",
            self._info.worker,
            ", ".join(self._info.queues),
            self._info.slots,
            ", ".join(self._info.programs),
        )
        return True

    async def _until(self, end: asyncio.Task[T], loops: Sequence[asyncio.Task[None]]) -> None:
        """Waits for the end; raises at once what ends a loop before that."""
        try:
            await asyncio.wait({end, self._failure, *loops}, return_when=asyncio.FIRST_COMPLETED)
            for finished in (self._failure, *loops):
                if finished.done():
                    finished.result()
        finally:
            await cancel_all([end])

    async def _leave(self) -> None:
        """Signs off; if Redis does not answer, the worker is forgotten when its heartbeats are."""
        try:
            async with asyncio.timeout(_LEAVE_SECONDS):
                for partition in self._partitions:
                    await leave(self._client, partition, self._info.worker, self._settings.queues)
        except (RedisError, OSError) as error:
            _log.warning("worker %s could not sign off: %s", self._info.worker, error)

    async def _end(self, loops: Sequence[asyncio.Task[None]]) -> None:
        """Nothing of the worker is left running but attempts that cannot be stopped."""
        await cancel_all(loops)
        await self._heartbeats.stop(_LEAVE_SECONDS)
        await self._executor.close()
        if not self._failure.cancel():
            self._failure.exception()  # it was raised already, or came too late to matter

    def _fail(self, error: Exception) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of the work, or None (and the work cancelled) if it is time to stop."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        await cancel_all([working, stopping])
