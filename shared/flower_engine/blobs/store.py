"""What a store of blobs can do. Its calls block, and try once: whoever calls waits and tries again."""

from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

API = "api"
"""The name of the store that is reached through the API, and kept in Postgres."""
PART_BYTES = 1 << 20
"""So much of a blob is in memory at one time."""

Open = Callable[[], BinaryIO]
"""Opens content from its beginning; called for each try."""


class Store(Protocol):
    """A place where blobs are, by the sha256 of their content."""

    name: str

    def put(self, sha256: str, size: int, content: Open) -> None:
        """Stores it, unless it is there; either way it stays for days, used or not.

        Raises:
            BlobStoreError: the store cannot be used now.
            BlobRefusedError: it does not take this blob, and never will.
        """
        ...

    def touch(self, sha256: str, size: int) -> bool:
        """Keeps it for days, used or not; False: it is not there.

        Raises:
            BlobStoreError: the store cannot be used now.
        """
        ...

    def parts(self, sha256: str) -> Iterator[bytes]:
        """The content, some at a time, as the store has it.

        Raises:
            BlobStoreError: the store cannot be used now.
            MissingBlobError: it is not there.
        """
        ...


def parts_of(content: BinaryIO) -> Iterator[bytes]:
    """What is left of a file, some at a time."""
    while part := content.read(PART_BYTES):
        yield part
