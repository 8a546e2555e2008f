"""A Postgres that follows the one that is written to, and answers those who have not seen more than it has.

Whoever asks says how far he has seen (:class:`SeenPosition`). What the replica has not yet is asked of the
primary, and so is everything while the replica is away, too far behind, or none of this primary.
"""

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable
from contextvars import ContextVar

from flower_engine.errors import StoreUnavailableError
from flower_engine.model.values.seen_position import SeenPosition, reaches, timeline_of
from flower_engine.projection.database import Connection, make_pool
from flower_engine.projection.read.wal_positions import WalPosition, read_flushed, read_wal_position
from flower_engine.runtime.backoff import SteadyBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import Loop
from flower_engine.store_faults import STORE_ERRORS, words_of

_log = logging.getLogger(__name__)

MOST_LAG_SECONDS = 10.0
"""A replica that is further behind answers nobody, not even those who have seen nothing yet."""

_LOOK_SECONDS = 0.5
_PATIENCE_SECONDS = 2.0  # for a look
_WAIT_SECONDS = 0.5  # for a connection: the primary would have answered by then
_MOST_MARKS = 1_000


class Viewer:
    """Somebody who asks: how far he has seen, and whether the replica may answer him."""

    def __init__(self, seen: SeenPosition, *, may_ask_replica: bool) -> None:
        self.seen = seen
        self.may_ask_replica = may_ask_replica
        self.asked_replica = False
        self.is_answered = False

    def saw(self, at: WalPosition) -> None:
        """He was told what this Postgres has."""
        self.seen = self.seen.with_wal(at.system, at.wal).without(at.projected)

    def saw_anything(self) -> None:
        """It is not known what he was told."""
        self.seen = SeenPosition(self.seen.system, self.seen.wal, is_anything=True)

    def may_be_told(self, at: WalPosition) -> bool:
        """Whether what a replica has is all that he has seen, and all that he has changed."""
        seen = self.seen
        if not at.is_standby or seen.is_anything or (seen.system and seen.system != at.system):
            return False
        return reaches(at.wal, seen.wal) and not seen.without(at.projected).log


VIEWER: ContextVar[Viewer | None] = ContextVar("viewer", default=None)
"""Whose question is being answered; None: nobody's, so it is asked of the primary."""


class ReadReplica:
    """The replica, looked after for as long as :meth:`run` runs."""

    def __init__(self, url: str, statement_seconds: float | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        self.pool = make_pool(url, "api reads", statement_seconds=statement_seconds, is_checked=False)
        self.problem: str | None = "it was not looked at yet"
        """Why it answers nobody."""
        self.lag_seconds: float | None = None
        """How far it is behind; None: that is not known."""
        self.reads: Counter[str] = Counter()
        """How many reads that it might have answered went where."""
        self._clock = clock
        self._marks: deque[tuple[float, int]] = deque()
        self._system = ""

    async def run(self, primary: Callable[[], contextlib.AbstractAsyncContextManager[Connection]]) -> None:
        """Looks after it, until cancelled; never raises for what a store does."""

        async def look() -> None:
            await self.run_once(primary)

        backoff = SteadyBackoff(_log, "looking at the replica of Postgres: %s", _LOOK_SECONDS)
        await Loop(
            "looks at the replica", look, _LOOK_SECONDS, backoff, is_watched=False, clock=self._clock
        ).run()

    async def run_once(
        self, primary: Callable[[], contextlib.AbstractAsyncContextManager[Connection]]
    ) -> None:
        """Compares both: how far is the replica, and is it one of this primary?"""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS), primary() as connection:
                flushed = await read_flushed(connection)
                self._system = (await read_wal_position(connection)).system
            if (
                flushed is not None
                and self._marks
                and timeline_of(self._marks[-1][1]) != timeline_of(flushed)
            ):
                self._marks.clear()  # what the primary before this one wrote last may be lost
            if flushed is not None and len(self._marks) < _MOST_MARKS:
                self._marks.append((self._clock.monotonic(), flushed))
        except (*STORE_ERRORS, StoreUnavailableError):
            pass  # then the replica answers those whom it may: nobody gets ahead of it meanwhile
        try:
            async with (
                asyncio.timeout(_PATIENCE_SECONDS),
                self.pool.connection(_PATIENCE_SECONDS) as connection,
            ):
                at = await read_wal_position(connection)
        except STORE_ERRORS as error:
            self._stand(words_of(error))
            return
        self._stand(self._problem_of(at))

    def _problem_of(self, at: WalPosition) -> str | None:
        if not at.is_standby:
            self.lag_seconds = None
            return (
                "it follows nobody: FLOWER_DATABASE_READ_URL must lead to a standby, and not to one that is"
                " written to"
            )
        if self._system and at.system != self._system:
            self.lag_seconds = None
            return "it follows another Postgres than that of FLOWER_DATABASE_URL"
        while self._marks and reaches(at.wal, self._marks[0][1]):
            self._marks.popleft()
        self.lag_seconds = self._clock.monotonic() - self._marks[0][0] if self._marks else 0.0
        if self.lag_seconds > MOST_LAG_SECONDS:
            return f"it is more than {MOST_LAG_SECONDS:g} s behind"
        return None

    def _stand(self, problem: str | None) -> None:
        if problem is not None and self.problem != problem:
            _log.warning("the replica of Postgres answers nobody, the primary does instead: %s", problem)
        elif problem is None and self.problem is not None:
            _log.info("the replica of Postgres answers those who read")
        self.problem = problem

    @contextlib.asynccontextmanager
    async def connection(self, viewer: Viewer) -> AsyncGenerator[Connection | None]:
        """A connection to it for somebody who may be told what it has; None: ask the primary."""
        async with contextlib.AsyncExitStack() as stack:
            connection = await self._entered(stack, viewer) if viewer.may_ask_replica else None
            if viewer.may_ask_replica:
                self.reads["primary" if connection is None else "replica"] += 1
            # What was told once by the primary is told on by it: the replica would be behind.
            viewer.may_ask_replica &= connection is not None
            yield connection
            if connection is not None:
                viewer.saw(await read_wal_position(connection))

    async def _entered(self, stack: contextlib.AsyncExitStack, viewer: Viewer) -> Connection | None:
        if self.problem is not None:
            return None
        try:
            connection = await stack.enter_async_context(self.pool.connection(_WAIT_SECONDS))
            if connection.is_pooled:  # the same server all along
                await stack.enter_async_context(connection.transaction())
            at = await read_wal_position(connection, with_projected=bool(viewer.seen.log))
        except STORE_ERRORS as error:
            self._stand(words_of(error))
            await stack.aclose()
            return None
        if not viewer.may_be_told(at):
            await stack.aclose()
            return None
        viewer.asked_replica = True
        return connection
