"""One child process and the socket to it, so that one that dies takes nothing with it."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import msgspec

from flower_engine.programs.attempt_outcomes import Tell
from flower_engine.runtime.process_forks import hide_socket
from flower_engine.runtime.telemetry import log_format, log_level
from flower_worker.ability import CannotStartError
from flower_worker.child_messages import (
    LENGTH_BYTES,
    STARTED,
    BlobSettings,
    Finished,
    Hello,
    Importing,
    Job,
    Progressed,
    Ready,
    Transferring,
    frame,
)
from flower_worker.program_call import Say
from flower_worker.task_logs.child_output import ChildOutput

_END_SECONDS = 5.0
_START_SECONDS = 300.0  # for its imports
_decode = msgspec.msgpack.Decoder(Progressed | Transferring | Finished).decode
_decode_start = msgspec.msgpack.Decoder(Importing | Ready).decode
_GONE = (OSError, RuntimeError, asyncio.IncompleteReadError)
"""What a socket to a child that is gone raises; uvloop has a RuntimeError for one that is closed already."""


class Origin(NamedTuple):
    """What a child starts from: its folder, its environment, and what it is told first."""

    folder: Path
    environment: Mapping[str, str]
    hello: Hello

    @classmethod
    def now(cls, modules: Sequence[str], blobs: BlobSettings | None = None) -> Self:
        """As this process is now, with where it looks for modules, whatever programs do to it later;
        ``modules`` are what a child imports for its programs."""
        folder = Path.cwd()
        path = [str(folder / entry) for entry in sys.path]
        return cls(
            folder, dict(os.environ), Hello(path, tuple(modules), log_level(), log_format(), blobs=blobs)
        )


class ChildProcess:
    """A child that has started; ``programs`` are what it serves, ``problems`` why not more."""

    programs: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()
    _console = -1

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        output: ChildOutput | None,
    ) -> None:
        self.output = output  # what its programs write, where that is kept
        self.pid = process.pid
        self._process = process
        self._reader = reader
        self._writer = writer
        self._watch = asyncio.create_task(self._close_at_exit())

    @classmethod
    async def start(
        cls,
        origin: Origin,
        children: "set[ChildProcess]",
        make_output: Callable[[], ChildOutput] | None = None,
    ) -> "ChildProcess":
        """Starts one, and adds it to the children; ``make_output``: for what its programs write.

        A module that ends every process that imports it, or never comes to an end, is left out.

        Raises:
            CannotStartError: none starts, and why.
        """
        hello, problems = origin.hello, list[str]()
        while True:
            try:
                child = await cls._spawn(origin, make_output() if make_output else None)
            except OSError as error:
                raise CannotStartError(f"no process can be made: {error}") from error
            async with killed_on_error(child):
                module = await child._greet(child._with_output(hello))
            if module is None:
                child.problems = (*problems, *child.problems)
                children.add(child)
                return child
            how = await child.how_it_ended()
            if module not in hello.modules:
                raise CannotStartError(f"a process {how} while it started")  # no pid: each try says the same
            problems.append(f"a process {how} while it imported {module}")
            left = tuple(other for other in hello.modules if other != module)
            hello = msgspec.structs.replace(hello, modules=left)

    @classmethod
    async def _spawn(cls, origin: Origin, output: ChildOutput | None) -> "ChildProcess":
        process: asyncio.subprocess.Process | None = None
        out, err = output.child_ends if output else (None, None)
        console = output.console if output else -1
        ours, theirs = socket.socketpair()
        hide_socket(ours)
        try:
            with theirs:
                passed = [theirs.fileno(), *([console] if console >= 0 else [])]
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", "flower_worker.child", str(theirs.fileno())),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    pass_fds=passed,
                    cwd=origin.folder if origin.folder.is_dir() else None,
                    env=origin.environment,
                )
            reader, writer = await asyncio.open_connection(sock=ours)
        except BaseException:
            ours.close()
            if output is not None:
                output.close()
            if process is not None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
            raise
        child = cls(process, reader, writer, output)
        child._console = console
        if output is not None:
            output.listen()
        return child

    def _with_output(self, hello: Hello) -> Hello:
        if self.output is None:
            return hello
        return msgspec.structs.replace(hello, token=self.output.token, console=self._console)

    async def _greet(self, hello: Hello) -> str | None:
        """None, once it is ready; else what it did not come to the end of importing ("": anything else)."""
        module = ""
        if await self._send(hello):
            with contextlib.suppress(TimeoutError, *_GONE):
                async with asyncio.timeout(_START_SECONDS):
                    while True:
                        message = _decode_start(await self._read_frame())
                        if isinstance(message, Ready):
                            self.programs, self.problems = frozenset(message.programs), message.problems
                            return None
                        module = message.module
        return module

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    async def begin(self, job: Job) -> bool:
        """Hands the job over; whether the child took it up."""
        if not await self._send(job):
            return False
        try:
            return await self._reader.readexactly(1) == STARTED
        except _GONE:
            return False

    async def result(self, tell: Tell, say: Say) -> Finished | None:
        """What came of the job, or None if the child died; tells its progress meanwhile, and says what it
        brings to a store of blobs."""
        while True:
            try:
                message = _decode(await self._read_frame())
            except _GONE:
                return None
            if isinstance(message, Finished):
                return message
            if isinstance(message, Transferring):
                say(message.what)
            else:
                tell(message.progress)

    async def kill(self) -> None:
        """Ends the child, unless it has ended."""
        self.kill_at_once()
        await self._ended()

    def kill_at_once(self) -> None:
        """The same, without waiting; from any thread."""
        if self.is_alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def how_it_ended(self) -> str:
        """How a child ended that closed its socket; it is killed only if it does not end by itself.

        (To kill a child that is just ending makes asyncio lose its exit code.)
        """
        if not await self._ended():
            await self.kill()
        return _how_it_ended(self._process.returncode)

    async def _ended(self) -> bool:
        await asyncio.wait([self._watch], timeout=_END_SECONDS)
        return self._watch.done()

    async def _send(self, message: Hello | Job) -> bool:
        try:
            self._writer.write(frame(message))
            await self._writer.drain()
        except _GONE:
            return False
        return True

    async def _read_frame(self) -> bytes:
        length = int.from_bytes(await self._reader.readexactly(LENGTH_BYTES), "big")
        return await self._reader.readexactly(length)

    async def _close_at_exit(self) -> None:
        """The end of the process ends the reading, even if a grandchild still has the socket."""
        await self._process.wait()
        self._writer.close()


@contextlib.asynccontextmanager
async def killed_on_error(child: ChildProcess) -> AsyncGenerator[None]:
    """A child that something goes wrong with, or whose caller is cancelled, is dead behind the block."""
    try:
        yield
    except BaseException:
        await child.kill()
        raise


def _how_it_ended(code: int | None) -> str:
    if code is None:
        return "could not be killed"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"was ended by signal {-code}"
