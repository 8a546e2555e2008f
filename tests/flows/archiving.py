"""What the projector does, for both forms of stores."""

from flower_engine.flows.memory_stores import MemoryStores
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.stores import Stores
from flower_engine.log.reader import read_behind
from flower_engine.projection.database import connect as connect_postgres
from flower_projector.log_follower import Follower


async def archive(stores: Stores) -> None:
    """Archives all that the log has."""
    (partition,) = stores.partitions
    if isinstance(stores, MemoryStores):
        position = await stores.archive.position(partition.number)
        page = await read_behind(stores.redis, partition.keys, position, 10_000)
        stores.memory.take(partition.number, page.entries)
        return
    assert isinstance(stores, PostgresStores)
    async with (
        stores.postgres() as pooled,
        await connect_postgres(pooled.info.dsn, "test") as connection,
    ):
        follower = Follower(stores.redis, connection, partition, 1_000)
        while await follower.run_once():
            pass
