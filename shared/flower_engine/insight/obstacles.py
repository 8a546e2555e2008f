"""What keeps ready tasks from starting at this moment: a place, limits and pauses, as Redis has them."""

from collections.abc import Container, Sequence

import msgspec

from flower_engine.insight.children_in_line import InLine, child_in_line
from flower_engine.insight.common_fields import read_lanes
from flower_engine.insight.tasks_ahead import count_ahead
from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.engine_clock import now_ms
from flower_engine.log.partition import Partition
from flower_engine.model.flow_control.lanes import parse_lane
from flower_engine.model.flow_control.limits import (
    LimitValue,
    limit_of_flows,
    limits_of_lane,
    most_of,
    parse_limit,
    setting_of,
    units_of,
    window_of_limit,
)
from flower_engine.model.values.key_parts import unescape

_MOST_COUNTED = 20  # tasks of a flow for which those before them are counted
_MOST_HOLDERS = 10
_MOST_QUEUES = 20
_MOST_LEASES = 200


class NoPlace(msgspec.Struct, frozen=True):
    """The flow waits for a place: ``under_way`` of ``most`` flows have one, ``ahead`` wait before it."""

    under_way: int
    most: int
    ahead: int


class Full(msgspec.Struct, frozen=True):
    """A limit is reached: ``running`` of ``most`` units; ``key`` of a limit per key, else "". ``held_by``:
    flows whose tasks use it, a few of them where there are many."""

    scope: str
    name: str
    key: str
    running: int
    most: int
    held_by: tuple[str, ...] = ()


class Slow(msgspec.Struct, frozen=True):
    """As many tasks as ``rate`` allows have started within ``period_ms``; the next may at ``until_ms``."""

    scope: str
    name: str
    rate: int
    period_ms: int
    until_ms: int


class Behind(msgspec.Struct, frozen=True):
    """Nothing stops the task but ``tasks`` of higher or equal priority that wait before it in its queue;
    ``at_least``: there were too many lanes to count them all."""

    tasks: int
    at_least: bool


class Held(msgspec.Struct, frozen=True):
    """A scope is paused."""

    scope: str
    name: str


class Refused(msgspec.Struct, frozen=True):
    """These versions of the task's program, by digest, refused its parameters; it waits for another."""

    versions: tuple[str, ...]


Obstacle = NoPlace | InLine | Full | Slow | Held | Refused | Behind


async def find_obstacles(
    client: AsyncRedis,
    partition: Partition,
    flow: str,
    tasks: Sequence[int],
    served: Container[tuple[str, str]],
) -> dict[int, Obstacle]:
    """What stops each of these ready tasks; a task that nothing stops but workers is not in it.

    ``served``: the pairs of queue and program that live workers serve; only such tasks are before others.
    """
    keys = partition.keys
    counters, *raw = await read_lanes(client, keys.flow(flow), tasks)
    if counters is None:
        return {}
    lanes = {seq: lane.decode() for seq, lane in zip(tasks, raw, strict=True) if lane is not None}
    flags = "".join(counters.decode().split(" ")[4:])
    if "n" in flags and lanes:
        place: Obstacle | None = await child_in_line(client, partition, flow)
        if place is None:
            place = await _place(client, partition, flow, next(iter(lanes.values())))
        return dict.fromkeys(lanes, place)
    names = sorted({name for lane in lanes.values() for name in limits_of_lane(lane)[0]})
    if not names or "h" in flags or "w" in flags:
        return {}
    refused = {seq: parts.kept_from for seq, lane in lanes.items() if (parts := parse_lane(lane))}
    limits: list[bytes | None] = await send(client, "HMGET", keys.limits, *map(setting_of, names))
    running: list[bytes | None] = await send(client, "HMGET", keys.running, *names)
    settings = {name: text.decode() for name, text in zip(names, limits, strict=True) if text is not None}
    settings |= await _windows(client, partition, names)
    used = {name: int(units or 0) for name, units in zip(names, running, strict=True)}
    rates = await _rates(client, partition, settings)
    found_stops: dict[int, Obstacle] = {}
    holders: dict[str, tuple[str, ...]] = {}
    for seq, lane in lanes.items():
        name, stop = _stop(lane, settings, used, rates)
        if isinstance(stop, Full):
            if name not in holders:
                holders[name] = await _holders(client, partition, name)
            stop = msgspec.structs.replace(stop, held_by=holders[name])
        if stop is None and refused.get(seq):
            stop = Refused(refused[seq])
        if stop is not None:
            found_stops[seq] = stop
    others = [seq for seq in lanes if seq not in found_stops]
    for seq in others[:_MOST_COUNTED]:
        count, at_least = await count_ahead(client, partition, lanes[seq], f"{flow}:{seq}", served)
        if count:
            found_stops[seq] = Behind(count, at_least)
    return found_stops


async def _place(client: AsyncRedis, partition: Partition, flow: str, lane: str) -> NoPlace:
    parts = parse_lane(lane)
    workflow = parts.workflow if parts else ""
    keys = partition.keys
    under_way: int = await send(client, "ZCARD", keys.flows(workflow))
    ahead: int | None = await send(client, "ZRANK", keys.new(workflow), flow)
    text: bytes | None = await send(client, "HGET", keys.limits, limit_of_flows(workflow))
    most = most_of(text.decode()) if text else None
    return NoPlace(under_way, under_way if most is None else most, ahead or 0)


def _stop(
    lane: str, settings: dict[str, str], used: dict[str, int], rates: dict[str, int]
) -> tuple[str, Obstacle | None]:
    """The first limit that stops a lane: its name, and what it says."""
    names, units = limits_of_lane(lane)
    for name in names:
        text = settings.get(name)
        if text is None:
            continue
        scope, of, key = parse_limit(name)
        window = window_of_limit(name)
        if window is not None:
            of = str(window.map)
        most, rate, period_ms, is_paused = LimitValue.parse(text)
        if is_paused:
            return name, Held(scope, of)
        if most is not None and used[name] + max(1, min(units_of(name, units), most)) > most:
            return name, Full(scope, of, key, used[name], most)
        if name in rates:
            return name, Slow(scope, of, rate or 0, period_ms or 0, rates[name])
    return "", None


async def _windows(client: AsyncRedis, partition: Partition, names: Sequence[str]) -> dict[str, str]:
    """What the windows of maps among these limits say, as the others do."""
    found: dict[str, str] = {}
    for name in names:
        window = window_of_limit(name)
        if window is not None:
            state: bytes | None = await send(
                client, "HGET", partition.keys.flow(window.flow), f"s{window.map}"
            )
            is_held = window.is_tolerant and (state or b"").startswith(b"2")
            found[name] = LimitValue(window.most, is_paused=is_held).text()
    return found


async def _rates(client: AsyncRedis, partition: Partition, settings: dict[str, str]) -> dict[str, int]:
    """Of each rate that lets nothing start now, when it will (ms); see ``lua/lib/limits.lua``."""
    values = {name: LimitValue.parse(text) for name, text in settings.items()}
    rated = {
        name: (value.rate, value.period_ms or 0) for name, value in values.items() if value.rate is not None
    }
    if not rated:
        return {}
    now = await now_ms(client, partition.keys)
    texts: list[bytes | None] = await send(client, "MGET", *(partition.keys.rate(name) for name in rated))
    found: dict[str, int] = {}
    for (name, (most, period)), text in zip(rated.items(), texts, strict=True):
        slices = [tuple(map(int, part.split(b":"))) for part in (text or b"").split(b",") if part]
        counting = [(at, count) for at, count in slices if at > now - period]
        if counting and sum(count for _, count in counting) >= most:
            found[name] = counting[0][0] + period
    return found


async def _holders(client: AsyncRedis, partition: Partition, name: str) -> tuple[str, ...]:
    """Flows whose running tasks count against a limit, oldest leases first; bounded."""
    keys = partition.keys
    queues: list[bytes] = sorted(await send(client, "SMEMBERS", keys.queues))
    flows: dict[str, None] = {}
    for queue in queues[:_MOST_QUEUES]:
        entries = await send(
            client, "XRANGE", keys.work(unescape(queue.decode())), "-", "+", "COUNT", _MOST_LEASES
        )
        for _, fields in entries:
            flow, _, task = fields[b"t"].decode().rpartition(":")
            if flow in flows:
                continue
            _, lane = await read_lanes(client, keys.flow(flow), [int(task)])
            if lane is not None and name in limits_of_lane(lane.decode())[0]:
                flows[flow] = None
            if len(flows) >= _MOST_HOLDERS:
                return tuple(flows)
    return tuple(flows)
