"""Schedules as Redis has them, told again in the log, for a Postgres that lost what led there."""

from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.partition import Partition
from flower_engine.projection.database import Connection
from flower_engine.transitions.schedule_transitions import Definition, define_schedules, read_schedules

_AT_ONCE = 200
# Redis names those that have a slot to come; of others only Postgres may know that they were.
_KNOWN = "SELECT uid::text FROM kr_schedule WHERE partition = %s UNION SELECT uid::text FROM ms_schedule"


async def tell_schedules(client: AsyncRedis, connection: Connection, partition: Partition) -> int:
    """Says in the log at which version and cursor each schedule of the partition is; how many there are."""
    due: list[bytes] = await send(client, "ZRANGE", partition.keys.schedules, 0, -1)
    rows = await (await connection.execute(_KNOWN, [partition.number])).fetchall()
    uids = sorted({*(uid.decode() for uid in due), *(uid for (uid,) in rows)})
    count = 0
    for first in range(0, len(uids), _AT_ONCE):
        found = await read_schedules(client, partition, uids[first : first + _AT_ONCE], with_spec=False)
        definitions = [
            Definition(uid=one.uid, version=one.version, name=one.name, state=one.state, problem=one.problem)
            for one in found
            if one is not None
        ]
        await define_schedules(client, partition, definitions, again=True)
        count += len(definitions)
    return count
