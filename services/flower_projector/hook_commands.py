"""Commands as hooks: a program of this machine, which the operator allowed by name, gets the notification on
its standard input.

A table that says what is run would be a way to run anything. So a hook only names a command; which program
that is stands in a setting of the service, absolute. It gets no argument and no shell from anybody, and an
environment that holds nothing of the service's, whose variables are full of secrets.
"""

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Iterable

from flower_engine.hooks.hook import Hook
from flower_engine.projection.hooks.deliveries import MAX_ANSWER, Outcome, Taken
from flower_engine.secrets import hide_secrets

_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
_LINGER_SECONDS = 0.5  # for output, where a process that the command left behind holds it open


class Commands:
    """Runs those that ``FLOWER_HOOK_COMMANDS`` allows."""

    def __init__(self, allowed: Iterable[str], timeout_seconds: float) -> None:
        """``allowed``: ``name=/absolute/path``."""
        self._paths = dict(one.split("=", 1) for one in allowed)
        self._timeout_seconds = timeout_seconds

    async def tell(self, hook: Hook, taken: Taken) -> Outcome:
        """One attempt; whatever becomes of it is told, not raised."""
        path = self._paths.get(hook.target)
        if path is None:
            return Outcome(
                error=f"command {hook.target} is not allowed: FLOWER_HOOK_COMMANDS of the projector has no"
                f" {hook.target}=/path"
            )
        try:
            return await self._run(path, taken.body.encode())
        except (OSError, ValueError) as error:
            return Outcome(error=f"{path} cannot be run: {error}")

    async def _run(self, path: str, body: bytes) -> Outcome:
        # A file and a pipe of ours: asyncio waits for whoever holds its own open, when the command is over.
        reading, writing = os.pipe()
        output = _Output()
        with tempfile.TemporaryFile() as given:
            try:
                given.write(body)
                given.seek(0)
                process = await asyncio.create_subprocess_exec(
                    path,
                    stdin=given,
                    stdout=writing,
                    stderr=writing,
                    env=_ENVIRONMENT,
                    cwd="/",
                    start_new_session=True,
                )
            except BaseException:
                os.close(reading)
                raise
            finally:
                os.close(writing)
        pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: output, os.fdopen(reading, "rb", 0)
        )
        try:
            return await self._result(process, output)
        finally:
            pipe.close()
            if process.returncode is None:
                _kill(process)
                await process.wait()

    async def _result(self, process: asyncio.subprocess.Process, output: "_Output") -> Outcome:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                status = await process.wait()
        except TimeoutError:
            why = f"killed: it took more than {self._timeout_seconds:g} s"
            return Outcome(error=why, answer=output.text())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                await output.ended.wait()
        if status == 0:
            return Outcome(status=0, answer=output.text())
        why = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
        return Outcome(error=why, status=status, answer=output.text())


class _Output(asyncio.Protocol):
    """Takes all that comes, and keeps the beginning: who is not read from stands still."""

    def __init__(self) -> None:
        self._begin = bytearray()
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self._begin += data[: MAX_ANSWER - len(self._begin)]

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()

    def text(self) -> str:
        """What it said, as far as it is kept."""
        return hide_secrets(self._begin.decode("utf-8", "replace"))


def _kill(process: asyncio.subprocess.Process) -> None:
    """Kills it with all that it started and did not put apart."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
