"""Growth, as services notice it: there are more partitions than they began with, or some were retired."""

from collections.abc import Awaitable, Callable, Collection, Sequence

from redis.exceptions import RedisError

from flower_engine.errors import GrownError, StoreUnavailableError
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition, read_meta
from flower_engine.projection.database import connect
from flower_engine.projection.write.projected_positions import read_census
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import until_there
from flower_engine.store_faults import STORE_ERRORS

_LOOK_SECONDS = 1.0


class Growth:
    """Which partitions there are. One of those that are there is asked, as all are told."""

    def __init__(
        self,
        client: AsyncRedis,
        partitions: Sequence[Partition],
        numbers: Collection[int],
        *,
        really: Callable[[], Awaitable[Collection[int]]] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """``partitions``: those that are there now, which may change; ``numbers``: all that there were.
        ``really``: is asked, too, before others are believed: partitions are made in Redis before they count,
        and count until one that is retired is closed.
        """
        self._client = client
        self._partitions = partitions
        self._numbers = frozenset(numbers)
        self._really = really
        self._clock = clock

    async def until_changed(self) -> list[int]:
        """Returns once there are others than last time; the numbers of all."""
        numbers = await until_there(self.look, _LOOK_SECONDS, clock=self._clock)
        self._numbers = frozenset(numbers)
        return numbers

    async def begin_anew_when_changed(self) -> None:
        """For a service that begins anew then.

        Raises:
            GrownError: there are others.
        """
        count = len(await self.until_changed())
        raise GrownError(f"there are {count} partitions now: beginning anew, with all of them")

    async def look(self) -> list[int] | None:
        """The numbers of all, if they are others than before."""
        try:
            told: Collection[int] = await self._told()
            if told and frozenset(told) != self._numbers and self._really is not None:
                told = await self._really()
        except (*STORE_ERRORS, StoreUnavailableError):
            return None  # who is away is said elsewhere
        return sorted(told) if told and frozenset(told) != self._numbers else None

    async def _told(self) -> Collection[int]:
        for one in list(self._partitions):
            try:
                meta = await read_meta(self._client, one.number)
            except (RedisError, OSError):
                continue
            if meta is not None:
                return meta.numbers
        return ()


def numbered_in(database_url: str) -> Callable[[], Awaitable[Collection[int]]]:
    """The numbers of the partitions that there are, as Postgres says."""

    async def numbers() -> Collection[int]:
        async with await connect(database_url, "growth") as connection:
            return (await read_census(connection)).at_work

    return numbers
