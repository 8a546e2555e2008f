"""What workers publish stays known in Postgres: when none lives, when Redis was lost, and for SQL."""

import asyncio

import msgspec
import pytest

from api.serving import RunningApi
from api.test_programs import LOAD, work
from flower_engine.insight.published_signatures import digest_of, hash_of
from flower_engine.log.client import send
from flower_engine.programs.signature import Signature
from flower_engine.projection.database import connect as connect_postgres
from flower_engine.projection.definitions.program_rows import prune_programs
from flower_projector.program_records import ProgramRecordsLoop
from scripts.engine import Engine

ROWS = "SELECT program, hash, kind FROM ms_program ORDER BY program, hash"


def _loop(api: RunningApi, engine: Engine) -> ProgramRecordsLoop:
    return ProgramRecordsLoop(engine.client, [engine.partition], api.settings)


async def _forget_workers(engine: Engine) -> None:
    """As a Redis that was lost, and recovered: nothing of what workers told is there."""
    keys = engine.partition.keys
    workers: list[bytes] = await send(engine.client, "ZRANGE", keys.workers, 0, -1)
    for worker in workers:
        await send(engine.client, "DEL", keys.worker(worker.decode()))
    await send(engine.client, "DEL", keys.workers, keys.served)


async def test_a_program_stays_known_when_no_worker_lives_and_redis_was_lost(own_api: RunningApi) -> None:
    newer = msgspec.structs.replace(LOAD, description="Loads a table faster.\0")
    async with own_api.engine() as engine:
        await work(own_api, engine, "w1", {"Load": LOAD})
        await asyncio.gather(*(_loop(own_api, engine).run_once() for _ in range(3)))  # three projectors
        await work(own_api, engine, "w2", {"Load": newer, "Other": LOAD})
        loop = _loop(own_api, engine)
        await loop.run_once()
        pairs = sorted([("Load", hash_of(LOAD)), ("Load", hash_of(newer)), ("Other", hash_of(LOAD))])
        assert own_api.sql(ROWS) == [(*pair, "thread") for pair in pairs]
        first, last, schema = own_api.sql(
            "SELECT first_seen_ts, last_seen_ts, parameters_schema FROM ms_program WHERE hash = %s",
            hash_of(newer),
        )[0]
        assert first <= last
        assert schema == LOAD.parameters_schema
        await _forget_workers(engine)
        await loop.run_once()

    def listed() -> list[tuple[str, object]]:
        programs = own_api.client.get("/programs").json()["programs"]
        return [(one["program"], one["versions"]) for one in programs]

    own_api.wait_for(lambda: listed() == [("Load", []), ("Other", [])])
    shown = own_api.client.get("/programs/Load").json()
    assert shown["publishedTs"]
    former = {version["hash"]: version for version in shown["formerVersions"]}
    assert former.keys() == {hash_of(LOAD), hash_of(newer)}
    assert former[hash_of(LOAD)]["parametersSchema"] == LOAD.parameters_schema
    assert former[hash_of(newer)]["description"] == "Loads a table faster.\ufffd"
    assert former[hash_of(LOAD)]["lastSeenTs"]


async def test_a_definition_for_a_program_that_nobody_serves_now_says_when_one_did(
    own_api: RunningApi,
) -> None:
    async with own_api.engine() as engine:
        await work(own_api, engine, "w1", {"Load": LOAD})
        await _loop(own_api, engine).run_once()
        await _forget_workers(engine)
        own_api.sql("UPDATE ms_program SET last_seen_ts = '2026-03-04 05:06:07Z'")
        await work(own_api, engine, "w2", {"Other": LOAD})
    tasks = [{"taskSeq": 1, "program": "Load", "parameters": {"colour": "red"}}]
    reply = own_api.client.put("/workflows/w", json={"tasks": tasks})
    assert reply.status_code == 201, reply.text
    assert reply.json()["warnings"] == [
        "no worker serves program 'Load' now (last seen 2026-03-04 05:06 UTC): it was not checked against"
        " what that takes"
    ]


async def test_what_cannot_be_kept_harms_nothing_else(
    own_api: RunningApi, caplog: pytest.LogCaptureFixture
) -> None:
    endless = msgspec.structs.replace(LOAD, description="x" * 100_000)
    async with own_api.engine() as engine:
        await work(own_api, engine, "w1", {"Good": LOAD, "N\0UL": LOAD, "Long": endless, "x" * 300: LOAD})
        keys = engine.partition.keys
        digest = digest_of({"Good": LOAD})
        for program, text in (("Text", b"nonsense"), ("Deep", b"[" * 50_000), ("List", b"[]")):
            await send(engine.client, "HSET", keys.programs(digest), program, text)
        engine.heartbeat("w2", programs=["Text", "Deep", "List"], signatures=digest)
        await send(engine.client, "SET", keys.worker("w3"), b"{}")
        await send(engine.client, "ZADD", keys.workers, 1, "w3")
        loop = _loop(own_api, engine)
        for _ in range(2):
            await loop.run_once()
        assert own_api.sql(ROWS) == [("Good", hash_of(LOAD), "thread")]
        own_api.wait_for(lambda: own_api.client.get("/programs/Deep").status_code == 200)
        assert own_api.client.get("/programs/Deep").json()["versions"][0]["hash"] is None
        assert own_api.client.get("/programs").status_code == 200
        assert own_api.client.get("/workers").status_code == 200
    said = [record.message for record in caplog.records if "is not kept in Postgres" in record.message]
    assert len(said) == 3  # each once


async def test_versions_go_when_nobody_has_had_them_for_long_but_for_the_last_that_is_named(
    own_api: RunningApi,
) -> None:
    versions = [msgspec.structs.replace(LOAD, description=f"Version {number}.") for number in range(25)]
    async with own_api.engine() as engine:
        for number, version in enumerate(versions):
            engine.heartbeat("w", programs=["Named"], signatures=digest_of({"Named": version}))
            await work(own_api, engine, "w", {"Named": version, "Gone": version})
            await _loop(own_api, engine).run_once()
            own_api.sql(
                "UPDATE ms_program SET last_seen_ts = now() - interval '5 days' + %s * interval '1 hour'"
                " WHERE hash = %s",
                *(number, hash_of(version)),
            )
    own_api.define("w", {"program": "Named", "parameters": {"table": "x"}})
    count = "SELECT program, count(*) FROM ms_program GROUP BY program ORDER BY program"

    async def prune(days: int) -> None:
        async with await connect_postgres(own_api.settings.database_url or "", "test") as connection:
            await prune_programs(connection, days)

    await prune(90)
    assert own_api.sql(count) == [("Gone", 20), ("Named", 20)]
    await prune(1)
    assert own_api.sql(ROWS) == [("Named", hash_of(versions[-1]), "thread")]


async def test_a_version_is_kept_when_its_worker_has_said_all(own_api: RunningApi) -> None:
    begun = Signature(LOAD.parameters, LOAD.required)
    async with own_api.engine() as engine:
        await work(own_api, engine, "w1", {"Load": begun})
        loop = _loop(own_api, engine)
        engine.heartbeat(
            "w1", programs=["Load"], signatures=digest_of({"Load": begun}), started_ms=2**52
        )  # begins
        await loop.run_once()
        assert own_api.sql(ROWS) == []
        engine.heartbeat("w1", programs=["Load"], signatures=digest_of({"Load": begun}), started_ms=1)
        await loop.run_once()
        assert [kind for *_, kind in own_api.sql(ROWS)] == [""]  # an older Flower, which says no more
