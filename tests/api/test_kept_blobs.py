"""Blobs that operations handle: a fork keeps those that it takes over."""

import asyncio
import hashlib

from api.serving import RunningApi


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
