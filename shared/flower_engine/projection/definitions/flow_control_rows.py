"""The tables ``ms_flow_control`` and ``ms_strike``: limits, rates, weights, pauses; what is passed over.

People write these with SQL, so a row may hold what cannot be read, or cannot be. Such a row is told
(:class:`Unreadable`) and stands in the way of no other.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from flower_engine.model.flow_control.flow_control import (
    FlowControl,
    Scope,
    Strike,
    problems_of,
    problems_of_strike,
)
from flower_engine.model.values.floats import spelled_out
from flower_engine.projection.database import Connection

_READ_VERSION = """
SELECT coalesce((SELECT version FROM kr_flow_control_version), 0),
  (SELECT count(*) FROM kr_projection WHERE retired_ts IS NULL)
"""

_LOCK = "SELECT version FROM kr_flow_control_version FOR UPDATE"
_TRY_LOCK = "SELECT version FROM kr_flow_control_version FOR UPDATE SKIP LOCKED"
_PATIENCE = """
SELECT set_config('lock_timeout', '5s', true), set_config('idle_in_transaction_session_timeout', '30s', true)
"""

_READ = """
SELECT known.version, control.scope, control.name, (to_jsonb(control) || jsonb_build_object(
    'reason', left(control.reason, 1000), 'changed_by', left(control.changed_by, 1000),
    'limit_by', left(control.limit_by, 2000), 'fair_by', left(control.fair_by, 2000)))::text
FROM kr_flow_control_version AS known LEFT JOIN ms_flow_control AS control ON true
ORDER BY control.scope, control.name
"""

_READ_PINS = "SELECT task_id, pin FROM ms_workflow WHERE pin IS NOT NULL"
_READ_PIN = "SELECT pin FROM ms_workflow WHERE task_id = %s"

_READ_STRIKES = """
SELECT strike_id, program, parameter, CASE WHEN length(value::text) <= 65536 THEN value::text END,
    left(made_by, 1000), left(reason, 1000)
FROM ms_strike ORDER BY made_ts, strike_id
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


class Unreadable(msgspec.Struct, frozen=True):
    """A row that cannot be used as it stands: what names it, and why. Nothing of it holds.

    ``name``: (scope, name) of a row of ``ms_flow_control``, (strike_id, program, parameter) of a strike's.
    """

    name: tuple[str, ...]
    problem: str


class Strikes(msgspec.Struct, frozen=True):
    """The strikes, oldest first, and the rows that are none."""

    rows: list[Strike]
    unreadable: list[Unreadable]


class Controls(msgspec.Struct, frozen=True):
    """Both tables at one moment; ``version`` moves with each change of either."""

    version: int
    rows: list[FlowControl]
    strikes: list[Strike] = []
    unreadable: list[Unreadable] = []
    unreadable_strikes: list[Unreadable] = []
    pins: dict[str, str] = {}
    """By what workflows are pinned, as definitions say."""

    def pin(self, control: FlowControl) -> str | None:
        """That of the workflow that a row is about."""
        return self.pins.get(control.name) if control.scope == "workflow" else None


async def read_version(connection: Connection) -> tuple[int, int]:
    """The tables' version, and how many partitions share the limits. It tells that they changed, not what is
    newer: a backup that was put back has an earlier one."""
    row = await (await connection.execute(_READ_VERSION)).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


async def lock_controls(connection: Connection) -> None:
    """Nobody else changes the tables, or brings them to Redis, until this transaction ends.

    It ends by itself where its client stands still for half a minute.

    Raises:
        psycopg.errors.LockNotAvailable: another transaction keeps them locked for 5 seconds.
    """
    await connection.execute(_PATIENCE)
    await connection.execute(_LOCK)


async def try_to_lock_controls(connection: Connection) -> bool:
    """The same, or False at once where somebody else is changing them."""
    await connection.execute(_PATIENCE)
    return await (await connection.execute(_TRY_LOCK)).fetchone() is not None


async def read_controls(connection: Connection) -> Controls:
    """The tables as they are; the version is at most as new as they are."""
    found = await (await connection.execute(_READ)).fetchall()
    version = int(found[0][0]) if found else 0
    rows: list[FlowControl] = []
    unreadable: list[Unreadable] = []
    for _, scope, name, text in found:
        if text is None:
            continue  # there are no rows
        row = _control_of(text)
        if isinstance(row, FlowControl):
            rows.append(row)
        else:
            unreadable.append(Unreadable((scope, name), row))
    strikes = await read_strikes(connection)
    pins: dict[str, str] = dict(await (await connection.execute(_READ_PINS)).fetchall())
    return Controls(version, rows, strikes.rows, unreadable, strikes.unreadable, pins)


async def read_pin(connection: Connection, control: FlowControl) -> str | None:
    """By what the workflow is pinned that a row is about."""
    if control.scope != "workflow":
        return None
    row = await (await connection.execute(_READ_PIN, (control.name,))).fetchone()
    return None if row is None else row[0]


async def read_strikes(connection: Connection) -> Strikes:
    """The strikes, oldest first."""
    rows: list[Strike] = []
    unreadable: list[Unreadable] = []
    async for row in await connection.execute(_READ_STRIKES):
        strike = _strike_of(row)
        if isinstance(strike, Strike):
            rows.append(strike)
        else:
            unreadable.append(Unreadable(row[:3], strike))
    return Strikes(rows, unreadable)


async def put_strike(connection: Connection, strike: Strike) -> None:
    """Adds a strike."""
    value = spelled_out(msgspec.json.encode(strike.value)).decode()
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


def _control_of(text: str) -> FlowControl | str:
    """The row, or what is wrong with it."""
    try:
        row = msgspec.json.decode(text, type=FlowControl)
    except (ValueError, RecursionError) as error:
        return f"it cannot be read: {error}"
    return "; ".join(problems_of(row)) or row


def _strike_of(row: Sequence[Any]) -> Strike | str:
    identity, program, parameter, text, by, reason = row
    if text is None:
        return "its value is longer than 65536 characters"
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError) as error:
        return f"its value cannot be read: {error}"
    strike = Strike(id=identity, program=program, parameter=parameter, value=value, by=by, reason=reason)
    return "; ".join(problems_of_strike(strike)) or strike
