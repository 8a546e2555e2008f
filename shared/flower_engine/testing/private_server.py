"""The Valkey that the tests of one process share, and the thread whose event loop talks to it.

Both start when the first test needs them. Each test has a partition of its own there; tests of other
processes (pytest-xdist) have servers of their own.
"""

import asyncio
import atexit
import os
import shutil
import tempfile
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from redis.asyncio.connection import ConnectionPool

from flower_engine.embedded.home import Home
from flower_engine.embedded.valkey import EmbeddedValkey
from flower_engine.log.client import connect

T = TypeVar("T")


class PrivateServer:
    """A Valkey in a folder of its own, which goes with it; no write waits for the disk."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._folder = Path(tempfile.mkdtemp(prefix="flower-test-"))
        self._home = Home(self._folder)
        self._numbers: set[int] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="flower-test", daemon=True)
        try:
            self._home.acquire()
            self._valkey = EmbeddedValkey(self._home, durable=False)
            self.pool: ConnectionPool = connect(self._valkey.start()).connection_pool
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs it on the server's event loop, to its end."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def take_number(self) -> int:
        """The number of a partition that nobody has."""
        number = next(number for number in range(len(self._numbers) + 1) if number not in self._numbers)
        self._numbers.add(number)
        return number

    def give_back(self, number: int) -> None:
        """The partition is empty again."""
        self._numbers.discard(number)

    def stop(self) -> None:
        """Ends the server, and leaves nothing of it."""
        self.call(self.pool.disconnect())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._valkey.stop()
        self._home.release()
        shutil.rmtree(self._folder, ignore_errors=True)


_running: PrivateServer | None = None


def server() -> PrivateServer:
    """The server of this process; it is started where there is none yet. A copy of a process that had one
    starts its own."""
    global _running  # noqa: PLW0603 # one a process
    if _running is None or _running.pid != os.getpid():
        _running = PrivateServer()
        atexit.register(stop)
    return _running


def stop() -> None:
    """Stops the server of this process, if there is one."""
    global _running  # as above
    stopped, _running = _running, None
    if stopped is not None and stopped.pid == os.getpid():
        stopped.stop()
