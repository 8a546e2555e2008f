"""In whose name a transaction changes tables: triggers note it in ``kr_audit`` (migration 0038)."""

from typing import Any

import msgspec

from flower_engine.model.values.floats import spelled_out
from flower_engine.projection.database import Connection

ENGINE = "flower"
"""Who acts where nobody asked for it."""

_ACT_AS = "SELECT set_config('flower.by', %s, true)"
_NOTE = """
INSERT INTO kr_audit (by, act, name, task_id, flow, reason, details)
VALUES (%s, %s, %s, %s, %s, %s, %s::text::jsonb)
"""


async def act_as(connection: Connection, by: str) -> None:
    """Until its end the transaction, which the caller has, changes what it changes in this name."""
    await connection.execute(_ACT_AS, (by or ENGINE,))


async def note_act(
    connection: Connection,
    by: str,
    act: str,
    *,
    name: str | None = None,
    workflow: str | None = None,
    flow: str | None = None,
    reason: str = "",
    details: Any = None,
) -> None:
    """Notes what somebody did that no event and no row of another table tells."""
    said = None if details is None else spelled_out(msgspec.json.encode(details)).decode()
    await connection.execute(_NOTE, (by or ENGINE, act, name, workflow, flow, reason, said))
