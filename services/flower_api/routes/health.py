"""``/healthz``, ``/readyz``, ``/workers``: how the engine does."""

import asyncio
from collections.abc import Awaitable, Mapping
from functools import partial

from fastapi import FastAPI
from starlette.responses import Response

from flower_api.openapi import replies, reply
from flower_api.problems import ProblemError
from flower_api.schemas import Alive, Dependency, Readiness, Workers, WorkerView
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.unknown_names import Names
from flower_engine.log.client import one_server, send
from flower_engine.log.each_partition import from_all, from_each
from flower_engine.log.partition import Meta, Partition, read_meta
from flower_engine.projection.read.view_fields import moment
from flower_engine.runtime.redis_loss import why_not
from flower_engine.runtime.work_done import work_done_here
from flower_engine.store_faults import words_of
from flower_engine.transitions.worker_transitions import WorkerInfo, live_workers

_PATIENCE_SECONDS = 2.0
_PART_SECONDS = 1.5  # of it, for each partition of a cluster
_ALIVE = reply(Alive("alive")).body


def add_health(app: FastAPI, stores: PostgresStores) -> None:
    """Adds the routes that tell how the engine does."""
    names = Names(stores)
    done = work_done_here()

    @app.get(
        "/healthz",
        summary="Is the process alive",
        responses=replies({200: (Alive, "It is; nothing else is looked at")}, problems=()),
    )
    async def get_healthz() -> Response:
        return Response(_ALIVE, media_type="application/json")

    @app.get(
        "/readyz",
        summary="Can the API do its work",
        responses=replies({200: (Readiness, "It can")}, problems=(503,)),
    )
    async def get_readyz() -> Response:
        """503 names everything that is missing, in `problems`. `degraded`: some partitions stand still, named
        by the dependency Redis, or the primary answers in the place of a replica; all else goes on."""
        waits_for = stores.waits_for or stores.lost
        redis = await _dependency("Redis", _check_redis(stores))
        dependencies = [
            Dependency("engine", ready=waits_for is None, problem=waits_for),
            redis,
            await _dependency("Postgres", _check_postgres(stores)),
            Dependency("projection", ready=stores.backlogs.problem is None, problem=stores.backlogs.problem),
            Dependency("definitions", ready=stores.listener.problem is None, problem=stores.listener.problem),
        ]
        if done is not None:
            overdue = [f"{one.name}: {one.problem}" for one in done.standings() if one.problem is not None]
            dependencies.append(Dependency("work", ready=not overdue, problem="; ".join(overdue) or None))
        redis.retiring = sorted(stores.retiring)
        missing = [f"{one.name}: {one.problem}" for one in dependencies if not one.ready]
        lacks = redis.problem
        if stores.replica is not None:
            lacks = lacks or stores.replica.problem
            dependencies.append(Dependency("Postgres replica", ready=True, problem=stores.replica.problem))
        if missing:
            raise ProblemError(
                503,
                "not-ready",
                "waiting for " + "; ".join(missing),
                headers={"Retry-After": "1"},
                problems=[{"detail": detail} for detail in missing],
            )
        return reply(Readiness("degraded" if lacks else "ready", dependencies))

    @app.get(
        "/workers",
        summary="List live workers",
        responses=replies({200: (Workers, "Those heard of lately, by name")}, problems=(503,)),
    )
    async def get_workers() -> Response:
        async def live(partition: Partition) -> list[WorkerInfo]:
            async with stores.log_readers:
                return await live_workers(stores.redis, partition)

        found: dict[str, WorkerInfo] = {}
        for infos in await from_all(stores.redis, stores.living, live):
            found |= {info.worker: info for info in infos}
        workers = [found[worker] for worker in sorted(found)]
        return reply(Workers(list(map(_view, workers)), await names.of_workers(workers)))


async def _dependency(name: str, check: Awaitable[str | Mapping[int, str] | None]) -> Dependency:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            problem = await check
    except TimeoutError:
        problem = f"no answer in {_PATIENCE_SECONDS:g} s"
    except Exception as error:  # noqa: BLE001 # whatever it is, this is the place to say it
        problem = words_of(error)
    if problem is None or isinstance(problem, str):
        return Dependency(name, ready=problem is None, problem=problem)
    return Dependency(name, ready=True, problem="; ".join(problem.values()), missing=sorted(problem))


async def _check_redis(stores: PostgresStores) -> str | Mapping[int, str] | None:
    """Why it cannot be worked with; of some partitions: why these cannot, by number."""
    if stores.waits_for is not None:
        await send(one_server(stores.redis, 0), "PING")
        return None
    partitions = stores.partitions
    read = partial(_read_meta, stores)
    metas = await from_each(stores.redis, partitions, read, seconds=_PART_SECONDS)
    missing = {number: _away(number, error) for number, error in metas.away.items()}
    for one in partitions:
        meta = metas.found.get(one.number)
        if meta is not None and meta.is_retired:
            continue  # it is empty, and taken away
        if one.number not in missing and (meta is None or meta.generation != one.generation):
            missing[one.number] = why_not(one.number, meta)
    if len(missing) == len(partitions):
        return next(iter(missing.values()))
    return missing or None


async def _read_meta(stores: PostgresStores, partition: Partition) -> Meta | None:
    # A server that cannot write to its disk lets everybody read, and refuses this.
    await send(one_server(stores.redis, partition.number), "PING")
    return await read_meta(stores.redis, partition.number)


def _away(number: int, error: Exception) -> str:
    return f"partition {number} is away: {words_of(error)}"


async def _check_postgres(stores: PostgresStores) -> str | None:
    async with stores.postgres() as connection:
        await connection.execute("SELECT 1")
    return None


def _view(info: WorkerInfo) -> WorkerView:
    return WorkerView(
        worker=info.worker,
        host=info.host,
        pid=info.pid,
        slots=info.slots,
        queues=list(info.queues),
        programs=list(info.programs),
        running=info.running,
        stuck=list(info.stuck),
        transfers=list(info.transfers),
        unable=dict(info.unable),
        outdated=list(info.outdated),
        started_ts=moment(info.started_ms),
        seen_ts=moment(info.seen_ms),
    )
