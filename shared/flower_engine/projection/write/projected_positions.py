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
    ``partitions`` is how many there were at first, as many as there are rows is how many there ever were.
    ``is_retiring``: it gets no new flows; ``is_retired``: nobody works on it any more."""

    partition: int
    position: str | None
    installation: str
    generation: str
    partitions: int
    is_retiring: bool = False
    is_retired: bool = False


class Census(msgspec.Struct, frozen=True):
    """Which partitions there are: how many there ever were, so that each has a number of its own, and the
    numbers of those that were retired."""

    ever: int
    retired: frozenset[int] = frozenset()

    @property
    def at_work(self) -> list[int]:
        """The numbers of those that are worked on."""
        return [number for number in range(self.ever) if number not in self.retired]

    def rank(self, number: int) -> int:
        """How many of those that are worked on come before this one."""
        return number - sum(1 for one in self.retired if one < number)


async def read_positions(connection: Connection, *, with_retired: bool = False) -> list[Projected]:
    """The row of every partition that is worked on, in order; empty: this database belongs to no installation
    yet. ``with_retired``: those of the others, too."""
    rows = await connection.execute(
        "SELECT partition, position, installation, generation::text, partitions, retiring_ts IS NOT NULL,"
        " retired_ts IS NOT NULL FROM kr_projection WHERE %s OR retired_ts IS NULL ORDER BY partition",
        [with_retired],
    )
    return [
        Projected(
            partition=partition,
            position=position,
            installation=installation,
            generation=generation,
            partitions=partitions,
            is_retiring=is_retiring,
            is_retired=is_retired,
        )
        async for partition, position, installation, generation, partitions, is_retiring, is_retired in rows
    ]


async def read_census(connection: Connection) -> Census:
    """Which partitions there are."""
    rows = await read_positions(connection, with_retired=True)
    return census_of(rows)


def census_of(rows: Sequence[Projected]) -> Census:
    """The same by all rows."""
    return Census(len(rows), frozenset(row.partition for row in rows if row.is_retired))


async def note_retiring(connection: Connection, partition: int, *, is_retiring: bool) -> None:
    """From now on it gets no new flows, or it does again."""
    await connection.execute(
        "UPDATE kr_projection SET retiring_ts = CASE WHEN %s THEN coalesce(retiring_ts, now()) END"
        " WHERE partition = %s AND retired_ts IS NULL",
        [is_retiring, partition],
    )


async def note_retired(connection: Connection, held: Projected) -> bool:
    """Nobody works on it any more; False: it is not as ``held`` says."""
    noted = await connection.execute(
        "UPDATE kr_projection SET retired_ts = now() WHERE partition = %s AND generation = %s"
        " AND position IS NOT DISTINCT FROM %s AND retiring_ts IS NOT NULL AND retired_ts IS NULL",
        [held.partition, int(held.generation), held.position],
    )
    return noted.rowcount == 1


async def lock_positions(connection: Connection) -> None:
    """Until the end of the transaction, nobody else makes an installation in this database, or partitions."""
    await connection.execute(f"SELECT pg_advisory_xact_lock({LOCK_SPACE} + 65535)")


async def add_positions(connection: Connection, rows: list[Projected]) -> None:
    """Adds the rows of partitions that were made."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO kr_projection"
            " (partition, position, installation, generation, partitions, retiring_ts, retired_ts)"
            " VALUES (%s, %s, %s, %s, %s, CASE WHEN %s THEN now() END, CASE WHEN %s THEN now() END)",
            [
                (
                    *(row.partition, row.position, row.installation, int(row.generation), row.partitions),
                    *(row.is_retiring, row.is_retired),
                )
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
