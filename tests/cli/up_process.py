"""Runs ``flower up`` as a user does, with small services in place of the real ones."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import IO

import psutil

import forked_flower
from looking import rest
from process_commands import command_of

SERVES_READYZ = """
import asyncio

async def serve(settings, stop):
    async def answer(reader, writer):
        await reader.readline()
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, settings.host, settings.port)
    await stop.wait()
    server.close()
"""
WAITS = """
import logging

async def serve(settings, stop):
    logging.info("queues %s, redis %s", settings.queues, settings.redis_url)
    await stop.wait()
    logging.info("drained")
"""
AS_A_WORKER = """

class WorkerService:
    serve = staticmethod(serve)

    def hand_back(self):
        return False
"""
CANNOT_RUN = """
from flower_engine.errors import LostError

async def serve(settings, stop):
    raise LostError("Redis went back in time: restore it")
"""
NEVER_ENDS = """
import asyncio

async def serve(settings, stop):
    await asyncio.sleep(1000)
"""


def stub_services(folder: Path, **instead: str) -> Path:
    """A folder for PYTHONPATH with a small package for each service; ``instead`` replaces some of them."""
    texts = {"api": SERVES_READYZ, "worker": WAITS, "projector": WAITS, "watcher": WAITS, **instead}
    for name, text in texts.items():
        package = folder / f"flower_{name}"
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").touch()
        (package / "service.py").write_text(text + AS_A_WORKER * (name == "worker"))
    return folder


class UpProcess:
    """A running ``flower up``."""

    def __init__(self, process: forked_flower.Process, printed: IO[bytes], home: Path, log: Path) -> None:
        self.process = process
        self.printed = printed
        self.home = home
        self._log = log

    def wait_until_running(self) -> str:
        """What it prints once the API is ready."""
        printed = b""
        for line in self.printed:
            printed += line
            if line.startswith(b"Data"):
                return printed.decode()
        raise AssertionError(f"it ended: {self.log()}")

    def log(self) -> str:
        return self._log.read_text()

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def pid_of(self, name: str) -> int | None:
        """The process of a store or service, if it runs now."""
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.Error):
                if name == child.name() or command_of(child)[-2:] == ["flower_cli", name]:
                    return child.pid
        return None

    def await_pid_of(self, name: str) -> int:
        """The process of a store or service, as soon as it runs: the API may answer before the others do."""
        found: list[int | None] = []

        def is_there() -> bool:
            found[:] = [self.pid_of(name)]
            return found != [None]

        wait_until(is_there)
        assert found[0] is not None
        return found[0]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=120)


@contextlib.contextmanager
def up(
    home: Path,
    log: Path,
    *flags: str,
    stubs: Path | None = None,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    anew: bool = False,
) -> Generator[UpProcess]:
    """``flower up`` on a folder, its log (standard error) in a file; stopped if it still runs at the end.

    It and its services are copies; ``anew`` has Python started for it and for each of them.
    """
    variables = {**os.environ, **(environment or {})}
    if stubs:
        variables["PYTHONPATH"] = str(stubs)
    words = ("-m", "flower_cli", "up", "--home", str(home), "--port", "0", *flags)
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as printed, log.open("wb") as errors:
        with os.fdopen(theirs, "wb") as output:
            process = (
                subprocess.Popen(
                    [sys.executable, *words], stdout=output, stderr=errors, env=variables, cwd=cwd
                )
                if anew
                else forked_flower.start(
                    *words, environment=variables, output=output, errors=errors, folder=cwd
                )
            )
        try:
            yield UpProcess(process, printed, home, log)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=120)


def wait_until(condition: Callable[[], bool], *, pause_seconds: float | None = None) -> None:
    """Return as soon as the condition holds. To look for a process is to look at all of this machine, so the
    pause between looks grows with what they take, where none is given."""
    deadline = time.monotonic() + 120
    while True:
        began = time.monotonic()
        if condition():
            return
        assert began < deadline
        if pause_seconds is None:
            rest(began)
        else:
            time.sleep(pause_seconds)


def urls(home: Path, *flags: str) -> dict[str, str]:
    """What ``flower urls --json`` prints."""
    done = forked_flower.flower("urls", "--home", str(home), "--json", *flags, environment=os.environ)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
