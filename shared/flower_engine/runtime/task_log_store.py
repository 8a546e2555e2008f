"""``FLOWER_TASK_LOG_STORE``: lines of task logs in a store of blobs, one blob for each writing."""

import asyncio
import hashlib
import io
from collections.abc import Sequence

import msgspec

from flower_engine.blobs.filesystem_store import FilesystemStore
from flower_engine.projection.database import Connection
from flower_engine.projection.task_logs.chunk_rows import InBlob
from flower_engine.task_logs.arrivals import ArrivedChunk

UNUSED_SECONDS = 86_400  # one that no row names may be of a writing that is under way

_encode = msgspec.json.Encoder().encode
_USED = "SELECT DISTINCT blob FROM kr_task_log WHERE blob = ANY(%s)"


def task_log_store(url: str | None) -> FilesystemStore | None:
    """The store that the setting names, if any.

    Raises:
        SettingsError: what its URL needs is not installed.
    """
    return None if url is None else FilesystemStore(url, "FLOWER_TASK_LOG_STORE")


async def put_lines(store: FilesystemStore, chunks: Sequence[ArrivedChunk]) -> list[InBlob]:
    """Stores the lines of chunks; where those of each are. The same chunks again make the same blob.

    Raises:
        BlobStoreError: the store cannot be used now.
    """
    parts = [_encode(one.chunk.lines) for one in chunks]
    content = b"".join(parts)
    sha256 = hashlib.sha256(content).hexdigest()
    await asyncio.to_thread(store.put, sha256, len(content), lambda: io.BytesIO(content))
    places: list[InBlob] = []
    offset = 0
    for part in parts:
        places.append(InBlob(sha256, offset, len(part)))
        offset += len(part)
    return places


async def prune_lines(connection: Connection, url: str | None) -> int:
    """Deletes the blobs of which no row is left; how many.

    Raises:
        BlobStoreError: the store cannot be used now.
    """
    store = task_log_store(url)
    if store is None:
        return 0
    loop = asyncio.get_running_loop()

    def used(sha256s: list[str]) -> set[str]:
        return asyncio.run_coroutine_threadsafe(_used(connection, sha256s), loop).result()

    count, _ = await asyncio.to_thread(store.prune, used, UNUSED_SECONDS)
    return count


async def _used(connection: Connection, sha256s: list[str]) -> set[str]:
    return {sha256 async for (sha256,) in await connection.execute(_USED, [sha256s])}
