"""Keeps the services running as child processes: one process each, restarted when it dies, ended together."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from flower_cli.console import error_of
from flower_cli.local.supervised import SUPERVISED
from flower_engine.embedded.processes import ProcessMark, spawn
from flower_engine.errors import FlowerError

_log = logging.getLogger(__name__)


LineSink = Callable[[str, str], None]
"""Takes the name of a child and a line that it printed. Called from a thread of each child."""

_FAILURES = 3
"""So many ends in a row with an error of Flower, each soon after the start, and the supervisor gives up."""

_HOPELESS = (1, 2)  # the exit codes that go with such an error

_SOON_SECONDS = 10.0
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 10.0
_LEFTOVER_SECONDS = 3.0
_POLL_SECONDS = 0.02


class ServiceFailedError(FlowerError):
    """A service cannot run, and starting it again does not help."""


@dataclass
class Child:
    """A service and its process, if it has one now."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    restart_at: float = 0.0
    pause_seconds: float = _FIRST_PAUSE_SECONDS
    last_line: str = ""
    reader: threading.Thread | None = field(default=None, repr=False)


class Supervisor:
    """Starts the children, and starts again what dies; gives up only where a service says it cannot run.

    Call it from one thread that lives as long: children end with the thread that started them.
    """

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        *,
        environment: Mapping[str, str],
        environments: Mapping[str, Mapping[str, str]] | None = None,
        marks_file: Path,
        sink: LineSink,
    ) -> None:
        """``environments``: what single children have besides, by their names."""
        self._children = [Child(name, command) for name, command in commands.items()]
        self._environment = {**environment, SUPERVISED: "1"}
        self._environments = environments or {}
        self._marks_file = marks_file
        self._sink = sink

    @property
    def children(self) -> Sequence[Child]:
        return self._children

    def start(self) -> None:
        """Start every child."""
        for child in self._children:
            self._start(child)

    def run_once(self) -> None:
        """Look after every child once: note which ended, start again those whose pause is over.

        Raises:
            ServiceFailedError: a child says each time it is started that it cannot run; quotes its words.
        """
        for child in self._children:
            if child.process and child.process.poll() is not None:
                self._note_end(child)
            elif not child.process and time.monotonic() >= child.restart_at:
                self._start(child)

    def stop(self, *, patience_seconds: float, is_forced: Callable[[], bool] = lambda: False) -> None:
        """Ask all children to end; kill those that have not after ``patience_seconds``, or when forced."""
        running = [child for child in self._children if child.process]
        for child in running:
            if child.process and child.process.poll() is None:
                child.process.terminate()
        deadline = time.monotonic() + patience_seconds
        while any(_is_running(child) for child in running):
            if is_forced() or time.monotonic() >= deadline:
                late = [child.name for child in running if _is_running(child)]
                _log.warning("killing what has not ended: %s", ", ".join(late))
                break
            time.sleep(_POLL_SECONDS)
        for child in running:
            self._reap(child)
        self._marks_file.unlink(missing_ok=True)

    def _start(self, child: Child) -> None:
        child.process = spawn(
            child.command,
            folder=Path.cwd(),
            output=subprocess.PIPE,
            dies_by=signal.SIGTERM,
            environment={**self._environment, **self._environments.get(child.name, {})},
        )
        child.started, child.last_line = time.monotonic(), ""
        child.reader = threading.Thread(target=self._read, args=(child, child.process), daemon=True)
        child.reader.start()
        self._write_marks()

    def _read(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip("\r\n")
            if line.strip():
                child.last_line = line.rstrip()
            self._sink(child.name, line)  # an empty one, too: it may be a part of a message

    def _note_end(self, child: Child) -> None:
        code = self._reap(child)
        lived_seconds = time.monotonic() - child.started
        if lived_seconds >= _SOON_SECONDS:
            child.failures, child.pause_seconds = 0, _FIRST_PAUSE_SECONDS
        # Any other end may be the work of a user's program, which must not take the engine with it.
        error = error_of(child.last_line) if code in _HOPELESS else None
        child.failures = child.failures + 1 if error is not None else 0
        if child.failures >= _FAILURES:
            raise ServiceFailedError(f"{child.name} cannot run ({child.failures} attempts): {error}")
        _log.warning(
            "%s ended %s; starting it again in %.2g s", child.name, describe_end(code), child.pause_seconds
        )
        child.restart_at = time.monotonic() + child.pause_seconds
        child.pause_seconds = min(child.pause_seconds * 2, _LONGEST_PAUSE_SECONDS)

    def _reap(self, child: Child) -> int:
        """Forget a child's process, after killing whatever of it and its own children is still there."""
        process, child.process = child.process, None
        assert process is not None and process.stdout is not None and child.reader is not None
        _signal_session(process.pid, signal.SIGKILL)
        code = process.wait()
        child.reader.join(timeout=1.0)  # what it said last is worth a moment
        if not child.reader.is_alive():
            process.stdout.close()
        return code

    def _write_marks(self) -> None:
        running = [child.process for child in self._children if child.process]
        marks = [ProcessMark.of(process.pid) for process in running if process.poll() is None]
        part = self._marks_file.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(marks))
        part.replace(self._marks_file)


def service_command(*words: str) -> list[str]:
    """The command line of a service in a process of its own.

    ``-P``: a file in the current folder must not hide a library of the same name.
    """
    return [sys.executable, "-P", "-m", "flower_cli", *words]


def end_leftovers(marks_file: Path) -> None:
    """End the children that a killed supervisor wrote down; they have nothing left to work with."""
    try:
        marks = msgspec.json.decode(marks_file.read_bytes(), type=list[ProcessMark])
    except (FileNotFoundError, msgspec.DecodeError):
        return
    deadline = time.monotonic() + _LEFTOVER_SECONDS
    alive = [mark for mark in marks if mark.is_alive()]
    for mark in alive:
        _log.info("stopping a service left over: process %d", mark.pid)
        _signal_session(mark.pid, signal.SIGTERM)
    while any(mark.is_alive() for mark in alive) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    for mark in alive:
        _signal_session(mark.pid, signal.SIGKILL)
    marks_file.unlink(missing_ok=True)


def describe_end(code: int) -> str:
    """How a process ended, in words, from its return code."""
    if code >= 0:
        return f"with exit code {code}"
    return f"by {signal.Signals(-code).name}"


def _is_running(child: Child) -> bool:
    return child.process is not None and child.process.poll() is None


def _signal_session(leader: int, number: signal.Signals) -> None:
    # Each child leads a session and group of its own (see spawn), which holds its own children too.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)
