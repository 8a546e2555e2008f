"""A Redis that was lost: which partitions, and having them recovered."""

import json
import logging

from redis.exceptions import RedisError

from flower_engine.errors import InstallationError, LostError
from flower_engine.insight.backlog import is_postgres_behind
from flower_engine.log.client import AsyncRedis, is_cluster, send
from flower_engine.log.keys import Keys
from flower_engine.log.partition import read_meta
from flower_engine.log.reader import event_at, has_entry
from flower_engine.progress import Tell
from flower_engine.projection.database import Connection, connect
from flower_engine.projection.maintain import recovery_records
from flower_engine.projection.maintain.migrations import refuse_newer_tables
from flower_engine.projection.write.projected_positions import Projected, read_positions
from flower_engine.runtime.clock import SYSTEM_CLOCK
from flower_engine.runtime.gap_crossing import gap_to_cross, refuse_while_crossing
from flower_engine.runtime.redis_loss import why_not
from flower_engine.runtime.redis_recovery import Recovered, Recovery
from flower_engine.runtime.settings import Settings
from flower_engine.store_faults import words_of

_log = logging.getLogger(__name__)

_LOOK_AGAIN_SECONDS = 1.0  # while another recovery is at work


async def recover_lost(
    client: AsyncRedis,
    settings: Settings,
    tell: Tell,
    *,
    force: bool = False,
    only: int | None = None,
    away: dict[int, str] | None = None,
) -> list[Recovered]:
    """Recovers every partition that Redis lost; returns what that came to (nothing lost: []). ``force``:
    whether Redis lost it or not; ``only``: no other partition than this one; ``away`` is told of those of a
    cluster that do not answer, each with why.

    Where another recovery is at work, waits for its end.

    Raises:
        InstallationError: the stores do not belong together, or a newer version made what they hold.
        NewerEventError: a flow that has not ended has events of a newer version, so it cannot be put back.
        LostError: Redis was lost again meanwhile, or a newer recovery took over.
        psycopg.Error, RedisError: a store does not answer.
    """
    assert settings.database_url is not None
    done: list[Recovered] = []
    async with await connect(settings.database_url, "recovery") as connection:
        await refuse_newer_tables(connection)
        rows = await read_positions(connection)
        if not rows:
            raise InstallationError("Postgres holds no installation, so there is nothing to recover from")
        failure: Exception | None = None
        for row in rows:
            if only is not None and row.partition != only:
                continue
            try:
                result = await _recover_row(client, connection, settings, row, tell, force=force)
            except (RedisError, OSError) as error:
                if not is_cluster(client):
                    raise
                _log.error("partition %d cannot be recovered now: %s", row.partition, words_of(error))
                failure = error
                if away is not None:
                    away[row.partition] = words_of(error)
                continue
            if result is not None:
                done.append(result)
        if failure is not None and not done and (away is None or len(away) == len(rows)):
            raise failure
    return done


async def _recover_row(
    client: AsyncRedis,
    connection: Connection,
    settings: Settings,
    row: Projected,
    tell: Tell,
    *,
    force: bool,
) -> Recovered | None:
    """The same for one partition; None: it is not lost."""
    while force or await is_lost(client, row.partition, row):
        meta = await read_meta(client, row.partition, of_any_layout=force)
        went_back = not force and meta is not None and meta.rewound is not None
        if went_back:
            _log.error("%s", why_not(row.partition, meta))
        is_whole = went_back and await _has_the_archive(client, connection, row)
        recovery = _recovery(client, connection, settings, row, tell, is_repair=is_whole)
        result = await recovery.run()
        if result is not None:
            result.rewound = meta.rewound if meta is not None and went_back else None
            return result
        await SYSTEM_CLOCK.rest(_LOOK_AGAIN_SECONDS)
        row = await _read_row(connection, row.partition)
    return None


async def _has_the_archive(client: AsyncRedis, connection: Connection, row: Projected) -> bool:
    """Whether the log still has what is archived, so that all that it holds is to be kept: a Redis that went
    back while nothing was projected is a past, but no other one than the archive's."""
    if await gap_to_cross(client, connection, row.partition, row.position):
        return False
    if row.position is None:
        return True
    held = await event_at(client, Keys(row.partition), row.position)
    archived = await recovery_records.entry_at(connection, row.partition, row.position)
    return held is not None and archived is not None and _is_same(held, archived)


def _is_same(event: bytes, archived: bytes) -> bool:
    """The archive may have written its members in another order."""
    try:
        return event == archived or json.loads(event) == json.loads(archived)
    except ValueError:
        return False


async def rebuild(
    client: AsyncRedis, connection: Connection, settings: Settings, row: Projected, tell: Tell
) -> Recovered:
    """Puts right what Redis holds of a partition whose log is whole: all of it is made anew from its events.

    Raises:
        LostError: the log is not whole, or another recovery is at work or took over.
        RefusedError: the projector has a gap still to cross.
        psycopg.Error, RedisError: a store does not answer.
    """
    await refuse_while_crossing(client, connection, row)
    result = await _recovery(client, connection, settings, row, tell, is_repair=True).run()
    if result is None:
        raise LostError(f"a recovery of partition {row.partition} is at work: try again when it is done")
    return result


def _recovery(
    client: AsyncRedis,
    connection: Connection,
    settings: Settings,
    row: Projected,
    tell: Tell,
    *,
    is_repair: bool = False,
) -> Recovery:
    return Recovery(
        client,
        connection,
        installation=row.installation,
        partition=row.partition,
        max_lost=settings.max_lost,
        remember_seconds=settings.ended_keep_seconds,
        tell=tell,
        is_repair=is_repair,
    )


async def is_lost(client: AsyncRedis, number: int, row: Projected) -> bool:
    """Whether Redis no longer has what Postgres says that it had."""
    meta = await read_meta(client, number)
    if row.is_retired or (meta is not None and meta.is_retired and row.is_retiring):
        return False  # it was empty, and was closed
    if meta is None or not meta.generation or int(meta.generation) < int(row.generation):
        return True
    if row.position is None:
        return False
    if (
        await has_entry(client, Keys(number), row.position)
        or await send(client, "EXISTS", Keys(number).meta) != 1
    ):
        return False
    return not await is_postgres_behind(client, number, row.position)


async def _read_row(connection: Connection, number: int) -> Projected:
    rows = await read_positions(connection, with_retired=True)
    return next(row for row in rows if row.partition == number)
