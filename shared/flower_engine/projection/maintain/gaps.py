"""Gaps (``kr_gap``): parts of the log that were trimmed and that no archive has any more, and the flows whose
end lies in one (``kr_gap_flow``)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import LiteralString

import msgspec

from flower_engine.model.values.positions import as_numbers
from flower_engine.projection.database import Connection

_READ: LiteralString = (
    "SELECT partition, after_position, before_position, until_position, found, closed, unseen, unseen_count,"
    " outdated, outdated_count FROM kr_gap"
)
_ADD: LiteralString = """
INSERT INTO kr_gap
  (partition, after_position, before_position, until_position, found, closed, unseen, unseen_count, outdated,
  outdated_count)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_ADD_FLOWS: LiteralString = """
INSERT INTO kr_gap_flow AS known (task_flow_id, partition, until_position, version, ended_ts, known_version)
SELECT flow, %s, %s, version, to_timestamp(ended_ms / 1000.0), known_version
FROM unnest(%s::text[], %s::integer[], %s::bigint[], %s::integer[])
  AS lost (flow, version, ended_ms, known_version)
ON CONFLICT (task_flow_id) DO UPDATE SET partition = excluded.partition,
  until_position = excluded.until_position, version = excluded.version, ended_ts = excluded.ended_ts,
  known_version = excluded.known_version
WHERE known.version IS NULL OR known.version < excluded.version
"""
_MARK: LiteralString = """
UPDATE kr_flow_stat AS known SET lost_version = lost.version FROM kr_gap_flow AS lost
WHERE lost.task_flow_id = known.task_flow_id AND known.task_flow_id = ANY(%s) AND known.version < lost.version
"""
_LOST_END: LiteralString = """
SELECT lost.task_flow_id, lost.version, (extract(epoch FROM lost.ended_ts) * 1000)::bigint, known.version
FROM kr_gap_flow AS lost LEFT JOIN kr_flow_stat AS known ON known.task_flow_id = lost.task_flow_id
WHERE (known.version IS NULL OR known.version < lost.version)
"""
_OUTDATED: LiteralString = """
SELECT lost.task_flow_id, lost.version, (extract(epoch FROM lost.ended_ts) * 1000)::bigint, known.version,
  count(*) OVER ()
FROM kr_gap_flow AS lost JOIN kr_flow_stat AS known ON known.task_flow_id = lost.task_flow_id
WHERE known.version < lost.version ORDER BY lost.task_flow_id LIMIT %s
"""
_FORGET: LiteralString = """
DELETE FROM kr_gap_flow AS lost WHERE ended_ts < to_timestamp(%s / 1000.0)
  AND NOT EXISTS (SELECT FROM kr_flow_stat AS known WHERE known.task_flow_id = lost.task_flow_id)
"""
_CALL_FLOWS = 10_000


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """What is lost lies between two positions, both known: ``after`` (None: nothing before it is known) and
    ``before``. ``until`` is the last event that bridges it. ``found``: flows under way, known again;
    ``closed``: flows that Postgres took for open and whose end is lost; ``unseen``: some of the
    ``unseen_count`` flows that ended in it, of late, and of which nothing else is known; ``outdated``: some
    of the ``outdated_count`` that are known by an older end than that."""

    partition: int
    after: str | None
    before: str
    until: str
    found: int
    closed: list[str]
    unseen: list[str]
    unseen_count: int
    outdated: list[str] = []
    outdated_count: int = 0

    def __str__(self) -> str:
        """One sentence for people."""
        text = (
            f"partition {self.partition}: the history between {self.after or 'its beginning'} and"
            f" {self.before} is lost; {self.found} flows under way were found as they stood"
        )
        if self.closed:
            text += f", {len(self.closed)} were closed whose end is lost ({_some(self.closed)})"
        if self.unseen_count:
            text += (
                f", and of {self.unseen_count} that ended lately nothing else is known ({_some(self.unseen)})"
            )
        if self.outdated_count:
            text += (
                f"; {self.outdated_count} that were rerun and ended again in it are known by their older end"
                f" ({_some(self.outdated)})"
            )
        return text


class LostEnd(msgspec.Struct, frozen=True):
    """A flow that ended (or was parked) in a gap, at this version and millisecond, as far as that is known;
    ``known_version``: of an earlier end, which is all that the tables have of it."""

    flow: str
    version: int | None = None
    ended_ms: int | None = None
    known_version: int | None = None

    def __str__(self) -> str:
        """One sentence for people."""
        end = "ended" if self.version is None else f"ended as version {self.version}"
        if self.ended_ms is not None:
            end += (
                f" at {datetime.fromtimestamp(self.ended_ms / 1000, UTC).isoformat(timespec='milliseconds')}"
            )
        where = "in a part of the history that is lost (kr_gap_flow)"
        if self.known_version is None:
            return f"flow {self.flow} {end}, {where}: nothing else is known of it"
        return (
            f"flow {self.flow} is known up to version {self.known_version} only: it went on and {end},"
            f" {where}. Nothing can follow from the older end; register the flow anew"
        )


async def read_gaps(connection: Connection) -> list[Gap]:
    """All gaps, oldest first."""
    rows = await connection.execute(_READ + " ORDER BY found_ts, partition")
    return [_gap(row) async for row in rows]


async def gap_at(connection: Connection, partition: int, position: str | None) -> Gap | None:
    """The newest gap that the projection, at this position, has still to cross, or is crossing; its bridge
    may be trimmed by now."""
    rows = await connection.execute(_READ + " WHERE partition = %s ORDER BY found_ts DESC", [partition])
    async for row in rows:
        gap = _gap(row)
        if gap.after == position or (position and as_numbers(position) < as_numbers(gap.until)):
            return gap
    return None


async def add_gap(connection: Connection, gap: Gap, lost: Sequence[LostEnd]) -> None:
    """Says that a gap is bridged, so that the projector may cross it, and which flows' ends lie in it."""
    async with connection.transaction():
        for first in range(0, len(lost), _CALL_FLOWS):
            some = lost[first : first + _CALL_FLOWS]
            columns = [list(column) for column in zip(*map(msgspec.structs.astuple, some), strict=True)]
            await connection.execute(_ADD_FLOWS, [gap.partition, gap.until, *columns])
            await connection.execute(_MARK, [[one.flow for one in some if one.known_version is not None]])
        await connection.execute(
            _ADD,
            [
                *(gap.partition, gap.after, gap.before, gap.until),
                *(gap.found, gap.closed, gap.unseen, gap.unseen_count),
                *(gap.outdated, gap.outdated_count),
            ],
        )


async def lost_end_of(connection: Connection, flow: str) -> LostEnd | None:
    """The end of a flow that lies in a gap, where the tables have nothing of it, or only an earlier one."""
    row = await (await connection.execute(_LOST_END + " AND lost.task_flow_id = %s", [flow])).fetchone()
    return None if row is None else LostEnd(*row)


async def outdated_flows(connection: Connection, most: int) -> tuple[list[LostEnd], int]:
    """The flows that are known by an earlier end only: so many of them, and how many there are."""
    rows = await connection.execute(_OUTDATED, [most])
    found = [(LostEnd(*one), int(count)) async for *one, count in rows]
    return [one for one, _ in found], found[0][1] if found else 0


async def ends_known(connection: Connection, flows: Sequence[str]) -> dict[str, tuple[int, bool]]:
    """Of those of the flows that are projected: up to which of their events, and whether they had ended."""
    rows = await connection.execute(
        "SELECT task_flow_id, version, finished_ts IS NOT NULL FROM kr_flow_stat"
        " WHERE task_flow_id = ANY(%s)",
        [list(flows)],
    )
    return {flow: (version, has_ended) async for flow, version, has_ended in rows}


async def forget_lost_ends(connection: Connection, before_ms: int) -> None:
    """Forgets lost ends that lie before this, of flows of which the tables have nothing."""
    await connection.execute(_FORGET, [before_ms])


def _gap(row: Sequence[object]) -> Gap:
    return msgspec.convert(dict(zip(Gap.__struct_fields__, row, strict=True)), Gap)


def _some(flows: list[str]) -> str:
    return ", ".join(flows[:5]) + (", ..." if len(flows) > 5 else "")
