"""Retiring: a partition gets no new flows, and goes once it is empty, by rules of ``partitions/retiring.py``.

Whoever does a step holds the lock under which installations are made. He may lose it while he stands still,
so no step relies on it: what closes a partition looks once more, in Redis, whether anything happened there.
"""

import logging
from collections.abc import Callable, Mapping, Sequence

from redis.exceptions import RedisError

from flower_engine.crash_points import crash_point
from flower_engine.errors import RefusedError, StoreUnavailableError, UnknownPartitionError
from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.each_partition import from_each
from flower_engine.log.partition import Meta, Partition, read_meta
from flower_engine.log.task_log_stream import last_entry_id
from flower_engine.model.partitions.retiring import Seen, Step, next_step
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.acting import note_act
from flower_engine.projection.maintain.recovery_records import count_open_flows
from flower_engine.projection.task_logs.chunk_rows import read_position as read_stored_lines
from flower_engine.projection.write.projected_positions import (
    Projected,
    lock_positions,
    note_retired,
    note_retiring,
    read_positions,
)
from flower_engine.runtime.partition_census import is_untold, leaving_of, tell_census
from flower_engine.store_faults import words_of
from flower_engine.transitions.installation_transitions import clear, retire

_log = logging.getLogger(__name__)

_ENGINE = "flower"
IsLeft = Callable[[int, bool], bool]
"""Called with a number and whether others are told now that nobody is to work on it: whether they have been
told for so long that all heard."""


async def retire_partition(client: AsyncRedis, connection: Connection, number: int, by: str = "") -> None:
    """From now on the partition gets no new flows; when it is empty a projector takes it away. ``by``: who
    wants that ("": who is connected to Postgres).

    Raises:
        UnknownPartitionError: there is no such partition.
        RefusedError: it is one of those that there were at first.
        StoreUnavailableError: a partition does not answer, so nothing was changed.
        psycopg.Error, RedisError: a store does not answer; look, or say it again.
    """
    await _mark(client, connection, number, by, is_retiring=True)


async def keep_partition(client: AsyncRedis, connection: Connection, number: int, by: str = "") -> None:
    """The other way: one that is retired, and not closed yet, gets new flows again; raises as
    :func:`retire_partition` does, and RefusedError where it is closed."""
    await _mark(client, connection, number, by, is_retiring=False)


async def _mark(
    client: AsyncRedis, connection: Connection, number: int, by: str, *, is_retiring: bool
) -> None:
    async with connection.transaction():
        await lock_positions(connection)
        rows = await read_positions(connection, with_retired=True)
        row = _row_of(rows, number)
        if is_retiring and number < row.partitions:
            raise RefusedError(
                f"partition {number} is one of the {row.partitions} that there were at first: idempotency"
                " keys and schedules lie in these for ever, so none of them can be retired. Those that were"
                f" added can ({_added(rows)})",
                "first-partition",
            )
        metas = await _metas(client, rows)
        closed = row.is_retired or metas[number].is_retired
        if closed and is_retiring:
            return
        if closed:
            raise _closed(number)
        if row.is_retiring != is_retiring:
            await note_retiring(connection, number, is_retiring=is_retiring)
            act = "partition.retiring" if is_retiring else "partition.kept"
            await note_act(connection, by or await _connected(connection), act, name=str(number))
        crash_point("retiring.noted")
        rows = await read_positions(connection, with_retired=True)
        await tell_census(client, _at_work(rows), rows, leaving=leaving_of(metas.values(), rows))
        own = await read_meta(client, number)  # whoever closes it looks first whether it gets new flows
        if not is_retiring and own is not None and own.is_retired:
            raise _closed(number)
        crash_point("retiring.told")
    crash_point("retiring.committed")


def _closed(number: int) -> RefusedError:
    return RefusedError(
        f"partition {number} was retired, and is closed: it is not coming back. Add another one (flower"
        " partitions --add 1)",
        "retired",
    )


async def take_step(client: AsyncRedis, connection: Connection, number: int, is_left: IsLeft) -> Step:
    """Does what is to be done next to a partition that is retired, or was; returns what that was.

    Raises:
        StoreUnavailableError: a partition does not answer.
        psycopg.Error, RedisError: a store does not answer; what was done stands, or not: look again.
    """
    async with connection.transaction():
        await lock_positions(connection)
        rows = await read_positions(connection, with_retired=True)
        row = _row_of(rows, number)
        metas = await _metas(client, rows, beside=number)
        seen = await _seen(client, connection, row, metas, is_left)
        step = next_step(seen)
        leaving = leaving_of(metas.values(), rows)
        if step in ("leave", "come back"):
            leaving = leaving | {number} if step == "leave" else leaving - {number}
            await tell_census(client, _at_work(rows), rows, leaving=leaving)
            crash_point("retiring.left")
        elif step == "close":
            word = await retire(client, number, row.generation, row.position)
            crash_point("retiring.closed")
            if word != "ok":
                return "wait"
        if step in ("close", "note"):
            if not await note_retired(connection, row):
                return "wait"  # it was recovered meanwhile, or more was projected
            await note_act(connection, _ENGINE, "partition.retired", name=str(number))
    crash_point("retiring.retired")
    if step in ("close", "note"):
        _log.warning("partition %d was empty, and is retired", number)
    if step == "clear" and not await clear(client, number, row.generation):
        return "wait"
    crash_point("retiring.cleared" if step == "clear" else "retiring.looked")
    return step


async def tell_where_untold(client: AsyncRedis, connection: Connection) -> bool:
    """Tells each partition what it should know of the others; whether any did not. What is known stands.

    Raises as :func:`take_step` does.
    """
    rows = await read_positions(connection, with_retired=True)
    if not rows or not await _untold(client, rows):
        return False
    async with connection.transaction():
        await lock_positions(connection)
        rows = await read_positions(connection, with_retired=True)
        untold = await _untold(client, rows)
        metas = await _metas(client, rows)
        await tell_census(client, untold, rows, leaving=leaving_of(metas.values(), rows))
    return bool(untold)


async def _untold(client: AsyncRedis, rows: Sequence[Projected]) -> list[Partition]:
    metas = await _metas(client, rows)
    leaving = leaving_of(metas.values(), rows)
    by_number = {row.partition: row for row in rows}
    return [
        one for one in _at_work(rows) if is_untold(metas[one.number], rows, leaving, by_number[one.number])
    ]


async def _seen(
    client: AsyncRedis,
    connection: Connection,
    row: Projected,
    metas: Mapping[int, Meta],
    is_left: IsLeft,
) -> Seen:
    number, own = row.partition, metas.get(row.partition)
    is_closed = own is not None and own.is_retired
    others = [meta for other, meta in metas.items() if other != number]
    is_leaving = all(number in meta.gone for meta in others)
    is_at_work = row.is_retiring and not row.is_retired and not is_closed
    partition = Partition(number, row.installation, row.generation)
    log_end, has_unstored = row.position, False
    if is_at_work:
        found = await send(client, "XREVRANGE", partition.keys.log, "+", "-", "COUNT", 1)
        log_end = found[0][0].decode() if found else None
        stored = await read_stored_lines(connection, number)
        has_unstored = await last_entry_id(client, partition.keys) not in (stored, "0-0")
    return Seen(
        is_retiring=row.is_retiring,
        is_retired=row.is_retired,
        open_flows=await count_open_flows(connection, number) if is_at_work else 0,
        position=row.position,
        log_end=log_end,
        has_unstored=has_unstored,
        is_leaving=is_leaving,
        is_left=is_left(number, is_leaving),
        is_closed=is_closed and not (own is not None and own.is_cleared),
    )


async def _metas(client: AsyncRedis, rows: Sequence[Projected], beside: int | None = None) -> dict[int, Meta]:
    """What each partition that is worked on says, and the one ``beside``, if it is there.

    Raises:
        StoreUnavailableError: one does not answer, or is lost: each is to be told.
    """
    asked = _at_work(rows)
    told = await from_each(client, asked, lambda one: read_meta(client, one.number))
    for number, error in told.away.items():
        raise StoreUnavailableError(
            f"partition {number}", f"{words_of(error)}; each is told of those that are retired"
        ) from error
    metas = {number: meta for number, meta in told.found.items() if meta is not None}
    for one in asked:
        if one.number not in metas:
            raise StoreUnavailableError(f"partition {one.number}", "it is lost: recover it first")
    if beside is not None and beside not in metas:
        try:
            found = await read_meta(client, beside)
        except (RedisError, OSError):
            found = None  # it is closed, as Postgres knows: it may be away with its node
        if found is not None:
            metas[beside] = found
    return metas


def _at_work(rows: Sequence[Projected]) -> list[Partition]:
    return [
        Partition(row.partition, row.installation, row.generation, row.partitions)
        for row in rows
        if not row.is_retired
    ]


def _row_of(rows: Sequence[Projected], number: int) -> Projected:
    for row in rows:
        if row.partition == number:
            return row
    raise UnknownPartitionError(f"there is no partition {number}; there are {_names(rows)}")


def _names(rows: Sequence[Projected]) -> str:
    return ", ".join(str(row.partition) for row in rows if not row.is_retired) or "none yet"


def _added(rows: Sequence[Projected]) -> str:
    return _names([row for row in rows if row.partition >= row.partitions])


async def _connected(connection: Connection) -> str:
    row = await (await connection.execute("SELECT 'sql:' || session_user")).fetchone()
    return str(row[0]) if row else ""
