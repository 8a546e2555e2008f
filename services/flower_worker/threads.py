"""Daemon threads for programs that block: a stuck program can keep a thread, but not the process.

(concurrent.futures waits at the end of the interpreter for all its threads, for ever.)
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

_log = logging.getLogger(__name__)
_AGAIN_SECONDS = 1.0


class Threads:
    """Runs jobs on threads that are made as needed and used again.

    What a program keeps in a ``threading.local`` is there for the next one on the thread, as in any pool:
    connections are kept so. What belongs to one attempt goes into a ``contextvars.ContextVar``.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._made = 0
        self._idle = 0  # threads without a job, made or being made
        self._waiting = 0  # jobs without a thread
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def submit(self, job: Callable[[], None]) -> None:
        """Runs a job that never raises; called where the event loop runs.

        Where no thread can be made (memory, or the most that the system allows) it waits for one.
        """
        with self._lock:
            self._waiting += 1
        self._jobs.put(job)
        self._make_if_short()

    def _make_if_short(self) -> None:
        with self._lock:
            if self._waiting <= self._idle or self._made >= self._most:
                return
            self._made += 1
            self._idle += 1
        try:
            threading.Thread(target=self._work, name=f"program-{self._made}", daemon=True).start()
        except RuntimeError as error:
            with self._lock:
                self._made -= 1
                self._idle -= 1
            _log.warning("a program waits for a thread, beside %d others: %s", self._made, error)
            asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._make_if_short)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            with self._lock:
                self._waiting -= 1
                self._idle -= 1
            job()
            del job  # and what it holds
            with self._lock:
                self._idle += 1
