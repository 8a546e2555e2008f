"""The tables of the archive: one for each day (UTC), made before their day comes.

Where one is missing, ``kr_event_default`` takes the events: nothing here may ever stop the archiving.
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
_PREFIX = "kr_event_"
_LAST_DAY = 2_932_896  # 9999-12-31
_LOCK_TIMEOUT = "300ms"  # while somebody reads the default table, the events go there
_RETRY_SECONDS = 60.0
# Read as rows are: what to_regclass remembers may be older than the lock that was just waited for.
_KNOWN = """
SELECT FROM pg_class WHERE relname = %s
  AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'kr_event'::regclass)
"""


class Days:
    """The days whose tables one writer knows to be settled."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
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
            if not await make_day(connection, day):
                self._try_at = self._monotonic() + _RETRY_SECONDS
                return
            self._settled.add(day)


async def make_day(connection: Connection, day: int) -> bool:
    """Makes a day's table; False where that is not possible now.

    Where the default table has events of the day already, they and the rest stay there, and that is well.
    """
    try:
        if 0 <= day <= _LAST_DAY:
            await _make_day(connection, day)
    except errors.CheckViolation:
        _log.info(
            "the events of %s stay in kr_event_default, where there are some already", table_of_day(day)
        )
    except (errors.LockNotAvailable, errors.InsufficientPrivilege) as error:
        _log.warning(
            "no table %s could be made, kr_event_default stands in for it: %s", table_of_day(day), error
        )
        return False
    return True


async def _make_day(connection: Connection, day: int) -> None:
    name = sql.Identifier(table_of_day(day))
    async with connection.transaction():
        await connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(_LOCK_TIMEOUT))
        await connection.execute("SELECT pg_advisory_xact_lock('kr_event'::regclass::oid::bigint << 16)")
        if (await connection.execute(_KNOWN, [table_of_day(day)])).rowcount:
            return
        # Made apart and then attached: that waits for no reader or writer of the other days.
        await connection.execute(sql.SQL("CREATE TABLE {} (LIKE kr_event INCLUDING ALL)").format(name))
        await connection.execute(
            sql.SQL("ALTER TABLE kr_event ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                name, day * DAY_MS, (day + 1) * DAY_MS
            )
        )


def table_of_day(day: int) -> str:
    """The name of the table of a day (since 1970)."""
    return f"{_PREFIX}{datetime.fromtimestamp(day * 86_400, UTC):%Y%m%d}"


def day_of_table(name: str) -> int | None:
    """The day that a table is of; None: it is none of these tables."""
    try:
        begin = datetime.strptime(name.removeprefix(_PREFIX), "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(begin.timestamp()) // 86_400
