"""Starting child processes that do not outlive their parent, ending them, and finding left-over ones."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec
import psutil

_log = logging.getLogger(__name__)
_LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Account:
    """A system user that a child runs as; ``keeps_access``: it may still enter root's closed folders."""

    uid: int
    gid: int
    keeps_access: bool


class ProcessMark(msgspec.Struct, frozen=True):
    """A process that is told apart from a later one with the same id by when it started."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> "ProcessMark":
        return cls(pid, psutil.Process(pid).create_time())

    def find(self) -> psutil.Process | None:
        """The process, if it is still there (a zombie is not)."""
        try:
            process = psutil.Process(self.pid)
            # The clock may be set meanwhile, which moves the reading a little.
            same = abs(process.create_time() - self.started) < 2
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def is_alive(self) -> bool:
        return self.find() is not None


def spawn(
    command: Sequence[str | Path],
    *,
    folder: Path,
    output: int | IO[bytes],
    dies_by: signal.Signals,
    account: Account | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child in ``folder``, in a session of its own: a Ctrl-C at the terminal does not reach it.

    The kernel sends it ``dies_by`` when the calling THREAD ends (Linux), so start children from a thread that
    lives as long as they should. Standard output and error both go to ``output``.
    """
    user = account or Account(-1, -1, keeps_access=False)
    launcher = [sys.executable, "-I", "-S", _LAUNCHER, os.getpid(), int(dies_by)]
    words = [*launcher, user.uid, user.gid, int(user.keeps_access), *command]
    return subprocess.Popen(
        [str(word) for word in words],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def end(
    process: subprocess.Popen[bytes] | psutil.Process, *signals: signal.Signals, patience_seconds: float
) -> None:
    """End a process: each signal in turn gets ``patience_seconds`` to work, then it is killed."""
    for number in (*signals, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            process.send_signal(number)
        try:
            process.wait(timeout=patience_seconds)
            return
        except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
            _log.warning("process %d does not end by %s", process.pid, number.name)


def end_leftovers(program: str, folder: Path, *signals: signal.Signals, patience_seconds: float) -> None:
    """End the processes of an earlier run that still work in a store's data folder.

    Both servers make their data folder their working folder, so nothing needs to have been written down
    when the earlier run was killed.
    """
    for number in (*signals, signal.SIGKILL):
        found = leftovers(program, folder)
        if not found:
            return
        pids = ", ".join(str(one.pid) for one in found)
        _log.info("stopping %s left over in %s (%s to %s)", program, folder, number.name, pids)
        for one in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(number)
        psutil.wait_procs(found, timeout=patience_seconds)


def leftovers(program: str, folder: Path) -> list[psutil.Process]:
    """The processes of a program whose working folder is ``folder``."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if program in process.name() and Path(process.cwd()) == folder:
                found.append(process)
    return found


def tail(log: Path, *, lines: int = 8, from_byte: int = 0) -> str:
    """The last lines of a log file, for an error message."""
    try:
        with log.open("rb") as file:
            file.seek(from_byte)
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
