"""The transition ``sweep``: waiting tasks that strikes meet are passed over, lane by lane, in steps."""

from collections.abc import AsyncGenerator, Collection, Iterable

from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.partition import Partition
from flower_engine.model.flow_control.lanes import parse_lane
from flower_engine.model.values.key_parts import escape, unescape
from flower_engine.transitions.loader import Script

_sweep = Script("watcher/sweep")
_TASKS_A_STEP = 200  # looked at in one call: a millisecond or so of Redis' time


async def sweep(client: AsyncRedis, partition: Partition, programs: Collection[str]) -> int:
    """Passes over every waiting task of these programs that a strike meets; returns how many.

    What comes into a lane meanwhile is met when its turn comes.

    Raises:
        LostError: Redis lost its state.
    """
    count = 0
    async for lane in lanes_of(client, partition):
        parts = parse_lane(lane)
        if parts is None or parts.program not in programs:
            continue
        behind = "-inf"
        while behind:
            args = _sweep.args(
                generation=partition.generation, lane_name=lane, behind=behind, most=_TASKS_A_STEP
            )
            reply = partition.check(await _sweep.run(client, partition.keys.meta, args))
            behind, count = reply[1].decode(), count + reply[2]
    return count


async def lanes_of(
    client: AsyncRedis, partition: Partition, more_queues: Iterable[str] = ()
) -> AsyncGenerator[str]:
    """The name of every lane that holds tasks, on whatever board; one that comes or goes meanwhile may be
    missed, and so are those of queues that no worker ever attended, unless they are named."""
    keys = partition.keys
    boards: dict[bytes, bytes] = await send(client, "HGETALL", keys.boards)
    by_queue: dict[bytes, list[bytes]] = {
        queue: [b""] for queue in await send(client, "SMEMBERS", keys.queues)
    }
    for name in more_queues:
        by_queue.setdefault(escape(name).encode(), [b""])
    for board, queues in boards.items():
        for queue in queues.split(b","):
            by_queue.setdefault(queue, [b""]).append(board)
    for queue, names in by_queue.items():
        for board in names:
            ready = keys.ready(unescape(queue.decode()), board.decode())
            for share in await send(client, "ZRANGE", ready, 0, -1):
                lanes = keys.share(share.decode(), board.decode())
                for lane in await send(client, "ZRANGE", lanes, 0, -1):
                    yield lane.decode()
