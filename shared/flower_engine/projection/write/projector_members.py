"""The projectors that live, as each tells the others, for them to share the partitions."""

from collections.abc import Collection
from typing import LiteralString, NamedTuple

import msgspec

from flower_engine.projection.database import Connection
from flower_engine.projection.write.election import AT_WORK

_SILENT_SECONDS = 10
"""Whoever has said nothing for so long is gone; of a session that ended it is known at once."""

# One that was seen later than now said so before the clock of Postgres went back.
_LIVES: LiteralString = """
  known.seen_ts > clock_timestamp() - make_interval(secs => %(seconds)s)
  AND known.seen_ts < clock_timestamp() + make_interval(secs => %(seconds)s)
  AND (known.pid IS NULL OR EXISTS (SELECT FROM pg_stat_activity AS session WHERE session.pid = known.pid))
"""
# The rest of the statement sees the table as it was before; what is told is known to whoever tells it.
_TELL: LiteralString = f"""
WITH told AS (
  INSERT INTO kr_projector_member AS known (member, pid, seen_ts, partitions, wants)
  VALUES (%(member)s, %(pid)s, clock_timestamp(), %(partitions)s, %(wants)s)
  ON CONFLICT (member) DO UPDATE SET pid = excluded.pid, seen_ts = excluded.seen_ts,
    partitions = excluded.partitions, wants = excluded.wants
)
SELECT (SELECT coalesce(json_agg(json_build_array(member, partitions, wants)), '[]')::text
  FROM kr_projector_member AS known WHERE member <> %(member)s AND {_LIVES}), ARRAY({AT_WORK})
"""  # noqa: S608
_LIVE: LiteralString = f"""
SELECT member, partitions, wants FROM kr_projector_member AS known WHERE {_LIVES} ORDER BY member
"""  # noqa: S608
_FORGET = """
DELETE FROM kr_projector_member WHERE member = ANY(ARRAY(SELECT member FROM kr_projector_member
  WHERE seen_ts < clock_timestamp() - interval '1 day' LIMIT 100))
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


_others = msgspec.json.Decoder(list[tuple[str, tuple[int, ...], int]]).decode


async def tell_members(
    connection: Connection, member: str, partitions: Collection[int], wants: int
) -> Members:
    """Says of this projector what the others have to know; returns what they say."""
    own = Member(member, tuple(sorted(partitions)), wants)
    values = {
        "member": member,
        "pid": None if connection.is_pooled else connection.info.backend_pid,
        "partitions": list(own.partitions),
        "wants": wants,
        "seconds": _SILENT_SECONDS,
    }
    row = await (await connection.execute(_TELL, values)).fetchone()
    assert row is not None
    others, taken = row
    live = [own, *(Member(*other) for other in _others(others))]
    return Members(sorted(live), set(taken))


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
