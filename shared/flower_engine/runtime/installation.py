"""The installation: which Redis and which Postgres belong together, made once and checked at every start."""

import contextlib
import logging
import uuid
from collections.abc import Mapping, Sequence

from redis.exceptions import RedisError

from flower_engine.errors import InstallationError, NewerEventError, PostgresBehindError
from flower_engine.log.client import AsyncRedis, is_cluster
from flower_engine.log.each_partition import from_each
from flower_engine.log.partition import Meta, Partition, read_meta
from flower_engine.log.reader import read_log
from flower_engine.model.events.events import LogOpened, decode_event
from flower_engine.projection.archive.refused_events import UNREADABLE
from flower_engine.projection.database import Connection, Pool, connect
from flower_engine.projection.maintain.migrations import migrate
from flower_engine.projection.write.projected_positions import (
    Projected,
    add_positions,
    lock_positions,
    read_positions,
)
from flower_engine.runtime.matching_stores import (
    check_partitions,
    is_behind,
    matched,
    matched_one,
    partitions_of,
    refuse_strangers,
    worked_on,
)
from flower_engine.runtime.partition_census import (
    FIRST_GENERATION,
    already_retired,
    is_untold,
    leaving_of,
    not_yet_projected,
    tell_census,
)
from flower_engine.runtime.partitions_in_redis import check_servers, patiently, read_metas, until_one_answers
from flower_engine.runtime.redis_loss import why_not
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.store_checks import check_postgres
from flower_engine.store_faults import words_of
from flower_engine.transitions.installation_transitions import install

_log = logging.getLogger(__name__)


async def ensure_installation(
    client: AsyncRedis, pool: Pool, settings: Settings, *, is_start: bool = True
) -> list[Partition]:
    """The installation's partitions, with Postgres' tables brought to this version; for API and projector.

    The installation is made where neither store has one. Waits, and says so, while a store is away. A service
    that has begun (not ``is_start``) waits for what refuses it, too.

    Raises:
        StoreRefusedError: at start: a store refuses what Flower needs, which no waiting heals.
        InstallationError: the stores do not belong together, or to another number of partitions; or Postgres
            refuses to make or change the tables.
        LostError: Redis lost its state, or went back in time, and must be recovered.
    """

    async def bring_up_to_date() -> None:
        # A connection of its own: what keeps Postgres from being used is then said in its own words.
        async with await connect(str(pool.conninfo), "migration") as connection:
            if connection.is_pooled:
                _log.info(
                    "Postgres is reached through a pooler: every transaction sets what it needs, nothing is"
                    " prepared, projectors take turns by a lease, and changes of definitions are looked for"
                    " unless FLOWER_DATABASE_DIRECT_URL leads past it"
                )
            await check_postgres(connection)
            await migrate(connection)

    async def settle() -> list[Partition]:
        async with pool.connection() as connection:
            return await _settle(client, connection, settings)

    if is_start:
        await patiently(lambda: check_servers(client, settings), is_start)
    await patiently(lambda: until_one_answers(client, settings), is_start)
    await patiently(bring_up_to_date, is_start)
    return await patiently(settle, is_start)


async def settle_partition(
    client: AsyncRedis, connection: Connection, number: int, settings: Settings
) -> Partition:
    """One partition, where both stores say the same of it; for the projector.

    Raises:
        InstallationError, LostError: as ``ensure_installation`` does.
        psycopg.Error, RedisError, OSError: a store does not answer.
    """
    for row in await read_positions(connection):
        if row.partition == number:
            return matched_one(row, await read_meta(client, number), settings)
    raise InstallationError(f"Postgres has no position of partition {number}: kr_projection was changed")


async def check_installation(
    client: AsyncRedis, connection: Connection, settings: Settings
) -> list[Partition] | None:
    """The partitions, if both stores belong together; changes nothing. None: neither store has an
    installation yet.

    Raises:
        InstallationError, LostError: as ``ensure_installation`` does.
    """
    rows = await read_positions(connection, with_retired=True)
    if rows:
        return matched(await _metas_beside(client, rows), rows, settings)
    metas = await read_metas(client, settings)
    check_partitions(metas.values(), settings)
    await _refuse_a_history(client, metas)
    return None


async def _settle(client: AsyncRedis, connection: Connection, settings: Settings) -> list[Partition]:
    if rows := await read_positions(connection, with_retired=True):
        return await _settle_with(client, connection, rows, settings)
    async with connection.transaction():
        await lock_positions(connection)
        if rows := await read_positions(connection, with_retired=True):  # somebody may just have made it
            return matched(await _metas_beside(client, rows), rows, settings)
        metas = await read_metas(client, settings)
        partitions = await _make(client, metas, settings)
        await add_positions(connection, [not_yet_projected(one) for one in partitions])
    _log.info("made installation %s with %d partitions", partitions[0].installation, settings.partitions)
    return partitions


async def _settle_with(
    client: AsyncRedis, connection: Connection, rows: list[Projected], settings: Settings
) -> list[Partition]:
    """The partitions that Postgres knows, and that are worked on. Each is told which others there are, should
    it not know (a Redis that went back in time, or an operator who was killed while he added some); and those
    that a Postgres which went back in time does not know are made known to it again."""
    metas = await _metas_beside(client, rows)
    partitions = matched(metas, rows, settings)
    told = max(meta.count for meta in metas.values() if meta is not None)
    if told > len(rows) and await _add_forgotten(client, connection, told):
        rows = await read_positions(connection, with_retired=True)
        metas = await _metas_beside(client, rows)
        partitions = matched(metas, rows, settings)
    by_number = {row.partition: row for row in rows}
    leaving = leaving_of(metas.values(), rows)
    untold = [one for one in partitions if is_untold(metas[one.number], rows, leaving, by_number[one.number])]
    if untold:
        with contextlib.suppress(RedisError, OSError) if is_cluster(client) else contextlib.nullcontext():
            await tell_census(client, untold, rows, leaving=leaving)
    return partitions


async def _add_forgotten(client: AsyncRedis, connection: Connection, told: int) -> bool:
    """Adds partitions with a history that Postgres does not know; whether it did. (Those without one were
    never used: whoever was adding them was killed.)

    Raises:
        PostgresBehindError: the log of one has been trimmed.
    """
    added: list[Partition] = []
    new: list[Projected] = []
    async with connection.transaction():
        await lock_positions(connection)
        rows = await read_positions(connection, with_retired=True)
        for number in range(len(rows), told):
            meta = await read_meta(client, number)
            if meta is not None and meta.is_retired:
                new.append(already_retired(number, rows[0].installation, rows[0].partitions))
                continue
            if meta is None or await _has_only_begun(client, number, meta):
                break
            partition = worked_on(number, meta)
            refuse_strangers([partition, Partition(0, rows[0].installation, rows[0].generation)])
            if not await has_its_opening(client, partition):
                raise PostgresBehindError(
                    f"Redis has partition {number} with a history, Postgres does not know it, and its log was"
                    " trimmed: Postgres went back to before it was added. Restore a newer backup, or go on"
                    " with what Redis has (flower recover --bridge)"
                )
            added.append(partition)
            new.append(not_yet_projected(partition))
        await add_positions(connection, new)
    for one in added:
        _log.error("Postgres did not know partition %d: its log is projected from its beginning", one.number)
    return bool(new)


async def has_its_opening(client: AsyncRedis, partition: Partition) -> bool:
    """Whether the log has every event since it was opened for the first time."""
    entries = await read_log(client, partition, None, 1)
    try:
        return bool(entries) and isinstance(decode_event(entries[0].raw), LogOpened)
    except (*UNREADABLE, NewerEventError):
        return False


async def _metas_beside(client: AsyncRedis, rows: Sequence[Projected]) -> dict[int, Meta | None]:
    """What Redis says of each partition that was not retired; of one of a cluster that is away, or lost, what
    Postgres says, so that others are worked on meanwhile. Should that be wrong, its own transitions say so:
    at once, or when it is back."""
    rows = [row for row in rows if not row.is_retired]
    asked = [Partition(row.partition, row.installation, row.generation) for row in rows]
    told = await from_each(client, asked, lambda one: read_meta(client, one.number))
    missing = {number: f"is away: {words_of(error)}" for number, error in told.away.items()}
    if is_cluster(client):
        for row in rows:
            meta = told.found.get(row.partition)
            is_closed = meta is not None and meta.is_retired and row.is_retiring
            if row.partition not in missing and not is_closed and is_behind(meta, row):
                missing[row.partition] = f"cannot be worked on: {why_not(row.partition, meta)}"
    if len(missing) == len(rows) and not told.away:
        missing.clear()  # then there are no others
    for number, why in missing.items():
        _log.error("partition %d %s; the others are worked on", number, why)
    return {
        row.partition: Meta(row.installation, row.generation, row.partitions)
        if row.partition in missing
        else told.found[row.partition]
        for row in rows
    }


async def _make(client: AsyncRedis, metas: Mapping[int, Meta | None], settings: Settings) -> list[Partition]:
    """Makes what is missing in Redis. Postgres follows in the caller's transaction: a crash between the two
    leaves partitions whose logs hold nothing but their opening, and those are taken over here."""
    check_partitions(metas.values(), settings)
    await _refuse_a_history(client, metas)
    known = next((meta for meta in metas.values() if meta is not None), None)
    installation = known.installation if known else str(uuid.uuid4())
    first = known.partitions if known else settings.partitions
    made = {number: await install(client, number, installation, first, len(metas)) for number in metas}
    return partitions_of(made, settings)


async def _refuse_a_history(client: AsyncRedis, metas: Mapping[int, Meta | None]) -> None:
    """Raises InstallationError: Redis holds a history that an empty Postgres knows nothing of."""
    for number, meta in metas.items():
        if meta is not None and not await _has_only_begun(client, number, meta):
            raise InstallationError(
                f"Redis holds installation {meta.installation} with a history, and Postgres holds none:"
                " FLOWER_DATABASE_URL names another database, or Postgres lost its data. Set the right URL,"
                " or restore Postgres"
            )


async def _has_only_begun(client: AsyncRedis, number: int, meta: Meta) -> bool:
    partition = Partition(number, meta.installation, meta.generation)
    entries = await read_log(client, partition, None, 2)
    if len(entries) != 1 or meta.generation != FIRST_GENERATION:
        return False
    try:
        return isinstance(decode_event(entries[0].raw), LogOpened)
    except (*UNREADABLE, NewerEventError):
        return False
