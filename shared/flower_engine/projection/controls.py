"""The table ``ms_flow_control``: what people set of limits, rates, weights and pauses."""

from typing import Any

import msgspec

from flower_engine.model.control import FlowControl, Scope
from flower_engine.projection.database import Connection

_READ_VERSION = "SELECT version FROM kr_flow_control_version"

_READ = """
SELECT known.version, to_jsonb(control)::text
FROM kr_flow_control_version AS known LEFT JOIN ms_flow_control AS control ON true
ORDER BY control.scope, control.name
"""

_PUT = """
INSERT INTO ms_flow_control SELECT * FROM jsonb_populate_record(NULL::ms_flow_control, %s::text::jsonb)
ON CONFLICT (scope, name) DO UPDATE SET
    max_running = excluded.max_running, limit_by = excluded.limit_by, max_per_key = excluded.max_per_key,
    max_flows = excluded.max_flows, at_max_flows = excluded.at_max_flows,
    count_suspended = excluded.count_suspended, rate = excluded.rate,
    rate_period_seconds = excluded.rate_period_seconds, fair_by = excluded.fair_by,
    weight = excluded.weight, is_paused = excluded.is_paused, reason = excluded.reason,
    changed_by = excluded.changed_by
"""

_DELETE = "DELETE FROM ms_flow_control WHERE scope = %s AND name = %s"

_FIELDS = FlowControl.__struct_fields__


class Controls(msgspec.Struct, frozen=True):
    """The whole table at one moment; ``version`` rises with each change."""

    version: int
    rows: list[FlowControl]


async def read_version(connection: Connection) -> int:
    """The table's version."""
    row = await (await connection.execute(_READ_VERSION)).fetchone()
    return int(row[0]) if row else 0


async def read_controls(connection: Connection) -> Controls:
    """The table as it is."""
    found = await (await connection.execute(_READ)).fetchall()
    version = int(found[0][0]) if found else 0
    return Controls(version, [_control_of(text) for _, text in found if text is not None])


async def put_control(connection: Connection, control: FlowControl) -> None:
    """Sets a row; it must have no problems (see ``problems_of``)."""
    row: dict[str, Any] = {field: getattr(control, field) for field in _FIELDS}
    await connection.execute(_PUT, (msgspec.json.encode(row).decode(),))


async def delete_control(connection: Connection, scope: Scope, name: str) -> bool:
    """Removes a row; False if there is none."""
    return (await connection.execute(_DELETE, (scope, name))).rowcount == 1


def _control_of(text: str) -> FlowControl:
    return msgspec.json.decode(text, type=FlowControl)
