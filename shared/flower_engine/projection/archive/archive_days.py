"""Tables of days (UTC), made before their day comes: those of the archive, and of task logs.

Where one is missing, the default table (``kr_event_default``) takes the rows: nothing here may ever stop the
writing.
"""

import logging
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from psycopg import errors, sql

from flower_engine.projection.database import Connection

_log = logging.getLogger(__name__)

DAY_MS = 86_400_000
DAYS_AHEAD = 2
EVENTS = "kr_event"
"""The table of the archive, of which most of this is."""
_LAST_DAY = 2_932_896  # 9999-12-31
_LOCK_TIMEOUT = "300ms"  # while somebody reads the default table, the events go there
_RETRY_SECONDS = 60.0
# Read as rows are: what to_regclass remembers may be older than the lock that was just waited for.
_KNOWN = """
SELECT FROM pg_class WHERE relname = %s
  AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = %s::regclass)
"""


class Days:
    """The days whose tables one writer knows to be settled."""

    def __init__(self, table: str = EVENTS, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._table = table
        self._settled: set[int] = set()
        self._monotonic = monotonic
        self._try_at = monotonic()

    def are_settled(self, first: int, last: int) -> bool:
        """Whether the days from the first event to the one after the last event's need no thought."""
        return (
            first in self._settled and last in self._settled and last + 1 in self._settled
        ) or self._monotonic() < self._try_at

    async def settle(self, connection: Connection, days: Iterable[int]) -> None:
        """Makes the tables of these days and of those ahead, where they are not there.

        Where one cannot be made now, nothing more is tried for a while.
        """
        wanted = set(days)
        wanted.update(range(max(wanted), max(wanted) + DAYS_AHEAD + 1))
        for day in sorted(wanted - self._settled):
            if not await make_day(connection, day, self._table):
                self._try_at = self._monotonic() + _RETRY_SECONDS
                return
            self._settled.add(day)


async def make_day(connection: Connection, day: int, table: str = EVENTS) -> bool:
    """Makes a day's table; False where that is not possible now.

    Where the default table has rows of the day already, they and the rest stay there, and that is well.
    """
    try:
        if 0 <= day <= _LAST_DAY:
            await _make_day(connection, day, table)
    except errors.CheckViolation:
        _log.info(
            "what is of %s stays in %s_default, where there is some already", table_of_day(day, table), table
        )
    except (errors.LockNotAvailable, errors.InsufficientPrivilege) as error:
        _log.warning(
            "no table %s could be made, %s_default stands in for it: %s",
            *(table_of_day(day, table), table, error),
        )
        return False
    return True


async def _make_day(connection: Connection, day: int, table: str) -> None:
    names = {"day": sql.Identifier(table_of_day(day, table)), "table": sql.Identifier(table)}
    async with connection.transaction():
        await connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(_LOCK_TIMEOUT))
        await connection.execute("SELECT pg_advisory_xact_lock(%s::regclass::oid::bigint << 16)", [table])
        if (await connection.execute(_KNOWN, [table_of_day(day, table), table])).rowcount:
            return
        # Made apart and then attached: that waits for no reader or writer of the other days.
        await connection.execute(sql.SQL("CREATE TABLE {day} (LIKE {table} INCLUDING ALL)").format(**names))
        await connection.execute(
            sql.SQL("ALTER TABLE {table} ATTACH PARTITION {day} FOR VALUES FROM ({}) TO ({})").format(
                day * DAY_MS, (day + 1) * DAY_MS, **names
            )
        )


def table_of_day(day: int, table: str = EVENTS) -> str:
    """The name of the table of a day (since 1970)."""
    return f"{table}_{datetime.fromtimestamp(day * 86_400, UTC):%Y%m%d}"


def day_of_table(name: str, table: str = EVENTS) -> int | None:
    """The day that a table is of; None: it is none of these tables."""
    try:
        begin = datetime.strptime(name.removeprefix(f"{table}_"), "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(begin.timestamp()) // 86_400
