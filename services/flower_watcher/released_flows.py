"""Flows that a ``strict`` schedule waits for, and that nobody can resolve any more.

A flow that failed and was parked is not in Redis, and is waited for until an operator resolves it. One that
Postgres does not have as open either, as it was closed with a gap or its rows are lost, nobody can resolve.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence

from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition, routed_over
from flower_engine.projection.database import Connection
from flower_engine.schedules.slot_ids import partition_of_schedule
from flower_engine.transitions.schedule_transitions import release_flows
from flower_watcher.scheduled_workflows import Shared

_log = logging.getLogger(__name__)

_OPEN = "SELECT task_flow_id FROM kr_flow_stat WHERE task_flow_id = ANY(%s) AND finished_ts IS NULL"


async def release_unknown(
    client: AsyncRedis,
    partitions: Sequence[Partition],
    connection: Connection,
    shared: Shared,
) -> list[str]:
    """Schedules go on that wait for a flow which neither Redis nor Postgres has as open; the flows.
    ``partitions``: those that are there.

    Raises:
        LostError: Redis lost its state.
        psycopg.Error: Postgres cannot be asked.
    """
    waits = dict(shared.waits)
    if not waits:
        return []
    rows = await (await connection.execute(_OPEN, [list(waits.values())])).fetchall()
    known = {flow for (flow,) in rows}
    by_partition: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for uid, flow in waits.items():
        if flow not in known:
            by_partition[partition_of_schedule(uid, routed_over(partitions))].append((uid, flow))
    released: list[str] = []
    for partition in list(partitions):
        if flows := by_partition.get(partition.number):
            released += await release_flows(client, partition, flows)
    for flow in released:
        _log.warning("flow %s failed, and nobody knows it any more: its schedule waits no longer", flow)
    return released
