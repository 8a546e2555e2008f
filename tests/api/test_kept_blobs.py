"""Blobs that operations handle: a fork keeps those that it takes over; results become blobs."""

import asyncio
import hashlib

import httpx
import pytest

from api.serving import RunningApi
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.result_blobs import blob_of
from flower_engine.log.client import connect
from flower_engine.projection.database import make_pool
from flower_engine.runtime.clock import SystemClock
from flower_engine.runtime.settings import load_settings


def put(api: RunningApi, content: bytes) -> str:
    """Stores a blob, and makes it an old one."""
    sha256 = hashlib.sha256(content).hexdigest()
    api.client.put(f"/blobs/{sha256}", content=content).raise_for_status()
    api.sql("UPDATE kr_blob SET touched_ts = now() - interval '30 days' WHERE sha256 = %s", sha256)
    return sha256


def is_fresh(api: RunningApi, sha256: str) -> bool:
    query = "SELECT touched_ts > now() - interval '1 day' FROM kr_blob WHERE sha256 = %s"
    return bool(api.sql(query, sha256)[0][0])


async def test_a_fork_keeps_the_blobs_that_it_takes_over(api: RunningApi) -> None:
    names = [put(api, content) for content in (b"a result", b"a file in a result", b"nobody's")]
    refs = [b'{"sha256":"%s","bytes":8,"store":"api"}' % name.encode() for name in names]
    api.define("forked", {}, {}, {})
    flow = api.register("forked")
    async with api.engine() as engine:
        (claim,) = await engine.claim()
        await engine.store(claim, payload=refs[0])
        (claim,) = await engine.claim()
        await engine.finish(claim, payload=b'[{"$blob":%s}]' % refs[1])
    reply = await asyncio.to_thread(api.client.post, f"/flows/{flow}/fork", json={"fromTasks": [3]})
    assert reply.status_code == 200, reply.text
    assert [is_fresh(api, name) for name in names] == [True, True, False]


@pytest.mark.parametrize("size", [10, 3_000_000])
async def test_a_result_becomes_a_blob(api: RunningApi, size: int) -> None:
    settings = load_settings(redis_url=api.settings.redis_url, database_url=api.settings.database_url)
    assert settings.redis_url is not None and settings.database_url is not None
    async with connect(settings.redis_url) as redis, make_pool(settings.database_url, "test") as pool:
        result = b'"%s"' % (b"x" * size)
        ref = await blob_of(PostgresStores(redis, pool, settings, SystemClock()), result)
    assert ref is not None and (ref.bytes, ref.store) == (size + 2, "api")
    found: httpx.Response = await asyncio.to_thread(api.client.get, f"/blobs/{ref.sha256}")
    assert found.content == result
