"""How far those who follow the archive (``followers.py``) are behind it."""

import msgspec

from flower_engine.projection.database import Connection

# Of each, the first event that it has not read: that is how long it has been behind.
_LAGS = """
SELECT known.name, known.partition, known.pruned_ms IS NOT NULL,
  extract(epoch FROM now() - to_timestamp(unread.position_ms / 1000.0))::float8
FROM kr_follower AS known LEFT JOIN LATERAL (
  SELECT position_ms FROM kr_event WHERE kr_event.partition = known.partition
    AND kr_event.position_ms >= known.position_ms
    AND (kr_event.position_ms, kr_event.position_seq) > (known.position_ms, known.position_seq)
  ORDER BY kr_event.position_ms, kr_event.position_seq LIMIT 1) AS unread ON true
ORDER BY known.name, known.partition
"""


class FollowerLag(msgspec.Struct, frozen=True):
    """``seconds``: the age of the first event that is not read yet; 0: all are. ``has_lost``: a prune took
    events that it had not read."""

    name: str
    partition: int
    has_lost: bool
    seconds: float


async def follower_lags(connection: Connection) -> list[FollowerLag]:
    """Of each follower that ever was, and each partition."""
    rows = await connection.execute(_LAGS)
    return [
        FollowerLag(name, partition, lost, seconds or 0.0) async for name, partition, lost, seconds in rows
    ]
