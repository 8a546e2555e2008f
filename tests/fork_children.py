"""Services that a copy of Flower starts (as ``flower up`` does) are copies, too, and its own children.

Before it runs anything, such a copy forks an origin, in which nothing has happened yet. The origin forks
twice for each service and ends the one in between, so that the service becomes a child of whoever asked: who
looks after it waits for it, signals it, and takes it along or not, as if Python had been started for it.
"""

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from flower_engine.embedded import processes

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_STARTERS = {"bench", "demo", "dev", "run", "up"}
_OF_LAUNCHER = 9
"""How many words ``processes.spawn`` puts in front of the command."""
_LONGEST_REQUEST = 200_000
_LONGEST_PID = 20


def starts_services(words: list[str]) -> bool:
    """Whether that command of Python is one of Flower that does."""
    return words[:2] == ["-m", "flower_cli"] and words[2:3] != [] and words[2] in _STARTERS


def prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def dies_with_its_parent(number: int, parent: int) -> None:
    """The kernel sends this process the signal when its parent ends, which has this id."""
    prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(1)


def begin(become: Callable[[dict[str, Any], list[int]], None]) -> dict[str, Any] | None:
    """Makes the origin, and has it asked for each service that is started from now on.

    Returns None here, and in each service what it is to be; ``become`` has made it that.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    asker = os.getpid()
    if os.fork() == 0:
        ours.close()
        dies_with_its_parent(signal.SIGKILL, asker)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for output in (1, 2):  # whoever reads them waits for their end
            os.dup2(nowhere, output)
        os.close(nowhere)
        return _serve(theirs, become)
    theirs.close()

    class ForkingPopen(subprocess.Popen[bytes]):
        def _execute_child(self, args: list[str], *more: Any) -> None:
            command = args[_OF_LAUNCHER:]
            if command[:1] != [sys.executable] or "flower_cli" not in command:
                super()._execute_child(args, *more)  # pyright: ignore # of a private interface
                return
            folder, environment, outputs = more[4], more[5], more[9:15]
            self.pid = _ask(
                ours,
                {
                    "words": command[command.index("-m") :],
                    "environment": dict(os.environ if environment is None else environment),
                    "folder": str(folder),
                    "parent": asker,
                    "dies_by": int(args[5]),
                },
                outputs[3],
            )
            self._child_created = True
            self._close_pipe_fds(*outputs)  # pyright: ignore

    forking: Any = SimpleNamespace(**{**vars(subprocess), "Popen": ForkingPopen})
    processes.subprocess = forking
    return None


def _ask(origin: socket.socket, request: dict[str, Any], output: int) -> int:
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        socket.send_fds(origin, [json.dumps(request).encode()], [output, output])
        return int(origin.recv(_LONGEST_PID))
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0)


def _serve(requests: socket.socket, become: Callable[[dict[str, Any], list[int]], None]) -> dict[str, Any]:
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, _LONGEST_REQUEST, 2)
        if not message:
            os._exit(0)
        request = json.loads(message)
        told, tells = os.pipe()
        between = os.fork()
        if between == 0:
            pid = os.fork()
            if pid:
                os.write(tells, str(pid).encode())
                os._exit(0)
            for descriptor in (requests.detach(), told, tells):
                os.close(descriptor)
            while os.getppid() == between or os.getppid() not in (request["parent"], 1):
                time.sleep(0.0001)  # until the one between has ended
            become(request, descriptors)
            return request
        pid = os.read(told, _LONGEST_PID)
        os.waitpid(between, 0)
        for descriptor in (told, tells, *descriptors):
            os.close(descriptor)
        requests.sendall(pid)


def show_as(words: list[str]) -> None:
    """Gives this process a command line, as far as there is room for it: that of what was started."""
    begins, ends = map(int, Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[45:47])
    line = "\0".join(["{}", *words]) + "\0"
    room = ends - begins - len(os.fsencode(line)) + 2
    program = sys.executable.rjust(room, "/")  # any number of slashes names the same
    with contextlib.suppress(ValueError):
        ctypes.memmove(begins, os.fsencode(line.format(program))[: ends - begins], ends - begins)
