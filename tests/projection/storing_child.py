"""A projector's part that stores task logs, in a process of its own, which may be killed at a crash point."""

import asyncio

import forked_flower
from flower_engine.log.client import connect
from flower_engine.projection.database import make_pool
from flower_engine.runtime.installation import ensure_installation
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.settings_loading import load_settings
from flower_projector.task_log_loop import TaskLogLoop


async def store_apart(settings: Settings, crash_at: str = "") -> int:
    """Stores what is there; the exit code of the process."""
    return await forked_flower.run_of_tests("projection.storing_child", settings, crash_at)


async def _store() -> None:
    settings = load_settings()
    assert settings.redis_url is not None and settings.database_url is not None
    async with (
        connect(settings.redis_url) as client,
        make_pool(settings.database_url, "test", max_size=1) as pool,
    ):
        loop = TaskLogLoop(client, await ensure_installation(client, pool, settings), settings)
        while await loop.run_once():
            pass
        await loop.close()


if __name__ == "__main__":
    asyncio.run(_store())
