"""Daemon threads for programs that block: a stuck program can keep a thread, but not the process.

(concurrent.futures waits at the end of the interpreter for all its threads, for ever.)
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue


class Threads:
    """Runs jobs on threads that are made as needed and used again."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._made = 0
        self._idle = threading.Semaphore(0)
        self._jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def submit(self, job: Callable[[], None]) -> None:
        """Runs a job that never raises; called from one thread only."""
        self._jobs.put(job)
        if not self._idle.acquire(blocking=False) and self._made < self._most:
            self._made += 1
            threading.Thread(target=self._work, name=f"program-{self._made}", daemon=True).start()

    def _work(self) -> None:
        while True:
            self._jobs.get()()
            self._idle.release()
