"""The installation: which Redis and which Postgres belong together, made once and checked at every start."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

import psycopg
from redis.exceptions import RedisError

from flower_engine.errors import (
    InstallationError,
    LostError,
    NewerEventError,
    PostgresBehindError,
    StoreRefusedError,
)
from flower_engine.log.client import AsyncRedis, apart, is_cluster
from flower_engine.log.each_partition import PATIENCE_SECONDS, from_each
from flower_engine.log.partition import Meta, Partition, read_meta
from flower_engine.log.reader import read_log
from flower_engine.log.redis_permissions import refuse_missing_permissions
from flower_engine.model.events.events import LogOpened, decode_event
from flower_engine.projection.archive.refused_events import UNREADABLE
from flower_engine.projection.database import Connection, Pool, connect
from flower_engine.projection.maintain.migrations import migrate
from flower_engine.projection.write.projected_positions import (
    Projected,
    add_positions,
    census_of,
    lock_positions,
    read_positions,
)
from flower_engine.runtime.backoff import StoresBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import until_it_works, until_there
from flower_engine.runtime.redis_loss import why_not
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.store_checks import check_postgres, check_redis
from flower_engine.store_faults import fault_of, is_refused, refuse_unusable, words_of
from flower_engine.transitions.installation_transitions import install, tell_others

_log = logging.getLogger(__name__)
T = TypeVar("T")

_LOOK_SECONDS = 0.2
_LONG_SECONDS = 10.0  # the API and the projector make an installation sooner than this, if they run
_SAY_AGAIN_SECONDS = 30.0
_FIRST_GENERATION = "1"


async def open_partitions(
    client: AsyncRedis, settings: Settings, *, is_start: bool = True, clock: Clock = SYSTEM_CLOCK
) -> list[Partition]:
    """The installation's partitions, from Redis alone; for the worker and the watcher.

    Waits, and says so, while Redis is away or loads its data, and until the API or the projector has made
    the installation. A service that has begun (not ``is_start``) waits for what refuses it, too.

    Raises:
        StoreRefusedError: at start: Redis refuses what Flower needs, which no waiting heals.
        InstallationError: it has another number of partitions than ``settings``.
        LostError: Redis lost events and was halted.
    """
    say_at = clock.monotonic() + _LONG_SECONDS
    said = False
    if is_start:
        await _patiently(lambda: _check_servers(client, settings), is_start)

    async def look() -> list[Partition] | None:
        nonlocal said, say_at
        metas = await _patiently(lambda: read_metas(client, settings), is_start)
        if None not in metas.values():
            return partitions_of(metas, settings)
        _check_partitions(metas.values(), settings)
        if not said:
            said = True
            _log.info("waiting for an installation in Redis: the API or the projector makes it")
        if clock.monotonic() >= say_at:
            say_at = clock.monotonic() + _SAY_AGAIN_SECONDS
            _log.warning(
                "Redis still holds no installation. At first start the API or the projector makes it: see"
                " that one of them runs. If Redis held one before, it was lost: see the projector's log"
            )
        return None

    return await until_there(look, _LOOK_SECONDS, clock=clock)


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
        await _patiently(lambda: _check_servers(client, settings), is_start)
    await _patiently(lambda: _read_any(client, settings), is_start)
    await _patiently(bring_up_to_date, is_start)
    return await _patiently(settle, is_start)


async def make_sure_of_servers(client: AsyncRedis, settings: Settings) -> None:
    """For the start of a service of a cluster, whose partitions are waited for one by one: those servers that
    are there can be used. Waits, and says so, while none is.

    Raises:
        StoreRefusedError: one refuses what Flower needs, which no waiting heals.
    """
    await _patiently(lambda: _check_servers(client, settings), is_start=True)


async def find_partition(
    client: AsyncRedis, number: int, settings: Settings, *, beside: Partition | None = None
) -> Partition | None:
    """One partition, as Redis has it; None: it has nothing of it. ``beside``: another one.

    Raises:
        InstallationError: it is of another installation than the other one, or of another number of
            partitions than ``settings`` say.
        LostError: it is halted, or being recovered.
        RedisError, OSError: its server does not answer.
    """
    meta = await read_meta(client, number)
    if meta is None or meta.is_retired:
        return None
    _check_partitions([meta], settings, is_whole=False)
    partition = _worked_on(number, meta)
    if beside is not None:
        _refuse_strangers([partition, beside])
    return partition


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
            return _matched_one(row, await read_meta(client, number), settings)
    raise InstallationError(f"Postgres has no position of partition {number}: kr_projection was changed")


async def _check_servers(client: AsyncRedis, settings: Settings) -> None:
    """Makes sure of each server of Redis."""
    away: Exception | None = None
    numbers = await apart(client, range(settings.partitions))
    for partition in list(numbers):
        try:
            async with asyncio.timeout(PATIENCE_SECONDS if is_cluster(client) else None):
                await refuse_missing_permissions(client, partition)
                await check_redis(client, partition)
        except (RedisError, OSError) as error:
            if not is_cluster(client) or is_refused(error):
                raise
            numbers.remove(partition)
            away = error
    if away is not None and not numbers:
        raise away


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
        return _matched(await _metas_beside(client, rows), rows, settings)
    metas = await read_metas(client, settings)
    _check_partitions(metas.values(), settings)
    await _refuse_a_history(client, metas)
    return None


async def refuse_wrong_postgres(database_url: str) -> None:
    """For a service that begins without Postgres if that is away.

    Raises:
        StoreRefusedError: it is there and refuses, which no waiting heals.
    """
    try:
        async with await connect(database_url, "start"):
            pass
    except (psycopg.Error, OSError) as error:
        if is_refused(error):
            raise StoreRefusedError(fault_of(error).said_of("Postgres")) from error


async def _settle(client: AsyncRedis, connection: Connection, settings: Settings) -> list[Partition]:
    if rows := await read_positions(connection, with_retired=True):
        return await _settle_with(client, connection, rows, settings)
    async with connection.transaction():
        await lock_positions(connection)
        if rows := await read_positions(connection, with_retired=True):  # somebody may just have made it
            return _matched(await _metas_beside(client, rows), rows, settings)
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
    partitions = _matched(metas, rows, settings)
    told = max(meta.count for meta in metas.values() if meta is not None)
    if told > len(rows) and await _add_forgotten(client, connection, told):
        rows = await read_positions(connection, with_retired=True)
        metas = await _metas_beside(client, rows)
        partitions = _matched(metas, rows, settings)
    by_number = {row.partition: row for row in rows}
    leaving = leaving_of(metas.values(), rows)
    untold = [one for one in partitions if is_untold(metas[one.number], rows, leaving, by_number[one.number])]
    if untold:
        with contextlib.suppress(RedisError, OSError) if is_cluster(client) else contextlib.nullcontext():
            await tell_census(client, untold, rows, leaving=leaving)
    return partitions


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
            partition = _worked_on(number, meta)
            _refuse_strangers([partition, Partition(0, rows[0].installation, rows[0].generation)])
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


async def _read_any(client: AsyncRedis, settings: Settings) -> None:
    """Returns once a partition's server has answered. Raises RedisError, OSError: none does."""
    partitions = [
        Partition(number, "", "") for number in range(settings.partitions if is_cluster(client) else 1)
    ]
    await from_each(client, partitions, lambda one: read_meta(client, one.number))


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
            if row.partition not in missing and not is_closed and _is_behind(meta, row):
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


def _is_behind(meta: Meta | None, row: Projected) -> bool:
    """Whether Redis lost a partition, so that nobody takes its word for the generation."""
    return meta is None or not meta.generation or int(meta.generation) < int(row.generation)


async def _make(client: AsyncRedis, metas: Mapping[int, Meta | None], settings: Settings) -> list[Partition]:
    """Makes what is missing in Redis. Postgres follows in the caller's transaction: a crash between the two
    leaves partitions whose logs hold nothing but their opening, and those are taken over here."""
    _check_partitions(metas.values(), settings)
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
    if len(entries) != 1 or meta.generation != _FIRST_GENERATION:
        return False
    try:
        return isinstance(decode_event(entries[0].raw), LogOpened)
    except (*UNREADABLE, NewerEventError):
        return False


def _matched(
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
        _worked_on(number, meta)
        for number, meta in metas.items()
        if meta is not None and number not in closed
    ]
    _refuse_strangers(partitions)
    for one in partitions:
        _refuse_unlike(by_number[one.number], one)
    return partitions


def _matched_one(row: Projected, meta: Meta | None, settings: Settings) -> Partition:
    if meta is None:
        raise LostError(f"{why_not(row.partition, meta)} (installation {row.installation})")
    _check_partitions([meta], settings, is_whole=False)
    partition = _worked_on(row.partition, meta)
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
    _check_partitions(metas.values(), settings)
    partitions: list[Partition] = []
    for number, meta in metas.items():
        assert meta is not None
        partitions.append(_worked_on(number, meta))
    _refuse_strangers(partitions)
    return partitions


def _worked_on(number: int, meta: Meta) -> Partition:
    """The partition; raises LostError: it is halted, or being recovered."""
    if meta.is_retired:
        raise LostError(why_not(number, meta))
    if meta.recovering and not meta.generation:
        raise LostError(f"partition {number} is being recovered, as generation {meta.recovering}")
    if not meta.generation:
        raise LostError(f"partition {number} was halted: {meta.halted_why}")
    return Partition(number, meta.installation, meta.generation, meta.partitions)


def _refuse_strangers(partitions: Sequence[Partition]) -> None:
    """Raises InstallationError: they do not belong together."""
    installations = sorted({one.installation for one in partitions})
    if len(installations) > 1:
        raise InstallationError(
            f"Redis holds partitions of different installations: {', '.join(installations)}. Give each"
            " installation a Redis (or a database number) of its own"
        )


def _check_partitions(metas: Iterable[Meta | None], settings: Settings, *, is_whole: bool = True) -> None:
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
        generation=_FIRST_GENERATION,
        partitions=first_count,
        is_retiring=True,
        is_retired=True,
    )


async def read_metas(client: AsyncRedis, settings: Settings) -> dict[int, Meta | None]:
    """What Redis says of each partition, of those that came later, too, and not of those that were retired;
    None: nothing."""
    metas = {number: await read_meta(client, number) for number in range(settings.partitions)}
    known = [meta for meta in metas.values() if meta is not None]
    for number in range(len(metas), max((meta.count for meta in known), default=0)):
        if not any(number in meta.gone for meta in known):
            metas[number] = await read_meta(client, number)
    gone = {number for meta in metas.values() if meta is not None for number in meta.gone}
    return {number: meta for number, meta in metas.items() if number not in gone}


async def _patiently(attempt: Callable[[], Awaitable[T]], is_start: bool) -> T:
    """What the attempt gives, however long a store is away; what refuses it ends a start."""

    async def usable() -> T:
        try:
            return await attempt()
        except psycopg.Error as error:
            refuse_unusable(error)
            raise

    return await until_it_works(usable, StoresBackoff(_log, is_start=is_start))
