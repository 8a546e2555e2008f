"""The life of each partition in a service: it is worked on as soon as it is there, and again when it is back,
whatever becomes of the others.

On one server all partitions come and go together, so what ends one ends all, and the service begins anew.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import overload

from flower_engine.errors import LostError
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.runtime.asyncio_tasks import cancel_all
from flower_engine.runtime.backoff import StoreBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.growth import Growth
from flower_engine.runtime.partitions_in_redis import find_partition
from flower_engine.runtime.redis_loss import Waiting
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.work_done import Standing, watched
from flower_engine.store_faults import STORE_ERRORS, words_of

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2  # for one that is not made yet
_LONG_SECONDS = 10.0  # the API and the projector make an installation sooner than this, if they run
_SAY_AGAIN_SECONDS = 30.0

Find = Callable[[int], Awaitable[Partition | None]]
Live = Callable[[Partition], Awaitable[None]]
OnLost = Callable[[int, LostError], Awaitable[None]]


class Living(Sequence[Partition]):
    """The partitions that are worked on now, by number. It changes as they come and go."""

    def __init__(self, partitions: Iterable[Partition] = ()) -> None:
        self._by_number = {one.number: one for one in partitions}

    def get(self, number: int) -> Partition | None:
        """The one of this number; None: it is not worked on."""
        return self._by_number.get(number)

    def come(self, partition: Partition) -> None:
        """It is worked on from here on."""
        self._by_number[partition.number] = partition

    def go(self, number: int) -> None:
        """It is not any more."""
        self._by_number.pop(number, None)

    @overload
    def __getitem__(self, index: int) -> Partition: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Partition]: ...
    def __getitem__(self, index: int | slice) -> Partition | Sequence[Partition]:
        return [self._by_number[number] for number in sorted(self._by_number)][index]

    def __len__(self) -> int:
        return len(self._by_number)


class PartitionLives:
    """On a cluster: every partition is looked for, worked on, and looked for again once it is lost."""

    def __init__(
        self,
        numbers: Iterable[int],
        find: Find,
        live: Live,
        *,
        on_lost: OnLost | None = None,
        stop: asyncio.Event | None = None,
        growing: AsyncRedis | None = None,
        on_gone: Callable[[int], None] = lambda _: None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """
        ``growing``: where it is asked whether there are more by now; they get a life, too. That of one which
            was retired ends, and then ``on_gone`` is called with its number.
        ``find``: looks once; None: nothing is there yet. What it raises but LostError and errors of stores
            ends the service.
        ``live``: works on it until it is lost, which it raises, or until the service stops.
        ``on_lost``: called with the number before each new look (default: waits a little, and says what for).
        ``stop`` ends waits.
        """
        self.living = Living()
        self.began = asyncio.Event()
        """One is worked on, or was."""
        self.find = find
        self.on_gone = on_gone
        self.live = live
        self.on_lost = on_lost
        self.clock = clock
        self.stop = stop
        self._numbers = list(numbers)
        self._growing = growing

    async def run(self) -> None:
        """Until the service stops; raises what ends it."""
        lives = {number: self._begin(number) for number in self._numbers}
        try:
            if self._growing is None:
                await asyncio.gather(*lives.values())
            else:
                await self._live_with_others(self._growing, lives)
        finally:
            await cancel_all(lives.values())

    def _begin(self, number: int) -> asyncio.Task[None]:
        return asyncio.create_task(_Life(self, number).run())

    async def _live_with_others(self, client: AsyncRedis, lives: dict[int, asyncio.Task[None]]) -> None:
        """Those that come later get a life, too; that of one that was retired ends."""
        growth = Growth(client, self.living, self._numbers, clock=self.clock)
        growing = asyncio.create_task(growth.until_changed())
        try:
            while True:
                going_on = {life for life in lives.values() if not life.done()}
                await asyncio.wait({growing, *going_on}, return_when=asyncio.FIRST_COMPLETED)
                for life in lives.values():
                    if life.done():
                        life.result()
                if not growing.done():
                    if all(life.done() for life in lives.values()):
                        return  # the service stops
                    continue
                numbers = growing.result()
                _log.warning("there are %d partitions now", len(numbers))
                for number in lives.keys() - set(numbers):
                    await cancel_all([lives.pop(number)])
                    self.on_gone(number)
                lives |= {number: self._begin(number) for number in numbers if number not in lives}
                growing = asyncio.create_task(growth.until_changed())
        finally:
            await cancel_all([growing])


def finder(client: AsyncRedis, settings: Settings) -> Find:
    """For services that know Redis alone."""
    seen: list[Partition] = []

    async def find(number: int) -> Partition | None:
        found = await find_partition(client, number, settings, beside=seen[0] if seen else None)
        if found is not None and not seen:
            seen.append(found)
        return found

    return find


class _Life:
    """That of one partition. As a piece of work it says why nothing is done on it."""

    def __init__(self, lives: PartitionLives, number: int) -> None:
        self._lives = lives
        self._number = number
        self._clock = clock = lives.clock
        self._waiting = Waiting(lives.stop, clock=clock)
        self._backoff = StoreBackoff(_log, f"Redis (partition {number}, which is waited for)", clock=clock)
        self._why: str | None = "it is looked for"
        self._was_there = False
        self._say_at = clock.monotonic() + _LONG_SECONDS

    def standing(self) -> Standing:
        """Why it is not worked on; see ``work_done.py``."""
        return Standing(f"partition {self._number}", None, self._why, self._number)

    async def run(self) -> None:
        """Until the service stops."""
        with watched(self):
            while not self._is_to_stop():
                try:
                    seconds = await self._look()
                except LostError as error:
                    self._why = str(error)
                    await self._bear(error)
                except STORE_ERRORS as error:
                    self._why = f"it is waited for: {words_of(error)}"
                    await self._clock.rest(self._backoff.failed(error), self._lives.stop)
                else:
                    await self._clock.rest(seconds, self._lives.stop)

    async def _look(self) -> float:
        """Works on it, if it is there; the seconds until the next look."""
        found = await self._lives.find(self._number)
        self._backoff.worked()
        if found is None:
            self._say_missing()
            return _LOOK_SECONDS
        if self._was_there:
            _log.warning("partition %d can be worked on again", self._number)
        self._why, self._was_there = None, True
        self._lives.living.come(found)
        self._lives.began.set()
        try:
            await self._lives.live(found)
        finally:
            self._lives.living.go(self._number)
        return 0.0

    def _say_missing(self) -> None:
        self._why = "Redis holds nothing of it: it is not made yet, or was lost"
        if self._clock.monotonic() >= self._say_at:
            self._say_at = self._clock.monotonic() + _SAY_AGAIN_SECONDS
            _log.warning(
                "Redis holds nothing of partition %d. At first start the API or the projector makes it: see"
                " that one of them runs. If it was there before, it was lost: see the projector's log",
                self._number,
            )

    async def _bear(self, error: LostError) -> None:
        if self._is_to_stop():
            return
        if self._lives.on_lost is None:
            await self._waiting.wait(error)
        else:
            await self._lives.on_lost(self._number, error)

    def _is_to_stop(self) -> bool:
        return self._lives.stop is not None and self._lives.stop.is_set()
