"""How flows stand, in few words, and how far partitions are projected: for those who wait for flows."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flower_engine.projection.database import Connection

_POSITIONS = "SELECT partition, position FROM kr_projection"
_STANDINGS = """
SELECT task_flow_id, version, finished_ts IS NOT NULL OR (suspended > 0 AND running = 0)
FROM kr_flow_stat WHERE task_flow_id = ANY(%s)
"""


class Standing(NamedTuple):
    """``may_be_over``: it has ended, or tasks of it failed and none runs."""

    version: int
    may_be_over: bool


async def read_moved(connection: Connection) -> dict[int, str | None]:
    """The position up to which each partition is projected."""
    rows = await (await connection.execute(_POSITIONS)).fetchall()
    return {int(partition): position for partition, position in rows}


async def read_standings(connection: Connection, flows: Sequence[str]) -> Mapping[str, Standing]:
    """How those of these flows stand that are projected."""
    rows = await (await connection.execute(_STANDINGS, (list(flows),))).fetchall()
    return {flow: Standing(int(version), bool(may_be_over)) for flow, version, may_be_over in rows}
