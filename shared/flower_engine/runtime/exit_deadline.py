"""Ends a service for sure: at a second signal or when its time is up, on a thread beside the event loop."""

import contextlib
import logging
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from types import FrameType
from typing import NamedTuple, NoReturn, TypeVar

from flower_engine.runtime.process_forks import hide_socket

_log = logging.getLogger(__name__)

_ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SAY_SECONDS = 1.0
_LAST_SECONDS = 5.0
T = TypeVar("T")
_SENDER = struct.Struct("3i")  # ucred: process, user, group


class _Left(NamedTuple):
    seconds: float
    code: int


class ExitDeadline:
    """Ends the process when its time is up, or at a second signal, whatever its programs do to prevent it.

    The loop may be blocked or closed then, or tasks and threads may refuse to end. Signals are heard by a
    pipe that the interpreter's C-level handler writes to (``signal.set_wakeup_fd``), because a Python-level
    handler waits for the main thread, which may be in a call into C that never returns. Once set, the time is
    not taken back: the interpreter's own end may hang as well.

    What a program forks off has handlers of its own (``process_forks.py``), unless it is C code that forks.
    The signals of such a process are heard by our pipe, too, so the kernel is asked who wrote (Linux).
    """

    def __init__(self, last: Callable[[], object] | None = None) -> None:
        """``last`` is called, from another thread, before the process is ended; it gets five seconds."""
        self._last = last
        # Its put is safe in a signal handler, which may interrupt anything: even another put.
        self._heard: SimpleQueue[signal.Signals | _Left] = SimpleQueue()
        self._code = 1
        self._reading, self._writing = socket.socketpair()
        if sys.platform == "linux":
            self._reading.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        for end in (self._reading, self._writing):
            hide_socket(end)

    def start(self, on_signal: Callable[[], float]) -> None:
        """Take the signals; for the main thread. ``on_signal`` is called at the first, from another thread;
        it returns how many seconds are left from then on."""
        self._writing.setblocking(False)
        signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        for number in _ASKING:
            signal.signal(number, self._hear)
        threading.Thread(target=self._listen, name="signals", daemon=True).start()
        threading.Thread(target=self._watch, args=(on_signal,), name="exit deadline", daemon=True).start()

    def set(self, seconds: float, code: int) -> None:
        """From now on only so many seconds are left, or fewer if that was said before; then the process ends
        with this exit code, or 1 for 0."""
        self._heard.put(_Left(seconds, code))

    def _listen(self) -> None:
        while True:
            numbers, about, _, _ = self._reading.recvmsg(16, socket.CMSG_SPACE(_SENDER.size))
            if any(_SENDER.unpack(sender)[0] != os.getpid() for _, _, sender in about):
                continue
            for number in numbers:
                if number in _ASKING:
                    self._heard.put(signal.Signals(number))

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        """Runs in the main thread. An event loop puts a pipe of its own in when it starts; what that one
        took is heard here, and ours is put back."""
        ours = self._writing.fileno()
        if signal.set_wakeup_fd(ours, warn_on_full_buffer=False) != ours:
            self._heard.put(signal.Signals(number))

    def _watch(self, on_signal: Callable[[], float]) -> None:
        asked, deadline = False, float("inf")
        while True:
            left_seconds = min(max(0.0, deadline - time.monotonic()), threading.TIMEOUT_MAX)
            try:
                heard = self._heard.get(timeout=left_seconds)
            except Empty:
                self._force(self._code, "it did not end in time")
            if isinstance(heard, _Left):
                self._code = heard.code or 1
                deadline = min(deadline, time.monotonic() + heard.seconds)
            elif asked:
                self._force(128 + heard, f"{heard.name} again")
            else:
                asked = True
                _say(logging.INFO, f"stopping ({heard.name})")
                deadline = min(deadline, time.monotonic() + on_signal())

    def _force(self, code: int, why: str) -> NoReturn:
        _say(logging.ERROR, f"ending at once: {why}")
        if self._last is not None:
            within(_LAST_SECONDS, self._last)
        os._exit(code)


def within(seconds: float, act: Callable[[], T]) -> T | None:
    """What the act returns; None if it takes longer than this, and goes on on its thread."""
    results: list[T] = []
    acting = threading.Thread(target=lambda: results.append(act()), daemon=True)
    acting.start()
    acting.join(seconds)
    return results[0] if results else None


def end_now(code: int) -> NoReturn:
    """Ends the process without waiting for anything of it but what it has logged."""
    within(_SAY_SECONDS, _flush)
    os._exit(code)


def _say(level: int, words: str) -> None:
    """Logs, but does not wait long for it: a program may hold the lock of a log for ever."""

    def say() -> None:
        _log.log(level, words)
        _flush()

    within(_SAY_SECONDS, say)


def _flush() -> None:
    for handler in logging.getLogger().handlers:
        handler.flush()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # a program may have closed or replaced it
            stream.flush()
