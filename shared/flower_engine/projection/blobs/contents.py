"""The content of blobs in Postgres (``kr_blob``, ``kr_blob_chunk``), a chunk at a time.

An upload writes its chunks in statements of their own, so that a slow one holds no transaction, and becomes
the blob with its last statement. Two uploads of the same content do not disturb each other: the first counts.
"""

from uuid import UUID

import msgspec

from flower_engine.projection.database import Connection

CHUNK_BYTES = 1 << 20

_TOUCH = "UPDATE kr_blob SET touched_ts = now() WHERE sha256 = %s RETURNING bytes"
_COMPLETE = """
INSERT INTO kr_blob AS known (sha256, upload, bytes) VALUES (%s, %s, %s)
ON CONFLICT (sha256) DO UPDATE SET touched_ts = now() RETURNING known.upload
"""
# Who touches one meanwhile keeps it: its row is looked at again when it is locked.
_PRUNE = """
WITH unused AS (
    SELECT sha256 FROM kr_blob WHERE touched_ts < to_timestamp(%s / 1000.0)
        AND NOT EXISTS (SELECT FROM kr_blob_use WHERE kr_blob_use.sha256 = kr_blob.sha256)
    LIMIT %s FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM kr_blob USING unused WHERE kr_blob.sha256 = unused.sha256 RETURNING upload, bytes
), chunks AS (
    DELETE FROM kr_blob_chunk USING gone WHERE kr_blob_chunk.upload = gone.upload
)
SELECT count(*), coalesce(sum(bytes), 0) FROM gone
"""
_MOST_BLOBS = 100  # in one statement
_LEFT = """
DELETE FROM kr_blob_chunk WHERE upload IN (
    SELECT upload FROM kr_blob_chunk GROUP BY upload HAVING max(written_ts) < now() - interval '1 day'
    EXCEPT SELECT upload FROM kr_blob)
"""


class StoredBlob(msgspec.Struct, frozen=True):
    """A blob that is there: whose chunks hold it, and how long it is."""

    upload: UUID
    size: int


async def add_chunk(connection: Connection, upload: UUID, number: int, content: bytes) -> None:
    """Writes the next chunk of an upload; the first has the number 0, and all but the last are full."""
    await connection.execute(
        "INSERT INTO kr_blob_chunk (upload, number, content) VALUES (%s, %s, %b)", [upload, number, content]
    )


async def complete(connection: Connection, sha256: str, upload: UUID, size: int) -> bool:
    """Makes an upload the blob; False: somebody else's was first, and is it."""
    async with connection.transaction():
        row = await (await connection.execute(_COMPLETE, [sha256, upload, size])).fetchone()
        is_ours = row is not None and row[0] == upload
        if not is_ours:
            await discard(connection, upload)
    return is_ours


async def discard(connection: Connection, upload: UUID) -> None:
    """Takes away what an upload has written."""
    await connection.execute("DELETE FROM kr_blob_chunk WHERE upload = %s", [upload])


async def touch(connection: Connection, sha256: str) -> int | None:
    """Keeps a blob from being pruned for a while; its size in bytes, or None if it is not there."""
    row = await (await connection.execute(_TOUCH, [sha256])).fetchone()
    return None if row is None else int(row[0])


async def find(connection: Connection, sha256: str) -> StoredBlob | None:
    """The blob, if it is there."""
    row = await (
        await connection.execute("SELECT upload, bytes FROM kr_blob WHERE sha256 = %s", [sha256])
    ).fetchone()
    return None if row is None else StoredBlob(row[0], row[1])


async def read_chunk(connection: Connection, upload: UUID, number: int) -> bytes | None:
    """A chunk of a blob; None: the blob was pruned meanwhile."""
    row = await (
        await connection.execute(
            "SELECT content FROM kr_blob_chunk WHERE upload = %s AND number = %s",
            [upload, number],
            binary=True,
        )
    ).fetchone()
    return None if row is None else bytes(row[0])


async def prune_contents(connection: Connection, untouched_since_ms: int) -> tuple[int, int]:
    """Deletes blobs that no flow uses and nobody touched since, and uploads that will come to no end; how
    many blobs, and their bytes. Killed half way, it has deleted some."""
    count = size = 0
    while True:
        row = await (await connection.execute(_PRUNE, [untouched_since_ms, _MOST_BLOBS])).fetchone()
        assert row is not None
        if not row[0]:
            break
        count, size = count + int(row[0]), size + int(row[1])
    await connection.execute(_LEFT)
    return count, size
