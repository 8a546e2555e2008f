"""Growth, as services notice it: there are more partitions than they began with."""

from collections.abc import Awaitable, Callable, Sequence

from redis.exceptions import RedisError

from flower_engine.errors import GrownError, StoreUnavailableError
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition, read_meta
from flower_engine.projection.database import connect
from flower_engine.projection.write.projected_positions import count_partitions
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import until_there
from flower_engine.store_faults import STORE_ERRORS

_LOOK_SECONDS = 1.0


class Growth:
    """How many partitions there are. One of those that are there is asked, as all are told."""

    def __init__(
        self,
        client: AsyncRedis,
        partitions: Sequence[Partition],
        count: int,
        *,
        really: Callable[[], Awaitable[int]] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """``partitions``: those that are there now, which may change; ``count``: how many there were.
        ``really``: is asked, too, before more are believed: partitions are made in Redis before they count.
        """
        self._client = client
        self._partitions = partitions
        self._count = count
        self._really = really
        self._clock = clock

    async def until_grown(self) -> int:
        """Returns once there are more than last time; how many."""
        self._count = await until_there(self.look, _LOOK_SECONDS, clock=self._clock)
        return self._count

    async def begin_anew_when_grown(self) -> None:
        """For a service that begins anew then.

        Raises:
            GrownError: there are more.
        """
        count = await self.until_grown()
        raise GrownError(f"there are {count} partitions now: beginning anew, with all of them")

    async def look(self) -> int | None:
        """How many there are, if they are more than before."""
        try:
            count = await self._told()
            if count > self._count and self._really is not None:
                count = await self._really()
        except (*STORE_ERRORS, StoreUnavailableError):
            return None  # who is away is said elsewhere
        return count if count > self._count else None

    async def _told(self) -> int:
        for one in list(self._partitions):
            try:
                meta = await read_meta(self._client, one.number)
            except (RedisError, OSError):
                continue
            if meta is not None:
                return meta.count
        return 0


def counted_in(database_url: str) -> Callable[[], Awaitable[int]]:
    """How many partitions there are, as Postgres says."""

    async def count() -> int:
        async with await connect(database_url, "growth") as connection:
            return await count_partitions(connection)

    return count
