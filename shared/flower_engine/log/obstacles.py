"""What stands in the way of ready tasks at this moment: places, limits and pauses, as Redis has them."""

from collections.abc import Sequence

import msgspec

from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.keys import unescape
from flower_engine.log.partition import Partition
from flower_engine.model.control_invariants import limits_of_lane

_SCOPES = {"g": "global", "q": "queue", "w": "workflow", "p": "program"}


class NoPlace(msgspec.Struct, frozen=True):
    """The flow waits for a place: ``under_way`` of ``most`` flows have one, ``ahead`` wait before it."""

    under_way: int
    most: int
    ahead: int


class Full(msgspec.Struct, frozen=True):
    """A limit is reached: ``running`` of ``most`` units; ``key`` of a limit per key, else ""."""

    scope: str
    name: str
    key: str
    running: int
    most: int


class Held(msgspec.Struct, frozen=True):
    """A scope is paused."""

    scope: str
    name: str


Obstacle = NoPlace | Full | Held


async def find_obstacles(
    client: AsyncRedis, partition: Partition, flow: str, tasks: Sequence[int]
) -> dict[int, Obstacle]:
    """What stops each of these ready tasks; a task that nothing stops is not in it."""
    keys = partition.keys
    found: list[bytes | None] = await send(
        client, "HMGET", keys.flow(flow), "c", *(f"l{seq}" for seq in tasks)
    )
    counters, *raw = found
    if counters is None:
        return {}
    lanes = {seq: lane.decode() for seq, lane in zip(tasks, raw, strict=True) if lane is not None}
    flags = "".join(counters.decode().split(" ")[4:])
    if "n" in flags and lanes:
        place = await _place(client, partition, flow, next(iter(lanes.values())))
        return dict.fromkeys(lanes, place)
    names = sorted({name for lane in lanes.values() for name in limits_of_lane(lane)[0]})
    if not names:
        return {}
    limits: list[bytes | None] = await send(
        client, "HMGET", keys.limits, *(name.partition("/")[0] for name in names)
    )
    running: list[bytes | None] = await send(client, "HMGET", keys.running, *names)
    settings = {name: text.decode() for name, text in zip(names, limits, strict=True) if text is not None}
    used = {name: int(units or 0) for name, units in zip(names, running, strict=True)}
    stops = {seq: _stop(lane, settings, used) for seq, lane in lanes.items()}
    return {seq: stop for seq, stop in stops.items() if stop is not None}


async def _place(client: AsyncRedis, partition: Partition, flow: str, lane: str) -> NoPlace:
    workflow = unescape(limits_of_lane(lane)[0][2][2:])
    keys = partition.keys
    under_way: int = await send(client, "ZCARD", keys.flows(workflow))
    ahead: int | None = await send(client, "ZRANK", keys.new(workflow), flow)
    text: bytes | None = await send(client, "HGET", keys.limits, f"f:{limits_of_lane(lane)[0][2][2:]}")
    most = int(text.split(b" ")[0]) if text else under_way
    return NoPlace(under_way, most, ahead or 0)


def _stop(lane: str, settings: dict[str, str], used: dict[str, int]) -> Obstacle | None:
    names, units = limits_of_lane(lane)
    for name in names:
        text = settings.get(name)
        if text is None:
            continue
        kind, _, rest = name.partition(":")
        of, _, key = rest.partition("/")
        scope = _SCOPES[kind[0]]
        most, *others = text.split(" ")
        if others[2:] == ["1"]:
            return Held(scope, unescape(of))
        if most.isdigit() and used[name] + min(units, int(most)) > int(most):
            return Full(scope, unescape(of), unescape(key), used[name], int(most))
    return None
