"""What the two embedded servers have in common: a process on a data folder, reached by a Unix socket."""

import contextlib
import errno
import logging
import os
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO, ClassVar

from flower_engine.embedded.home import Home
from flower_engine.embedded.processes import end, end_leftovers, tail
from flower_engine.errors import StoreError

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.01
_REPORT_SECONDS = 5.0
_PATIENCE_SECONDS = 60.0
_LOG_BYTES = 10_000_000
_ROOM_BYTES = 1_000_000  # with less than that, neither server gets far


class Server(ABC):
    """Starts and stops the server of one data folder, which the caller holds (``Home.acquire``).

    ``durable=False`` is for tests: no write waits for the disk.
    """

    name: ClassVar[str]
    program: ClassVar[str]
    """The name of its process."""
    socket: ClassVar[str]
    """The longest name of a file in its socket folder."""
    ending: ClassVar[tuple[signal.Signals, ...]]
    """The signals that end it, the gentlest first."""

    def __init__(self, home: Home, *, durable: bool = True) -> None:
        self.url: str | None = None
        self._home = home
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._said_before = 0
        self._report_at = 0.0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> str:
        """Start the server, wait until it answers, and return its URL.

        May be called again after the server died; the URL stays the same until ``stop``. While the server
        loads its data or recovers there is no time limit, but it is said.

        Raises:
            StoreError: the server does not start; with the end of its log.
        """
        try:
            self.begin()
            while not self.is_ready():
                time.sleep(_POLL_SECONDS)
        except BaseException:
            self.stop()
            raise
        assert self.url is not None
        return self.url

    def begin(self) -> None:
        """Start the server's process; ``is_ready`` says when it answers. What is left over of it, by whatever
        run, is stopped first.

        Raises:
            StoreError, OSError: it cannot be started.
        """
        self._end_process()
        self._stopping = False
        self._home.prepare()
        end_leftovers(self.program, self._data, *self.ending, patience_seconds=_PATIENCE_SECONDS)
        self._prepare()
        sockets = self._home.socket_folder(self.name, self.socket)
        with self._open_log() as output:
            self._said_before = output.tell()
            self._process = self._spawn(sockets, output)
        self._report_at = time.monotonic() + _REPORT_SECONDS

    def is_ready(self) -> bool:
        """Whether the server that was begun answers. Where that takes long, it is said.

        Raises:
            StoreError: it ended instead; with the end of its log.
        """
        process = self._process
        if process is None:
            raise StoreError(f"{self.name} was stopped while it was starting")
        sockets = self._home.socket_folder(self.name, self.socket)
        reason = self._why_not_ready(sockets)
        if reason is None:
            self.url = self._url(sockets)
            return True
        if process.poll() is not None:
            raise self._failure()
        if time.monotonic() >= self._report_at:
            _log.info("waiting for %s on %s: %s", self.name, self._data, reason)
            self._report_at += _REPORT_SECONDS
        return False

    def why_ended(self) -> str:
        """How the server ended, and what it said last."""
        code = self._process.returncode if self._process else None
        how = "" if code is None else f"exit code {code}; "
        if self._lacks_room():
            how += f"THE DISK of {self._data} IS FULL: make room there; "
        return f"{how}the end of {self._log_file}:\n{self._last_lines()}"

    def has_ended(self) -> bool:
        """Whether a started server is no longer there although nobody stopped it."""
        return self._process is not None and self._process.poll() is not None

    def stop(self) -> None:
        """End the server; what it acknowledged is on disk."""
        if self._process:
            self._end_process()
            self._home.remove_socket_folder(self.name)

    @property
    @abstractmethod
    def _data(self) -> Path:
        """The data folder, which is the working folder of the server's processes."""

    @abstractmethod
    def _prepare(self) -> None:
        """Make ready what the server needs before it starts."""

    @abstractmethod
    def _spawn(self, sockets: Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start the process."""

    @abstractmethod
    def _why_not_ready(self, sockets: Path) -> str | None:
        """What the server does instead of answering; None once it answers."""

    @abstractmethod
    def _url(self, sockets: Path) -> str:
        """The server's address."""

    @property
    def _log_file(self) -> Path:
        return self._home.log / f"{self.name}.log"

    def _open_log(self) -> IO[bytes]:
        if self._log_file.exists() and self._log_file.stat().st_size > _LOG_BYTES:
            self._log_file.replace(self._log_file.with_suffix(".log.1"))
        return self._log_file.open("ab")

    def _failure(self) -> StoreError:
        if self._stopping:
            return StoreError(f"{self.name} was stopped while it was starting")
        return StoreError(f"{self.name} did not start on {self._data}: {self.why_ended()}")

    def _last_lines(self) -> str:
        return tail(self._log_file, from_byte=self._said_before)

    def _lacks_room(self) -> bool:
        if os.strerror(errno.ENOSPC) in self._last_lines():
            return True
        with contextlib.suppress(OSError):
            return shutil.disk_usage(self._data).free < _ROOM_BYTES
        return False

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process:
            self._stopping = True
            end(process, *self.ending, patience_seconds=_PATIENCE_SECONDS)
