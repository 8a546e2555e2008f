"""Which flows use a blob (``kr_blob_use``): those that name it in any event of theirs.

A use lasts as long as the flow is kept, as its history shows what was there once. It is found in the bytes of
the event, wherever it stands there: the result of a task, a part of one, a parameter, what a fork takes over.
"""

import re
from collections.abc import Collection

from flower_engine.projection.database import Connection

_SIGN = b'"sha256"'
_REFERENCE = re.compile(rb'\{[^{}]*"sha256"\s*:\s*"([0-9a-f]{64})"[^{}]*\}')
_FIELDS = (b'"bytes"', b'"store"')
_ADD = """
INSERT INTO kr_blob_use (sha256, task_flow_id) SELECT * FROM unnest(%s::text[], %s::text[])
ON CONFLICT DO NOTHING
"""
_FORGET = """
DELETE FROM kr_blob_use AS used USING pg_temp.pruned_flow AS gone WHERE gone.task_flow_id = used.task_flow_id
"""

Use = tuple[str, str]
"""A blob's sha256, and a flow."""


def blobs_in(event: bytes) -> list[str]:
    """The sha256 of each blob that an event names."""
    if _SIGN not in event:
        return []
    found = {one[1].decode() for one in _REFERENCE.finditer(event) if all(name in one[0] for name in _FIELDS)}
    return sorted(found)


async def add_uses(connection: Connection, uses: Collection[Use]) -> None:
    """Adds uses that are not known yet; in the transaction that archives the events."""
    if uses:
        ordered = sorted(set(uses))  # two that add the same in another order would wait for each other
        await connection.execute(_ADD, [[sha256 for sha256, _ in ordered], [flow for _, flow in ordered]])


async def forget_uses(connection: Connection) -> None:
    """Forgets what flows used that are being pruned (``pg_temp.pruned_flow``)."""
    await connection.execute(_FORGET)


async def used_of(connection: Connection, sha256s: Collection[str]) -> set[str]:
    """Those of some blobs that a flow uses."""
    rows = await connection.execute(
        "SELECT DISTINCT sha256 FROM kr_blob_use WHERE sha256 = ANY(%s)", [list(sha256s)]
    )
    return {sha256 async for (sha256,) in rows}
