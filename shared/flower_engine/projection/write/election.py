"""Which projector of a partition is the active one.

That spares work, no more: what makes projecting exact is that a position is moved from where it is believed
to be (``positions.move_positions``).
"""

import time
import uuid
from collections.abc import Callable
from typing import LiteralString

from flower_engine.projection.database import Connection
from flower_engine.projection.write.projected_positions import LOCK_SPACE

_LEASE_SECONDS = 10
_RENEW_SECONDS = 2.0

# One that lasts longer than a lease was made before the clock of Postgres went back.
_HOLD = """
INSERT INTO kr_projector AS known (partition, holder, until_ts)
VALUES (%(partition)s, %(holder)s, clock_timestamp() + make_interval(secs => %(seconds)s))
ON CONFLICT (partition) DO UPDATE SET holder = excluded.holder, until_ts = excluded.until_ts
WHERE known.holder = excluded.holder OR known.until_ts < clock_timestamp()
  OR known.until_ts > clock_timestamp() + make_interval(secs => 2 * %(seconds)s)
"""
_GIVE_UP = "DELETE FROM kr_projector WHERE partition = %s AND holder = %s"


AT_WORK: LiteralString = f"""
SELECT (objid::bigint - (({LOCK_SPACE}) & 4294967295))::int FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid::bigint = ({LOCK_SPACE}) >> 32
  AND objid::bigint - (({LOCK_SPACE}) & 4294967295) BETWEEN 0 AND 65534
UNION SELECT partition FROM kr_projector WHERE until_ts > clock_timestamp()
"""  # noqa: S608
"""The partitions that some projector is elected for now."""


async def projecting(connection: Connection) -> set[int]:
    """The partitions that some projector is elected for now."""
    return {int(number) async for (number,) in await connection.execute(AT_WORK)}


class Election:
    """One connection's part in it: a lock of its session, or behind a pooler a lease in ``kr_projector``."""

    def __init__(
        self, connection: Connection, partition: int, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection = connection
        self._partition = partition
        self._monotonic = monotonic
        self._holder = str(uuid.uuid4())
        self._holds = False
        self._renew_at = monotonic()

    async def hold(self) -> bool:
        """Whether this is the active projector, from now on or still. Call it in every turn."""
        if not self._connection.is_pooled:
            self._holds = self._holds or await self._connection.try_lock(LOCK_SPACE, self._partition)
        elif not self._holds or self._monotonic() >= self._renew_at:
            now = self._monotonic()
            values = {"partition": self._partition, "holder": self._holder, "seconds": _LEASE_SECONDS}
            self._holds = (await self._connection.execute(_HOLD, values)).rowcount == 1
            self._renew_at = now + _RENEW_SECONDS
        return self._holds

    async def give_up(self) -> None:
        """Lets another one be the active projector at once; a session's lock goes with its connection."""
        if self._holds and self._connection.is_pooled:
            await self._connection.execute(_GIVE_UP, [self._partition, self._holder])
