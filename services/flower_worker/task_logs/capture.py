"""Catches what programs write in this process, for as long as a worker runs in it."""

import logging
import sys
import threading
from typing import TextIO, cast

from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.task_logs.lines import line_level, line_ms
from flower_worker.task_logs.attempt_log import log_at_work
from flower_worker.task_logs.carried_threads import CarriedThreads
from flower_worker.task_logs.descriptors import StandardDescriptors
from flower_worker.task_logs.log_records import ProgramLogging
from flower_worker.task_logs.program_streams import ProgramStream

_LOOK_SECONDS = 0.01  # between two looks at what they did, each of which costs more than an attempt may


def _is_at_work() -> bool:
    return log_at_work.get() is not None


def _take(record: logging.LogRecord, text: str) -> None:
    log = log_at_work.get()
    if log is not None:
        log.record(line_level(record.levelno), record.name, text, line_ms(record.created))


class Capture:
    """Of the whole process, so there is one; workers in the same process share it."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._users = 0
        self._logging = ProgramLogging(_take, _is_at_work)
        self._threads = CarriedThreads()
        self.out: ProgramStream | None = None
        self.err: ProgramStream | None = None
        self._found = sys.stdout, sys.stderr
        self._descriptors: StandardDescriptors | None = None
        self._look_at = clock.monotonic()

    def begin(self) -> None:
        """To be ended as often."""
        with self._lock:
            self._users += 1
            if self._users > 1:
                return
            self.out, self.err = ProgramStream("out", sys.stdout), ProgramStream("err", sys.stderr)
            sys.stdout, sys.stderr = cast("TextIO", self.out), cast("TextIO", self.err)
            self._descriptors = StandardDescriptors()
            self._logging.install()
            self._threads.install()

    def end(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users:
                return
            self._threads.uninstall()
            self._logging.uninstall()
            if self._descriptors is not None:
                self._descriptors.close()
                self._descriptors = None
            if self.out is not None and sys.stdout is self.out:
                sys.stdout = self.out.original
            if self.err is not None and sys.stderr is self.err:
                sys.stderr = self.err.original

    def note(self) -> None:
        """A program begins, and no other runs: these are the streams that stay."""
        self._look(is_alone=True)
        self._found = sys.stdout, sys.stderr

    def put_back(self, *, is_alone: bool) -> None:
        """Undoes what programs did to the standard streams and to the worker's own log. While others run (not
        ``is_alone``) one of them may want the streams so, unless nobody can write to them."""
        out, err = self._found
        if sys.stdout is not out and (is_alone or _is_gone(sys.stdout)):
            sys.stdout = out
        if sys.stderr is not err and (is_alone or _is_gone(sys.stderr)):
            sys.stderr = err
        if is_alone:
            self.put_back_log(is_alone=True)  # the next look may be far away, and the worker has much to say
        self._look(is_alone=is_alone)

    def _look(self, *, is_alone: bool) -> None:
        now = self._clock.monotonic()
        if now < self._look_at or self._descriptors is None:
            return
        self._look_at = now + _LOOK_SECONDS
        self.put_back_log(is_alone=is_alone)
        if is_alone:
            self._descriptors.take_back()
        else:
            self._descriptors.put_back()

    def put_back_log(self, *, is_alone: bool) -> None:
        """Lets the worker's own log go on, whatever programs did to ``logging``."""
        self._logging.put_back(is_alone=is_alone)


def _is_gone(stream: object) -> bool:
    return stream is None or bool(getattr(stream, "closed", False))


CAPTURE = Capture()
