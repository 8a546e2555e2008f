"""What Redis and Postgres say of partitions, held against each other and against the settings.

No store is asked here: whoever asked has the answers.
"""

from collections.abc import Iterable, Mapping, Sequence

from flower_engine.errors import InstallationError, LostError
from flower_engine.log.partition import Meta, Partition
from flower_engine.projection.write.projected_positions import Projected
from flower_engine.runtime.redis_loss import why_not
from flower_engine.runtime.settings import Settings


def is_behind(meta: Meta | None, row: Projected) -> bool:
    """Whether Redis lost a partition, so that nobody takes its word for the generation."""
    return meta is None or not meta.generation or int(meta.generation) < int(row.generation)


def matched(
    metas: Mapping[int, Meta | None], rows: Sequence[Projected], settings: Settings
) -> list[Partition]:
    """The partitions that are worked on, where every one of Redis agrees with its row of Postgres."""
    first = rows[0].partitions
    if not first <= settings.partitions <= len(rows):
        raise _wrong_count("Postgres", first, len(rows), settings)
    for meta in metas.values():
        if meta is not None and meta.partitions != first:
            raise InstallationError(
                f"Redis holds an installation of {meta.partitions} partitions at first, Postgres of {first}:"
                f" FLOWER_REDIS_URL and FLOWER_DATABASE_URL do not belong together"
            )
    missing = [str(number) for number, meta in metas.items() if meta is None]
    if missing:
        raise LostError(
            f"Redis has no installation in partition {', '.join(missing)}, and Postgres holds installation"
            f" {rows[0].installation}: FLOWER_REDIS_URL names another Redis, or Redis lost its data. Set the"
            " right URL, or recover Redis from the archive"
        )
    by_number = {row.partition: row for row in rows}
    closed = [
        number
        for number, meta in metas.items()
        if meta is not None and meta.is_retired and by_number[number].is_retiring
    ]  # Postgres is about to say so
    partitions = [
        worked_on(number, meta) for number, meta in metas.items() if meta is not None and number not in closed
    ]
    refuse_strangers(partitions)
    for one in partitions:
        _refuse_unlike(by_number[one.number], one)
    return partitions


def matched_one(row: Projected, meta: Meta | None, settings: Settings) -> Partition:
    """One partition, where Redis agrees with its row of Postgres."""
    if meta is None:
        raise LostError(f"{why_not(row.partition, meta)} (installation {row.installation})")
    check_partitions([meta], settings, is_whole=False)
    partition = worked_on(row.partition, meta)
    _refuse_unlike(row, partition)
    return partition


def _refuse_unlike(row: Projected, one: Partition) -> None:
    """Raises InstallationError or LostError: Redis and Postgres say different things of a partition."""
    if one.installation != row.installation:
        raise InstallationError(
            f"Redis holds installation {one.installation} and Postgres installation {row.installation}:"
            " FLOWER_REDIS_URL and FLOWER_DATABASE_URL do not belong together. Set the right ones"
        )
    if one.generation != row.generation:
        raise LostError(
            f"partition {one.number} is at generation {one.generation} in Redis and at generation"
            f" {row.generation} in Postgres: one of them went back in time, or a recovery did not end."
            " Recover Redis from the archive"
        )


def partitions_of(metas: Mapping[int, Meta | None], settings: Settings) -> list[Partition]:
    """The partitions of these metas, none of which is missing.

    Raises:
        InstallationError: they are of several installations, or of another number of partitions.
        LostError: one is halted, or is being recovered.
    """
    check_partitions(metas.values(), settings)
    partitions: list[Partition] = []
    for number, meta in metas.items():
        assert meta is not None
        partitions.append(worked_on(number, meta))
    refuse_strangers(partitions)
    return partitions


def worked_on(number: int, meta: Meta) -> Partition:
    """The partition; raises LostError: it is halted, or being recovered."""
    if meta.is_retired:
        raise LostError(why_not(number, meta))
    if meta.recovering and not meta.generation:
        raise LostError(f"partition {number} is being recovered, as generation {meta.recovering}")
    if not meta.generation:
        raise LostError(f"partition {number} was halted: {meta.halted_why}")
    return Partition(number, meta.installation, meta.generation, meta.partitions)


def refuse_strangers(partitions: Sequence[Partition]) -> None:
    """Raises InstallationError: they do not belong together."""
    installations = sorted({one.installation for one in partitions})
    if len(installations) > 1:
        raise InstallationError(
            f"Redis holds partitions of different installations: {', '.join(installations)}. Give each"
            " installation a Redis (or a database number) of its own"
        )


def check_partitions(metas: Iterable[Meta | None], settings: Settings, *, is_whole: bool = True) -> None:
    """Raises InstallationError: FLOWER_PARTITIONS is neither what it was at first, nor a number that there
    was since. ``is_whole``: these are all metas, one of which knows how many there are."""
    known = [meta for meta in metas if meta is not None]
    if not known:
        return
    first, count = max(meta.partitions for meta in known), max(meta.count for meta in known)
    if not first <= settings.partitions or (is_whole and settings.partitions > count):
        raise _wrong_count("Redis", first, count, settings)


def _wrong_count(store: str, first: int, count: int, settings: Settings) -> InstallationError:
    holds = f"an installation of {count} partitions"
    more = ""
    if count != first:
        holds += f" ({first} at first)"
    if settings.partitions > count:
        more = f", and grow: flower partitions --add {settings.partitions - count}"
    return InstallationError(
        f"{store} holds {holds}; FLOWER_PARTITIONS is {settings.partitions}."
        f" It says how many there are at first start: set it back{more}"
    )
