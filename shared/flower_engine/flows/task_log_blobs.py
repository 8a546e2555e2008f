"""Lines of stored chunks that lie in ``FLOWER_TASK_LOG_STORE``."""

import asyncio
from collections.abc import Sequence

from flower_engine.errors import BlobStoreError, MissingBlobError
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.projection.task_logs.chunk_queries import ChunkRow

_MOST_AT_ONCE = 8


async def with_lines(stores: PostgresStores, rows: Sequence[ChunkRow]) -> list[ChunkRow]:
    """The chunks with those lines that are a blob's, as far as they can be read."""
    turns = asyncio.Semaphore(_MOST_AT_ONCE)

    async def read(row: ChunkRow) -> ChunkRow:
        store = stores.task_log_store
        if row.blob is None or not row.is_wanted or store is None:
            return row
        try:
            async with turns:
                return row._replace(lines=await asyncio.to_thread(store.read_range, *row.blob))
        except (BlobStoreError, MissingBlobError):
            return row

    return await asyncio.gather(*map(read, rows))
