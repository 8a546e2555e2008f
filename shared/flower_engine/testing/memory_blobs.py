"""Blobs and large results of the flows of one test, in memory."""

import hashlib
from typing import BinaryIO

from flower_engine.blobs.blob import Blob
from flower_engine.errors import MissingBlobError
from flower_engine.model.values.blob_ref import BlobRef

STORE = "test"


class MemoryBlobs:
    """A store, and what a :class:`Blob` needs of one."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}

    def name_for_writing(self) -> str:
        return STORE

    def copy(self, ref: BlobRef, target: BinaryIO) -> None:
        target.write(self.read(ref))

    def read(self, ref: BlobRef) -> bytes:
        """The content.

        Raises:
            MissingBlobError: no flow of the test has stored it.
        """
        if ref.sha256 not in self._contents:
            raise MissingBlobError(f"blob {ref.sha256} of store {ref.store!r} was not made in this test")
        return self._contents[ref.sha256]

    def put(self, content: bytes) -> BlobRef:
        sha256 = hashlib.sha256(content).hexdigest()
        self._contents[sha256] = content
        return BlobRef(sha256=sha256, bytes=len(content), store=STORE)

    def put_blob(self, blob: Blob) -> None:
        self.put(blob.read())
