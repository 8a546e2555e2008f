"""Programs that fork, in every way that Python has; each is served as thread, async and process program."""

import asyncio
import atexit
import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from flower_engine import Context, program

_LONG_SECONDS = 600.0
_PATIENCE_SECONDS = 60.0
_fork = multiprocessing.get_context("fork")


def two_processes_ended_one_by_one() -> list[int | None]:
    processes = [_fork.Process(target=time.sleep, args=(_LONG_SECONDS,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.terminate()
        process.join(_PATIENCE_SECONDS)
    return [_exit_code(process) for process in processes]


def pool() -> list[int]:
    with _fork.Pool(2) as workers:  # leaving it terminates them
        return workers.map(abs, [-1, -2])


def executor() -> str:
    with ProcessPoolExecutor(2, mp_context=_fork) as workers:
        pids = set(workers.map(_pid, range(8)))
        sleeping = workers.submit(time.sleep, _LONG_SECONDS)
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        try:
            sleeping.result(_PATIENCE_SECONDS)
        except BrokenProcessPool:
            return "broken"
    return "went on"


def plain_fork_and_every_signal() -> list[int]:
    """Each copy ends by the signal that it gets, wherever it is on its way."""
    return [_forked(_sleep, number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)]


def a_signal_to_the_group() -> list[int]:
    reading, writing = os.pipe()
    pids: list[int] = []
    for _ in range(2):
        pid = os.fork()
        if not pid:
            os.setpgid(0, pids[0] if pids else 0)
            os.write(writing, b"!")
            _sleep()
        pids.append(pid)
        os.read(reading, 1)
    os.killpg(pids[0], signal.SIGTERM)
    os.close(reading)
    os.close(writing)
    return [_end_of(pid) for pid in pids]


def children_of_children_end() -> int:
    """The copy has SIGCHLD of its own to bear."""

    def fork_again() -> None:
        ends = [_forked(_leave, None) for _ in range(3)]
        os._exit(0 if ends == [7, 7, 7] else 1)

    return _forked(fork_again, None)


def exit_in_a_copy() -> int:
    return _forked(_leave, None)


def return_in_a_copy() -> list[int] | str:
    pid = os.fork()
    return [_end_of(pid)] if pid else "what a copy returns is nobody's outcome"


def raise_in_a_copy() -> int:
    return _forked(_raise, None)


def atexit_handlers_in_a_copy() -> int:
    def run_them() -> None:
        atexit.register(os._exit, 9)
        sys.exit(0)

    return _forked(run_them, None)


def a_shell() -> list[int]:
    ends: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        shell = subprocess.Popen("sleep 600 & wait", shell=True, start_new_session=True)
        os.killpg(shell.pid, number)
        shell.wait(_PATIENCE_SECONDS)
        ends.append(shell.returncode)
    return ends


def c_code_that_forks() -> str:
    """It asks Python nothing, so its copy still has the handlers that write to the worker's pipe, and where
    another thread wanted the interpreter at that moment, it waits for that thread, which it does not have."""
    libc = ctypes.PyDLL(None)
    pid = libc.fork()
    if not pid:
        libc.pause()
        libc._exit(5)
    for _ in range(50):
        os.kill(pid, signal.SIGTERM)
        found, _ = os.waitpid(pid, os.WNOHANG)
        if found:
            return "ended"
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "ended"


WAYS: dict[Callable[[], Any], Any] = {
    two_processes_ended_one_by_one: [-15, -15],
    pool: [1, 2],
    executor: "broken",
    plain_fork_and_every_signal: [-15, -1, -9],
    a_signal_to_the_group: [-15, -15],
    children_of_children_end: 0,
    exit_in_a_copy: 7,
    return_in_a_copy: [0],
    raise_in_a_copy: 1,
    atexit_handlers_in_a_copy: 9,
    a_shell: [-15, -2],
    c_code_that_forks: "ended",
}
"""Each way to fork, and what the program returns."""


@program
def fork_thread(way: str) -> Any:
    return _way(way)()


@program
async def fork_async(way: str) -> Any:
    return _way(way)()


@program(kind="process")
def fork_process(way: str) -> Any:
    return _way(way)()


@program
async def await_in_a_copy() -> int:
    pid = os.fork()
    if not pid:
        await asyncio.sleep(_LONG_SECONDS)
    return _end_of(pid)


@program
def leave_a_copy(folder: Path) -> None:
    """Its copy goes on after it, and notes who it is."""
    if not os.fork():
        _note(folder / "copy")
        _sleep()


@program
def two_processes(folder: Path, context: Context) -> list[int | None]:
    """Waits for the end of two processes that nobody but a signal ends."""
    own = [folder / f"copy-{context.task}-{number}" for number in range(2)]
    processes = [_fork.Process(target=_sleep_noted, args=(file,)) for file in own]
    for process in processes:
        process.start()
    while not all(file.exists() for file in own):  # a copy that is just being made takes a signal as its own
        time.sleep(0.01)
    _note(folder / f"began-{context.task}")
    for process in processes:
        process.join()
    return [_exit_code(process) for process in processes]


@program(kind="process")
def wait_long(folder: Path) -> None:
    _note(folder / "child")
    _sleep()


def _exit_code(process: BaseProcess) -> int | None:
    """Of a process that has ended. Where another thread of multiprocessing (each start of a process looks
    after all others) has just taken its end from the system, it is None until that thread has noted it."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while process.exitcode is None and time.monotonic() < deadline:
        time.sleep(0.001)
    return process.exitcode


def _way(name: str) -> Callable[[], Any]:
    return next(way for way in WAYS if way.__name__ == name)


def _sleep_noted(file: Path) -> None:
    """Sleeps a moment at a time: a SIGINT that comes between Python's last look at signals and the sleep only
    leaves a note, which is looked at when the sleep is over."""
    _note(file)
    deadline = time.monotonic() + _LONG_SECONDS
    while time.monotonic() < deadline:
        time.sleep(0.05)


def _pid(_number: int) -> int:
    time.sleep(0.01)
    return os.getpid()


def _forked(what: Callable[[], None], number: signal.Signals | None) -> int:
    pid = os.fork()
    if not pid:
        what()
    if number is not None:
        os.kill(pid, number)
    return _end_of(pid)


def _end_of(pid: int) -> int:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise TimeoutError(f"process {pid} did not end")


def _sleep() -> None:
    time.sleep(_LONG_SECONDS)
    os._exit(1)


def _leave() -> None:
    sys.exit(7)


def _raise() -> None:
    raise LookupError("in a copy")


def _note(file: Path) -> None:
    whole = file.with_suffix(".part")
    whole.write_text(str(os.getpid()))
    whole.rename(file)
