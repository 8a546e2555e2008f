"""The worker service: programs, Redis and partitions first, then the worker itself."""

import asyncio

from flower_engine.log.client import AsyncRedis, connect, descriptors
from flower_engine.programs.image import Image
from flower_engine.programs.loading import load_programs
from flower_engine.programs.registry import Registry
from flower_engine.runtime.forks import hide_from_copies
from flower_engine.runtime.installation import open_partitions
from flower_engine.runtime.losses import again_after_losses
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.tasks import unless_stopped
from flower_worker.worker import Worker


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Runs tasks until ``stop`` is set.

    Raises:
        ProgramError: a module of programs does not import, or a program cannot be served.
        StoreRefusedError: at start: Redis refuses what Flower needs, which no waiting heals.
        InstallationError: Redis holds another kind of installation than the settings say.
    Redis that was lost ends what runs; the worker begins anew, under another id, once it is recovered.
    """
    image = Image(settings.programs)
    with image.keeping():
        registry = load_programs(settings.programs)
        image.complete()
        assert settings.redis_url is not None
        client = connect(settings.redis_url)
        hide_from_copies(client, descriptors)
        try:
            await again_after_losses(
                stop, lambda is_start: _work(settings, registry, image, client, stop, is_start=is_start)
            )
        finally:
            await client.aclose()


async def _work(
    settings: Settings,
    registry: Registry,
    image: Image,
    client: AsyncRedis,
    stop: asyncio.Event,
    *,
    is_start: bool,
) -> None:
    """One life of the worker: until ``stop`` is set, or Redis is lost."""
    partitions = await unless_stopped(stop, open_partitions(client, settings, is_start=is_start))
    if partitions is not None:
        await Worker(settings, registry, image, client, partitions).run(stop)
