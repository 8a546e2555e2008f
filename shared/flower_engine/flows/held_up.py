"""What beside a flow holds what an operation would start: a place that it waits for, a pause of a scope.

An effect is told from histories, which know nothing of these; here they are looked up in Redis, as the
scripts look at them (``lua/lib/places.lua``, ``child_windows.lua``). How much of a limit of tasks or of a
rate is used changes from moment to moment, and is not told.
"""

from collections.abc import Sequence

import msgspec

from flower_engine.errors import FlowLimitError
from flower_engine.flows.effects import Effect, HeldUp, Line
from flower_engine.flows.stores import Stores
from flower_engine.flows.tree_operations import ElsewhereInTree
from flower_engine.log.client import send
from flower_engine.log.partition import Partition
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.flow_control.limits import (
    LimitValue,
    limit_of_flows,
    limits_of_lane,
    most_of,
    parse_limit,
    window_of_limit,
)
from flower_engine.model.flow_control.map_windows import Window
from flower_engine.projection.read.wait_views import NoPlace, NoPlaceInMap, Paused, ScopePaused, WaitReason

_OF_THE_WORLD = "@"
_TURNS = 2**47  # as lua/lib/boards.lua has it: a flow waits by its priority, then by its order
_Place = tuple[int, str]  # of a flow in a line: score and id
_BEFORE = frozenset({"rerun"})  # what is done elsewhere before the flow itself
_BEHIND = frozenset({"resume"})  # and what follows; other operations start nothing that needs a place


class HoldingUp:
    """What holds, for effects that are told one after another: each flow that would go on takes its place
    before the next one is asked for."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._partitions: dict[int, _Limits] = {}

    async def tell(self, flow: str, effect: Effect, elsewhere: Sequence[ElsewhereInTree] = ()) -> None:
        """Says in the effect of an operation on a flow, and in those on others of its tree, what does not
        start at once, and why.

        Raises:
            RedisError: it cannot be read now.
        """
        limits = self._limits(self._stores.living_partition_of(flow))
        others = [(one.flow, one.operation, one.effect) for one in elsewhere if one.effect is not None]
        for other, operation, told in others:
            if operation in _BEFORE:
                await limits.hold_up(other, told)
        await limits.hold_up(flow, effect)
        for other, operation, told in others:
            if operation in _BEHIND:
                await limits.hold_up(other, told)

    async def tell_of_new(self, partitions: Sequence[Partition], effect: Effect) -> list[str]:
        """The same for a flow that is to be registered in one of these partitions; what else becomes of it
        because of a limit of flows, in words.

        Raises:
            FlowLimitError: it would be refused.
        """
        assert effect.line is not None
        workflow = effect.line.workflow
        for partition in partitions:
            limits = self._limits(partition)
            if not await limits.is_full(workflow):
                await limits.hold_up_by_pauses(effect)
                return []
        limits = self._limits(partitions[0])
        most, choice = await limits.said_of_flows(workflow)
        under_way = await limits.flows_under_way(workflow)
        if not under_way:  # the last one has ended meanwhile
            await limits.hold_up_by_pauses(effect)
            return []
        oldest, newest = under_way
        if choice == "reject":
            raise FlowLimitError(workflow, most)
        if choice == "skip":
            for told in (effect.runs, effect.asked_again, effect.ready, effect.kept, effect.matched):
                told.clear()
            said = f"flow {newest} of its workflow is under way, whose limit says skip: no other would begin"
            return [said]
        if choice == "cancel_oldest":
            await limits.hold_up_by_pauses(effect)
            return [f"flow {oldest}, the oldest of its workflow, would be cancelled, as its limit says"]
        place = await limits.place_of_new(effect.line)
        effect.held_up, effect.ready = [HeldUp(effect.ready, place)], []
        return []

    def _limits(self, partition: Partition) -> "_Limits":
        return self._partitions.setdefault(partition.number, _Limits(self._stores, partition))


class _Limits:
    """What holds in a partition; flows take places one after another."""

    def __init__(self, stores: Stores, partition: Partition) -> None:
        self._stores = stores
        self._redis = stores.redis
        self._keys = partition.keys
        self._said: dict[str, str | None] = {}
        self._taken: dict[str, int] = {}  # places, by the key that counts them
        self._waiting: dict[str, list[_Place]] = {}  # where in each line they stand that came to it since
        self._told: dict[str, list[tuple[_Place, NoPlace | NoPlaceInMap]]] = {}  # what was said of each line
        self._known: dict[tuple[str, int], list[str]] = {}
        self._controls: Sequence[FlowControl] | None = None

    async def is_full(self, workflow: str) -> bool:
        """Whether no other flow of the workflow has a place."""
        most = await self._most(workflow)
        return most is not None and await self._count(self._keys.flows(workflow)) >= most

    async def said_of_flows(self, workflow: str) -> tuple[int, str]:
        """How many flows of a workflow that has a limit may be under way, and what is done beyond."""
        most, choice, *_ = (await self._text(limit_of_flows(workflow)) or "0 queue").split(" ")
        return int(most), choice

    async def flows_under_way(self, workflow: str) -> tuple[str, str] | None:
        """The oldest and the newest flow that has a place; None: no flow has one (any more)."""
        found: list[bytes] = []
        for end in (0, -1):
            found += await send(self._redis, "ZRANGE", self._keys.flows(workflow), end, end)
        return (found[0].decode(), found[-1].decode()) if found else None

    async def place_of_new(self, line: Line) -> NoPlace:
        """Where in the line a flow stands that is registered now."""
        last = msgspec.structs.replace(line, order=_TURNS - 1)
        return await self._no_place("~", last, await self._most(line.workflow))

    async def hold_up(self, flow: str, effect: Effect) -> None:
        """Says what holds what this effect on a flow would start."""
        if effect.line is None or not (effect.ready or effect.runs or effect.reopens or effect.within):
            return
        place = await self._place(flow, effect.line)
        if effect.line.paused_by is not None:  # that is what it waits for first
            place = Paused(effect.line.paused_by)
        if place is not None:
            starts = [seq for seq in effect.ready if seq not in effect.within]  # these await their children
            effect.held_up = [HeldUp(starts, place)] if starts else []
            effect.ready = sorted({*effect.ready}.difference(starts))
            return
        await self.hold_up_by_pauses(effect)

    async def hold_up_by_pauses(self, effect: Effect) -> None:
        """The same, where the flow has its place."""
        ready, held = {*effect.ready}, dict[str, list[int]]()
        for lane, tasks in effect.lanes.items():
            scope = None if lane.startswith(_OF_THE_WORLD) else await self._paused(lane)
            if scope is not None and (own := sorted(ready.intersection(tasks))):
                held.setdefault(scope, []).extend(own)
        if held:
            effect.held_up = [HeldUp(sorted(own), await self._pause(scope)) for scope, own in held.items()]
            effect.ready = sorted(ready.difference(*held.values()))

    async def _place(self, flow: str, line: Line) -> WaitReason | None:
        """What the flow waits for before anything of it starts; None: it has its places, or would have."""
        counters: bytes | None = await send(self._redis, "HGET", self._keys.flow(flow), "c")
        flags = "" if counters is None else "".join(counters.decode().split(" ")[4:])
        window = Window.parse(line.window) if line.window else None
        if "n" in flags:
            if window is not None and await self._score(self._keys.outside(window.text), flow) is not None:
                return await self._no_place_in_map(window, flow, line)
            return await self._no_place(flow, line, await self._most(line.workflow))
        if counters is not None and "z" not in flags:
            return None
        if line.is_ending:
            return None
        if window is not None and window.most is not None and not await self._enters(window, flow, line):
            return await self._no_place_in_map(window, flow, line, joins=True)
        under_way = self._keys.flows(line.workflow)
        if await self._score(under_way, flow) is not None:
            return None
        most = await self._most(line.workflow)
        if most is not None and await self._count(under_way) >= most:
            return await self._no_place(flow, line, most, joins=True)
        self._taken[under_way] = self._taken.get(under_way, 0) + 1
        return None

    async def _enters(self, window: Window, flow: str, line: Line) -> bool:
        inside, outside = self._keys.inside(window.text), self._keys.outside(window.text)
        if await self._score(inside, flow) is not None:
            return True
        waiting = len(self._waiting.get(outside, ())) + int(await send(self._redis, "ZCARD", outside))
        if waiting or await self._count(inside) >= (window.most or 0):
            return False
        self._taken[inside] = self._taken.get(inside, 0) + 1
        return True

    async def _no_place_in_map(
        self, window: Window, flow: str, line: Line, *, joins: bool = False
    ) -> NoPlaceInMap:
        inside, outside = self._keys.inside(window.text), self._keys.outside(window.text)
        told = NoPlaceInMap(window.flow, window.map, await self._count(inside), window.most or 0, 0)
        await self._stand(outside, (line.item, flow), told, joins=joins)
        return told

    async def _no_place(self, flow: str, line: Line, most: int | None, *, joins: bool = False) -> NoPlace:
        under_way = await self._count(self._keys.flows(line.workflow))
        score = (line.priority + 20) * _TURNS + line.order
        told = NoPlace(under_way, under_way if most is None else most, 0)
        await self._stand(self._keys.new(line.workflow), (score, flow), told, joins=joins)
        row = await self._row("workflow", line.workflow)
        if row is not None and row.max_flows not in (None, told.most):
            told.whole = row.max_flows
        return told

    async def _stand(self, line: str, place: _Place, told: NoPlace | NoPlaceInMap, *, joins: bool) -> None:
        """Says how many wait before this place in a line; ``joins``: the flow was in none, and goes before
        those behind it, of which it was told already."""
        waiting, said = self._waiting.setdefault(line, []), self._told.setdefault(line, [])
        ahead = await self._before(line, place[0])
        alike = sum(other < place[1] for other in await self._alike(line, place[0]))
        told.ahead = ahead + alike + sum(other < place for other in waiting)
        if joins:
            waiting.append(place)
            for other, before in said:
                before.ahead += place < other
        said.append((place, told))

    async def _before(self, line: str, score: int) -> int:
        """How many wait with a lower score."""
        behind: list[bytes] = await send(self._redis, "ZRANGE", line, score, "+inf", "BYSCORE", "LIMIT", 0, 1)
        rank = await send(self._redis, "ZRANK", line, behind[0]) if behind else None
        return int(await send(self._redis, "ZCARD", line) if rank is None else rank)

    async def _alike(self, line: str, score: int) -> list[str]:
        """Who waits with this score: children have the order of their parent, and go by their ids."""
        if (line, score) not in self._known:
            found: list[bytes] = await send(self._redis, "ZRANGE", line, score, score, "BYSCORE")
            self._known[line, score] = [one.decode() for one in found]
        return self._known[line, score]

    async def _count(self, key: str) -> int:
        return self._taken.get(key, 0) + int(await send(self._redis, "ZCARD", key))

    async def _score(self, key: str, flow: str) -> bytes | None:
        return await send(self._redis, "ZSCORE", key, flow)

    async def _most(self, workflow: str) -> int | None:
        text = await self._text(limit_of_flows(workflow))
        return None if text is None else most_of(text)

    async def _paused(self, lane: str) -> str | None:
        """The first limit of a lane that is paused."""
        for name in limits_of_lane(lane)[0]:
            window = window_of_limit(name)
            text = None if window is not None or "/" in name else await self._text(name)
            if text is not None and LimitValue.parse(text).is_paused:
                return name
        return None

    async def _pause(self, limit: str) -> ScopePaused:
        scope, name, _ = parse_limit(limit)
        row = await self._row(scope, name)
        return ScopePaused(scope, name, row.changed_by if row else "", row.reason if row else "")

    async def _text(self, name: str) -> str | None:
        if name not in self._said:
            text: bytes | None = await send(self._redis, "HGET", self._keys.limits, name)
            self._said[name] = None if text is None else text.decode()
        return self._said[name]

    async def _row(self, scope: str, name: str) -> FlowControl | None:
        if self._controls is None:
            self._controls = await self._stores.definitions.controls()
        return next((one for one in self._controls if (one.scope, one.name) == (scope, name)), None)
