"""Exports the traces of flows: follows the archive, and sends the spans of what has ended to a receiver.

Nothing of the engine waits for it: what it has not sent yet lies in the archive. Each span is sent at least
once: of a page that was not sent whole, all comes again, with the same ids.
"""

import asyncio
import logging
from enum import Enum, auto

from flower_engine.crash_points import crash_point
from flower_engine.otlp.open_receiver import open_receiver
from flower_engine.otlp.receiver import Receiver, ReceiverAwayError, ReceiverFailedError
from flower_engine.otlp.sending import send
from flower_engine.projection.archive.followers import ArchiveFollower, Page
from flower_engine.projection.database import Connection, connect
from flower_engine.runtime.asyncio_tasks import unless_stopped
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import Loop
from flower_engine.runtime.settings import Settings
from flower_engine.store_faults import STORE_ERRORS
from flower_projector.traced_pages import TracedPages

_log = logging.getLogger(__name__)

_AT_ONCE = 4  # requests on their way
_FULL_PAGE = 1_000  # events: behind so many there are more
_BATCH_SECONDS = 0.25  # pages of few events come no faster than this, so that they grow
_STANDBY_SECONDS = 5.0
_IDLE_SECONDS = 1.0
_MOST_FAILURES = 30  # with the same requests, which takes about a minute
_LONGEST_SECONDS = 20.0  # that a receiver is left alone: what is held has to be held again


class Round(Enum):
    """What a round came to."""

    SENT = auto()  # something; there is more
    SENT_ALL = auto()  # all that there was a moment ago
    IDLE = auto()  # nothing is new
    STANDBY = auto()  # another one exports


_RESTS = {
    Round.SENT: 0.0,
    Round.SENT_ALL: _BATCH_SECONDS,
    Round.IDLE: _IDLE_SECONDS,
    Round.STANDBY: _STANDBY_SECONDS,
}


class TraceExportLoop:
    """Exports the traces of all partitions; any number of these may run, one is active."""

    def __init__(self, settings: Settings, *, clock: Clock = SYSTEM_CLOCK) -> None:
        """To the receiver of the settings.

        Raises:
            SettingsError: what it needs is not installed, or a header is none.
        """
        assert settings.traces_endpoint is not None
        headers = settings.traces_headers.get_secret_value() if settings.traces_headers else ""
        self._receiver = open_receiver(settings.traces_endpoint, settings.traces_protocol, headers)
        self._settings = settings
        self._clock = clock
        self._following: _Following | None = None
        self._is_active = False

    async def run(self, stop: asyncio.Event) -> None:
        """Exports until ``stop`` is set; a receiver or a Postgres that is away is waited for."""
        # What is being sent when it is to stop is sent again: nothing waits for a receiver that hangs.
        loop = Loop(
            *(
                "traces",
                lambda: unless_stopped(stop, self.run_once()),
                _rest_after,
                _Backoff(self._clock),
                stop,
            ),
            is_watched=False,  # a receiver that is away makes no projector unready
            clock=self._clock,
        )
        try:
            await loop.run()
        finally:
            await self.close()

    async def close(self) -> None:
        """Ends its connections."""
        await self._forget()
        await self._receiver.close()

    async def run_once(self) -> Round:
        """Sends some of what has ended since.

        Raises:
            ReceiverAwayError: the receiver does not take it now; it is kept for the next call.
            psycopg.Error, OSError: Postgres is away.
        """
        try:
            return await self._export()
        except ReceiverAwayError:
            raise
        except STORE_ERRORS:
            await self._forget()
            raise

    async def _export(self) -> Round:
        following = self._following = self._following or await self._follow()
        if not await following.follower.hold():
            following.stand_by()
            self._is_active = False
            return Round.STANDBY
        if not self._is_active:
            _log.info("traces are exported to %s", self._settings.traces_endpoint)
            self._is_active = True
        if following.page is not None:
            await following.follower.touch()
        elif not await following.read():
            return Round.IDLE
        return Round.SENT if await following.send(self._receiver) else Round.SENT_ALL

    async def _follow(self) -> "_Following":
        assert self._settings.database_url is not None
        return _Following(await connect(self._settings.database_url, "traces"))

    async def _forget(self) -> None:
        following, self._following = self._following, None
        self._is_active = False
        if following is not None:
            await following.connection.close()


class _Following:
    """Where the exporter is: a page, and those of its requests that are not sent yet."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.follower = ArchiveFollower(
            connection, "traces", begin="now", wanted="told.task_flow_id IS NOT NULL"
        )
        self.page: Page | None = None
        self._pages = TracedPages(connection)
        self._requests: list[bytes] = []
        self._failures = 0  # of the receiver, one after the other

    def stand_by(self) -> None:
        """Somebody else goes on from here: what is known of flows is not, soon."""
        self.page, self._requests = None, []
        self._pages = TracedPages(self.connection)

    async def read(self) -> bool:
        """Reads the next page; False: there is none."""
        page = await self.follower.read()
        if page is None:
            return False
        self._requests = await self._pages.requests(page)
        self.page = page
        return True

    async def send(self, receiver: Receiver) -> bool:
        """Sends some of the page; moves on when all of it is sent. Returns whether there is likely more."""
        assert self.page is not None
        sending = self._requests[:_AT_ONCE]
        crash_point("traces.read")
        outcomes = await asyncio.gather(*(send(receiver, one) for one in sending), return_exceptions=True)
        results = list(zip(sending, outcomes, strict=True))
        failed = [outcome for outcome in outcomes if isinstance(outcome, ReceiverFailedError)]
        self._failures = self._failures + 1 if failed else 0
        if self._failures >= _MOST_FAILURES:
            _log.error("spans are lost, with which the receiver of traces fails: %s", failed[0])
            results = [one for one in results if not isinstance(one[1], ReceiverFailedError)]
            self._failures = 0
        self._requests = [one for one, outcome in results if outcome is not None] + self._requests[_AT_ONCE:]
        for _, outcome in results:
            if outcome is not None:
                raise outcome
        crash_point("traces.sent")
        if self._requests:
            return True
        is_full, is_moved = self.page.count >= _FULL_PAGE, await self.follower.move(self.page)
        self.page = None
        if not is_moved:
            self.stand_by()
        return is_full


class _Backoff:
    """Bears with a receiver and with Postgres, each for itself."""

    def __init__(self, clock: Clock) -> None:
        self._receiver = StoreBackoff(_log, "the receiver of traces", clock=clock)
        self._postgres = StoreBackoff(_log, "Postgres (traces)", clock=clock)

    def failed(self, error: Exception) -> float:
        if isinstance(error, ReceiverAwayError):
            return min(_LONGEST_SECONDS, max(error.seconds, self._receiver.failed(error)))
        return self._postgres.failed(error)

    def worked(self) -> None:
        self._receiver.worked()
        self._postgres.worked()


def _rest_after(came: Round | None) -> float:
    return _STANDBY_SECONDS if came is None else _RESTS[came]
