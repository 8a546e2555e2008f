"""How many tasks wait before another one: those of higher or equal priority in its queue."""

from collections.abc import Container

from flower_engine.log.client import AsyncRedis, queue_command, send
from flower_engine.log.partition import Partition
from flower_engine.model.flow_control.boards import board_of_program
from flower_engine.model.flow_control.lanes import parse_lane, queue_and_priority
from flower_engine.model.values.key_parts import unescape

_TURNS = 2**47  # as in lua/lib/boards.lua
_MOST_LANES = 200


async def count_ahead(
    client: AsyncRedis, partition: Partition, lane: str, member: str, served: Container[tuple[str, str]]
) -> tuple[int, bool]:
    """The tasks that wait in the lanes of the queue at this priority or a higher one, but for those behind
    ``member`` in its own lane; and whether lanes were left out, because there were too many.

    What limits or pauses have set aside does not count, nor what is in no pair of queue and program of
    ``served``: it is not taken now.
    """
    keys = partition.keys
    name, priority = queue_and_priority(lane)
    queue = unescape(name)
    below = (priority + 21) * _TURNS
    boards: list[bytes] = await send(client, "SMEMBERS", keys.split(queue))
    lanes: list[bytes] = []
    for board in ["", *(board_of_program(program.decode()) for program in boards)]:
        shares: list[bytes] = await send(
            client,
            "ZRANGE",
            keys.ready(queue, board),
            *("-inf", f"({below}", "BYSCORE", "LIMIT", 0, _MOST_LANES),
        )
        for share in shares:
            if len(lanes) > _MOST_LANES:
                break
            of_share = keys.share(share.decode(), board)
            lanes += await send(client, "ZRANGE", of_share, 0, _MOST_LANES)
    counted = [name for raw in lanes[:_MOST_LANES] if _is_served(name := raw.decode(), served)]
    async with client.pipeline(transaction=False) as pipe:
        for name in counted:
            queue_command(pipe, "ZCARD", keys.lane(name))
        queue_command(pipe, "ZRANK", keys.lane(lane), member)
        *sizes, rank = await pipe.execute()
    own = counted.index(lane) if lane in counted else None
    before = sum(size for index, size in enumerate(sizes) if index != own)
    return before + (rank or 0), len(lanes) > _MOST_LANES


def _is_served(lane: str, served: Container[tuple[str, str]]) -> bool:
    parts = parse_lane(lane)
    return parts is not None and (parts.queue, parts.program) in served
