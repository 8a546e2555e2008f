"""Adopting: an empty Postgres is given the installation that Redis holds."""

from flower_engine.errors import InstallationError, LostError
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.progress import Tell
from flower_engine.projection.database import Connection
from flower_engine.projection.maintain.gaps import Gap
from flower_engine.projection.maintain.migrations import migrate
from flower_engine.projection.maintain.recovery_records import try_to_be_the_one
from flower_engine.projection.write.projected_positions import add_positions, lock_positions, read_positions
from flower_engine.runtime.gap_bridge import Bridging
from flower_engine.runtime.installation import has_its_opening
from flower_engine.runtime.matching_stores import partitions_of
from flower_engine.runtime.partition_census import already_retired, not_yet_projected
from flower_engine.runtime.partitions_in_redis import read_metas
from flower_engine.runtime.settings import Settings


async def adopt(
    client: AsyncRedis, connection: Connection, settings: Settings, tell: Tell
) -> tuple[list[Partition], list[Gap]]:
    """Gives an empty Postgres the installation that Redis holds, whose log is then projected into it; where
    that was trimmed, the gap is bridged.

    Only somebody who knows that the old Postgres is gone may want this: what is projected here is trimmed.

    Raises:
        InstallationError: Postgres is not empty, or Redis holds no installation.
        LostError: Redis lost its state, or another recovery is at work.
    """
    gaps: list[Gap] = []
    await migrate(connection)
    async with connection.transaction():
        await lock_positions(connection)
        if await read_positions(connection, with_retired=True):
            raise InstallationError("Postgres holds an installation already: there is nothing to adopt")
        metas = await read_metas(client, settings)
        if None in metas.values():
            raise InstallationError("Redis holds no whole installation: there is nothing to adopt")
        partitions = partitions_of(metas, settings)
        for partition in partitions:
            if not await has_its_opening(client, partition):
                if not await try_to_be_the_one(connection, partition.number):
                    raise LostError(f"a recovery of partition {partition.number} is at work: try again")
                row = not_yet_projected(partition)
                gaps.append(await Bridging(client, connection, row, tell).run())
        ever = max(meta.count for meta in metas.values() if meta is not None)
        rows = {one.number: not_yet_projected(one) for one in partitions}
        of = partitions[0]
        gone = (already_retired(number, of.installation, of.first_count) for number in range(ever))
        await add_positions(connection, [rows.get(row.partition, row) for row in gone])
    return partitions, gaps
