"""A whole engine of a command's own: ``flower up`` in a process of its own, talked to as a user would."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Self

import httpx

from flower_cli.local.api_address import ApiAddress
from flower_cli.local.supervisor import service_command
from flower_engine.embedded.home import Home, RunningStores
from flower_engine.embedded.processes import end, spawn, tail
from flower_engine.errors import FlowerError
from flower_engine.secret_files import FILE_VARIABLES

_START_SECONDS = 60.0
_STOP_SECONDS = 60.0
_POLL_SECONDS = 0.05
ELSEWHERE = (
    *("FLOWER_REDIS_URL", "FLOWER_DATABASE_URL", "FLOWER_DATABASE_DIRECT_URL", "FLOWER_DATABASE_READ_URL"),
    *("FLOWER_API_TOKENS", "FLOWER_ALLOWED_HOSTS"),
    *("FLOWER_METRICS_PORT", "FLOWER_LOG_FORMAT"),
    *FILE_VARIABLES,
)
"""What says where another engine is, who may use it, and how it tells of itself. Set to nothing, it wins
over a ``.env``, too."""


class EngineFailedError(FlowerError):
    """The engine did not start, or ended; quotes what it said last."""


class OwnEngine:
    """A running engine; ended with the block, and with whoever started it."""

    def __init__(self, process: subprocess.Popen[bytes], home: Home, log: Path) -> None:
        self.home = home
        self.log = log
        self._process = process
        self.stores = self._wait_until_announced(home)
        assert self.stores.api_url is not None
        self.url = self.stores.api_url
        self._wait_until_ready(httpx.URL(self.url))

    @classmethod
    @contextlib.contextmanager
    def started(
        cls, *words: str, home: Path | None = None, variables: Mapping[str, str] | None = None
    ) -> Generator[Self]:
        """Start an engine and end it when the block is left.

        ``words`` are further ones for ``flower up``; ``home`` its data folder, which stays (without it a
        throwaway one); ``variables`` its ``FLOWER_*`` variables (without them those of this process), less
        those of an engine elsewhere.
        """
        with contextlib.ExitStack() as stack:
            folder = home
            if folder is None:
                made = stack.enter_context(tempfile.TemporaryDirectory(prefix="flower-own-"))
                folder = Path(made) / "home"
            held = Home(folder)
            held.prepare()
            log = held.log / "up.log"
            given = dict(os.environ)
            if variables is not None:
                given = {name: text for name, text in given.items() if not name.startswith("FLOWER_")}
                given |= variables
            with log.open("wb") as output:
                process = spawn(
                    service_command(
                        *("up", "--home", str(held.path), "--host", "127.0.0.1", "--port", "0"), *words
                    ),
                    folder=Path.cwd(),
                    output=output,
                    dies_by=signal.SIGTERM,
                    environment=given | dict.fromkeys(ELSEWHERE, ""),
                )
            try:
                yield cls(process, held, log)
            finally:
                end(process, signal.SIGTERM, patience_seconds=_STOP_SECONDS)

    def check_alive(self) -> None:
        """Raises EngineFailedError: it has ended."""
        if self._process.poll() is not None:
            raise self.failure("the engine has ended")

    def failure(self, what: str) -> EngineFailedError:
        """An error with what the engine said last."""
        return EngineFailedError(f"{what}\nwhat the engine said last:\n{tail(self.log, lines=20)}")

    def _wait_until_announced(self, home: Home) -> RunningStores:
        deadline = time.monotonic() + _START_SECONDS
        while (running := home.announced()) is None or running.owner.pid != self._process.pid:
            self._check_starting(deadline)
        return running

    def _wait_until_ready(self, url: httpx.URL) -> None:
        address = ApiAddress(url.host, url.port or 80)
        deadline = time.monotonic() + _START_SECONDS
        while address.missing() is not None:
            self._check_starting(deadline)

    def _check_starting(self, deadline: float) -> None:
        if self._process.poll() is not None:
            raise self.failure("the engine ended while it was starting")
        if time.monotonic() >= deadline:
            raise self.failure(f"the engine was not ready after {_START_SECONDS:g} s")
        time.sleep(_POLL_SECONDS)
