"""Rows of the audit (``kr_audit``) that count who was refused: sent again, a count takes its own place."""

from collections.abc import Mapping
from typing import Any

import msgspec

from flower_engine.projection.database import Connection

ACT = "access.refused"
MOST_A_DAY = 2_000
"""Rows of a day from which on refusals are no longer told apart."""
_DAY_MS = 86_400_000
_KEPT_MS = 90 * _DAY_MS

_NOTE = """
WITH known AS (
    UPDATE kr_audit SET details = %(details)s::text::jsonb
    WHERE act = %(act)s AND at_ms = %(at)s AND name = %(name)s AND by = %(by)s
        AND details -> 'api' = %(details)s::text::jsonb -> 'api'
        AND details -> 'status' = %(details)s::text::jsonb -> 'status'
    RETURNING 1
)
INSERT INTO kr_audit (at_ms, by, act, name, details)
SELECT %(at)s, %(by)s, %(act)s, %(name)s, %(details)s::text::jsonb WHERE NOT EXISTS (SELECT FROM known)
"""
_COUNT = """
SELECT count(*) FROM (SELECT FROM kr_audit WHERE act = %s AND at_ms > %s LIMIT %s) AS found
"""
_FORGET = "DELETE FROM kr_audit WHERE act = %s AND at_ms < %s"


async def note_refusals(
    connection: Connection, at_ms: int, by: str, name: str, said: Mapping[str, Any]
) -> None:
    """Notes how many there were so far of those whose first was at that moment."""
    values = {"at": at_ms, "by": by, "act": ACT, "name": name, "details": msgspec.json.encode(said).decode()}
    await connection.execute(_NOTE, values)


async def count_refusals(connection: Connection, now_ms: int) -> int:
    """How many rows the last day has, up to the most; those that are old go."""
    await connection.execute(_FORGET, (ACT, now_ms - _KEPT_MS))
    row = await (await connection.execute(_COUNT, (ACT, now_ms - _DAY_MS, MOST_A_DAY))).fetchone()
    return row[0] if row else 0
