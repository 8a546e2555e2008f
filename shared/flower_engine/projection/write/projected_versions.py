"""Up to which of its events a flow is projected."""

from collections.abc import Sequence
from typing import LiteralString

from flower_engine.projection.database import Connection
from flower_engine.projection.write.target_tables import LIVE, aimed

_VERSIONS: LiteralString = "SELECT task_flow_id, version FROM kr_flow_stat WHERE task_flow_id = ANY(%s)"


async def versions_of(
    connection: Connection, flows: Sequence[str], target: LiteralString = LIVE
) -> dict[str, int]:
    """The version of each of the flows, by id; those that are not projected are left out."""
    rows = await connection.execute(aimed(_VERSIONS, target), [list(flows)])
    return {flow: version async for flow, version in rows}
