"""Retention of blobs: those that no flow uses, and that nobody touched for a week, go.

An outcome names a blob that was touched before it; so a blob that was touched a week before the projected
position is in the tables, if it is used at all, or its outcome is a week late.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from flower_engine.blobs.filesystem_store import FilesystemStore
from flower_engine.blobs.store import API
from flower_engine.errors import BlobStoreError
from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.keys import Keys
from flower_engine.projection.blobs.contents import prune_contents
from flower_engine.projection.blobs.uses import used_of
from flower_engine.projection.database import Connection

UNTOUCHED_SECONDS = 7 * 86_400

_POSITIONS = """
SELECT partition, position, (extract(epoch FROM now()) * 1000)::bigint FROM kr_projection ORDER BY partition
"""


class PrunedBlobs(msgspec.Struct):
    """How many blobs went, and their bytes; ``problems``: stores that could not be pruned, and why."""

    count: int = 0
    size: int = 0
    problems: list[str] = []


def stores_at_urls(names: Sequence[str]) -> list[FilesystemStore]:
    """The stores of ``FLOWER_BLOBS`` that are no tables of ours.

    Raises:
        SettingsError: what a URL needs is not installed.
    """
    return [FilesystemStore(name) for name in names if name != API]


async def prune_blobs(
    client: AsyncRedis, connection: Connection, stores: Sequence[FilesystemStore]
) -> PrunedBlobs:
    """Prunes blobs in Postgres and in these stores; none where nothing is projected.

    Raises:
        psycopg.Error, RedisError, OSError: a store does not answer; some may have gone.
    """
    pruned = PrunedBlobs()
    known = await _known_until(client, connection)
    if known is None:
        return pruned
    until_ms, now_ms = known
    before_ms = until_ms - UNTOUCHED_SECONDS * 1_000
    pruned.count, pruned.size = await prune_contents(connection, before_ms)
    loop = asyncio.get_running_loop()

    def used(sha256s: list[str]) -> set[str]:
        return asyncio.run_coroutine_threadsafe(used_of(connection, sha256s), loop).result()

    for store in stores:
        try:
            count, size = await asyncio.to_thread(store.prune, used, (now_ms - before_ms) / 1_000)
        except BlobStoreError as error:
            pruned.problems.append(str(error))
        else:
            pruned.count += count
            pruned.size += size
    return pruned


async def _known_until(client: AsyncRedis, connection: Connection) -> tuple[int, int] | None:
    """Until when all uses are known, and what time it is, in ms; None: nothing is projected yet."""
    rows = await (await connection.execute(_POSITIONS)).fetchall()
    moments: list[int] = []
    for partition, position, now_ms in rows:
        if position is None:
            return None
        last = await send(client, "XREVRANGE", Keys(partition).log, "+", "-", "COUNT", 1)
        is_all = bool(last) and last[0][0].decode() == position
        moments.append(now_ms if is_all else int(position.partition("-")[0]))
    return (min(moments), rows[0][2]) if rows else None
