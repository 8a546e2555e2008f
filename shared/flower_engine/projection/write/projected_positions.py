"""How far each partition is projected (``kr_projection``), and which projector may go on with it."""

import msgspec

from flower_engine.projection.database import Connection

# Numbers of advisory locks: 65,536 for each installation in a database (they may be in different schemas).
LOCK_SPACE = "('kr_projection'::regclass::oid::bigint << 16)"


class Projected(msgspec.Struct, frozen=True, kw_only=True):
    """A row of ``kr_projection``: ``position`` is None while nothing of the partition is projected;
    ``partitions`` is how many there were at first, as many as there are rows is how many there are."""

    partition: int
    position: str | None
    installation: str
    generation: str
    partitions: int


async def read_positions(connection: Connection) -> list[Projected]:
    """Every partition's row, in order; empty: this database belongs to no installation yet."""
    rows = await connection.execute(
        "SELECT partition, position, installation, generation::text, partitions"
        " FROM kr_projection ORDER BY partition"
    )
    return [
        Projected(
            partition=partition,
            position=position,
            installation=installation,
            generation=generation,
            partitions=partitions,
        )
        async for partition, position, installation, generation, partitions in rows
    ]


async def count_partitions(connection: Connection) -> int:
    """How many partitions there are."""
    row = await (await connection.execute("SELECT count(*) FROM kr_projection")).fetchone()
    return row[0] if row else 0


async def lock_positions(connection: Connection) -> None:
    """Until the end of the transaction, nobody else makes an installation in this database, or partitions."""
    await connection.execute(f"SELECT pg_advisory_xact_lock({LOCK_SPACE} + 65535)")


async def add_positions(connection: Connection, rows: list[Projected]) -> None:
    """Adds the rows of partitions that were made."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO kr_projection (partition, position, installation, generation, partitions)"
            " VALUES (%s, %s, %s, %s, %s)",
            [
                (row.partition, row.position, row.installation, int(row.generation), row.partitions)
                for row in rows
            ],
        )


async def move_position(connection: Connection, held: Projected, position: str) -> bool:
    """Moves a partition from where ``held`` says it is; False: it is elsewhere, so read it again."""
    moved = await connection.execute(
        "UPDATE kr_projection SET position = %s, updated_ts = now() WHERE partition = %s"
        " AND position IS NOT DISTINCT FROM %s AND installation = %s AND generation = %s",
        [position, held.partition, held.position, held.installation, int(held.generation)],
    )
    return moved.rowcount == 1
