"""In a child process: what its program writes goes to the pipes that the worker reads, line by line.

The worker knows which attempt runs here, so nothing has to say whose a line is. Records of ``logging`` go
through the pipe of standard output in frames (``frames.py``), so that they stand where they belong.
"""

import contextlib
import ctypes
import io
import logging
import os
import sys
import threading
from typing import TextIO

from flower_engine.task_logs.lines import line_ms
from flower_worker.task_logs import frames
from flower_worker.task_logs.descriptors import StandardDescriptors
from flower_worker.task_logs.log_records import ProgramLogging

_LINE_BUFFERED = 1  # _IOLBF


class ChildCapture:
    """Catches what the jobs of this process write; its own log goes to ``console``."""

    def __init__(self, token: str, console: int) -> None:
        """``console``: a descriptor, -1: there is none."""
        if console < 0:
            console = os.open(os.devnull, os.O_WRONLY)
        os.set_inheritable(console, False)
        self.console = _open(console)
        self._sign = frames.sign(token)
        self._lock = threading.RLock()
        self._descriptors = StandardDescriptors()
        self._streams: list[TextIO] = []
        self._at_work = False
        self._logging = ProgramLogging(self._take, lambda: self._at_work)
        self._c_stdout = _CStdout()
        self._c_stdout.write_lines_at_once()
        os.register_at_fork(after_in_child=self._become_copy)
        self._put_back()

    def install(self) -> None:
        """Beside the handlers that there are by now."""
        self._logging.install()

    def begin(self) -> None:
        """A job begins: whatever an earlier one did to the streams is undone."""
        self._put_back()
        self._logging.put_back(is_alone=True)
        self._at_work = True

    def end(self) -> None:
        """A job is over: what it wrote lies in the pipes behind this."""
        self._at_work = False
        self._flush()
        # Of a program that closed them something is left, which must not become the next one's.
        self._descriptors.take_back()
        self._flush()
        self._logging.put_back(is_alone=True)

    def _flush(self) -> None:
        for stream in {sys.stdout, sys.stderr, *self._streams}:
            with contextlib.suppress(Exception):  # a program's own may raise anything
                stream.flush()
        self._c_stdout.flush()

    def _put_back(self) -> None:
        self._descriptors.take_back()
        if not self._streams or any(stream.closed for stream in self._streams):
            self._streams = [_open(1), _open(2)]
        sys.stdout, sys.stderr = self._streams

    def _take(self, record: logging.LogRecord, text: str) -> None:
        with contextlib.suppress(Exception):  # closed, or a program's own
            sys.stdout.flush()
        frame = frames.encode(self._sign, line_ms(record.created), record.levelno, record.name, text)
        pipe = self._descriptors.kept[1]
        with self._lock:
            while frame:
                frame = frame[os.write(pipe, frame) :]

    def _become_copy(self) -> None:
        self._lock = threading.RLock()  # a thread that is not here may have held it


class _CStdout:
    """``stdout`` of the C library: only this one, since others may be locked for as long as they like."""

    def __init__(self) -> None:
        self._library: ctypes.CDLL | None = None
        with contextlib.suppress(OSError, ValueError, AttributeError):
            library = ctypes.CDLL(None)
            name = "__stdoutp" if sys.platform == "darwin" else "stdout"
            self._stdout = ctypes.c_void_p.in_dll(library, name)
            self._library = library

    def write_lines_at_once(self) -> None:
        """It would keep them until it has some KiB: the end of a process may come before."""
        if self._library is not None:
            self._library.setvbuf(self._stdout, None, _LINE_BUFFERED, ctypes.c_size_t(0))

    def flush(self) -> None:
        if self._library is not None:
            self._library.fflush(self._stdout)


def _open(descriptor: int) -> TextIO:
    raw = io.FileIO(descriptor, "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", line_buffering=True
    )
