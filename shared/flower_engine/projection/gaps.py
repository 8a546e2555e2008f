"""Gaps (``kr_gap``): parts of the log that were trimmed and that no archive has any more."""

from collections.abc import Sequence
from typing import LiteralString

import msgspec

from flower_engine.model.positions import as_numbers
from flower_engine.projection.database import Connection
from flower_engine.projection.targets import LIVE, aimed

_READ: LiteralString = (
    "SELECT partition, after_position, before_position, until_position, found, closed, unseen, unseen_count"
    " FROM kr_gap"
)
_ADD: LiteralString = """
INSERT INTO kr_gap
  (partition, after_position, before_position, until_position, found, closed, unseen, unseen_count)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """What is lost lies between two positions, both known: ``after`` (None: nothing before it is known) and
    ``before``. ``until`` is the last event that bridges it. ``found``: flows under way, known again;
    ``closed``: flows that Postgres took for open and whose end is lost; ``unseen``: some of the
    ``unseen_count`` flows that ended in it, of late, and of which nothing else is known."""

    partition: int
    after: str | None
    before: str
    until: str
    found: int
    closed: list[str]
    unseen: list[str]
    unseen_count: int

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
        return text


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


async def add_gap(connection: Connection, gap: Gap) -> None:
    """Says that a gap is bridged, so that the projector may cross it."""
    await connection.execute(
        _ADD,
        [
            *(gap.partition, gap.after, gap.before, gap.until),
            *(gap.found, gap.closed, gap.unseen, gap.unseen_count),
        ],
    )


_VERSIONS: LiteralString = "SELECT task_flow_id, version FROM kr_flow_stat WHERE task_flow_id = ANY(%s)"


async def versions_of(
    connection: Connection, flows: Sequence[str], target: LiteralString = LIVE
) -> dict[str, int]:
    """Up to which of its events each of the flows is projected; those that are not are left out."""
    rows = await connection.execute(aimed(_VERSIONS, target), [list(flows)])
    return {flow: version async for flow, version in rows}


def _gap(row: Sequence[object]) -> Gap:
    return msgspec.convert(dict(zip(Gap.__struct_fields__, row, strict=True)), Gap)


def _some(flows: list[str]) -> str:
    return ", ".join(flows[:5]) + (", ..." if len(flows) > 5 else "")
