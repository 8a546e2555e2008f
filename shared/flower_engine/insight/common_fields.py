"""What items of maps have in common, as a flow's hash has it once for all of them.

``lua/lib/common_fields.lua`` says how, and is where scripts read it.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple

from flower_engine.log.client import AsyncRedis, send

FIELD = "M"
_OFFSET = re.compile("[+-][0-9]+")


class Common(NamedTuple):
    """Of items from ``first`` to ``last``: by how many each is read, up to which number the map reads them no
    more, who is behind them (a number with a sign: the item so far ahead or behind), their lane."""

    first: int
    last: int
    readers: int
    forgotten: int
    links: str
    lane: str

    def links_of(self, item: int) -> str:
        """Who is behind that item, and what it reads."""
        return _OFFSET.sub(lambda offset: str(item + int(offset[0])), self.links)

    def readers_of(self, item: int) -> int:
        """By how many it is read, if it has no count of its own."""
        return self.readers - (item <= self.forgotten)


def common_fields(text: str) -> list[Common]:
    """That of each map, from the field of the flow."""
    found: list[Common] = []
    for line in text.split("\n")[1:]:
        numbers, links, lane = line.split("\t")
        first, last, readers, forgotten = map(int, numbers.split())
        found.append(Common(first, last, readers, forgotten, links, lane))
    return found


def common_with(task: int, common: Sequence[Common]) -> Common | None:
    """What a task has in common with others. ``common``: as the flow has it, in the order of their items."""
    at = bisect_right(common, task, key=attrgetter("first")) - 1
    return common[at] if at >= 0 and task <= common[at].last else None


async def read_lanes(client: AsyncRedis, key: str, tasks: Iterable[int]) -> list[bytes | None]:
    """The counters of a flow (None: it is not under way), and the lanes of these tasks."""
    wanted = list(tasks)
    found: list[bytes | None] = await send(client, "HMGET", key, "c", FIELD, *(f"l{task}" for task in wanted))
    counters, text, *lanes = found
    common = common_fields(text.decode()) if text else []
    for index, lane in enumerate(lanes):
        one = common_with(wanted[index], common) if lane is None else None
        if one is not None:
            lanes[index] = one.lane.encode()
    return [counters, *lanes]
