"""Retention over both stores: what ended long ago is pruned, unless Redis has begun it again."""

from collections.abc import Awaitable, Callable, Sequence

from flower_engine.log.client import AsyncRedis, queue_command
from flower_engine.log.keys import Keys
from flower_engine.model.ids import is_flow_id, partition_of
from flower_engine.projection.database import Connection
from flower_engine.projection.pruning import Pruned, prune

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
        psycopg.Error, RedisError: a store does not answer, or the archive is being read; nothing has gone.
    """
    row = await (await connection.execute("SELECT (extract(epoch FROM now()) * 1000)::bigint")).fetchone()
    assert row is not None

    async def under_way(flows: Sequence[str]) -> set[str]:
        known = [flow for flow in flows if is_flow_id(flow)]
        async with client.pipeline(transaction=False) as pipeline:
            for flow in known:
                queue_command(pipeline, "EXISTS", Keys(partition_of(flow)).flow(flow))
            replies = await pipeline.execute()
        return {flow for flow, reply in zip(known, replies, strict=True) if reply}

    before_ms = int(row[0]) - int(older_than_seconds * 1000)
    if first is not None:
        await first(before_ms)
    return await prune(connection, before_ms=before_ms, under_way=under_way)
