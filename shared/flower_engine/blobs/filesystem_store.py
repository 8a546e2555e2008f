"""A store at a URL of fsspec: a folder, a bucket... (``pip install flower-engine[blobs]``).

A blob is the file ``<URL>/<first two digits>/<sha256>``. It is written under a name of its own and moved
there, so that nobody ever sees a part of it.
"""

import contextlib
import os
import posixpath
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from importlib import import_module
from typing import Any

from flower_engine.blobs.store import Open, parts_of
from flower_engine.errors import BlobStoreError, MissingBlobError, SettingsError

_FRESH_SECONDS = 86_400  # one that was written or touched later need not be touched again
_UPLOADS = "uploads"


class FilesystemStore:
    """Blobs under a URL; credentials are the file system's own matter (its variables, or fsspec's)."""

    def __init__(self, url: str, setting: str = "FLOWER_BLOBS") -> None:
        """``setting``: that names the URL.

        Raises:
        SettingsError: fsspec, or what it needs for this kind of URL, is not installed.
        """
        self.name = url.rstrip("/")
        try:
            fsspec: Any = import_module("fsspec")  # an extra
            fsspec.get_filesystem_class(self.name.partition(":")[0])
        except (ImportError, ValueError) as error:
            raise SettingsError(
                f"{setting}: {url!r} cannot be used here: {error}; pip install 'flower-engine[blobs]', and"
                " what fsspec names for this kind of URL"
            ) from error

    def put(self, sha256: str, size: int, content: Open) -> None:
        with self._told():
            files, root = self._files()
            path = _path(root, sha256)
            if self._is_kept(files, path, size):
                return
            upload = f"{root}/{_UPLOADS}/{uuid.uuid4().hex}"
            files.makedirs(f"{root}/{_UPLOADS}", exist_ok=True)
            files.makedirs(posixpath.dirname(path), exist_ok=True)
            try:
                with closing(content()) as source, files.open(upload, "wb") as target:
                    for part in parts_of(source):
                        target.write(part)
                    _sync(target)
                files.mv(upload, path)
            except BaseException:
                with contextlib.suppress(Exception):
                    files.rm(upload)
                raise

    def touch(self, sha256: str, size: int) -> bool:
        with self._told():
            files, root = self._files()
            path = _path(root, sha256)
            if self._is_kept(files, path, size):
                return True
            if not files.exists(path):
                return False
            files.pipe_file(path, files.cat_file(path))  # there is no other way on this kind of file system
            return True

    def parts(self, sha256: str) -> Iterator[bytes]:
        with self._told():
            files, root = self._files()
            try:
                source = files.open(_path(root, sha256), "rb")
            except FileNotFoundError:
                raise MissingBlobError(
                    f"blob {sha256} is not in {self}: it was pruned, or never stored"
                ) from None
            with source:
                yield from parts_of(source)

    def read_range(self, sha256: str, offset: int, size: int) -> bytes:
        """A part of a blob.

        Raises:
            BlobStoreError: the store cannot be used now.
            MissingBlobError: it is not there.
        """
        with self._told():
            files, root = self._files()
            try:
                return bytes(files.cat_file(_path(root, sha256), offset, offset + size))
            except FileNotFoundError:
                raise MissingBlobError(
                    f"blob {sha256} is not in {self}: it was pruned, or never stored"
                ) from None

    def prune(self, used: Callable[[list[str]], set[str]], older_than_seconds: float) -> tuple[int, int]:
        """Deletes blobs that are not used and were not touched for so long; how many, and their bytes.

        Uploads that never came to an end go, too. ``used`` says which of some blobs are used.
        """
        with self._told():
            files, root = self._files()
            before, count, size = time.time() - older_than_seconds, 0, 0
            folders: list[str] = files.ls(root, detail=False) if files.exists(root) else []
            for folder in folders:
                found: dict[str, Any] = files.find(folder, detail=True)
                is_uploads = folder.rstrip("/").endswith(f"/{_UPLOADS}")
                old = {path: info for path, info in found.items() if _touched(files, path, info) < before}
                names = {path: posixpath.basename(path) for path in old}
                kept = set[str]() if is_uploads else used(list(names.values()))
                for path, info in old.items():
                    if names[path] not in kept and _touched(files, path, files.info(path)) < before:
                        files.rm(path)
                        count, size = count + (not is_uploads), size + int(info.get("size") or 0)
            return count, size

    def look(self) -> None:
        """Makes sure that it can be reached; changes nothing.

        Raises:
            BlobStoreError: it cannot be used now.
        """
        with self._told():
            files, root = self._files()
            if files.exists(root):
                files.ls(root, detail=False)

    def __str__(self) -> str:
        return self.name

    def _files(self) -> tuple[Any, str]:
        fsspec: Any = import_module("fsspec.core")
        files, root = fsspec.url_to_fs(self.name)
        return files, str(root).rstrip("/")

    def _is_kept(self, files: Any, path: str, size: int) -> bool:
        """Whether it is there, as a whole, and touched; else it is to be written (again)."""
        try:
            info = files.info(path)
        except FileNotFoundError:
            return False
        if info.get("size") not in (None, size):
            return False
        if _touched(files, path, info) > time.time() - _FRESH_SECONDS:
            return True
        try:
            files.touch(path, truncate=False)
        except (NotImplementedError, TypeError, ValueError, FileNotFoundError):
            return False
        return _touched(files, path, files.info(path)) > time.time() - _FRESH_SECONDS

    @contextlib.contextmanager
    def _told(self) -> Generator[None]:
        try:
            yield
        except (BlobStoreError, MissingBlobError):
            raise
        except Exception as error:
            raise BlobStoreError(f"{self} cannot be used: {type(error).__name__}: {error}") from error


def _path(root: str, sha256: str) -> str:
    return f"{root}/{sha256[:2]}/{sha256}"


def _touched(files: Any, path: str, info: dict[str, Any]) -> float:
    """When it was written or touched last, as Unix time; each kind of file system has a name for it."""
    for name in ("mtime", "LastModified", "last_modified", "updated", "created"):
        moment: Any = info.get(name)
        if isinstance(moment, int | float):
            return float(moment)
        if hasattr(moment, "timestamp"):
            return float(moment.timestamp())
    return float(files.modified(path).timestamp())


def _sync(target: Any) -> None:
    """On a local disk it is there when it is said to be."""
    with contextlib.suppress(Exception):
        target.flush()
        os.fsync(target.fileno())
