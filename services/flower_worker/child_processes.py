"""Child processes for CPU-bound programs: made as needed, used again, and tried again when none starts."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

import msgspec

from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.programs.attempt_outcomes import Done, Tell
from flower_engine.programs.code_image import Image
from flower_engine.runtime.asyncio_tasks import cancel_all
from flower_worker.ability import Ability, CannotStartError
from flower_worker.child_messages import Job
from flower_worker.child_process import ChildProcess, Origin
from flower_worker.program_call import Say
from flower_worker.task_logs.attempt_log import AttemptLog
from flower_worker.task_logs.child_output import ChildOutput

_END_SECONDS = 5.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 60.0


def _say_nothing(_what: str) -> None: ...


class Processes:
    """Runs jobs in children. While one program or all of them cannot be started, it tries again by itself,
    after pauses that grow; ``ability`` says what it found."""

    def __init__(
        self,
        origin: Origin,
        ability: Ability,
        image: Image | None = None,
        make_output: Callable[[], ChildOutput] | None = None,
    ) -> None:
        """``origin`` is what children start from; code is as ``image`` keeps it; ``make_output``: for what
        programs write, where that is kept."""
        self._make_output = make_output
        self._outputs: list[ChildOutput] = []
        self.ability = ability
        self.image = image or Image(origin.hello.modules)
        self._origin = origin
        self._children: set[ChildProcess] = set()
        self._idle: list[ChildProcess] = []
        self._warming: asyncio.Task[None] | None = None
        self._trying: asyncio.Task[None] | None = None
        self._is_closed = False

    def warm(self) -> asyncio.Task[None]:
        """Has a child made in the background, so that the first job need not wait for its imports."""
        self._warming = asyncio.create_task(self._make_ahead())
        return self._warming

    async def run(self, job: Job, tell: Tell, say: Say = _say_nothing, log: AttemptLog | None = None) -> Done:
        """Runs a job in a child, tells its progress, and says what it brings to a store of blobs; a child
        that dies is CRASHED, for this job only. What it writes goes to ``log``, all of it before this ends.

        Cancelling it kills the child; when the cancellation is through, the child is dead.

        Raises:
            CannotStartError: no child took the job up.
        """
        child = await self._begin(job, log)
        try:
            async with self._ended_on_error(child):
                finished = await child.result(tell, say)
            how = "" if finished else await child.how_it_ended()
        finally:
            if child.output is not None:
                child.output.end()
        if finished is None:
            self._children.discard(child)
            what = f"process {child.pid} {how} while it ran this attempt"
            error = TaskError(type="ProcessLost", message=what)
            return Done(OutcomeKind.CRASHED, msgspec.json.encode(error))
        self._idle.append(child)
        return Done(OutcomeKind(finished.kind), finished.payload, finished.number)

    async def close(self) -> None:
        """Ends the idle children, and makes no more ahead of jobs."""
        self._is_closed = (
            True  # first: a child that is just being made may find that it should be tried again
        )
        if self._trying is not None:
            await cancel_all([self._trying])
        if self._warming is not None:
            _, late = await asyncio.wait([self._warming], timeout=_END_SECONDS)
            await cancel_all(late)
        while self._idle:
            await self._end(self._idle.pop())
        for output in self._outputs:  # others may have it, and live on
            output.close()

    def kill(self) -> None:
        """Kills all children, without waiting for their end; from any thread."""
        for child in list(self._children):
            child.kill_at_once()

    async def _begin(self, job: Job, log: AttemptLog | None) -> ChildProcess:
        """A child that took the job up."""
        while (child := self._take_idle(job.program)) is not None:
            if await self._hand_over(child, job, log):
                return child
            await self._end(child)  # it died while it was idle: the job has not begun and takes another
        if job.program in self.ability.unable:
            raise CannotStartError(self.ability.unable[job.program])
        child = await self._start()
        if job.program not in child.programs:
            self._idle.append(child)
            raise CannotStartError(f"process {child.pid} does not serve {job.program}")
        if await self._hand_over(child, job, log):
            return child
        self._children.discard(child)
        why = f"a process {await child.how_it_ended()} before it took its first job up"
        self._note_none(why)
        raise CannotStartError(why)

    async def _hand_over(self, child: ChildProcess, job: Job, log: AttemptLog | None) -> bool:
        if child.output is not None and log is not None:
            child.output.begin(log)
        async with self._ended_on_error(child):
            return await child.begin(job)

    @contextlib.asynccontextmanager
    async def _ended_on_error(self, child: ChildProcess) -> AsyncGenerator[None]:
        try:
            yield
        except BaseException:
            await self._end(child)
            raise

    def _take_idle(self, program: str) -> ChildProcess | None:
        for child in reversed(self._idle):
            if program in child.programs:
                self._idle.remove(child)
                return child
        return None

    async def _start(self) -> ChildProcess:
        """A new child, and what it says is noted."""
        try:
            child = await ChildProcess.start(self._origin_now(), self._children, self._make_output)
        except CannotStartError as error:
            self._note_none(str(error))
            raise
        if child.output is not None:
            self._outputs = [one for one in self._outputs if one.is_open] + [child.output]
        self.ability.note(child.programs, child.problems)
        self._try_again()
        async with self._ended_on_error(child):
            for unfit in [one for one in self._idle if not one.programs >= self.ability.programs]:
                self._idle.remove(unfit)  # the new one can do as much, or more
                await self._end(unfit)
        return child

    def _origin_now(self) -> Origin:
        """With modules that the worker has imported meanwhile."""
        image = self.image
        hello = msgspec.structs.replace(self._origin.hello, image=image.modules, since=image.since)
        return self._origin._replace(hello=hello)

    async def _end(self, child: ChildProcess) -> None:
        self._children.discard(child)
        await child.kill()

    def _note_none(self, why: str) -> None:
        alive = sum(child.is_alive for child in self._children)
        if alive:
            self.ability.note_few(alive, why)
        else:
            self.ability.note_all(why)
        self._try_again()

    def _try_again(self) -> None:
        if self._is_hindered() and self._trying is None and not self._is_closed:
            self._trying = asyncio.create_task(self._until_able())
            self._trying.add_done_callback(self._forget_trying)

    def _is_hindered(self) -> bool:
        return bool(self.ability.unable) or self.ability.most is not None

    def _forget_trying(self, _ended: asyncio.Task[None]) -> None:
        self._trying = None

    async def _until_able(self) -> None:
        pause_seconds = _FIRST_PAUSE_SECONDS
        while self._is_hindered():
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, _LONGEST_PAUSE_SECONDS)
            await self._make_ahead()

    async def _make_ahead(self) -> None:
        with contextlib.suppress(CannotStartError):  # it is noted
            self._idle.append(await self._start())
