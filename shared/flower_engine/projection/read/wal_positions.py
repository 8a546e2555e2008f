"""Where a Postgres stands in what is written: the one that is written to, or one that follows it."""

import json
from collections.abc import Mapping
from typing import NamedTuple

from psycopg.sql import SQL

from flower_engine.model.values.seen_position import wal_number
from flower_engine.projection.database import Connection

# Whatever can be read was written to the log before: so what is inserted there, flushed or not, is behind it.
# The timeline of one that follows is that of the one it hears, if this role may know it (pg_read_all_stats),
# or what it last wrote down of it, minutes ago at most: never a later one than it is on.
_AT = SQL("""
SELECT (SELECT system_identifier FROM pg_control_system())::text, pg_is_in_recovery(),
  (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END
    - '0/0'::pg_lsn)::text,
  CASE WHEN pg_is_in_recovery() THEN greatest(
    (SELECT timeline_id FROM pg_control_checkpoint()),
    (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
    (SELECT received_tli FROM pg_stat_wal_receiver))
  ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int END
""")
_PROJECTED = SQL(", (SELECT coalesce(json_object_agg(partition, position), '{}') FROM kr_projection)::text")
_AT_AND_PROJECTED = _AT + _PROJECTED
_FLUSHED = """
SELECT CASE WHEN NOT pg_is_in_recovery() THEN (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::text END,
  CASE WHEN NOT pg_is_in_recovery()
    THEN ('x' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8))::bit(32)::int END
"""


class WalPosition(NamedTuple):
    """``system``: one that follows another has the same. ``wal``: see ``wal_number``. ``projected``:
    how far partitions are projected, where that was asked."""

    system: str
    is_standby: bool
    wal: int
    projected: Mapping[int, str | None] = {}


async def read_wal_position(connection: Connection, *, with_projected: bool = False) -> WalPosition:
    """All that could be read on this connection before is not behind this position."""
    row = await (await connection.execute(_AT_AND_PROJECTED if with_projected else _AT)).fetchone()
    assert row is not None
    projected = {
        int(number): position for number, position in json.loads(row[4] if row[4:] else "{}").items()
    }
    return WalPosition(row[0], row[1], wal_number(row[3], int(row[2] or 0)), projected)


async def read_flushed(connection: Connection) -> int | None:
    """What those that follow can have by now; None: it is none that is written to."""
    row = await (await connection.execute(_FLUSHED)).fetchone()
    return None if row is None or row[0] is None else wal_number(row[1], int(row[0]))
