"""Child processes for CPU-bound programs: one socket each, so that one that dies takes nothing with it."""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Sequence

import msgspec

from flower_engine.log.working import OutcomeKind
from flower_engine.model.events import TaskError
from flower_engine.runtime.forks import hide_socket
from flower_engine.runtime.tasks import cancel_all
from flower_worker.calling import Done, Tell
from flower_worker.child_messages import LENGTH_BYTES, STARTED, Finished, Hello, Job, Progressed, frame

_log = logging.getLogger(__name__)
_END_SECONDS = 5.0
_decode = msgspec.msgpack.Decoder(Progressed | Finished).decode


class Processes:
    """Runs jobs in children, which are made as needed and used again."""

    def __init__(self, modules: Sequence[str]) -> None:
        """``modules`` are what a child imports for its programs."""
        self._modules = tuple(modules)
        self._idle: list[_Child] = []
        self._warming: asyncio.Task[None] | None = None

    def warm(self) -> asyncio.Task[None]:
        """Has a child made in the background, so that the first job need not wait for its imports."""
        self._warming = asyncio.create_task(self._warm())
        return self._warming

    async def _warm(self) -> None:
        try:
            self._idle.append(await _Child.start(self._modules))
        except OSError as error:
            _log.warning("no process for CPU-bound programs could be made ahead of the first job: %s", error)

    async def run(self, job: Job, tell: Tell) -> Done:
        """Runs a job in a child and tells its progress; a child that dies is CRASHED, for this job only.

        Cancelling it kills the child; when the cancellation is through, the child is dead.
        """
        child = await self._begin(job)
        async with _killed_on_error(child):
            finished = await child.result(tell) if child.busy else None
        if finished is None:
            error = _lost(child, await child.how_it_ended())
            return Done(OutcomeKind.CRASHED, msgspec.json.encode(error))
        self._idle.append(child)
        return Done(OutcomeKind(finished.kind), finished.payload, finished.number)

    async def close(self) -> None:
        """Ends the idle children."""
        if self._warming is not None:
            _, late = await asyncio.wait([self._warming], timeout=_END_SECONDS)
            await cancel_all(late)
        while self._idle:
            await self._idle.pop().kill()

    async def _begin(self, job: Job) -> "_Child":
        """A child that took the job up; not ``busy`` if even a fresh one did not."""
        while self._idle:
            child = self._idle.pop()
            async with _killed_on_error(child):
                await child.begin(job)
            if child.busy:
                return child
            await child.kill()  # it died while it was idle: the job has not begun and takes another
        child = await _Child.start(self._modules)
        async with _killed_on_error(child):
            await child.begin(job)
        return child


class _Child:
    """One child process and the socket to it."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.process = process
        self.busy = False
        self._reader = reader
        self._writer = writer
        self._watch = asyncio.create_task(self._close_at_exit())

    @classmethod
    async def start(cls, modules: tuple[str, ...]) -> "_Child":
        ours, theirs = socket.socketpair()
        hide_socket(ours)
        process: asyncio.subprocess.Process | None = None
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", "flower_worker.child", str(theirs.fileno())),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                )
            reader, writer = await asyncio.open_connection(sock=ours)
        except BaseException:
            ours.close()
            if process is not None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
            raise
        child = cls(process, reader, writer)
        async with _killed_on_error(child):
            level = logging.getLevelName(logging.getLogger().level)
            if not (await child._send(Hello(sys.path, modules, level)) and await child._read_started()):
                _log.error("process %d for CPU-bound programs ended while it started", process.pid)
        return child

    async def begin(self, job: Job) -> None:
        """Hands the job over; ``busy`` says whether the child took it up."""
        self.busy = await self._send(job) and await self._read_started()

    async def result(self, tell: Tell) -> Finished | None:
        """What came of the job, or None if the child died; tells its progress meanwhile."""
        while True:
            try:
                length = int.from_bytes(await self._reader.readexactly(LENGTH_BYTES), "big")
                message = _decode(await self._reader.readexactly(length))
            except (OSError, asyncio.IncompleteReadError):
                return None
            if isinstance(message, Finished):
                self.busy = False
                return message
            tell(message.progress)

    async def kill(self) -> None:
        """Ends the child, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self._ended()

    async def how_it_ended(self) -> str:
        """How a child ended that closed its socket; it is killed only if it does not end by itself.

        (To kill a child that is just ending makes asyncio lose its exit code.)
        """
        if not await self._ended():
            await self.kill()
        return _how_it_ended(self.process.returncode)

    async def _ended(self) -> bool:
        await asyncio.wait([self._watch], timeout=_END_SECONDS)
        return self._watch.done()

    async def _send(self, message: Hello | Job) -> bool:
        try:
            self._writer.write(frame(message))
            await self._writer.drain()
        except OSError:
            return False
        return True

    async def _read_started(self) -> bool:
        try:
            return await self._reader.readexactly(1) == STARTED
        except (OSError, asyncio.IncompleteReadError):
            return False

    async def _close_at_exit(self) -> None:
        """The end of the process ends the reading, even if a grandchild still has the socket."""
        await self.process.wait()
        self._writer.close()


@contextlib.asynccontextmanager
async def _killed_on_error(child: _Child) -> AsyncGenerator[None]:
    try:
        yield
    except BaseException:
        await child.kill()
        raise


def _lost(child: _Child, how: str) -> TaskError:
    if child.busy:
        what = f"process {child.process.pid} {how} while it ran this attempt"
    else:
        what = f"process {child.process.pid} {how} before it could run this attempt; see the worker's log"
    return TaskError(type="ProcessLost", message=what)


def _how_it_ended(code: int | None) -> str:
    if code is None:
        return "could not be killed"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"was ended by signal {-code}"
