"""The task logs of one worker process."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from flower_engine.runtime.settings import Settings
from flower_engine.transitions.worker_transitions import Claim
from flower_worker.task_logs.attempt_log import AttemptLog
from flower_worker.task_logs.capture import CAPTURE
from flower_worker.task_logs.child_output import ChildOutput
from flower_worker.task_logs.echo import Echo
from flower_worker.task_logs.line_mask import LineMask
from flower_worker.task_logs.sender import Sender
from flower_worker.task_logs.waiting_lines import WaitingLines

_SEND_SECONDS = 2.0  # at the end, for what is left
_SHOW_SECONDS = 2.0


class TaskLogs:
    """Gives each attempt its log while it is begun; what attempts write is sent by itself."""

    def __init__(self, settings: Settings) -> None:
        assert settings.redis_url is not None
        self._waiting = WaitingLines(settings.task_log_max_kb << 10)
        self._waiting.when_closed = lambda is_last: CAPTURE.put_back(is_alone=is_last)
        self._sender = Sender(self._waiting, settings.redis_url, settings.task_log_buffer_mb << 20)
        self._echo = Echo()

    def begin(self) -> None:
        """Before the first program is imported: what it keeps of ``sys.stdout`` is to be ours."""
        CAPTURE.begin()
        self._sender.start()

    async def end(self) -> None:
        """Sends what is left, and shows it, for a moment."""
        CAPTURE.end()
        await asyncio.gather(
            asyncio.to_thread(self._sender.stop, _SEND_SECONDS),
            asyncio.to_thread(self._echo.end, _SHOW_SECONDS),
        )

    def open(self, claim: Claim, secrets: tuple[str, ...] = ()) -> AttemptLog:
        """The log of an attempt that begins, in which these are hidden; to be closed at its end."""
        if self._waiting.open:
            CAPTURE.put_back(is_alone=False)
        else:
            CAPTURE.note()
        log = AttemptLog(claim, self._waiting)
        if secrets:
            log.mask = LineMask(secrets)
        return log

    def put_back_log(self, log: AttemptLog | None = None) -> None:
        """The worker is about to log what became of a program, whatever that did to ``logging``; ``log`` is
        that of the program's attempt, still open."""
        CAPTURE.put_back_log(is_alone=self._waiting.open == (log is not None))

    def child_output(self) -> ChildOutput:
        """The pipes for a child process. Raises OSError where there are no descriptors left."""
        return ChildOutput(self._echo)


@contextlib.asynccontextmanager
async def task_logs(settings: Settings) -> AsyncGenerator[TaskLogs | None]:
    """What programs write is kept meanwhile; None, where it is not to be."""
    if settings.task_logs == "off":
        yield None
        return
    logs = TaskLogs(settings)
    logs.begin()
    try:
        yield logs
    finally:
        await logs.end()
