"""``Blob``: a file that programs take and return, however large it is."""

import contextlib
import hashlib
import io
import os
import shutil
import threading
from contextlib import closing
from contextvars import ContextVar
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Protocol, cast

import msgspec

from flower_engine.blobs.store import PART_BYTES, Open, parts_of
from flower_engine.errors import ProgramError
from flower_engine.model.values.blob_ref import BlobRef

KEY = "$blob"


class Access(Protocol):
    """What a blob needs of the stores of its process; see ``blob_stores.py``."""

    def name_for_writing(self) -> str:
        """The store that new blobs go to. Raises ProgramError where there is none."""
        ...

    def copy(self, ref: BlobRef, target: BinaryIO) -> None:
        """Writes the content to a file, as soon as the store can be read."""
        ...


access: ContextVar[Access | None] = ContextVar("flower_blob_access", default=None)
"""The stores of whoever runs the program; None outside of workers."""
_returned: ContextVar[dict[str, "Blob"] | None] = ContextVar("flower_returned_blobs", default=None)


class Blob:
    """A file, as a parameter or (a part of) a result of a program: ``Blob.from_file("out.parquet")``,
    ``Blob(b"...")``.

    A blob that a program returns is stored when it has returned; it may be larger than memory. One that it
    takes is not read before :meth:`open`, :meth:`read` or :meth:`save`. These wait for a store that is away;
    in a program that is an ``async def``, write ``await asyncio.to_thread(blob.read)``.
    """

    __slots__ = ("_access", "_content", "_ref", "sha256", "size")

    def __init__(self, content: bytes | bytearray | memoryview) -> None:
        """A blob of these bytes."""
        held = bytes(content)
        self.sha256 = hashlib.sha256(held).hexdigest()
        self.size = len(held)
        self._content: Open | None = lambda: io.BytesIO(held)
        self._ref: BlobRef | None = None
        self._access: Access | None = None

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "Blob":
        """A blob of a file's content, as it is now: it must not change until the program has returned. It may
        be deleted.

        Raises:
            OSError: the file cannot be read.
        """
        file = _File(Path(path))
        blob = cls.__new__(cls)
        found, blob.size = hashlib.sha256(), 0
        with closing(file.open()) as content:
            for part in parts_of(content):
                found.update(part)
                blob.size += len(part)
        blob.sha256 = found.hexdigest()
        blob._content, blob._ref, blob._access = file.open, None, None
        return blob

    @classmethod
    def from_json(cls, value: Any) -> "Blob":
        """A blob of its JSON form, ``{"$blob": {"sha256": ..., "bytes": ..., "store": ...}}``.

        Raises:
            ValueError: the value is no such form.
        """
        members = cast("dict[str, Any]", value)
        if not isinstance(value, dict) or list(members) != [KEY]:
            raise ValueError('a Blob is written {"$blob": {"sha256": ..., "bytes": ..., "store": ...}}')
        return cls.of(msgspec.convert(members[KEY], BlobRef))

    @classmethod
    def of(cls, ref: BlobRef) -> "Blob":
        """A blob that is stored."""
        blob = cls.__new__(cls)
        blob.sha256, blob.size = ref.sha256, ref.bytes
        blob._content, blob._ref, blob._access = None, ref, access.get()
        return blob

    def open(self) -> BinaryIO:
        """Its content as a file to read (binary, seekable); close it. One that is stored is fetched whole, to
        a temporary file."""
        if self._content is not None:
            return self._content()
        target = cast(BinaryIO, TemporaryFile())  # noqa: SIM115 # the caller's to close
        try:
            self._copy(target)
            target.seek(0)
        except BaseException:
            target.close()
            raise
        return target

    def read(self) -> bytes:
        """Its whole content."""
        if self._content is not None:
            with closing(self._content()) as content:
                return content.read()
        target = io.BytesIO()
        self._copy(target)
        return target.getvalue()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes its content to a file, which has this name when all of it is there; returns the path."""
        wanted = Path(path)
        part = wanted.with_name(f".{wanted.name}.{os.getpid()}.{threading.get_ident()}.part")
        try:
            with part.open("wb") as target:
                if self._content is None:
                    self._copy(target)
                else:
                    with closing(self._content()) as content:
                        shutil.copyfileobj(content, target, PART_BYTES)
            part.replace(wanted)
        finally:
            part.unlink(missing_ok=True)
        return wanted

    def __flower_json__(self) -> dict[str, Any]:
        """Its JSON form; one that is not stored yet will be, if a program returns this.

        Raises:
            ProgramError: it is not stored, and this worker has no store for it.
        """
        if self._ref is None:
            stores = access.get()
            if stores is None:
                raise ProgramError("a Blob can be stored only by a worker that runs the program")
            self._ref = BlobRef(sha256=self.sha256, bytes=self.size, store=stores.name_for_writing())
        returned = _returned.get()
        if returned is None:
            returned = dict[str, Blob]()
            _returned.set(returned)
        returned[self.sha256] = self
        return {KEY: msgspec.to_builtins(self._ref)}

    @property
    def ref(self) -> BlobRef:
        """What stands for it in results; it has one when its JSON form was asked for."""
        assert self._ref is not None
        return self._ref

    @property
    def content(self) -> Open | None:
        """Opens its content; None: it is in a store."""
        return self._content

    def __repr__(self) -> str:
        return f"Blob({self.size} bytes, sha256 {self.sha256[:12]}...)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Blob) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    def _copy(self, target: BinaryIO) -> None:
        if self._access is None or self._ref is None:
            raise ProgramError(f"{self!r} can be read only in a worker")
        self._access.copy(self._ref, target)


def take_returned() -> tuple[Blob, ...]:
    """The blobs whose JSON form was made in this context since the last time."""
    returned = _returned.get()
    if not returned:
        return ()
    _returned.set(None)
    return tuple(returned.values())


class _File:
    """A file that is held open, so that it may be deleted, and read from its beginning several times."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            os.close(self.descriptor)

    def open(self) -> BinaryIO:
        return cast(BinaryIO, io.BufferedReader(_Reader(self), PART_BYTES))


class _Reader(io.RawIOBase):
    """Reads a file at a place of its own."""

    def __init__(self, file: _File) -> None:
        super().__init__()
        self._file = file
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        read = os.preadv(self._file.descriptor, [buffer], self._at)
        self._at += read
        return read

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: os.fstat(self._file.descriptor).st_size}
        self._at = max(0, start[whence] + offset)
        return self._at
