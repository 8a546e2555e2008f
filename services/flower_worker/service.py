"""The worker service: programs, Redis and partitions first, then the worker itself."""

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from flower_engine.blobs.blob import access
from flower_engine.blobs.blob_stores import BlobStores
from flower_engine.errors import LostError
from flower_engine.log.client import AsyncRedis, connect, descriptors, is_cluster
from flower_engine.log.partition import Partition
from flower_engine.model.values.result_json import MAX_RESULT_BYTES, MAX_STORED_RESULT_BYTES
from flower_engine.programs.code_image import Image
from flower_engine.programs.program_modules import load_programs
from flower_engine.runtime.asyncio_tasks import unless_stopped
from flower_engine.runtime.metrics.own_metrics import own_metrics, pages_of
from flower_engine.runtime.partitions_in_redis import make_sure_of_servers, open_partitions
from flower_engine.runtime.probes import probes_of
from flower_engine.runtime.process_forks import hide_from_copies
from flower_engine.runtime.redis_loss import again_after_losses
from flower_engine.runtime.service_endpoint import service_endpoint
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.work_done import WorkDone
from flower_worker.child_messages import BlobSettings
from flower_worker.child_process import Origin
from flower_worker.left_behind import say_unknown
from flower_worker.task_logs.task_logs import TaskLogs, task_logs
from flower_worker.worker import Worker

if TYPE_CHECKING:
    from flower_engine.runtime.metrics.service_metrics import ServiceMetrics


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Runs tasks until ``stop`` is set, in a process that goes on after that; see ``WorkerService.serve``."""
    await WorkerService().serve(settings, stop)


class WorkerService:
    """The service, and what is to be done at the very end of its process."""

    def __init__(self) -> None:
        self._worker: Worker | None = None  # of this life; another one begins when Redis was lost
        self._left: set[str] = set()  # flows of which the life before had attempts when Redis was lost
        self._refused: Counter[str] = Counter()  # outcomes, by why
        self._before: list[Worker] = []  # of earlier lives, with attempts that could not be stopped

    async def serve(self, settings: Settings, stop: asyncio.Event) -> None:
        """Runs tasks until ``stop`` is set.

        Raises:
            SettingsError: the address for metrics cannot be listened on.
            ProgramError: a module of programs does not import, or a program cannot be served.
            StoreRefusedError: at start: Redis refuses what Flower needs, which no waiting heals.
            InstallationError: Redis holds another kind of installation than the settings say.
        Redis that was lost ends what runs; the worker begins anew, under another id, once it is recovered.
        """
        async with task_logs(settings) as logs:
            await self._serve(settings, stop, logs)

    async def _serve(self, settings: Settings, stop: asyncio.Event, logs: TaskLogs | None) -> None:
        image = Image(settings.programs)
        with image.keeping():
            registry = load_programs(settings.programs)
            image.complete()
            if logs is not None:
                logs.put_back_log()  # modules set up logging, too
            token = settings.token.get_secret_value() if settings.token else None
            blobs = BlobStores(settings.blobs, settings.api_url, token)
            access.set(blobs)
            most_bytes = MAX_STORED_RESULT_BYTES if blobs.writing else MAX_RESULT_BYTES
            known = BlobSettings(settings.blobs, settings.api_url, token, most_bytes)
            origin = Origin.now(settings.programs, known)  # before a program can change it: lives begin anew
            assert settings.redis_url is not None
            client = connect(settings.redis_url)
            hide_from_copies(client, descriptors)

            async def work(is_start: bool) -> None:
                """One life of the worker: until ``stop`` is set, or Redis is lost."""
                partitions = await unless_stopped(stop, _open(client, settings, is_start))
                if partitions is None:
                    return
                if self._left:
                    await say_unknown(client, partitions, self._left)
                self._worker = Worker(
                    *(settings, registry, client, partitions),
                    image=image,
                    origin=origin,
                    blobs=blobs,
                    refused=self._refused,
                    logs=logs,
                )
                try:
                    await self._worker.run(stop)
                except LostError:
                    self._left = self._worker.flows_at_the_end
                    self._before = [one for one in (*self._before, self._worker) if one.is_at_work()]
                    raise

            try:
                done = WorkDone("worker")
                pages = {**pages_of(self._metrics(settings)), **probes_of(done)}
                async with service_endpoint(settings, pages):
                    with done.here():
                        await again_after_losses(stop, work)
            finally:
                await client.aclose()

    def _metrics(self, settings: Settings) -> "ServiceMetrics | None":
        metrics = own_metrics("worker", settings)
        if metrics is not None:
            from flower_worker.worker_metrics import told_of  # noqa: PLC0415 # with the library

            metrics.tells.append(lambda: told_of(self._worker, self._refused))
        return metrics

    def hand_back(self) -> bool:
        """Hands back what could not be stopped; whether anything still runs. See ``Worker.hand_back``."""
        now = self._worker is not None and self._worker.hand_back()
        return now or any(one.is_at_work() for one in self._before)


async def _open(client: AsyncRedis, settings: Settings, is_start: bool) -> list[Partition]:
    """All partitions; of a cluster none, as the worker looks for each by itself."""
    if is_cluster(client):
        await make_sure_of_servers(client, settings)
        return []
    return await open_partitions(client, settings, is_start=is_start)
