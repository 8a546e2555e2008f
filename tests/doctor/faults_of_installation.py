"""Faults of how both stores belong together."""

import asyncio
import os
import signal
from collections.abc import Generator

import psycopg

from acceptance.running import RunningEngine
from doctor.faults import Given, fault, sql
from flower_engine.log.client import connect
from flower_engine.log.partition import Partition, read_meta
from flower_engine.projection import database
from flower_engine.projection.maintain.migrations import migrate
from flower_engine.transitions.installation_transitions import halt


@fault("problem", "installation", "FLOWER_PARTITIONS is 2", "as they were, for all services")
def another_number_of_partitions(engine: RunningEngine, given: Given) -> Generator[None]:
    given.settings["partitions"] = 2
    yield


@fault("problem", "installation", "do not belong together", "as they were, for all services")
def stores_that_do_not_belong_together(engine: RunningEngine, given: Given) -> Generator[None]:
    sql(engine, "CREATE DATABASE other TEMPLATE template1")
    given.settings["database_url"] = engine.addresses.database_url.replace("@/flower", "@/other")
    with psycopg.connect(given.settings["database_url"], autocommit=True) as connection:
        asyncio.run(_make_tables(given.settings["database_url"]))
        connection.execute(
            "INSERT INTO kr_projection (partition, position, installation, generation, partitions)"
            " VALUES (0, NULL, 'another-installation', 1, 1)"
        )
    try:
        yield
    finally:
        sql(engine, "DROP DATABASE other WITH (FORCE)")


async def _make_tables(url: str) -> None:
    async with await database.connect(url, "test") as connection:
        await migrate(connection)


@fault("problem", "partitions", "was halted: somebody halted it", "flower recover")
def a_partition_that_is_halted(engine: RunningEngine, given: Given) -> Generator[None]:
    asyncio.run(_halt(engine))
    try:
        yield
    finally:
        assert engine.flower("recover").returncode == 0


async def _halt(engine: RunningEngine) -> None:
    async with connect(engine.addresses.redis_url) as client:
        meta = await read_meta(client, 0)
        assert meta is not None
        await halt(client, Partition(0, meta.installation, meta.generation), "somebody halted it")


@fault("problem", "api", "answers 503: waiting for", "put right what it waits for")
def an_api_that_is_not_ready(engine: RunningEngine, given: Given) -> Generator[None]:
    with a_partition_that_is_halted(engine, given):
        yield


@fault("problem", "flow control", "the tables say", "a watcher brings the tables to Redis")
def limits_that_nobody_brings_to_redis(engine: RunningEngine, given: Given) -> Generator[None]:
    os.kill(engine.service_pid("watcher"), signal.SIGSTOP)
    try:
        sql(engine, "INSERT INTO ms_flow_control (scope, name, max_running) VALUES ('queue', 'narrow', 3)")
        yield
    finally:
        sql(engine, "DELETE FROM ms_flow_control")
        os.kill(engine.service_pid("watcher"), signal.SIGCONT)


@fault("warning", "flow control", "limit_by is longer than", "flower limit")
def a_limit_that_cannot_be(engine: RunningEngine, given: Given) -> Generator[None]:
    name = "ms_flow_control_limit_by_is_a_name"  # as rows that were there before the check
    (check,) = sql(engine, "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", name)[0]
    sql(engine, f"ALTER TABLE ms_flow_control DROP CONSTRAINT {name}")
    sql(
        engine,
        "INSERT INTO ms_flow_control (scope, name, limit_by, max_per_key)"
        " VALUES ('workflow', 'any', repeat('p', 2000), 1)",
    )
    try:
        yield
    finally:
        sql(engine, "DELETE FROM ms_flow_control")
        sql(engine, f"ALTER TABLE ms_flow_control ADD CONSTRAINT {name} {check}")
