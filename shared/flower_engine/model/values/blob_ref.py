"""What stands for a value that is too large to travel with an event: where its bytes lie."""

import msgspec


class BlobRef(msgspec.Struct, frozen=True, kw_only=True):
    """A blob: ``sha256`` of its bytes in hex, how many ``bytes`` they are, and the ``store`` that holds them:
    ``api`` (the API keeps them in Postgres) or the base URL of an fsspec file system."""

    sha256: str
    bytes: int
    store: str
