"""Which partitions there are: what each is told of the others, and the rows of those that are new."""

from collections.abc import Collection, Iterable, Sequence

from flower_engine.log.client import AsyncRedis
from flower_engine.log.each_partition import from_each
from flower_engine.log.partition import Meta, Partition, read_meta
from flower_engine.projection.write.projected_positions import Projected, census_of
from flower_engine.transitions.installation_transitions import tell_others

FIRST_GENERATION = "1"
"""Of a partition that was never recovered."""


def is_untold(meta: Meta | None, rows: Sequence[Projected], leaving: Collection[int], row: Projected) -> bool:
    """Whether a partition, whose row this is, does not know which others there are, or of its new flows.
    (That one is ``leaving``, all hear before Postgres says that it was retired.)"""
    if meta is None or not meta.generation:
        return False
    census = census_of(rows)
    knows = census.retired <= meta.gone <= census.retired | frozenset(leaving)
    return not knows or meta.count < census.ever or meta.is_retiring != row.is_retiring


async def leaving_partitions(client: AsyncRedis, rows: Sequence[Projected]) -> frozenset[int]:
    """Those on which nobody is to work any more, though Postgres does not say yet that they were retired."""
    retiring = {row.partition for row in rows if row.is_retiring and not row.is_retired}
    if not retiring:
        return frozenset()
    asked = [Partition(row.partition, row.installation, row.generation) for row in rows if not row.is_retired]
    told = await from_each(client, asked, lambda one: read_meta(client, one.number))
    return leaving_of(told.found.values(), rows)


def leaving_of(metas: Iterable[Meta | None], rows: Sequence[Projected]) -> frozenset[int]:
    """The same by what each partition says."""
    retiring = {row.partition for row in rows if row.is_retiring and not row.is_retired}
    return frozenset(number for meta in metas if meta is not None for number in meta.gone & retiring)


async def tell_census(
    client: AsyncRedis,
    partitions: Sequence[Partition],
    rows: Sequence[Projected],
    *,
    leaving: Collection[int] = (),
) -> None:
    """Tells these partitions which others there are; ``leaving``: those on which nobody is to work any more,
    though Postgres does not say so yet.

    Raises:
        RedisError, OSError: none answers, or, on one server, one does not.
    """
    census, by_number = census_of(rows), {row.partition: row for row in rows}

    async def tell(one: Partition) -> None:
        row = by_number.get(one.number)
        await tell_others(
            client,
            one.number,
            census.ever,
            census.retired | frozenset(leaving),
            is_retiring=row is not None and row.is_retiring,
        )

    await from_each(client, partitions, tell)


def not_yet_projected(partition: Partition) -> Projected:
    """The row of a partition of which nothing is projected."""
    return Projected(
        partition=partition.number,
        position=None,
        installation=partition.installation,
        generation=partition.generation,
        partitions=partition.first_count,
    )


def already_retired(number: int, installation: str, first_count: int) -> Projected:
    """The row of a partition that was added and retired after the time that Postgres is from."""
    return Projected(
        partition=number,
        position=None,
        installation=installation,
        generation=FIRST_GENERATION,
        partitions=first_count,
        is_retiring=True,
        is_retired=True,
    )
