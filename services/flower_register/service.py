"""The service: the HTTP API from its first moment (so that /healthz answers) to its graceful end."""

import asyncio
from collections.abc import Callable

from redis.asyncio import Redis

from flower_engine.log.client import connect
from flower_engine.projection.database import Pool, make_pool
from flower_engine.runtime.clock import SystemClock
from flower_engine.runtime.installation import ensure_installation
from flower_engine.runtime.settings import Settings
from flower_register.app import create_app
from flower_register.server import Server, bind
from flower_register.stores import STATEMENT_SECONDS, Stores
from flower_register.tokens import refuse_open_doors


async def serve(
    settings: Settings, stop: asyncio.Event, on_listening: Callable[[str], None] | None = None
) -> None:
    """Serves the API until ``stop`` is set. ``on_listening`` is told the URL, which matters for port 0.

    A store that is away is waited for; /readyz says so meanwhile. Redis that is found lost later does not
    end this service either: it is the one that tells people.

    Raises:
        SettingsError: the address cannot be listened on, or not without tokens.
        InstallationError, LostError: the stores do not belong together, or must be recovered first.
    """
    assert settings.redis_url is not None and settings.database_url is not None
    refuse_open_doors(settings)
    bound = bind(settings.host, settings.port)
    redis = connect(settings.redis_url)
    pool = make_pool(settings.database_url, "api", statement_seconds=STATEMENT_SECONDS)
    stores = Stores(redis, pool, settings.database_url, SystemClock())
    server = Server(create_app(stores, settings.api_tokens), bound, settings.grace_seconds, on_listening)
    stopped = asyncio.create_task(stop.wait())
    serving = asyncio.create_task(server.run_until_stopped())
    behind = asyncio.create_task(_look_after(stores, redis, pool, settings))
    try:
        await asyncio.wait({stopped, serving, behind}, return_when=asyncio.FIRST_COMPLETED)
        server.stop()
        await serving
        if behind.done():
            behind.result()
    finally:
        for task in (stopped, serving, behind):
            task.cancel()
        await asyncio.gather(stopped, serving, behind, return_exceptions=True)
        await pool.close()
        await redis.aclose()
        bound.close()


async def _look_after(stores: Stores, redis: Redis, pool: Pool, settings: Settings) -> None:
    """Makes sure of the installation, then keeps the plans right, for ever."""
    await pool.open()
    stores.install(await ensure_installation(redis, pool, settings))
    await stores.listener.run()
