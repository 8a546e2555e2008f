"""A machine that is worse than any: ``pytest --stalls SEED``, with or without ``--copies`` (``make stalls``).

While the tests run, a process beside them lets two loops burn CPU, and stops, at random, a process of the run
or one of its threads for 20 to 800 ms, seldom for seconds: those that run tests, services, programs, stores.
It stops them as a debugger does: a test that stops a process itself (SIGSTOP) notices nothing, and if this
process is killed they go on. In the tests' own processes threads change places more often or more seldom
than usual, and some round trips to the stores begin late; so do those who slept.

A test that fails then hoped for time, or has found a fault. The seed says what is drawn, and not what it
meets.
"""

import asyncio
import contextlib
import ctypes
import heapq
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis.asyncio.connection
import redis.connection

from fork_children import dies_with_its_parent

_BUSY_LOOPS = 2
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.02, 0.8
_SWAPPED, _SWAPPED_SECONDS = 0.1, 4.0
"""So often a stop is as long as on a machine that swaps."""
_BETWEEN_SECONDS = 0.7
"""From stop to stop of one process, in the mean."""
_ONE_THREAD = 0.3
"""So often a thread is stopped, and not all of them."""
_LOOK_SECONDS, _LIST_SECONDS = 0.004, 0.3
_SWITCHES_SECONDS = (0.00001, 0.001, 0.005, 0.03)
_LATE, _LATE_SECONDS = 0.02, 0.05
_LONG, _LONG_SECONDS = 0.02, 3.0
"""So often whoever slept, as between two looks, goes on that much later at most."""
_PTRACE_DETACH, _PTRACE_SEIZE, _PTRACE_INTERRUPT = 17, 0x4206, 0x4207
_PTRACE_EVENT_STOP = 128
_WALL = 0x40000000


class Stalls:
    """The plug-in."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._said: dict[str, int] = {}

    def pytest_report_header(self) -> str:
        return f"stalls: seed {self._seed}"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        if session.config.option.collectonly:
            return (yield)
        hears, tells = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(hears)
            _stop_others(tells, parent, self._seed)
        os.close(tells)
        _begin_late(random.Random(self._seed))
        try:
            return (yield)
        finally:
            os.kill(pid, signal.SIGTERM)
            with os.fdopen(hears) as told:
                self._said = json.loads(told.read() or "{}")
            os.waitpid(pid, 0)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        sys.setswitchinterval(random.Random(f"{self._seed} {item.nodeid}").choice(_SWITCHES_SECONDS))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        stops = ", ".join(f"{name} {count}" for name, count in sorted(self._said.items()))
        terminalreporter.write_line(f"stalls: seed {self._seed}; stopped: {stops or 'nothing'}")


def _begin_late(drawn: random.Random) -> None:
    """Some round trips to the stores begin late in this process and its copies."""
    owner = os.getpid()

    def lateness(often: float, seconds: float) -> float:
        nonlocal owner
        if owner != os.getpid():  # each copy draws for itself
            owner = os.getpid()
            drawn.seed(drawn.random() + owner)
        return drawn.uniform(0, seconds) if drawn.random() < often else 0.0

    def late(kind: type[Any], name: str) -> None:
        at_once = getattr(kind, name)

        def begin(self: Any, *given: Any, **more: Any) -> Any:
            blocking_sleep(lateness(_LATE, _LATE_SECONDS))
            return at_once(self, *given, **more)

        setattr(kind, name, begin)

    def late_in_loop(kind: type[Any], name: str) -> None:
        at_once = getattr(kind, name)

        async def begin(self: Any, *given: Any, **more: Any) -> Any:
            if seconds := lateness(_LATE, _LATE_SECONDS):
                await sleep(seconds)
            return await at_once(self, *given, **more)

        setattr(kind, name, begin)

    async def sleep_long(delay: float, result: Any = None) -> Any:
        return await sleep(delay + lateness(_LONG, _LONG_SECONDS) if delay > 0 else delay, result)

    def blocking_sleep_long(seconds: float) -> None:
        blocking_sleep(seconds + lateness(_LONG, _LONG_SECONDS))

    sleep, blocking_sleep = asyncio.sleep, time.sleep
    asyncio.sleep = sleep_long
    time.sleep = blocking_sleep_long
    late(redis.connection.AbstractConnection, "send_packed_command")
    late(psycopg.Connection, "wait")
    late_in_loop(redis.asyncio.connection.AbstractConnection, "send_packed_command")
    late_in_loop(psycopg.AsyncConnection, "wait")


def _stop_others(tells: int, parent: int, seed: int) -> None:
    """What the process beside the tests does, until it is asked to end (SIGTERM)."""
    told: dict[str, int] = {}
    try:
        dies_with_its_parent(signal.SIGKILL, parent)
        is_over: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _: is_over.append(number))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        busy = [_begin_busy_loop() for _ in range(_BUSY_LOOPS)]
        stopper = _Stopper(parent, random.Random(seed))
        while not is_over:
            stopper.look()
            time.sleep(_LOOK_SECONDS)
        for pid in busy:
            os.kill(pid, signal.SIGKILL)
        told = stopper.stopped
    finally:
        os.write(tells, json.dumps(told).encode())
        os._exit(0)  # which lets go of all that it holds


def _begin_busy_loop() -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        dies_with_its_parent(signal.SIGKILL, parent)
        while True:
            pass
    return pid


class _Stopper:
    """Stops threads of a process and of all that came of it, and lets them go on."""

    def __init__(self, root: int, drawn: random.Random) -> None:
        self._drawn = drawn
        self._root = root
        self._family: dict[int, str] = {}
        self._list_at = self._stop_at = 0.0
        self._held: dict[int, int | None] = {}
        """Threads, with the signal that each is to get when it goes on; None: it does not stand still yet."""
        self._until: list[tuple[float, int]] = []
        self.stopped: Counter[str] = Counter()

    def look(self) -> None:
        """Does what is to be done now."""
        self._note()
        now = time.monotonic()
        while self._until and self._until[0][0] <= now:
            _, thread = heapq.heappop(self._until)
            self._let_go(thread, now)
        if now >= self._list_at:
            self._list_at = now + _LIST_SECONDS
            self._family = _family_of(self._root, self._family)
        if now >= self._stop_at and self._family:
            self._stop_at = now + self._drawn.expovariate(len(self._family) / _BETWEEN_SECONDS)
            self._stop(self._draw(), now)

    def _draw(self) -> int:
        """One of many that are called the same, as those of Postgres are, is drawn more seldom."""
        alike = Counter(self._family.values())
        weights = [alike[name] ** -0.5 for name in self._family.values()]
        return self._drawn.choices(list(self._family), weights)[0]

    def _stop(self, pid: int, now: float) -> None:
        longest = _SWAPPED_SECONDS if self._drawn.random() < _SWAPPED else _LONGEST_SECONDS
        ratio = longest / _SHORTEST_SECONDS
        until = now + _SHORTEST_SECONDS * ratio ** self._drawn.random()
        with contextlib.suppress(OSError):
            threads = sorted(int(one.name) for one in Path(f"/proc/{pid}/task").iterdir())
            if len(threads) > 1 and self._drawn.random() < _ONE_THREAD:
                threads = [self._drawn.choice(threads)]
            held = [one for one in threads if one not in self._held and _ptrace(_PTRACE_SEIZE, one)]
            for thread in held:
                self._held[thread] = None
                _ptrace(_PTRACE_INTERRUPT, thread)
                heapq.heappush(self._until, (until, thread))
            self.stopped[self._family[pid]] += bool(held)

    def _note(self) -> None:
        """Notes who stands still, and who has ended: before that its own parent learns nothing of it."""
        while True:
            try:
                thread, status = os.waitpid(-1, os.WNOHANG | _WALL)
            except ChildProcessError:
                return
            if thread == 0:
                return
            if os.WIFSTOPPED(status):
                is_ours = status >> 16 == _PTRACE_EVENT_STOP
                self._held[thread] = 0 if is_ours else os.WSTOPSIG(status)
            else:
                self._held.pop(thread, None)

    def _let_go(self, thread: int, now: float) -> None:
        if thread not in self._held:
            return  # it has ended
        number = self._held[thread]
        if number is None:  # it is in the middle of something in the kernel
            heapq.heappush(self._until, (now + _LOOK_SECONDS, thread))
            return
        del self._held[thread]
        _ptrace(_PTRACE_DETACH, thread, number)


def _family_of(root: int, known: dict[int, str]) -> dict[int, str]:
    """The process, what came of it, and what came of those that are known: whose parent may have ended. Not
    this process and what came of it. With a name for each."""
    apart = os.getpid()
    processes = {pid: (parent, name) for pid, parent, name in _processes()}
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in processes.items():
        children.setdefault(parent, []).append(pid)
    found: dict[int, str] = {}
    left = [root, *(pid for pid in known if pid in processes)]
    while left:
        pid = left.pop()
        if pid not in found and pid != apart:
            found[pid] = processes[pid][1]
            left += children.get(pid, [])
    return found


def _processes() -> Iterator[tuple[int, int, str]]:
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                name, _, rest = Path(entry.path, "stat").read_text().partition("(")[2].rpartition(") ")
                yield int(entry.name), int(rest.split()[1]), name


def _ptrace(request: int, thread: int, data: int = 0) -> bool:
    """Whether it could be done: not of one that has ended meanwhile, nor of one that has a debugger."""
    ptrace = _LIBC.ptrace
    return ptrace(request, thread, None, ctypes.c_void_p(data)) == 0


_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_LIBC.ptrace.restype = ctypes.c_long
