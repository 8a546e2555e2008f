"""Flower in processes of their own that are there at once: copies of one that has imported everything.

To start Python and import a service costs a second of CPU, of which the suite would pay many hundred. A copy
is a process as any other: it has a pid, signals, memory, and an end of its own, and runs Flower from its
first line with the environment and the folder that are given. What looks at the start itself, or at the
command lines of processes, starts Python anew, as ``flower up`` does with its services.
"""

import asyncio
import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from flower_engine.crash_points import VARIABLE
from flower_engine.embedded.processes import spawn
from flower_engine.runtime.settings import Settings
from prepared_postgres import data_without_tables

_LONGEST_ANSWER = 1_000
_ROOM = "-" * 2_000
"""For the command lines that copies show."""
_NOT_FOR_ALL = ("FLOWER_", "PYTHONPATH")


class ForkedProcess:
    """What the suite uses of :class:`subprocess.Popen`, with the same meaning."""

    def __init__(self, server: "_Server", pid: int) -> None:
        self._server = server
        self.pid = pid
        self.returncode: int | None = None
        self._one_by_one = threading.Lock()  # how it ended is told once
        self._ending = os.pidfd_open(pid)  # of no later process of that id: nobody has waited for it yet
        weakref.finalize(self, os.close, self._ending)

    def poll(self) -> int | None:
        with self._one_by_one:
            if self.returncode is None and self._has_ended(0):
                self.returncode = self._server.ask({"pid": self.pid})
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        while (code := self.poll()) is None:
            if not self._has_ended(timeout):
                raise subprocess.TimeoutExpired("flower", timeout or 0)
        return code

    def _has_ended(self, timeout: float | None) -> bool:
        """Waits for it, without asking again and again."""
        waiting = select.poll()
        waiting.register(self._ending, select.POLLIN)
        return bool(waiting.poll(None if timeout is None else timeout * 1_000))

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Process = ForkedProcess | subprocess.Popen[bytes]


class _Server:
    def __init__(self, ahead: "_Server | None" = None) -> None:
        """``ahead``: one that is there already, of which this one becomes a copy."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._one_by_one = threading.Lock()
        self._socket = ours
        with theirs:
            self._process = _begin_server(theirs) if ahead is None else ahead._copy(theirs)
        self._maker = os.getpid()
        atexit.register(self._end)

    def _copy(self, theirs: socket.socket) -> None:
        """Has a copy of this server take its requests from there; several processes may ask at once, as
        nothing is answered."""
        socket.send_fds(self._socket, [json.dumps({"serves": True}).encode()], [theirs.fileno()])

    def ask(self, request: dict[str, Any], *outputs: int) -> Any:
        with self._one_by_one:
            socket.send_fds(self._socket, [json.dumps(request).encode()], outputs)
            answer = self._socket.recv(_LONGEST_ANSWER)
        assert answer, "the process whose copies run Flower has ended"
        return json.loads(answer)

    def _end(self) -> None:
        self._socket.close()
        if self._process is not None and self._maker == os.getpid():
            self._process.kill()  # copies of this process may hold the socket, too; what it made ends with it
            self._process.wait()


def _begin_server(theirs: socket.socket) -> subprocess.Popen[bytes]:
    prepared = data_without_tables()  # else each engine that a copy starts anew has initdb make its own
    others = {name: text for name, text in os.environ.items() if not name.startswith(_NOT_FOR_ALL)}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "fork_server", str(theirs.fileno()), str(prepared), _ROOM],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        env={**others, "PYTHONPATH": str(Path(__file__).parent)},
    )


_ahead: list[_Server] = []
"""The one that was begun for this process and its copies, if it was."""


def begin_ahead() -> None:
    """Begins the process whose copies run Flower for those that are forked from this one: each of them has
    a copy of it to itself, which is there at once."""
    _ahead.append(_Server())


@functools.cache
def _server() -> _Server:
    return _Server(*_ahead)


def start(
    *words: str,
    environment: Mapping[str, str],
    output: IO[bytes],
    errors: IO[bytes] | None = None,
    folder: Path | None = None,
    anew: bool = False,
) -> Process:
    """What Python does with these words (``-m module ...`` or ``-c code ...``), in a session of its own.

    It ends with this process. Both its outputs go to ``output``, or the second to ``errors``. ``anew`` starts
    Python for it, which then writes to ``output`` alone.
    """
    folder = folder or Path.cwd()
    if anew:
        command = [sys.executable, "-P", *words]
        return spawn(command, folder=folder, output=output, dies_by=signal.SIGKILL, environment=environment)
    return _fork(words, environment, folder, output, errors or output)


def flower(
    *words: str, environment: Mapping[str, str], both_in_one: bool = False, timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end; what it wrote to its standard output and error, or both in the first."""
    words = ("-m", "flower_cli", *words)
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = _fork(words, environment, Path.cwd(), output, output if both_in_one else errors)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        texts = [_text(file) for file in (output, errors)]
    return subprocess.CompletedProcess(words, code, *texts)


async def run_of_tests(module: str, settings: Settings, crash_at: str = "") -> int:
    """Runs a module of the tests to its end, which may be a crash point: the exit code of its process."""
    of_tests = {"PYTHONPATH": str(Path(__file__).parent), VARIABLE: crash_at}
    environment = {**os.environ, **settings.as_environment(), **of_tests}
    with tempfile.TemporaryFile() as said:
        process = start("-m", module, environment=environment, output=said)
        code = await asyncio.to_thread(process.wait)
        assert code <= 0, _text(said)
    return code


def _fork(
    words: Sequence[str], environment: Mapping[str, str], folder: Path, output: IO[bytes], errors: IO[bytes]
) -> ForkedProcess:
    server = _server()
    asked = {"words": list(words), "environment": dict(environment), "folder": str(folder)}
    return ForkedProcess(server, server.ask(asked, output.fileno(), errors.fileno()))


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()
