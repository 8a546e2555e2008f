"""How far each partition is projected (``kr_projection``), and which projector may go on with it."""

from collections.abc import Sequence
from typing import LiteralString

import msgspec

from flower_engine.projection.database import Connection

# Numbers of advisory locks: 65,536 for each installation in a database (they may be in different schemas).
LOCK_SPACE: LiteralString = "('kr_projection'::regclass::oid::bigint << 16)"

_MOVE = """
UPDATE kr_projection AS known SET position = moved.position, updated_ts = now()
FROM unnest(%(partitions)s::int[], %(held)s::text[], %(positions)s::text[], %(installations)s::text[],
  %(generations)s::bigint[]) AS moved (partition, held, position, installation, generation)
WHERE known.partition = moved.partition AND known.position IS NOT DISTINCT FROM moved.held
  AND known.installation = moved.installation AND known.generation = moved.generation
"""


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


async def move_positions(connection: Connection, moves: Sequence[tuple[Projected, str]]) -> bool:
    """Moves partitions from where they are held to be; False: one of them is elsewhere: read them again."""
    held = [one for one, _ in moves]
    moved = await connection.execute(
        _MOVE,
        {
            "partitions": [one.partition for one in held],
            "held": [one.position for one in held],
            "positions": [position for _, position in moves],
            "installations": [one.installation for one in held],
            "generations": [int(one.generation) for one in held],
        },
    )
    return moved.rowcount == len(moves)
