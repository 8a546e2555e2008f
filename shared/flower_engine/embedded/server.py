"""What the two embedded servers have in common: a process on a data folder, reached by a Unix socket."""

import logging
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

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> str:
        """Start the server, wait until it answers, and return its URL.

        May be called again after the server died; the URL stays the same until ``stop``. What an earlier
        run left over is stopped first. While the server loads its data or recovers there is no time limit,
        but it is said.

        Raises:
            StoreError: the server does not start; with the end of its log.
        """
        self._end_process()
        self._stopping = False
        self._home.prepare()
        end_leftovers(self.program, self._data, *self.ending, patience_seconds=_PATIENCE_SECONDS)
        self._prepare()
        sockets = self._home.socket_folder(self.name, self.socket)
        with self._open_log() as output:
            said_before = output.tell()
            self._process = self._spawn(sockets, output)
        try:
            self._wait_until_ready(self._process, sockets, said_before)
        except BaseException:
            self.stop()
            raise
        self.url = self._url(sockets)
        return self.url

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

    def _wait_until_ready(self, process: subprocess.Popen[bytes], sockets: Path, said_before: int) -> None:
        report_at = time.monotonic() + _REPORT_SECONDS
        while (reason := self._why_not_ready(sockets)) is not None:
            if process.poll() is not None:
                raise self._failure(process.returncode, said_before)
            if time.monotonic() >= report_at:
                _log.info("waiting for %s on %s: %s", self.name, self._data, reason)
                report_at += _REPORT_SECONDS
            time.sleep(_POLL_SECONDS)

    def _failure(self, code: int, said_before: int) -> StoreError:
        if self._stopping:
            return StoreError(f"{self.name} was stopped while it was starting")
        return StoreError(
            f"{self.name} did not start on {self._data} (exit code {code}); the end of {self._log_file}:\n"
            + tail(self._log_file, from_byte=said_before)
        )

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process:
            self._stopping = True
            end(process, *self.ending, patience_seconds=_PATIENCE_SECONDS)
