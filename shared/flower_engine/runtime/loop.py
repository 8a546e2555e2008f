"""The one loop: something is done again and again, and stores that are away are borne with.

What is no :class:`Loop`, and why. The worker's heartbeat has a thread of its own, which a blocked event loop
must not stop. Its exchange and bell loops are woken by events and never by time, and what they send again is
the same call, not the next. Who reads a stream or listens on a connection is paced by the other side. And the
life of a service, which begins anew when Redis was lost, is ``again_after_losses`` in ``redis_loss.py``.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from flower_engine.runtime.backoff import Backoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.work_done import PATIENCE_SECONDS, Standing, watched
from flower_engine.store_faults import STORE_ERRORS, words_of

T = TypeVar("T")


class Loop(Generic[T]):
    """Calls ``run_once`` until ``stop`` is set, or until it is cancelled.

    After a call that worked it rests for the interval, after one that failed with an error that waiting may
    heal for as long as the backoff says. Every other error, and one that the backoff raises itself, ends it.
    ``stop`` ends a rest at once, and never a call: what one has begun, it ends.
    """

    def __init__(
        self,
        name: str,
        run_once: Callable[[], Awaitable[T]],
        interval: float | Callable[[T], float],
        backoff: Backoff | None,
        stop: asyncio.Event | None = None,
        *,
        heals: tuple[type[Exception], ...] = STORE_ERRORS,
        first_seconds: float = 0.0,
        is_watched: bool = True,
        partition: int | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """
        ``interval``: the seconds between the end of a call and the next one, or what gives them for what the
            call returned; 0: the next one follows at once.
        ``backoff``: None: every error ends the loop.
        ``heals``: the errors that waiting may heal.
        ``first_seconds``: the rest before the first call.
        ``is_watched``: the service is not ready while this was not done for long (``work_done.py``). Not
            where it is not urgent, or where a call lasts as long as a connection.
        ``partition``: it is work of this partition alone.
        """
        self.name = name
        self.is_failing = False  # the last call met an error that waiting may heal
        self._run_once = run_once
        self._interval = interval
        self._backoff = backoff
        self._stop = stop
        self._heals = heals
        self._first_seconds = first_seconds
        self._is_watched = is_watched
        self._partition = partition
        self._clock = clock
        self._worked_at: float | None = None
        self._due_at = clock.monotonic() + first_seconds
        self._failure: Exception | None = None

    async def run(self) -> None:
        """Runs until stopped or cancelled; raises what ends it before."""
        with watched(*([self] if self._is_watched else [])):
            await self._run()

    async def _run(self) -> None:
        seconds = self._first_seconds
        self._due_at = self._clock.monotonic() + seconds
        while True:
            # 0, too: others have a turn between two calls that wait for nothing.
            await self._clock.rest(seconds, self._stop)
            if self._stop is not None and self._stop.is_set():
                return
            seconds = await self.step()

    async def step(self) -> float:
        """One call; returns the seconds to rest after it. Raises what ends the loop."""
        backoff = self._backoff
        if backoff is None:
            return self._worked(await self._run_once())
        try:
            result = await self._run_once()
        except self._heals as error:
            self.is_failing = True
            self._failure = error
            return backoff.failed(error)
        self.is_failing = False
        self._failure = None
        backoff.worked()
        return self._worked(result)

    def standing(self) -> Standing:
        """Whether it is done in time; see ``work_done.py``."""
        now = self._clock.monotonic()
        last = None if self._worked_at is None else now - self._worked_at
        late = now - self._due_at
        if late <= PATIENCE_SECONDS:
            return Standing(self.name, last, partition=self._partition)
        problem = f"it has been due for {late:.0f} s"
        if self._failure is not None:
            problem += f", and its last try failed: {words_of(self._failure)}"
        return Standing(self.name, last, problem, self._partition)

    def _worked(self, result: T) -> float:
        rest = self._interval(result) if callable(self._interval) else self._interval
        self._worked_at = now = self._clock.monotonic()
        self._due_at = now + max(0.0, rest)
        return rest


async def until_it_works(
    attempt: Callable[[], Awaitable[T]],
    backoff: Backoff,
    *,
    heals: tuple[type[Exception], ...] = STORE_ERRORS,
    clock: Clock = SYSTEM_CLOCK,
) -> T:
    """What the attempt gives, however long a store is away; raises every other error, as a Loop does."""
    while True:
        try:
            result = await attempt()
        except heals as error:
            seconds = backoff.failed(error)
        else:
            backoff.worked()
            return result
        await clock.rest(seconds)


async def until_there(
    look: Callable[[], Awaitable[T | None]], every_seconds: float, *, clock: Clock = SYSTEM_CLOCK
) -> T:
    """What is looked for, as soon as there is any; looks again and again."""
    while (found := await look()) is None:
        await clock.rest(every_seconds)
    return found
