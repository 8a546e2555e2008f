"""The tables of the archive: one for each day (UTC), made before their day comes.

Where one is missing, ``kr_event_default`` takes the events: nothing here may ever stop the archiving.
"""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime

from psycopg import errors, sql

from flower_engine.projection.database import Connection

_log = logging.getLogger(__name__)

DAY_MS = 86_400_000
DAYS_AHEAD = 2
_LAST_DAY = 2_932_896  # 9999-12-31
_LOCK_TIMEOUT = "1s"  # somebody reads the default table: the day's events go there until the next attempt


async def make_days(connection: Connection, days: Iterable[int]) -> set[int]:
    """Makes the tables of these days (counted from 1970) that are not there; returns those that are settled.

    A day is settled too when the default table has events of it already: they and the rest stay there.
    """
    settled: set[int] = set()
    for day in days:
        try:
            if 0 <= day <= _LAST_DAY:
                await _make_day(connection, day)
            settled.add(day)
        except errors.CheckViolation:
            _log.info("the events of %s stay in kr_event_default, where there are some already", _name(day))
            settled.add(day)
        except (errors.LockNotAvailable, errors.InsufficientPrivilege) as error:
            _log.warning(
                "no table %s could be made, kr_event_default stands in for it: %s", _name(day), error
            )
    return settled


async def _make_day(connection: Connection, day: int) -> None:
    name = sql.Identifier(_name(day))
    async with connection.transaction():
        await connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(_LOCK_TIMEOUT))
        await connection.execute("SELECT pg_advisory_xact_lock('kr_event'::regclass::oid::bigint << 16)")
        known = await (await connection.execute("SELECT to_regclass(%s)", [_name(day)])).fetchone()
        if known != (None,):
            return
        # Made apart and then attached: that waits for no reader or writer of the other days.
        await connection.execute(sql.SQL("CREATE TABLE {} (LIKE kr_event INCLUDING ALL)").format(name))
        await connection.execute(
            sql.SQL("ALTER TABLE kr_event ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                name, day * DAY_MS, (day + 1) * DAY_MS
            )
        )


def _name(day: int) -> str:
    return f"kr_event_{datetime.fromtimestamp(day * 86_400, UTC):%Y%m%d}"
