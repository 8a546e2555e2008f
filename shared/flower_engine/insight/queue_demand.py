"""What a queue asks for, for whoever scales workers: at a cost that does not grow with what waits."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from flower_engine.log.client import AsyncRedis, queue_command
from flower_engine.log.keys import GROUP, Keys
from flower_engine.log.partition import Partition
from flower_engine.model.flow_control.boards import board_of_program
from flower_engine.model.flow_control.limits import (
    limit_in,
    limits_of_lane,
    setting_of,
    units_of,
    window_of_limit,
)
from flower_engine.transitions.worker_transitions import WorkerInfo, live_workers

_MOST_BOARDS = 64
_MOST_SHARES = 100
_MOST_LANES = 500  # looked at; those beyond count as one task each
_MOST_HEADS = 20

Task = tuple[str, int]
"""A flow's id, and the number of the task in it."""


class QueueDemand(msgspec.Struct, frozen=True, kw_only=True):
    """``ready``: tasks that would start if there were a slot, so none that a limit or a pause holds back;
    ``running``: leased ones; ``heads``: the next ready ones of some lanes; ``workers``: those that serve
    it."""

    ready: int
    running: int
    heads: list[Task]
    workers: list[WorkerInfo]


async def read_demand(client: AsyncRedis, partition: Partition, queue: str) -> QueueDemand:
    """The demand of one partition's queue; nothing of one that nobody knows. Six round trips, whatever waits.

    Raises:
        LostError: Redis lost its state, so that what it holds says nothing of what waits.
        RedisError, OSError: Redis cannot be asked now.
    """
    keys = partition.keys
    running, boards = await _running_and_boards(client, partition, queue)
    lanes, more = await _lanes(client, keys, queue, boards)
    ready, heads = await _startable(client, keys, lanes, more)
    workers = [worker for worker in await live_workers(client, partition) if queue in worker.queues]
    return QueueDemand(ready=ready, running=running, heads=heads, workers=workers)


async def _running_and_boards(client: AsyncRedis, partition: Partition, queue: str) -> tuple[int, list[str]]:
    """Boards of limits that let nothing start are not in ``open``, and so are not looked at."""
    keys = partition.keys
    async with client.pipeline(transaction=False) as pipe:
        queue_command(pipe, "HGET", keys.meta, "generation")
        queue_command(pipe, "XPENDING", keys.work(queue), GROUP)
        queue_command(pipe, "SRANDMEMBER", keys.split(queue), _MOST_BOARDS)
        queue_command(pipe, "ZRANGE", keys.open(queue), 0, _MOST_BOARDS - 1)
        generation, leased, split, limits = await pipe.execute(raise_on_error=False)
    for reply in (generation, split, limits):
        if isinstance(reply, Exception):
            raise reply
    partition.check([b"ok" if generation == partition.generation.encode() else b"lost"])
    # A queue that nobody ever attended has no group, and none is held.
    running = int(leased["pending"]) if isinstance(leased, dict) else 0  # pyright: ignore[reportUnknownArgumentType]
    programs = [board_of_program(program.decode()) for program in split]
    return running, ["", *programs, *(board.decode() for board in limits)]


async def _lanes(client: AsyncRedis, keys: Keys, queue: str, boards: Sequence[str]) -> tuple[list[str], int]:
    """The names of some lanes, and how many more there are at least."""
    tops, shares_in_all = await _pages(client, [keys.ready(queue, board) for board in boards], _MOST_SHARES)
    shares = [
        keys.share(share.decode(), board) for board, top in zip(boards, tops, strict=True) for share in top
    ][:_MOST_SHARES]
    pages, lanes_in_all = await _pages(client, shares, _MOST_LANES)
    lanes = [lane.decode() for page in pages for lane in page][:_MOST_LANES]
    return lanes, max(0, lanes_in_all - len(lanes)) + max(0, shares_in_all - len(shares))


async def _pages(client: AsyncRedis, names: Sequence[str], most: int) -> tuple[list[list[bytes]], int]:
    """The first members of each sorted set, and how many all have together."""
    if not names:
        return [], 0
    async with client.pipeline(transaction=False) as pipe:
        for name in names:
            queue_command(pipe, "ZRANGE", name, 0, most - 1)
            queue_command(pipe, "ZCARD", name)
        replies: list[Any] = await pipe.execute()
    return replies[::2], sum(replies[1::2])


async def _startable(
    client: AsyncRedis, keys: Keys, lanes: Sequence[str], more: int
) -> tuple[int, list[Task]]:
    """How many tasks the limits would let start, and the first of some lanes."""
    if not lanes:
        return 0, []
    limits = {lane: limits_of_lane(lane) for lane in lanes}
    names = sorted({name for of_lane, _ in limits.values() for name in of_lane})
    async with client.pipeline(transaction=False) as pipe:
        queue_command(pipe, "HMGET", keys.limits, *map(setting_of, names))
        queue_command(pipe, "HMGET", keys.running, *names)
        for lane in lanes:
            queue_command(pipe, "ZCARD", keys.lane(lane))
            queue_command(pipe, "ZRANGE", keys.lane(lane), 0, 0)
        settings, running, *found = await pipe.execute()
    room = _room(names, settings, running)
    ready, heads = 0, list[Task]()
    for lane, count, first in zip(lanes, found[::2], found[1::2], strict=True):
        of_lane, units = limits[lane]
        fits = min((room[name] // units_of(name, units) for name in of_lane if name in room), default=count)
        starts = min(count, max(0, fits))
        room.update({name: room[name] - starts * units_of(name, units) for name in of_lane if name in room})
        ready += starts
        if starts and first and len(heads) < _MOST_HEADS:
            flow, _, task = first[0].decode().rpartition(":")
            heads.append((flow, int(task)))
    shared = [left for name, left in room.items() if window_of_limit(name) is None]
    return ready + min([more, *shared]), heads


def _room(
    names: Sequence[str], settings: Sequence[bytes | None], running: Sequence[bytes | None]
) -> Counter[str]:
    """How many units each limit lets start now; what no limit holds has no place in it. A rate is none: what
    it lets start in a second is no number of slots."""
    room = Counter[str]()
    for name, setting, units in zip(names, settings, running, strict=True):
        value = limit_in(name, {} if setting is None else {setting_of(name): setting.decode()})
        if value is None:
            continue
        if value.is_paused:
            room[name] = 0
        elif value.most is not None:
            room[name] = max(0, value.most - int(units or 0))
    return room
