"""A store at a URL of fsspec: a folder, a bucket... (``pip install flower-engine[blobs]``).

A blob is the file ``<URL>/<first two digits>/<sha256>``. It is written under a name of its own and moved
there, so that nobody ever sees a part of it.

A marker at the root says that the store is there, so that one that is away (a disk that is not mounted, a
bucket that is another one) is told from one that lacks a blob, and nobody writes to what lies in its place.
"""

import contextlib
import os
import posixpath
import re
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
MARKER = "flower-store"
"""The file at the root that says that the store is there."""
_MARKER_TEXT = b"""Flower keeps blobs here. While this file cannot be read, what lies here is waited for.
Blobs that are not beside it count as gone.
"""
_OWN_FOLDER = re.compile(rf"[0-9a-f]{{2}}|{_UPLOADS}")


class FilesystemStore:
    """Blobs under a URL; credentials are the file system's own matter (its variables, or fsspec's)."""

    def __init__(self, url: str, setting: str = "FLOWER_BLOBS", *, begins: bool = True) -> None:
        """``setting``: that names the URL. ``begins``: whether a put may begin the store where none is; it
        never does where this object has met the store before.

        Raises:
            SettingsError: fsspec, or what it needs for this kind of URL, is not installed.
        """
        self.name = url.rstrip("/")
        self._begins = begins
        try:
            fsspec: Any = import_module("fsspec")  # an extra
            fsspec.get_filesystem_class(self.name.partition(":")[0])
        except (ImportError, ValueError) as error:
            raise SettingsError(
                f"{setting}: {url!r} cannot be used here: {error}; pip install 'flower-engine[blobs]', and"
                " what fsspec names for this kind of URL"
            ) from error

    def begin(self) -> None:
        """Makes sure that the store is there: begins it where none is, unless it was met before. One of a
        version before, which has no marker, gets it; where nobody may write it is there all the same.

        Raises:
            BlobStoreError: it cannot be used now.
        """
        with self._told():
            files, root = self._files()
            is_there = self._is_there(files, root)
            try:
                self._begin(files, root)
            except Exception:
                if not is_there:
                    raise

    def put(self, sha256: str, size: int, content: Open) -> None:
        with self._told():
            files, root = self._files()
            path = _path(root, sha256)
            if self._is_kept(files, path, size):
                return
            self._begin(files, root)
            upload = f"{root}/{_UPLOADS}/{uuid.uuid4().hex}"
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
            if _info(files, path) is None:
                self._must_be_there(files, root)
                return False
            files.pipe_file(path, files.cat_file(path))  # there is no other way on this kind of file system
            return True

    def parts(self, sha256: str) -> Iterator[bytes]:
        with self._told():
            files, root = self._files()
            try:
                source = files.open(_path(root, sha256), "rb")
            except FileNotFoundError:
                raise self._missing(files, root, sha256) from None
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
                raise self._missing(files, root, sha256) from None

    def prune(self, used: Callable[[list[str]], set[str]], older_than_seconds: float) -> tuple[int, int]:
        """Deletes blobs that are not used and were not touched for so long; how many, and their bytes.

        Uploads that never came to an end go, too. ``used`` says which of some blobs are used.
        """
        with self._told():
            files, root = self._files()
            before, count, size = time.time() - older_than_seconds, 0, 0
            for folder in self._folders(files, root):
                found: dict[str, Any] = files.find(folder, detail=True)
                is_uploads = folder.rstrip("/").endswith(f"/{_UPLOADS}")
                old = {path: info for path, info in found.items() if _touched(files, path, info) < before}
                names = {path: posixpath.basename(path) for path in old}
                kept = set[str]() if is_uploads else used(list(names.values()))
                for path, info in old.items():
                    files.invalidate_cache(path)  # it may have been touched meanwhile
                    if names[path] not in kept and _touched(files, path, files.info(path)) < before:
                        files.rm(path)
                        count, size = count + (not is_uploads), size + int(info.get("size") or 0)
            return count, size

    def look(self) -> bool:
        """Whether the store is there; False: none was begun, or it is away. Changes nothing.

        Raises:
            BlobStoreError: it cannot be reached now.
        """
        with self._told():
            return self._is_there(*self._files())

    def __str__(self) -> str:
        return self.name

    def _files(self) -> tuple[Any, str]:
        fsspec: Any = import_module("fsspec.core")
        files, root = fsspec.url_to_fs(self.name)
        files.invalidate_cache()  # some remember listings for ever, of what others change
        return files, str(root).rstrip("/")

    def _begin(self, files: Any, root: str) -> None:
        marker = f"{root}/{MARKER}"
        if _info(files, marker) is None:
            if not (self._begins or self._folders(files, root)):
                raise self._away()
            files.makedirs(f"{root}/{_UPLOADS}", exist_ok=True)
            files.pipe_file(marker, _MARKER_TEXT)
        self._begins = False

    def _is_there(self, files: Any, root: str) -> bool:
        """By its marker; or by its folders, as a version before wrote no marker."""
        is_there = _info(files, f"{root}/{MARKER}") is not None or bool(self._folders(files, root))
        self._begins = self._begins and not is_there
        return is_there

    def _folders(self, files: Any, root: str) -> list[str]:
        """Those of blobs and of uploads."""
        try:
            found: list[str] = files.ls(root, detail=False)
        except FileNotFoundError:
            return []
        return [path for path in found if _OWN_FOLDER.fullmatch(posixpath.basename(path.rstrip("/")))]

    def _must_be_there(self, files: Any, root: str) -> None:
        if not self._is_there(files, root):
            raise self._away()

    def _missing(self, files: Any, root: str, sha256: str) -> MissingBlobError:
        """What is to be said of a blob that was not found, where the store is there.

        Raises:
            BlobStoreError: it is not.
        """
        self._must_be_there(files, root)
        return MissingBlobError(f"blob {sha256} is not in {self}: it was pruned, or never stored")

    def _away(self) -> BlobStoreError:
        return BlobStoreError(
            f"{self} is not there: no file {MARKER!r} and no folder of blobs can be found there. Bring it"
            " back (is it mounted? is the bucket the right one?); if its blobs are lost for good, put an"
            f" empty file {MARKER!r} there, and what needs them fails"
        )

    def _is_kept(self, files: Any, path: str, size: int) -> bool:
        """Whether it is there, as a whole, and touched; else it is to be written (again)."""
        info = _info(files, path)
        if info is None:
            return False
        self._begins = False
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


def _info(files: Any, path: str) -> dict[str, Any] | None:
    """What is known of a file; None: it is not there. (``exists`` of fsspec says so of any error, too.)"""
    try:
        found: dict[str, Any] = files.info(path)
    except FileNotFoundError:
        return None
    return found


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
