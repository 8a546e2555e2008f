"""The examination: every check, each for itself, whatever is away meanwhile."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Literal, NamedTuple

import psycopg
from redis.exceptions import RedisError

from flower_engine.doctor import (
    of_blobs,
    of_clocks,
    of_hooks,
    of_installation,
    of_lags,
    of_postgres,
    of_programs,
    of_redis,
    of_schedules,
    of_services,
    of_settings,
    of_tasks,
)
from flower_engine.doctor.findings import Finding, and_more, problem, warning
from flower_engine.doctor.subject import Subject
from flower_engine.errors import FlowerError
from flower_engine.log.client import connect, is_cluster, one_server, send
from flower_engine.log.each_partition import from_each
from flower_engine.log.partition import Partition
from flower_engine.projection import database
from flower_engine.store_faults import Kind, fault_of, one_line

Store = Literal["redis", "postgres", "tables", "partitions"]
Look = Callable[[Subject], Awaitable[list[Finding]]]

_REACH_SECONDS = 5.0
_CHECK_SECONDS = 5.0
_NAMES: dict[Store, str] = {
    "redis": "Redis does not answer",
    "postgres": "Postgres does not answer",
    "tables": "Postgres has no tables of Flower that can be read",
    "partitions": "Redis has no partition that can be worked on",
}


class Check(NamedTuple):
    """``needs``: without which of these it is not made."""

    look: Look
    needs: tuple[Store, ...] = ()

    @property
    def name(self) -> str:
        of, name = self.look.__module__.rpartition("of_")[2], self.look.__name__.replace("_", " ")
        return name if of == name else f"{of} {name}"


CHECKS: Sequence[Check] = (
    Check(of_settings.settings),
    Check(of_redis.server, ("redis",)),
    Check(of_redis.permissions, ("redis",)),
    Check(of_redis.durability, ("redis",)),
    Check(of_redis.memory, ("redis",)),
    Check(of_redis.disk, ("redis",)),
    Check(of_redis.connections, ("redis",)),
    Check(of_redis.replication, ("redis",)),
    Check(of_postgres.server, ("postgres",)),
    Check(of_postgres.schema, ("postgres",)),
    Check(of_postgres.durability, ("postgres",)),
    Check(of_postgres.disk, ("postgres",)),
    Check(of_postgres.connections, ("postgres",)),
    Check(of_postgres.replication, ("postgres",)),
    Check(of_postgres.replica, ("postgres",)),
    Check(of_installation.positions, ("postgres", "tables")),
    Check(of_installation.partitions, ("redis",)),
    Check(of_clocks.clocks),
    Check(of_installation.installation, ("redis", "postgres", "tables")),
    Check(of_installation.history, ("postgres", "tables")),
    Check(of_services.api),
    Check(of_services.watchers, ("redis", "partitions")),
    Check(of_services.projectors, ("postgres", "tables")),
    Check(of_services.workers, ("redis", "partitions")),
    Check(of_programs.published, ("redis", "partitions")),
    Check(of_programs.defined, ("postgres", "tables", "redis")),
    Check(of_lags.projection, ("redis", "partitions")),
    Check(of_lags.followers, ("postgres", "tables")),
    Check(of_lags.task_logs, ("redis", "partitions", "postgres", "tables")),
    Check(of_tasks.unserved, ("redis", "partitions")),
    Check(of_tasks.oldest, ("redis", "partitions", "postgres", "tables")),
    Check(of_tasks.held, ("redis", "partitions")),
    Check(of_services.kept_results, ("redis", "partitions")),
    Check(of_installation.flow_control, ("redis", "partitions", "postgres", "tables")),
    Check(of_schedules.schedules, ("postgres", "tables")),
    Check(of_hooks.hooks, ("postgres", "tables")),
    Check(of_blobs.blobs),
)
"""In this order: what is found by one is used by those behind it."""


async def examine(subject: Subject, checks: Sequence[Check] = CHECKS) -> list[Finding]:
    """Makes every check that can be made, and says which cannot. It changes nothing, and takes some seconds
    at most for a store that does not answer."""
    findings: list[Finding] = []
    async with _stores(subject, findings):
        left_out: dict[Store, list[str]] = {}
        for check in checks:
            missing: list[Store] = [need for need in check.needs if not _has(subject, need)]
            if missing:
                left_out.setdefault(missing[0], []).append(check.name)
                continue
            findings.extend(await _made(check, subject))
        for need, names in left_out.items():
            detail = f"{_NAMES[need]}, so this was not looked at: {and_more(names, 50)}"
            findings.append(warning("left out", detail, "put that right first, then run this again"))
    return findings


@contextlib.asynccontextmanager
async def _stores(subject: Subject, findings: list[Finding]) -> AsyncGenerator[None]:
    """Both stores, as far as they answer; what is to be said of those that do not is among the findings."""
    settings = subject.settings
    async with contextlib.AsyncExitStack() as stack:
        if settings.redis_url is not None:
            client = connect(settings.redis_url)
            stack.push_async_callback(client.aclose)

            async def reach_redis() -> None:
                some = [Partition(number, "", "") for number in range(settings.partitions)]
                some = some if is_cluster(client) else some[:1]

                async def ping(one: Partition) -> None:
                    await send(one_server(client, one.number), "PING")

                await from_each(client, some, ping, seconds=_REACH_SECONDS / 2)
                subject.redis = client

            await _reach("redis", "Redis", reach_redis, findings)
        if settings.database_url is not None:
            url = settings.database_url

            async def reach_postgres() -> None:
                connection = await database.connect(url, "doctor", is_impatient=True)
                stack.push_async_callback(connection.close)
                await connection.configure({"statement_timeout": f"{_CHECK_SECONDS * 1000:.0f}"})
                subject.postgres = connection

            await _reach("postgres", "Postgres", reach_postgres, findings)
        yield


async def _reach(
    check: str, store: str, reach: Callable[[], Awaitable[None]], findings: list[Finding]
) -> None:
    try:
        async with asyncio.timeout(_REACH_SECONDS):
            await reach()
    except TimeoutError:
        detail = f"{store} does not answer within {_REACH_SECONDS:g} s"
        findings.append(problem(check, detail, _advice_for(store)))
    except (RedisError, psycopg.Error, OSError) as error:
        fault = fault_of(error)
        advice = fault.what if fault.kind is Kind.REFUSED else _advice_for(store)
        findings.append(problem(check, fault.said_of(store), advice))
    except FlowerError as error:  # the address says too little: which of several schemas is meant
        findings.append(problem(check, str(error), _advice_for(store)))


def _advice_for(store: str) -> str:
    name = "FLOWER_REDIS_URL" if store == "Redis" else "FLOWER_DATABASE_URL"
    return f"see that it runs and can be reached from here, and that {name} names it; services wait for it"


async def _made(check: Check, subject: Subject) -> list[Finding]:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            return await check.look(subject)
    except TimeoutError:
        why, advice = f"it took longer than {_CHECK_SECONDS:g} s", "a store is slow, or stands still"
        _forsake(check, subject)
    except (RedisError, OSError) as error:
        why, advice = fault_of(error).said_of("Redis"), _advice_for("Redis")
        if fault_of(error).kind is Kind.AWAY:
            subject.redis = None
    except psycopg.Error as error:
        why, advice = fault_of(error).said_of("Postgres"), _advice_for("Postgres")
        if subject.connection.broken:
            subject.postgres = None
    except FlowerError as error:
        return [problem(check.name, str(error), "put right what it says")]
    except Exception as error:  # noqa: BLE001 # the others go on
        why, advice = f"{type(error).__name__}: {one_line(error)}", "this is a fault of flower doctor itself"
    return [problem(check.name, f"{check.name} could not be looked at: {why}", advice)]


def _forsake(check: Check, subject: Subject) -> None:
    """What did not answer once is not asked again: the examination is to end."""
    if subject.postgres is not None and subject.postgres.closed:
        subject.postgres = None
    elif "redis" in check.needs:
        subject.redis = None


def _has(subject: Subject, need: Store) -> bool:
    match need:
        case "redis":
            return subject.redis is not None
        case "postgres":
            return subject.postgres is not None
        case "tables":
            return subject.has_tables
        case "partitions":
            return bool(subject.partitions)
