"""Programs that fork, in the middle of the storm: what they fork off is ended by every signal there is.

What is forked off a process with many threads may find a lock that nobody opens any more, so nothing here
waits for a copy to do anything: each is ended, at last by SIGKILL.
"""

import contextlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time

from chaos.programs import trace
from flower_engine import Context, program

_LONG_SECONDS = 600.0
_PATIENCE_SECONDS = 2.0
_ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_fork = multiprocessing.get_context("fork")


@program
def fork_on_a_thread(context: Context) -> int:
    """Notes that it runs, and forks in some way."""
    return _forking(context)


@program(kind="process")
def fork_in_a_process(context: Context) -> int:
    """The same in a child process."""
    return _forking(context)


@program
async def fork_on_the_loop(context: Context) -> int:
    """The same on the worker's event loop, which it keeps waiting for a moment."""
    return _forking(context)


def _forking(context: Context) -> int:
    attempt = trace(context, 0.0)
    random.choice((_two_processes, _a_shell, _copies))()  # nothing secret depends on it
    return attempt


def _two_processes() -> None:
    processes = [_fork.Process(target=time.sleep, args=(_LONG_SECONDS,), daemon=True) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(_PATIENCE_SECONDS)
        process.kill()
        process.join()


def _a_shell() -> None:
    with subprocess.Popen("sleep 600 & wait", shell=True, start_new_session=True) as shell:
        os.killpg(shell.pid, random.choice(_ENDINGS))
        with contextlib.suppress(subprocess.TimeoutExpired):
            shell.wait(_PATIENCE_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)


def _copies() -> None:
    """One that is ended by signals, one that ends by itself, or would return from the program."""
    for number in (random.choice(_ENDINGS), None):
        pid = os.fork()
        if not pid:
            if number is None:
                sys.exit(7)
            time.sleep(_LONG_SECONDS)
            return
        if number is not None:
            os.kill(pid, number)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not os.waitpid(pid, os.WNOHANG)[0]:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)
