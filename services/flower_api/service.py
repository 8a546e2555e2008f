"""The service: the HTTP API from its first moment (so that /healthz answers) to its graceful end."""

import asyncio
import contextlib
from collections.abc import Callable

from flower_api.access import refuse_open_doors
from flower_api.api_metrics import ApiMetrics
from flower_api.app import create_app
from flower_api.connection import Bounds
from flower_api.refusals import RefusalsLoop
from flower_api.routes.answer_links import Linking
from flower_api.server import Server, bind, room_for
from flower_engine.flows.flow_waits import FlowWaits
from flower_engine.flows.followed_streams import FollowedStreams
from flower_engine.flows.installed_stores import look_after
from flower_engine.flows.postgres_stores import STATEMENT_SECONDS, PostgresStores
from flower_engine.flows.read_replica import ReadReplica
from flower_engine.flows.watched_flows import WatchedFlows
from flower_engine.flows.watched_lists import WatchedLists
from flower_engine.log.client import connect
from flower_engine.projection.database import make_pool
from flower_engine.runtime.asyncio_tasks import cancel_all
from flower_engine.runtime.clock import SystemClock
from flower_engine.runtime.service_endpoint import service_endpoint
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.work_done import WorkDone
from flower_engine.store_faults import STORE_ERRORS


async def serve(
    settings: Settings, stop: asyncio.Event, on_listening: Callable[[str], None] | None = None
) -> None:
    """Serves the API until ``stop`` is set. ``on_listening`` is told the URL, which matters for port 0.

    A store that is away is waited for, and a Redis that was lost until it is recovered; /readyz says so
    meanwhile.

    Raises:
        SettingsError: an address cannot be listened on, or not without tokens; or Redis cannot keep the
            durability that is set.
        StoreRefusedError: at start: a store refuses what Flower needs, which no waiting heals.
        InstallationError: the stores do not belong together.
    """
    with WorkDone("api").here():
        await _serve(settings, stop, on_listening)


async def _serve(settings: Settings, stop: asyncio.Event, on_listening: Callable[[str], None] | None) -> None:
    assert settings.redis_url is not None and settings.database_url is not None
    refuse_open_doors(settings)
    bound = bind(settings.host, settings.port)
    redis = connect(settings.redis_url)
    pool = make_pool(settings.database_url, "api", statement_seconds=STATEMENT_SECONDS)
    replica = (
        ReadReplica(settings.database_read_url, STATEMENT_SECONDS) if settings.database_read_url else None
    )
    stores = PostgresStores(redis, pool, settings, SystemClock(), replica)
    connections = room_for(settings.max_connections)
    waits = FlowWaits(stores, connections // 2)  # whoever waits holds a connection; others come, too
    streams = FollowedStreams(stores, connections // 4)
    watched_flows = WatchedFlows(stores, connections // 4)
    watched_lists = WatchedLists(stores, connections // 8)
    metrics = ApiMetrics(stores)
    refusals = RefusalsLoop(stores)
    app = create_app(
        stores,
        settings.api_tokens,
        settings.allowed_hosts,
        settings.max_bodies_mb,
        settings.max_blob_mb,
        waits=waits,
        streams=streams,
        watched_flows=watched_flows,
        watched_lists=watched_lists,
        metrics=metrics,
        linking=Linking(
            settings.link_secret, settings.public_url or "", has_tokens=bool(settings.api_tokens)
        ),
        refusals=refusals,
        has_replica=replica is not None,
    )
    bounds = Bounds(settings.head_seconds, settings.body_seconds, connections, settings.max_blob_mb << 20)
    server = Server(app, bound, bounds, settings.grace_seconds, on_listening)
    stopped = asyncio.create_task(stop.wait())
    serving = asyncio.create_task(server.run_until_stopped())
    behind = asyncio.create_task(look_after(stores, settings))
    telling = [
        asyncio.create_task(one.run()) for one in (waits, streams, watched_flows, watched_lists, refusals)
    ]
    try:
        async with service_endpoint(settings, {"/metrics": metrics.page}):
            await asyncio.wait({stopped, serving, behind, *telling}, return_when=asyncio.FIRST_COMPLETED)
        for one in (waits, streams, watched_flows, watched_lists):
            one.close()
        server.stop()
        await serving
        with contextlib.suppress(*STORE_ERRORS):  # what was counted last
            await refusals.run_once()
        for ended in (behind, *telling):
            if ended.done():
                ended.result()
    finally:
        await cancel_all([stopped, serving, behind, *telling])
        await pool.close()
        if replica is not None:
            await replica.pool.close()
        await redis.aclose()
        bound.close()
