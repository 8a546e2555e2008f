"""The stores of blobs that a process may use: where it writes, and where it reads what others wrote."""

import hashlib
import logging
import sys
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from flower_engine.blobs.api_store import ApiStore
from flower_engine.blobs.blob import Blob
from flower_engine.blobs.filesystem_store import FilesystemStore
from flower_engine.blobs.patience import patiently
from flower_engine.blobs.store import API, Store
from flower_engine.errors import BlobStoreError, MissingBlobError, ProgramError
from flower_engine.model.values.blob_ref import BlobRef

_log = logging.getLogger(__name__)

HOW_TO_SET_UP = (
    "set FLOWER_BLOBS for the workers: api (kept in Postgres, through the API at FLOWER_URL), or a URL of"
    " fsspec; docs/operations.md, 'Blobs', says more"
)


class BlobStores:
    """Stores by name. Only those that the settings name are ever asked, whatever a reference says: it may
    come from whoever registers flows."""

    def __init__(self, names: Sequence[str], api_url: str, token: str | None, *, begins: bool = True) -> None:
        """``names`` as in ``FLOWER_BLOBS``; the API is read in any case. ``begins``: as of a store.

        Raises:
            SettingsError: what a URL needs is not installed.
        """
        api = ApiStore(api_url, token)
        found: list[Store] = [api if name == API else FilesystemStore(name, begins=begins) for name in names]
        self.writing: Store | None = found[0] if found else None
        self._by_name: dict[str, Store] = {API: api, **{store.name: store for store in found}}

    def reading(self, name: str) -> Store:
        """The store of this name.

        Raises:
            MissingBlobError: it is none of the settings'.
        """
        store = self._by_name.get(name)
        if store is None:
            raise MissingBlobError(
                f"this worker reads no blobs of {name!r}: it is none of its FLOWER_BLOBS, which names"
                f" {', '.join(sorted(self._by_name.keys() - {API})) or 'no URL'}"
            )
        return store

    def begin(self) -> None:
        """Makes sure that the store that is written to is there; raises as ``FilesystemStore.begin`` does."""
        if isinstance(self.writing, FilesystemStore):
            self.writing.begin()

    def put(self, blob: Blob) -> None:
        """Stores a blob that a program returned where its reference says; one that it was given is kept.

        Raises as ``Store.put`` does, and MissingBlobError: it was given, and is there no more.
        """
        store = self.reading(blob.ref.store)
        if blob.content is not None:
            store.put(blob.sha256, blob.size, blob.content)
        elif not store.touch(blob.sha256, blob.size):
            raise MissingBlobError(f"blob {blob.sha256} is not in {store} any more")

    def name_for_writing(self) -> str:
        if self.writing is None:
            raise ProgramError(f"this worker has no store for a Blob: {HOW_TO_SET_UP}")
        return self.writing.name

    def copy(self, ref: BlobRef, target: BinaryIO) -> None:
        if _is_on_event_loop():
            raise ProgramError(
                "a Blob is read here on the event loop, and all that runs there would wait for its store:"
                " write await asyncio.to_thread(blob.read), or the same with open or save"
            )
        store = self.reading(ref.store)

        def fetch() -> None:
            target.seek(0)
            target.truncate()
            for part in checked_parts(store, ref):
                target.write(part)

        patiently(_log, f"reading blob {ref.sha256} from {store}", fetch, lambda _: None)


def _is_on_event_loop() -> bool:
    asyncio = sys.modules.get("asyncio")  # where nobody has imported it, no loop runs
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def checked_parts(store: Store, ref: BlobRef) -> Iterator[bytes]:
    """The content, some at a time; at its end it is known to be what the reference says.

    Raises:
        BlobStoreError: the store cannot be used now, or the content came damaged.
        MissingBlobError: it is not there.
    """
    found, size = hashlib.sha256(), 0
    for part in store.parts(ref.sha256):
        found.update(part)
        size += len(part)
        if size > ref.bytes:
            break
        yield part
    if size != ref.bytes or found.hexdigest() != ref.sha256:
        raise BlobStoreError(
            f"{store} gave {size} bytes with another hash as blob {ref.sha256}, which has {ref.bytes}"
        )


def read(store: Store, ref: BlobRef) -> bytes:
    """The whole content; raises as :func:`checked_parts` does."""
    return b"".join(checked_parts(store, ref))
