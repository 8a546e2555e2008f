"""The data folder of a machine's own engine: its lock, its sub-folders, and what runs in it now.

<home>/lock               held while an engine runs on the folder
<home>/valkey             data of Valkey
<home>/postgres/data      data of Postgres; a folder of its own, so that the one around it can be closed
<home>/log/*.log          what the stores have to say
<home>/run/stores.json    the addresses in use, for other commands of the same user
<home>/run/...            sockets
"""

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from flower_engine.embedded.processes import ProcessMark
from flower_engine.errors import HomeInUseError, StoreError
from flower_engine.runtime.file_trust import who_else_may_write

SOCKET_PATH_BYTES = 100
"""Longest path of a socket that is used: Linux takes 107 bytes, macOS 103."""


class RunningStores(msgspec.Struct, frozen=True):
    """What an engine that runs on a data folder tells other processes."""

    owner: ProcessMark
    redis_url: str
    database_url: str
    api_url: str | None = None


class Home:
    """One data folder. As a context manager, holds it exclusively.

    The lock is an flock on an open file: the kernel drops it when the process ends, however it ends, and
    children never inherit it (the descriptor closes on exec).
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self._lock: int | None = None
        self._socket_folders: dict[str, Path] = {}

    @property
    def valkey(self) -> Path:
        return self.path / "valkey"

    @property
    def postgres(self) -> Path:
        return self.path / "postgres" / "data"

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def run(self) -> Path:
        return self.path / "run"

    def prepare(self) -> None:
        """Make the folder and its sub-folders; what it already holds is left alone.

        Raises:
            StoreError: it cannot be made or written, or others can write it.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._refuse_shared(self.path)
            for folder in (self.log, self.run, self.valkey, self.postgres.parent):
                folder.mkdir(mode=0o700, exist_ok=True)
                self._refuse_shared(folder)
            with contextlib.suppress(FileExistsError):  # a link counts as one, wherever it leads
                ignore = os.open(self.path / ".gitignore", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(ignore, "w") as file:
                    file.write("*\n")
        except OSError as error:
            raise StoreError(
                f"cannot write in the data folder {self.path} ({error.strerror}): "
                "choose another with --home or FLOWER_HOME"
            ) from error

    def acquire(self) -> None:
        """Hold the folder until ``release`` or the end of this process.

        Raises:
            HomeInUseError: another process holds it; names the folder and that process.
            StoreError: the folder cannot be used, or its lock file is none of Flower's.
        """
        self.prepare()
        lock = self._open_lock()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise HomeInUseError(
                f"the data folder {self.path} is in use by process {holder}: "
                "stop that one first, or choose another folder with --home or FLOWER_HOME"
            ) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock

    def _open_lock(self) -> int:
        """The lock file, which is ours: what is not is neither followed nor overwritten."""
        path = self.path / "lock"
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            lock = os.open(path, flags, 0o600)
        except OSError as error:
            why = "it is a link" if error.errno == errno.ELOOP else error.strerror or "it cannot be opened"
            raise _foreign_lock(path, why) from None
        found = os.fstat(lock)
        if not stat.S_ISREG(found.st_mode):
            why = "it is no file"
        elif found.st_nlink > 1:
            why = "it has another name elsewhere"
        elif found.st_size >= _LOCK_BYTES or not re.fullmatch(rb"\d*\n?", os.pread(lock, _LOCK_BYTES, 0)):
            why = "it holds something else than the number of a process"
        else:
            return lock
        os.close(lock)
        raise _foreign_lock(path, why)

    def _refuse_shared(self, folder: Path) -> None:
        """Raises StoreError: others can write the folder."""
        if others := who_else_may_write(folder.stat()):
            raise StoreError(
                f"the data folder {self.path} cannot be used, because {others} can write {folder}: whoever"
                f" can may take over the engine. Make it yours alone (chmod go-w {folder}), or choose another"
                " with --home or FLOWER_HOME"
            )

    def release(self) -> None:
        """Give the folder free."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def announce(self, stores: RunningStores) -> None:
        """Let other processes of this user find the stores; the file appears whole or not at all."""
        handle, name = tempfile.mkstemp(dir=self.run)  # readable by its owner only
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(stores))
        Path(name).replace(self._announcement)

    def withdraw(self) -> None:
        """Take back what ``announce`` said."""
        self._announcement.unlink(missing_ok=True)

    def announced(self) -> RunningStores | None:
        """What the engine that runs on this folder announced; None if none runs now.

        Raises:
            StoreError: it cannot be read, or others can write there.
        """
        try:
            stores = msgspec.json.decode(self._announcement.read_bytes(), type=RunningStores)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        except OSError as error:
            raise StoreError(f"cannot read {self._announcement}: {error.strerror}") from error
        for folder in (self.path, self.run):
            self._refuse_shared(folder)  # else anybody could say where the stores are
        return stores if stores.owner.is_alive() else None

    def socket_folder(self, store: str, file_name: str) -> Path:
        """A folder for a store's socket, the same until ``remove_socket_folder``.

        It is in the data folder, or where that path is too long for a socket, a private one under the
        system's temporary folder, with a note of it for the next run in case this one is killed.
        """
        if store not in self._socket_folders:
            self.remove_socket_folder(store)
            folder = self.run / store
            if _suits_a_socket(folder / file_name):
                folder.mkdir(mode=0o700)
            else:
                folder = _short_folder(file_name)
                (self.run / f"{store}.short").write_text(json.dumps(str(folder)))
            self._socket_folders[store] = folder
        return self._socket_folders[store]

    def remove_socket_folder(self, store: str) -> None:
        """Remove a store's socket folder, wherever it is."""
        self._socket_folders.pop(store, None)
        shutil.rmtree(self.run / store, ignore_errors=True)
        note = self.run / f"{store}.short"
        if note.exists():
            short = Path(json.loads(note.read_text()))
            if _is_our_short_folder(short):
                shutil.rmtree(short, ignore_errors=True)
            note.unlink()

    @property
    def _announcement(self) -> Path:
        return self.run / "stores.json"


_SHORT_PREFIX = "flower-"
_LOCK_BYTES = 32


def _foreign_lock(path: Path, why: str) -> StoreError:
    return StoreError(
        f"{path} is no lock file of Flower ({why}): it is left as it is. Move it away, or choose another data"
        " folder with --home or FLOWER_HOME"
    )


def _suits_a_socket(path: Path) -> bool:
    # A comma separates hosts in libpq, so no such path can be given to it.
    return len(os.fsencode(path)) <= SOCKET_PATH_BYTES and "," not in str(path)


def _short_folder(file_name: str) -> Path:
    for parent in (tempfile.gettempdir(), "/tmp"):
        if _suits_a_socket(Path(parent) / f"{_SHORT_PREFIX}12345678" / file_name):
            return Path(tempfile.mkdtemp(prefix=_SHORT_PREFIX, dir=parent))
    raise StoreError("no folder has a path short enough for a socket: set TMPDIR to a short one")


def _is_our_short_folder(path: Path) -> bool:
    """Whether a remembered folder is still one of ours: the note may be old, and the name used anew."""
    try:
        found = path.lstat()
    except OSError:
        return False
    ours = os.geteuid() in (found.st_uid, 0)
    return path.name.startswith(_SHORT_PREFIX) and stat.S_ISDIR(found.st_mode) and ours
