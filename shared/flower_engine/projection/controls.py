"""The tables ``ms_flow_control`` and ``ms_strike``: limits, rates, weights, pauses; what is passed over."""

from typing import Any

import msgspec

from flower_engine.model.control import FlowControl, Scope, Strike
from flower_engine.projection.database import Connection

_READ_VERSION = "SELECT version FROM kr_flow_control_version"

_READ = """
SELECT known.version, to_jsonb(control)::text
FROM kr_flow_control_version AS known LEFT JOIN ms_flow_control AS control ON true
ORDER BY control.scope, control.name
"""

_READ_STRIKES = """
SELECT strike_id, program, parameter, value::text, made_by, reason FROM ms_strike ORDER BY made_ts, strike_id
"""
_PUT_STRIKE = """
INSERT INTO ms_strike (strike_id, program, parameter, value, made_by, reason)
VALUES (%s, %s, %s, %s::text::jsonb, %s, %s)
"""
_DELETE_STRIKE = "DELETE FROM ms_strike WHERE strike_id = %s"

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
    """Both tables at one moment; ``version`` rises with each change of either."""

    version: int
    rows: list[FlowControl]
    strikes: list[Strike] = []


async def read_version(connection: Connection) -> int:
    """The table's version."""
    row = await (await connection.execute(_READ_VERSION)).fetchone()
    return int(row[0]) if row else 0


async def read_controls(connection: Connection) -> Controls:
    """The tables as they are; the version is at most as new as they are."""
    found = await (await connection.execute(_READ)).fetchall()
    version = int(found[0][0]) if found else 0
    rows = [_control_of(text) for _, text in found if text is not None]
    return Controls(version, rows, await read_strikes(connection))


async def read_strikes(connection: Connection) -> list[Strike]:
    """The strikes, oldest first."""
    return [
        Strike(
            id=identity, program=program, parameter=parameter, value=msgspec.json.decode(value), by=by,
            reason=reason,
        )
        async for identity, program, parameter, value, by, reason in await connection.execute(_READ_STRIKES)
    ]  # fmt: skip


async def put_strike(connection: Connection, strike: Strike) -> None:
    """Adds a strike."""
    value = msgspec.json.encode(strike.value).decode()
    values = (strike.id, strike.program, strike.parameter, value, strike.by, strike.reason)
    await connection.execute(_PUT_STRIKE, values)


async def delete_strike(connection: Connection, identity: str) -> bool:
    """Lifts a strike; False: there is none with this id."""
    return (await connection.execute(_DELETE_STRIKE, (identity,))).rowcount > 0


async def put_control(connection: Connection, control: FlowControl) -> None:
    """Sets a row; it must have no problems (see ``problems_of``)."""
    row: dict[str, Any] = {field: getattr(control, field) for field in _FIELDS}
    await connection.execute(_PUT, (msgspec.json.encode(row).decode(),))


async def delete_control(connection: Connection, scope: Scope, name: str) -> bool:
    """Removes a row; False if there is none."""
    return (await connection.execute(_DELETE, (scope, name))).rowcount == 1


def _control_of(text: str) -> FlowControl:
    return msgspec.json.decode(text, type=FlowControl)
