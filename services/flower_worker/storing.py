"""Results that do not travel with their outcome: they are in a store of blobs before it is handed in."""

import asyncio
import hashlib
import io
from functools import partial

import msgspec

from flower_engine.blobs.blob import Blob
from flower_engine.blobs.blob_stores import BlobStores
from flower_engine.blobs.store import Store
from flower_engine.model.folding.kept_results import LEAST_BLOB_BYTES
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.model.values.result_json import MAX_RESULT_BYTES, MAX_STORED_RESULT_BYTES
from flower_engine.programs.attempt_outcomes import Done
from flower_worker.running_attempts import Attempt
from flower_worker.transfers import Transfers

INLINE_BYTES = 64 * 1024
"""Of a result that travels with its outcome, where there is a store for larger ones."""


async def stored_content(store: Store, content: bytes) -> BlobRef:
    """Stores what is not of an attempt: the list of a map. Raises as ``Store.put`` does."""
    sha256 = hashlib.sha256(content).hexdigest()
    await asyncio.to_thread(store.put, sha256, len(content), partial(io.BytesIO, content))
    return BlobRef(sha256=sha256, bytes=len(content), store=store.name)


class Storing:
    """Stores what an outcome needs, where it needs that."""

    def __init__(self, stores: BlobStores, transfers: Transfers) -> None:
        self._stores = stores
        self._transfers = transfers
        self.most_bytes = MAX_STORED_RESULT_BYTES if stores.writing is not None else MAX_RESULT_BYTES

    def is_needed(self, attempt: Attempt, done: Done) -> bool:
        """Whether something is to be stored before this outcome is handed in."""
        if done.blobs:
            return True
        if self._stores.writing is None:
            return False
        return len(done.payload) > (LEAST_BLOB_BYTES if attempt.is_full else INLINE_BYTES)

    async def stored(self, attempt: Attempt, done: Done) -> Done:
        """The outcome to hand in, now that all it names is stored.

        Raises:
            BlobRefusedError: the store never takes it.
        """
        for blob in done.blobs:
            await self._put_blob(attempt, blob)
        done = done._replace(blobs=())
        store = self._stores.writing
        if store is None or not self.is_needed(attempt, done):
            return done
        return Done(OutcomeKind.STORED, await self._put_result(attempt, store, done.payload))

    async def _put_blob(self, attempt: Attempt, blob: Blob) -> None:
        what = f"stores a Blob ({blob.size} bytes) in {self._stores.reading(blob.ref.store)}"
        await self._transfers.run(attempt, what, partial(self._stores.put, blob))

    async def _put_result(self, attempt: Attempt, store: Store, payload: bytes) -> bytes:
        def put() -> bytes:
            sha256 = hashlib.sha256(payload).hexdigest()
            store.put(sha256, len(payload), partial(io.BytesIO, payload))
            return msgspec.json.encode(BlobRef(sha256=sha256, bytes=len(payload), store=store.name))

        what = f"stores its result ({len(payload)} bytes) in {store}"
        return await self._transfers.run(attempt, what, put)
