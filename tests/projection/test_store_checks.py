"""A start makes sure of the servers: what only a hand puts right ends it, what may pass is waited for."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from flower_engine.embedded.home import Home
from flower_engine.embedded.postgres import EmbeddedPostgres
from flower_engine.errors import StoreRefusedError
from flower_engine.log.client import AsyncRedis, connect, connect_blocking, send, send_blocking
from flower_engine.log.partition import Partition
from flower_engine.projection import database
from flower_engine.projection.database import Connection, Pool
from flower_engine.runtime.installation import ensure_installation
from flower_engine.runtime.partitions_in_redis import open_partitions
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.store_checks import check_postgres, check_redis, problem_of, what_a_crash_loses
from flower_projector.partition_loop import PartitionLoop, Round
from flower_watcher.lapse import LapseLoop
from prepared_postgres import prepare_postgres
from projection.waiting import until


@pytest.fixture
def changed_redis(redis_url: str) -> Iterator[str]:
    """A Redis that the test may change; it is as before afterwards."""
    names = ("maxmemory-policy", "appendonly", "appendfsync")
    with connect_blocking(redis_url) as admin:
        before = {name: _value(send_blocking(admin, "CONFIG GET", name)) for name in names}
        yield redis_url
        send_blocking(admin, "REPLICAOF", "NO", "ONE")
        for name, value in before.items():
            send_blocking(admin, "CONFIG SET", name, value)


def _value(found: Any) -> str:
    return str(next(iter(found.values())))


@pytest.fixture
async def redis(changed_redis: str) -> AsyncIterator[AsyncRedis]:
    async with connect(changed_redis) as client:
        yield client


async def _is_said(caplog: pytest.LogCaptureFixture, *words: str) -> None:
    async def said() -> bool:
        return all(word in caplog.text for word in words)

    await until(said)


async def test_a_redis_that_evicts_is_refused(redis: AsyncRedis, pool: Pool, settings: Settings) -> None:
    await ensure_installation(redis, pool, settings)
    await send(redis, "CONFIG SET", "maxmemory-policy", "allkeys-lru")
    for attempt in (ensure_installation(redis, pool, settings), open_partitions(redis, settings)):
        with pytest.raises(StoreRefusedError, match=r"allkeys-lru.*CONFIG SET maxmemory-policy noeviction"):
            await attempt


def test_a_redis_that_is_too_old_is_refused() -> None:
    assert "7.0" in (problem_of({"redis_version": "6.2.14", "maxmemory_policy": "noeviction"}) or "")
    assert "Redis is version 5" in (problem_of({"redis_version": "5.0"}) or "")
    for fit in (
        {"redis_version": "7.0.0"},
        {"redis_version": "10.1", "maxmemory_policy": "noeviction"},
        {"redis_version": "6.9", "valkey_version": "12.0"},
        {},
    ):
        assert problem_of(fit) is None


async def test_a_replica_is_waited_for_until_it_is_promoted(
    redis: AsyncRedis, pool: Pool, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    await send(redis, "REPLICAOF", "127.0.0.1", "1")
    waiting = asyncio.create_task(ensure_installation(redis, pool, settings))
    await _is_said(caplog, "Redis takes no writes now: it is a replica", "127.0.0.1:1", "REPLICAOF NO ONE")
    assert not waiting.done()
    await send(redis, "REPLICAOF", "NO", "ONE")
    (partition,) = await waiting
    assert partition.number == 0


async def test_a_redis_that_does_not_tell_is_used_and_that_is_said(
    redis: AsyncRedis, changed_redis: str, caplog: pytest.LogCaptureFixture
) -> None:
    rules = ("reset", "on", "nopass", "~*", "+@all", "-info", "-config")
    await send(redis, "ACL SETUSER", "silent", *rules)
    try:
        async with connect(changed_redis.replace("unix://", "unix://silent:any@")) as client:
            await check_redis(client)
            assert "does not say" in (await what_a_crash_loses(client) or "")
        assert "may not ask (INFO)" in caplog.text
    finally:
        await send(redis, "ACL DELUSER", "silent")


@pytest.mark.parametrize(
    ("appendonly", "appendfsync", "said"),
    [
        ("no", "always", "keeps no append-only file"),
        ("yes", "everysec", "the last second is lost"),
        ("yes", "no", "what its system had not written yet is lost"),
        ("yes", "always", None),
    ],
)
async def test_what_a_crash_of_redis_loses_is_said(
    redis: AsyncRedis, appendonly: str, appendfsync: str, said: str | None
) -> None:
    await send(redis, "CONFIG SET", "appendonly", appendonly)
    await send(redis, "CONFIG SET", "appendfsync", appendfsync)
    text = await what_a_crash_loses(redis)
    assert text is None if said is None else said in (text or "")


async def test_a_postgres_that_is_read_only_is_waited_for(
    client: AsyncRedis, pool: Pool, settings: Settings, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    name = database_url.partition("@/")[2].partition("?")[0]
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
        waiting = asyncio.create_task(ensure_installation(client, pool, settings))
        await _is_said(
            caplog, "Postgres takes no writes now: it is a standby, or read-only", "is on (by: database)"
        )
        assert not waiting.done()
        admin.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only".encode())
    assert await waiting


async def test_connections_of_a_pool_do_not_stay_read_only_when_the_database_no_longer_is(
    tables: Connection, database_url: str
) -> None:
    name = database_url.partition("@/")[2].partition("?")[0]
    write = "INSERT INTO ms_flow_control (scope, name, max_running) VALUES ('queue', 'q', 1)"
    await tables.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
    async with database.make_pool(database_url, "test", max_size=1) as pool:
        for _ in range(2):
            async with pool.connection() as connection:
                assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
                with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                    await connection.execute(write)
        await tables.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only".encode())
        async with pool.connection() as connection:
            await connection.execute(write)


async def test_a_standby_is_waited_for_until_it_is_promoted(tmp_path: Path) -> None:
    with Home(tmp_path / "home") as home:
        prepare_postgres(home)
        postgres = EmbeddedPostgres(home, durable=False)
        (home.postgres / "standby.signal").touch()
        try:
            async with await database.connect(postgres.start(), "test") as connection:
                with pytest.raises(psycopg.errors.ReadOnlySqlTransaction, match="it is a standby"):
                    await check_postgres(connection)
                await connection.execute("SELECT pg_promote()")
                await check_postgres(connection)
        finally:
            postgres.stop()


async def test_a_projector_waits_while_postgres_takes_no_writes_and_goes_on(
    client: AsyncRedis,
    tables: Connection,
    partition: Partition,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = PartitionLoop(client, partition, settings)
    assert await loop.run_once() is Round.PROJECTED  # that the log was opened
    with psycopg.connect(settings.database_url or "", autocommit=True) as admin:
        admin.execute("SET default_transaction_read_only = off")
        try:
            admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            admin.execute("SELECT pg_reload_conf()")

            async def is_away() -> bool:  # sessions read their settings again when they come to it
                await send(client, "XADD", "{flower:0}:log", "*", "e", '{"type":"control.changed","at":1}')
                await loop.rounds.step()
                return loop.rounds.is_failing

            await until(is_away)
            await _is_said(caplog, "Postgres (partition 0) takes no writes now")
        finally:
            admin.execute("ALTER SYSTEM RESET default_transaction_read_only")
            admin.execute("SELECT pg_reload_conf()")

    async def is_projected() -> bool:
        try:
            return await loop.run_once() is Round.PROJECTED
        except psycopg.Error:
            return False

    await until(is_projected)
    await loop.close()


async def test_a_redis_that_becomes_a_replica_is_waited_for(
    redis: AsyncRedis, pool: Pool, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    (partition,) = await ensure_installation(redis, pool, settings)
    watching = asyncio.create_task(LapseLoop(redis, partition, settings).run())
    await send(redis, "REPLICAOF", "127.0.0.1", "1")
    await _is_said(caplog, "takes no writes now: it is a replica")
    assert not watching.done()
    caplog.clear()
    await send(redis, "REPLICAOF", "NO", "ONE")
    await _is_said(caplog, "answers again")
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
