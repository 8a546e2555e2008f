"""Which children of maps wait for a place in their window now."""

from collections.abc import Iterable

import msgspec

from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.partition import Partition
from flower_engine.model.flow_control.map_windows import Window


class InLine(msgspec.Struct, frozen=True):
    """A child waits: ``inside`` of ``most`` children of the map have a place, ``ahead`` wait before it."""

    flow: str
    map: int
    inside: int
    most: int
    ahead: int


async def items_in_line(
    client: AsyncRedis, partition: Partition, windows: Iterable[Window]
) -> dict[int, InLine]:
    """The items of these maps of one flow whose children wait for a place.

    Raises:
        RedisError: it cannot be read now.
    """
    found: dict[int, InLine] = {}
    for window in windows:
        inside: int = await send(client, "ZCARD", partition.keys.inside(window.text))
        outside = partition.keys.outside(window.text)
        waiting: list[bytes] = await send(client, "ZRANGE", outside, 0, -1, "WITHSCORES")
        for ahead, item in enumerate(waiting[1::2]):
            found[int(item)] = InLine(window.flow, window.map, inside, window.most or 0, ahead)
    return found


async def child_in_line(client: AsyncRedis, partition: Partition, child: str) -> InLine | None:
    """How a child that has begun waits for a place, of which it had given the one that it had; None: it does
    not.

    Raises:
        RedisError: it cannot be read now.
    """
    parent: bytes | None = await send(client, "HGET", partition.keys.flow(child), "P")
    text = (parent or b"").decode().split(" ")[4:]
    window = Window.parse(text[0]) if text else None
    if window is None or window.most is None:
        return None
    ahead: int | None = await send(client, "ZRANK", partition.keys.outside(window.text), child)
    if ahead is None:
        return None
    inside: int = await send(client, "ZCARD", partition.keys.inside(window.text))
    return InLine(window.flow, window.map, inside, window.most, ahead)
