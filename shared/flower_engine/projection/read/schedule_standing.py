"""How schedules stand by the tables, and what the archive tells of them behind that: for a verification."""

from collections.abc import Iterable, Sequence
from typing import Any, LiteralString

from flower_engine.errors import NewerEventError
from flower_engine.model.events.schedule_events import ScheduleEvent
from flower_engine.model.folding.schedule_state import FIRED, HELD, Fate, ScheduleState
from flower_engine.model.values.positions import as_numbers
from flower_engine.projection.archive.refused_events import UNREADABLE, event_of
from flower_engine.projection.database import Connection

_ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
_POSITION = "SELECT coalesce(position, '') FROM kr_projection WHERE partition = %s"
_STANDING = """
SELECT uid::text, name, version, state, problem, (extract(epoch FROM cursor) * 1000)::bigint, failures
FROM kr_schedule WHERE partition = %s
"""
_SLOTS: LiteralString = """
SELECT uid::text, (extract(epoch FROM slot) * 1000)::bigint, backfill, state, flow FROM kr_schedule_slot
"""
_BETWEEN = """
SELECT coalesce(raw, convert_to(event::text, 'UTF8')), error FROM kr_event
WHERE partition = %s AND type LIKE 'schedule.%%' AND (position_ms, position_seq) > (%s, %s)
  AND (position_ms, position_seq) <= (%s, %s) ORDER BY position_ms, position_seq
"""


async def read_standing(connection: Connection, partition: int) -> tuple[str, dict[str, ScheduleState]]:
    """A partition's schedules, with the slots of them that are held, and the position that this is of ("":
    nothing is projected)."""
    async with connection.transaction():
        await connection.execute(_ONE_MOMENT)
        row = await (await connection.execute(_POSITION, [partition])).fetchone()
        found: dict[str, ScheduleState] = {}
        async for uid, name, version, state, problem, cursor, failures in await connection.execute(
            _STANDING, [partition]
        ):
            found[uid] = ScheduleState(
                uid=uid,
                name=name,
                version=version,
                state=state,
                problem=problem,
                cursor=cursor,
                failures=failures,
                fates={},
            )
        held = await connection.execute(
            _SLOTS + "WHERE state = %s AND uid = ANY(%s::uuid[])", [HELD, list(found)]
        )
        async for fate in held:
            _add(found, fate)
    return (row[0] if row else ""), found


async def add_fired(
    connection: Connection, schedules: dict[str, ScheduleState], flows: Iterable[str]
) -> None:
    """Adds the slots that fired these flows, as far as the tables have them."""
    rows = await connection.execute(
        _SLOTS + "WHERE state = %s AND uid = ANY(%s::uuid[]) AND flow = ANY(%s)",
        [FIRED, list(schedules), list(flows)],
    )
    async for fate in rows:
        _add(schedules, fate)


async def schedule_events(
    connection: Connection, partition: int, after: str, until: str
) -> list[ScheduleEvent]:
    """The archived events of schedules between two positions; those that cannot be read are left out."""
    found: list[ScheduleEvent] = []
    values = [partition, *(as_numbers(after) if after else (-1, 0)), *as_numbers(until)]
    async for raw, error in await connection.execute(_BETWEEN, values):
        try:
            event = event_of(bytes(raw or b""), error)
        except (NewerEventError, *UNREADABLE):
            continue
        if isinstance(event, ScheduleEvent):
            found.append(event)
    return found


def _add(schedules: dict[str, ScheduleState], row: Sequence[Any]) -> None:
    uid, slot, backfill, state, flow = row
    if uid in schedules:
        fate = Fate(slot=slot, until=slot, state=state, decided_ms=0, flow=flow, backfill=backfill)
        schedules[uid].fates.setdefault(fate.key, fate)
