"""What a partition is busy with at this moment, at a bounded cost: queues, lanes, limits, rates."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from flower_engine.log.client import AsyncRedis, one_server, queue_command, send
from flower_engine.log.engine_clock import read_engine_time
from flower_engine.log.keys import GROUP
from flower_engine.log.partition import Partition
from flower_engine.log.reader import read_back
from flower_engine.model.flow_control.lanes import parse_lane
from flower_engine.model.values.ids import created_ms
from flower_engine.model.values.key_parts import unescape
from flower_engine.transitions.strike_transition import lanes_of
from flower_engine.transitions.worker_transitions import live_workers

_MOST_LANES = 2_000  # looked at; beyond, the numbers of a queue are too small, and that is said
_RECENT_EVENTS = 2_000
_RECENT_MS = 5_000
_EVENT = re.compile(rb'\{"type":"([a-z._]+)","at":(\d+)')


class LaneNow(msgspec.Struct, frozen=True, kw_only=True):
    """Ready tasks that are alike. ``flow``, ``task``: the next one; ``first_ms``: when its flow was
    registered; ``board``: why it is set aside, "" if it is not; ``kept_from``: versions of the program that
    refused these tasks."""

    queue: str
    priority: int
    workflow: str
    program: str
    key: str
    waiting: int
    flow: str
    task: int
    first_ms: int
    board: str
    kept_from: tuple[str, ...] = ()


class QueueNow(msgspec.Struct, frozen=True, kw_only=True):
    """A queue that somebody serves, or that holds something: ready tasks and leased ones."""

    queue: str
    waiting: int
    running: int


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """``running`` counts units by the name of their limit; ``starts`` and ``finishes`` of the last
    ``window_ms``; ``is_whole``: no lanes were left out."""

    now_ms: int
    queues: list[QueueNow]
    lanes: list[LaneNow]
    is_whole: bool
    limits: dict[str, str]
    running: dict[str, int]
    starts: int
    finishes: int
    window_ms: int


async def read_overview(
    client: AsyncRedis, partition: Partition, more_queues: Collection[str] = ()
) -> Overview:
    """The partition as it is. ``more_queues``: names of queues that no worker may ever have attended, which
    Redis does not list."""
    seconds, micros = await send(one_server(client, partition.number), "TIME")
    now_ms = int(seconds) * 1000 + int(micros) // 1000
    names: list[str] = []
    async for lane in lanes_of(client, partition, more_queues):
        if len(names) == _MOST_LANES:
            break
        names.append(lane)
    lanes, is_whole = await _lanes(client, partition, names), len(names) < _MOST_LANES
    starts, finishes, window_ms = await _recent(client, partition)
    return Overview(
        now_ms=now_ms,
        queues=await _queues(client, partition, lanes),
        lanes=lanes,
        is_whole=is_whole,
        limits=await _texts(client, partition.keys.limits),
        running={name: int(units) for name, units in (await _texts(client, partition.keys.running)).items()},
        starts=starts,
        finishes=finishes,
        window_ms=window_ms,
    )


async def _lanes(client: AsyncRedis, partition: Partition, names: Sequence[str]) -> list[LaneNow]:
    keys = partition.keys
    async with client.pipeline(transaction=False) as pipe:
        for name in names:
            queue_command(pipe, "ZCARD", keys.lane(name))
            queue_command(pipe, "ZRANGE", keys.lane(name), 0, 0)
            queue_command(pipe, "HGET", keys.aside, name)
        found: list[Any] = await pipe.execute()
    lanes: list[LaneNow] = []
    for index, name in enumerate(names):
        waiting, first, board = found[3 * index : 3 * index + 3]
        parts = parse_lane(name)
        if not waiting or not first or parts is None:
            continue  # it was emptied meanwhile
        flow, _, task = first[0].decode().rpartition(":")
        lanes.append(
            LaneNow(
                queue=parts.queue,
                priority=parts.priority,
                workflow=parts.workflow,
                program=parts.program,
                key=parts.fair_key or parts.workflow_key or parts.program_key,
                waiting=waiting,
                flow=flow,
                task=int(task),
                first_ms=created_ms(flow),
                board=board.decode() if board else "",
                kept_from=parts.kept_from,
            )
        )
    return lanes


async def _queues(client: AsyncRedis, partition: Partition, lanes: Sequence[LaneNow]) -> list[QueueNow]:
    waiting: Counter[str] = Counter()
    for lane in lanes:
        waiting[lane.queue] += lane.waiting
    attended: set[bytes] = await send(client, "SMEMBERS", partition.keys.queues)
    queues = sorted({unescape(queue.decode()) for queue in attended} | waiting.keys())
    served = {queue for worker in await live_workers(client, partition) for queue in worker.queues}
    found: list[QueueNow] = []
    for queue in queues:
        work, running = partition.keys.work(queue), 0
        if await send(client, "EXISTS", work):
            running = int((await send(client, "XPENDING", work, GROUP))["pending"])
        if waiting[queue] or running or queue in served:  # the work stream of one that nobody serves stays
            found.append(QueueNow(queue=queue, waiting=waiting[queue], running=running))
    return found


async def _recent(client: AsyncRedis, partition: Partition) -> tuple[int, int, int]:
    """Starts and finishes of late, and within how many milliseconds."""
    engine_time, clock_ms = await read_engine_time(client, partition.keys)
    now_ms = engine_time.now(clock_ms)
    # Positions never go back, and do not go on either until a clock that did is where it was.
    page = await read_back(
        client, partition.keys, before=None, after=f"{clock_ms - _RECENT_MS}-0", count=_RECENT_EVENTS
    )
    told = [match for entry in page.entries if (match := _EVENT.match(entry.raw))]
    recent = [match for match in told if int(match[2]) > now_ms - _RECENT_MS]
    if not recent:
        return 0, 0, _RECENT_MS
    is_all = page.is_all or len(recent) < len(told)
    window_ms = _RECENT_MS if is_all else max(1, now_ms - int(recent[-1][2]))
    counted = Counter(match[1] for match in recent)
    return counted[b"task.started"], counted[b"task.finished"], window_ms


async def _texts(client: AsyncRedis, key: str) -> dict[str, str]:
    found: dict[bytes, bytes] = await send(client, "HGETALL", key)
    return {name.decode(): value.decode() for name, value in found.items()}
