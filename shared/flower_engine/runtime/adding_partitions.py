"""Growing: partitions are added to an installation that works.

What is done, in this order, is safe to be cut off anywhere. The partitions are made in Redis, where nobody
registers anything in them yet; flow control is brought to them; those that were there are told how many there
are, so that workers and watchers come; and only the rows in Postgres, which are committed last, let flows in.
"""

import logging

from redis.exceptions import RedisError

from flower_engine.crash_points import crash_point
from flower_engine.errors import InstallationError, LostError, RefusedError, StoreUnavailableError
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Meta, Partition, read_meta
from flower_engine.model.values.ids import MAX_PARTITIONS
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.flow_control_rows import lock_controls
from flower_engine.projection.write.projected_positions import (
    Projected,
    add_positions,
    lock_positions,
    read_positions,
)
from flower_engine.runtime.flow_control_sync import bring_control
from flower_engine.runtime.partition_census import leaving_partitions, not_yet_projected, tell_census
from flower_engine.runtime.redis_loss import why_not
from flower_engine.store_faults import words_of
from flower_engine.transitions.installation_transitions import install

_log = logging.getLogger(__name__)


async def add_partitions(client: AsyncRedis, connection: Connection, more: int) -> list[Partition]:
    """Adds so many partitions; returns them. Where two do so at once, one waits for the other and then adds
    its own.

    Raises:
        InstallationError: there is no installation yet, or what Redis has is of another one.
        RefusedError: there would be too many.
        LostError: a partition is lost or halted, so nothing was added.
        StoreUnavailableError: a partition does not answer, so nothing was added.
        psycopg.Error, RedisError: a store does not answer; nothing was added, or all of them: look, or do it
            again if they are missing.
    """
    async with connection.transaction():
        await lock_positions(connection)
        rows = await read_positions(connection, with_retired=True)
        if not rows:
            raise InstallationError(
                "Postgres holds no installation yet: set FLOWER_PARTITIONS, and start the API or a projector"
            )
        count = len(rows) + more
        if count > MAX_PARTITIONS:
            raise RefusedError(
                f"there are {len(rows)} partitions (retired ones count), and there may be {MAX_PARTITIONS} at"
                " most",
                "too-many",
            )
        present = [await _present(client, row) for row in rows if not row.is_retired]
        leaving = await leaving_partitions(client, rows)
        first = rows[0].partitions
        made: list[Partition] = []
        for number in range(len(rows), count):
            meta = await _install(client, number, rows[0], first, count)
            made.append(Partition(number, meta.installation, meta.generation, meta.partitions))
        crash_point("growing.made")
        await lock_controls(connection)
        await add_positions(connection, [not_yet_projected(one) for one in made])
        await bring_control(client, connection, [*present, *made], must_sign=True)
        crash_point("growing.limited")
        rows = await read_positions(connection, with_retired=True)
        for one in [*present, *made]:
            await tell_census(client, [one], rows, leaving=leaving)
            crash_point("growing.told")
    crash_point("growing.committed")
    _log.info(
        "added partitions %s; there are %d",
        ", ".join(str(one.number) for one in made),
        len(present) + len(made),
    )
    return made


async def _present(client: AsyncRedis, row: Projected) -> Partition:
    """A partition that is there and at work: each is told of those that come."""
    try:
        meta = await read_meta(client, row.partition)
    except (RedisError, OSError) as error:
        raise StoreUnavailableError(
            f"partition {row.partition}",
            f"{words_of(error)}; each is told of those that are added, so add them when it is back",
        ) from error
    if meta is None or meta.generation != row.generation:
        raise LostError(f"{why_not(row.partition, meta)}; add partitions when that is done")
    return Partition(row.partition, row.installation, row.generation, row.partitions)


async def _install(client: AsyncRedis, number: int, row: Projected, first: int, count: int) -> Meta:
    """Makes one, unless somebody who was killed did so."""
    meta = await install(client, number, row.installation, first, count)
    if meta.installation != row.installation:
        raise InstallationError(
            f"Redis holds a partition {number} of another installation ({meta.installation}): remove its keys"
            f" {{flower:{number}}}:*, if nobody needs them"
        )
    return meta
