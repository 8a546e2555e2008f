"""How each partition stands, for operators."""

from typing import Literal

import msgspec

from flower_engine.insight.backlog import read_backlogs
from flower_engine.log.client import AsyncRedis, place_of
from flower_engine.log.each_partition import from_each
from flower_engine.log.partition import Partition, read_meta
from flower_engine.projection.database import Connection
from flower_engine.projection.write.projected_positions import read_positions
from flower_engine.runtime.redis_loss import why_not
from flower_engine.store_faults import words_of

_OPEN = "SELECT partition, count(*) FROM kr_flow_stat WHERE finished_ts IS NULL GROUP BY partition"


class PartitionStanding(msgspec.Struct, frozen=True, rename="camel"):
    """``flows``: how many are open, as far as that is projected; ``unprojected``: events that are not in
    Postgres yet (None: it does not answer); ``node``: of a cluster, where it is ("": there is one server);
    ``problem``: why it cannot be worked on ("": it can); ``state``: whether it gets no new flows, or was
    taken away."""

    partition: int
    flows: int
    unprojected: int | None
    node: str
    problem: str
    state: Literal["", "retiring", "retired"] = ""


async def partition_standings(client: AsyncRedis, connection: Connection) -> list[PartitionStanding]:
    """Every partition, in order; none: there is no installation yet.

    Raises:
        psycopg.Error, RedisError: a store does not answer; of a cluster: none of its nodes does.
    """
    all_rows = await read_positions(connection, with_retired=True)
    rows = [row for row in all_rows if not row.is_retired]
    counted = await (await connection.execute(_OPEN)).fetchall()
    flows: dict[int, int] = dict(counted)
    asked = [Partition(row.partition, row.installation, row.generation) for row in rows]
    backlogs = await read_backlogs(client, asked)
    metas = await from_each(client, asked, lambda one: read_meta(client, one.number))
    found: list[PartitionStanding] = []
    for one, row, backlog in zip(asked, rows, backlogs, strict=True):
        problem = ""
        if one.number in metas.away:
            problem = f"is away: {words_of(metas.away[one.number])}"
        elif (meta := metas.found[one.number]) is not None and meta.is_retired and row.is_retiring:
            problem = "it is closed, and about to be taken away"
        elif meta is None or meta.generation != one.generation:
            problem = why_not(one.number, meta)
        found.append(
            PartitionStanding(
                partition=one.number,
                flows=flows.get(one.number, 0),
                unprojected=None if backlog is None or problem else backlog.events,
                node=place_of(client, one.number),
                problem=problem,
                state="retiring" if row.is_retiring else "",
            )
        )
    gone = [row.partition for row in all_rows if row.is_retired]
    found += [PartitionStanding(number, 0, 0, "", "", state="retired") for number in gone]
    return sorted(found, key=lambda one: one.partition)
