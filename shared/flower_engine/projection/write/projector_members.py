"""The projectors that live, as each tells the others, for them to share the partitions."""

from collections.abc import Collection
from typing import NamedTuple

from flower_engine.projection.database import Connection
from flower_engine.projection.write.election import projecting

_SILENT_SECONDS = 10
"""Whoever has said nothing for so long is gone; of a session that ended it is known at once."""

_TELL = """
INSERT INTO kr_projector_member AS known (member, pid, seen_ts, partitions, wants)
VALUES (%(member)s, %(pid)s, clock_timestamp(), %(partitions)s, %(wants)s)
ON CONFLICT (member) DO UPDATE SET pid = excluded.pid, seen_ts = excluded.seen_ts,
  partitions = excluded.partitions, wants = excluded.wants
"""
_FORGET = """
DELETE FROM kr_projector_member WHERE member = ANY(ARRAY(SELECT member FROM kr_projector_member
  WHERE seen_ts < clock_timestamp() - interval '1 day' LIMIT 100))
"""
# One that was seen later than now said so before the clock of Postgres went back.
_LIVE = """
SELECT member, partitions, wants FROM kr_projector_member AS known
WHERE seen_ts > clock_timestamp() - make_interval(secs => %(seconds)s)
  AND seen_ts < clock_timestamp() + make_interval(secs => %(seconds)s)
  AND (pid IS NULL OR EXISTS (SELECT FROM pg_stat_activity AS session WHERE session.pid = known.pid))
ORDER BY member
"""
_LEAVE = "DELETE FROM kr_projector_member WHERE member = %s"


class Member(NamedTuple):
    """A projector that lives: what it is elected for, and how many partitions more it would take."""

    name: str
    partitions: tuple[int, ...]
    wants: int


class Members(NamedTuple):
    """All that live, by name, and the partitions that some projector is elected for, a member or not."""

    live: list[Member]
    taken: set[int]


async def tell_members(
    connection: Connection, member: str, partitions: Collection[int], wants: int
) -> Members:
    """Says of this projector what the others have to know; returns what they say."""
    pid = None if connection.is_pooled else connection.info.backend_pid
    values = {"member": member, "pid": pid, "partitions": sorted(partitions), "wants": wants}
    await connection.execute(_TELL, values)
    return Members(await read_members(connection), await projecting(connection))


async def read_members(connection: Connection) -> list[Member]:
    """Those that live, by name."""
    rows = await (await connection.execute(_LIVE, {"seconds": _SILENT_SECONDS})).fetchall()
    return [Member(name, tuple(numbers), wanted) for name, numbers, wanted in rows]


async def forget_members(connection: Connection) -> None:
    """Those that have been gone for long leave no trace."""
    await connection.execute(_FORGET)


async def leave_members(connection: Connection, member: str) -> None:
    """It ends: the others share what it had."""
    await connection.execute(_LEAVE, (member,))
