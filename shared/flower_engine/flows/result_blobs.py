"""Blobs that operations handle: those read for what a flow returns, and those that a new flow takes over."""

import asyncio
from collections.abc import Sequence

from flower_engine.blobs.blob_stores import read
from flower_engine.blobs.filesystem_store import FilesystemStore
from flower_engine.blobs.store import API
from flower_engine.errors import BlobStoreError, MissingBlobError
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.stores import Stores
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.projection.blobs import contents
from flower_engine.projection.blobs.uses import blobs_in

_STORE_SECONDS = 20.0  # for a store that is not Postgres, whose statements are bounded anyway


async def read_blob(stores: Stores, ref: BlobRef) -> bytes:
    """The content of a blob in Postgres, or in a store that ``FLOWER_BLOBS`` names here.

    Raises:
        MissingBlobError: it is not there, or its store is none of these.
        psycopg.Error, StoreError, SettingsError: the store cannot be used now.
    """
    if not isinstance(stores, PostgresStores):
        raise MissingBlobError(f"blob {ref.sha256} is in {ref.store!r}, and no store of blobs is read here")
    if ref.store == API:
        return await _read_postgres(stores, ref)
    if ref.store not in {name.rstrip("/") for name in stores.blob_names}:
        raise MissingBlobError(f"it is in {ref.store!r}, which is none of the API's FLOWER_BLOBS")
    try:
        async with asyncio.timeout(_STORE_SECONDS):
            return await asyncio.to_thread(lambda: read(FilesystemStore(ref.store), ref))
    except TimeoutError:
        raise BlobStoreError(f"{ref.store} did not give it in {_STORE_SECONDS:g} s") from None


async def _read_postgres(stores: PostgresStores, ref: BlobRef) -> bytes:
    async with stores.postgres() as connection:
        blob = await contents.find(connection, ref.sha256)
    chunks: list[bytes] = []
    if blob is not None and blob.size == ref.bytes:
        for number in range(-(-blob.size // contents.CHUNK_BYTES)):
            async with stores.postgres() as connection:
                chunks.append(await contents.read_chunk(connection, blob.upload, number) or b"")
    if blob is None or sum(map(len, chunks)) != ref.bytes:
        raise MissingBlobError(f"there is no blob {ref.sha256} of so many bytes: it was pruned")
    return b"".join(chunks)


async def keep_blobs(stores: Stores, taken: Sequence[BlobRef | bytes]) -> None:
    """Keeps the blobs that a flow takes over (references, or results that may hold some) until its own use of
    them is projected: the flow that they are from may be pruned before that.

    Raises:
        psycopg.Error, StoreError: a store cannot be used now.
    """
    names = [one.sha256 for one in taken if isinstance(one, BlobRef)]
    names += [sha256 for one in taken if isinstance(one, bytes) for sha256 in blobs_in(one)]
    if not names or not isinstance(stores, PostgresStores):
        return
    async with stores.postgres() as connection:
        for sha256 in sorted(set(names)):
            await contents.touch(connection, sha256)
    for store in [FilesystemStore(name) for name in stores.blob_names if name != API]:
        for one in taken:
            if isinstance(one, BlobRef) and one.store == store.name:
                await asyncio.to_thread(store.touch, one.sha256, one.bytes)
