"""Writing what changed to the projected tables: the live ones, or those that a replay builds beside them."""

from collections.abc import Mapping, Sequence
from typing import LiteralString

from flower_engine.projection.copying import copy_into
from flower_engine.projection.database import Connection, Packed
from flower_engine.projection.write.flow_rows import (
    COPY_FLOWS,
    UPDATE_FLOWS,
    OfPartition,
    changed_flows,
    new_flows,
)
from flower_engine.projection.write.replaced_rows import take_over
from flower_engine.projection.write.target_tables import LIVE, aimed
from flower_engine.projection.write.task_rows import (
    COPY_TASKS,
    UPDATE_BODIES,
    UPDATE_PRIORITIES,
    UPDATE_TASKS,
    changed_bodies,
    changed_priorities,
    changed_tasks,
    new_tasks,
)

BY_KEY: Mapping[LiteralString, str] = {
    "plan_cache_mode": "force_generic_plan",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "jit": "off",
}
"""Settings of a connection: statements look every row up by its key, and plans are kept."""

WRITING: Mapping[LiteralString, str] = {
    **BY_KEY,
    "enable_indexscan": "off",
    "enable_indexonlyscan": "off",
    "enable_bitmapscan": "on",
}
"""Those of a connection that writes to the live tables. A table that was analysed while its first rows came
is taken for one of a single row, however large it is, and to read the whole of an index looks cheaper than
to look keys up. Bitmaps alone are left, and none is made without a key."""
READING: Mapping[LiteralString, str] = dict.fromkeys(WRITING.keys() - BY_KEY.keys(), "on")
"""What makes of a connection that wrote one that reads in the order of an index again."""


async def write_changes(
    connection: Connection, changed: Sequence[OfPartition], target: LiteralString = LIVE
) -> None:
    """Adds what changed of flows of some partitions to the tables of the target; call it in a transaction."""
    flows = [flow for _, some in changed for flow in some]
    replacing = [flow for flow in flows if flow.replaces]
    if replacing:
        await take_over(connection, replacing, target)
    is_any_new = any(flow.registered for flow in flows)
    if is_any_new or any(flow.expanded for flow in flows):
        await copy_into(connection, aimed(COPY_TASKS, target), new_tasks(flows))
    if is_any_new:
        await copy_into(connection, aimed(COPY_FLOWS, target), new_flows(changed))
    await _update(connection, aimed(UPDATE_PRIORITIES, target), changed_priorities(flows))
    await _update(connection, aimed(UPDATE_BODIES, target), changed_bodies(flows))
    await _update(connection, aimed(UPDATE_TASKS, target), changed_tasks(flows))
    await _update(connection, aimed(UPDATE_FLOWS, target), changed_flows(flows))


async def _update(connection: Connection, statement: LiteralString, parameters: Sequence[Packed]) -> None:
    if parameters:
        await connection.execute(statement, parameters, prepare=True)
