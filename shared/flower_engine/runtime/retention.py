"""Retention over both stores: what ended long ago is pruned, unless Redis has begun it again."""

import logging
from collections.abc import Awaitable, Callable, Sequence

from redis.exceptions import RedisError

from flower_engine.errors import LostError
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition, read_meta
from flower_engine.projection.database import Connection
from flower_engine.projection.maintain.migrations import refuse_newer_tables
from flower_engine.projection.maintain.pruning import Pruned, prune
from flower_engine.projection.write.projected_positions import Projected
from flower_engine.transitions.prune_transitions import Pruning

_log = logging.getLogger(__name__)

DAY_SECONDS = 86_400


async def prune_older(
    client: AsyncRedis,
    connection: Connection,
    older_than_seconds: float,
    first: Callable[[int], Awaitable[None]] | None = None,
) -> Pruned | None:
    """Prunes flows that ended before the day (UTC) so many seconds ago; None: somebody else is at it.

    ``first`` is called before anything goes, with the bound in milliseconds: midnight may pass meanwhile.

    Raises:
        InstallationError: a newer version made the tables, or the keys.
        psycopg.Error, RedisError, LostError: a store does not answer, or Redis has to be recovered first, or
            the archive is being read; nothing has gone.
    """
    await refuse_newer_tables(connection)
    row = await (await connection.execute("SELECT (extract(epoch FROM now()) * 1000)::bigint")).fetchone()
    assert row is not None
    before_ms = int(row[0]) - int(older_than_seconds * 1000)
    if first is not None:
        await first(before_ms)
    return await prune(connection, before_ms=before_ms, fence=RedisFence(client))


class RedisFence:
    """Keeps operations from putting back what goes; see ``prune.lua`` and ``pruned.lua``."""

    def __init__(self, client: AsyncRedis) -> None:
        self._client = client
        self._begun: dict[int, Pruning] = {}

    async def begin(self, held: Projected, until_ms: int) -> None:
        """Raises:
        RedisError, LostError: Redis does not answer, or has to be recovered first.
        InstallationError: a newer version laid its keys out.
        """
        await read_meta(self._client, held.partition)
        partition = Partition(held.partition, held.installation, held.generation)
        self._begun[held.partition] = pruning = Pruning(partition, until_ms)
        await pruning.begin(self._client)

    async def put_back(self, partition: int, flows: Sequence[tuple[str, int]]) -> set[str]:
        """Raises as :meth:`begin` does."""
        begun = self._begun.get(partition)
        return set() if begun is None else await begun.begin(self._client, flows)

    async def check(self) -> None:
        """Raises:
        LostError: Redis does not know any more that something goes.
        """
        for number, pruning in self._begun.items():
            if not await pruning.holds(self._client):
                raise LostError(
                    f"Redis was lost, or went back in time, while partition {number} was pruned; nothing has"
                    " gone"
                )

    async def end(self, *, has_gone: bool) -> None:
        """Where Redis does not answer, what it was told stands: whoever meets it looks at Postgres."""
        for number, pruning in self._begun.items():
            try:
                await pruning.end(self._client, "gone" if has_gone else "kept")
            except (RedisError, OSError, LostError) as error:
                _log.warning("partition %d was not told that a prune is over: %s", number, error)
