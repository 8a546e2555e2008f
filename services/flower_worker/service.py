"""The worker service: programs, Redis and partitions first, then the worker itself."""

import asyncio

from flower_engine.log.client import connect
from flower_engine.programs.loading import load_programs
from flower_engine.runtime.installation import open_partitions
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.tasks import unless_stopped
from flower_worker.worker import Worker


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
        partitions = await unless_stopped(stop, open_partitions(client, settings))
        if partitions is not None:
            await Worker(settings, registry, client, partitions).run(stop)
    finally:
        await client.aclose()
