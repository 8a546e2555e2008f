"""The items of an expansion as they are sent: map by map, those that go along it behind its own."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.definitions.task_rules import TaskRules
from flower_engine.model.flow_control.lanes import lane_of
from flower_engine.model.folding.kept_results import payload_of_earlier
from flower_engine.model.maps.map_expansion import Expansion, Link
from flower_engine.model.maps.map_items import items_of
from flower_engine.model.tasks.task_policy import TaskPolicy
from flower_engine.model.waits.wait_programs import wait_text
from flower_engine.transitions.loader import Arg
from flower_engine.transitions.task_fields import task_message

_TAKEN_STATE = "3 0 0 -"
_ONE_FINISHED = "1 0 0 0 0 0 -"  # the edges of what waits for that alone
LEAST_COMMON = 64
"""What so many items of a map have in common stands once: each call that reads a flow reads it of all its
maps, so few items have fields of their own."""


class SentItem(NamedTuple):
    """An item as it is sent. ``taken``: the result that it takes over, as Redis has it (empty: none), by
    ``readers`` of which it is read; ``is_behind``: the one that it goes along takes one over."""

    message: bytes
    lane: str
    taken: bytes = b""
    readers: int = 0
    is_behind: bool = False


@dataclass(frozen=True)
class Segment:
    """The items of one map of an expansion; ``link``: of one that goes along, ``number`` counts these (0: it
    is the map that is expanded, ``task``)."""

    expansion: Expansion
    task: int
    number: int = 0
    link: Link | None = None

    def items(self, first: int) -> Iterator[SentItem]:
        """All of them; ``first``: the number of the expansion's first one, which only those need to know that
        go along others."""
        workflow, has_taken = self.expansion.workflow, bool(self.expansion.taken)
        for index, item in enumerate(self._planned(first)):
            taken = self._taken(index) if has_taken else (b"", 0, False)
            yield SentItem(task_message(workflow, item), lane_of(workflow, item), *taken)

    def _taken(self, index: int) -> tuple[bytes, int, bool]:
        taken, count = self.expansion.taken, len(self.expansion.given.values)
        is_behind = self.link is not None and count * self._over + index in taken
        one = taken.get(count * self.number + index)
        if one is None:
            return b"", 0, is_behind
        readers = 1 + sum(count * behind + index not in taken for behind in self._behind)
        return payload_of_earlier(one), readers, is_behind

    def fields(self, items: Iterable[SentItem], first: int, before: int) -> tuple[list[Arg], list[Arg]]:
        """Names and values of the fields of these items, flat, and of those that they have only where their
        flow has rules. ``first``: the number of the expansion's first item, ``before``: how many of all come
        before these."""
        count = len(self.expansion.given.values)
        own, ahead = self._maps[self.number], [count * (number - self.number) for number in self._behind]
        over = None if self.link is None else count * (self._over - self.number)
        common = [(letter, value) for letter, value in zip("pwy", self.alike, strict=True) if value]
        readers = 1 + len(ahead)
        common_lane = self.common_lane
        fields: list[Arg] = []
        ruled: list[Arg] = []
        for seq, one in enumerate(items, start=first + before):
            fields += (f"m{seq}", one.message)
            if one.lane != common_lane:
                fields += (f"l{seq}", one.lane)
            if common_lane is None:
                behind = "".join(f",{seq + far}" for far in ahead)
                fields += (f"d{seq}", f"{own}{behind}<{'' if over is None else seq + over}!")
            if one.taken:
                read = f"{one.readers} {len(one.taken)}"
                fields += (f"u{seq}", read, f"s{seq}", _TAKEN_STATE, f"r{seq}", one.taken)
            elif common_lane is None:
                fields += (f"u{seq}", readers)
            for letter, value in common:
                fields += (f"{letter}{seq}", value)
            if one.is_behind:
                ruled += (f"e{seq}", _ONE_FINISHED)
        return fields, ruled

    @cached_property
    def common_lane(self) -> str | None:
        """The lane of items that have none of their own; None: they are few, and have nothing in common."""
        if len(self.expansion.given.values) < LEAST_COMMON:
            return None
        lane = lane_of(self.expansion.workflow, next(iter(self._planned(0))))
        return None if "\t" in lane or "\n" in lane else lane

    @property
    def common(self) -> bytes:
        """What its items have in common (``common_fields.lua``), with tabs between: by how many each is
        read (0: they are few, and have nothing), who is behind it, its lane."""
        if self.common_lane is None:
            return b"0\t\t"
        count = len(self.expansion.given.values)
        behind = [count * (number - self.number) for number in self._behind]
        over = "" if self.link is None else f"{count * (self._over - self.number):+d}"
        links = f"{self._maps[self.number]}{''.join(f',{far:+d}' for far in behind)}<{over}!"
        return f"{1 + len(behind)}\t{links}\t{self.common_lane}".encode()

    @property
    def _maps(self) -> list[int]:
        """The maps of the expansion, in the order of their items."""
        return [self.task, *(link.along.task for link in self.expansion.chain)]

    @property
    def _over(self) -> int:
        """How many maps are before the one that these go along."""
        return 0 if self.link is None else self._maps.index(self.link.along.over)

    @property
    def _behind(self) -> list[int]:
        """The numbers of the segments whose items go along these."""
        own = self._maps[self.number]
        chain = enumerate(self.expansion.chain, start=1)
        return [number for number, link in chain if link.along.over == own]

    @property
    def taken_over(self) -> int:
        """How many of its items take a result over."""
        count = len(self.expansion.given.values)
        first = count * self.number
        return sum(first <= index < first + count for index in self.expansion.taken)

    @property
    def starts_some(self) -> bool:
        """Whether one of its items runs, and is behind one that does not."""
        taken, count = self.expansion.taken, len(self.expansion.given.values)
        own, over = count * self.number, count * self._over
        return bool(taken) and any(
            over + index in taken and own + index not in taken for index in range(count)
        )

    def _planned(self, first: int) -> Iterable[PlannedTask]:
        expansion = self.expansion
        if self.link is None:
            return items_of(0, 0, expansion.item, expansion.given)
        count = len(expansion.given.values)
        return (expansion.chained(self.link, self.task, first, index) for index in range(count))

    @property
    def alike(self) -> tuple[str, str, bytes]:
        """What its items have in common: their policy, what they wait for, and their rules (empty: none)."""
        item = self.expansion.item if self.link is None else self.link.along.item
        policy, rules = TaskPolicy.of(item), TaskRules.of(item)
        return policy.text() if policy else "", wait_text(item), rules.text() if rules else b""

    @property
    def fields_of_each(self) -> int:
        """How many fields of the flow are written for each, at most: its message, its lane, unless much is
        in common, who is behind it and by how many it is read, and what all have."""
        return (4 if self.common_lane is None else 2) + sum(map(bool, self.alike))

    @property
    def told(self) -> bytes:
        """What is said with the last item: what is taken over, and the rules of the map once it has its
        items, then each map that goes along, in lines."""
        expansion = self.expansion
        own, *others = segments_of(expansion, self.task)
        kept = sum(len(payload_of_earlier(one)) for one in expansion.taken.values())
        lines = [b"%d %d\t%b\t%b" % (own.taken_over, kept, expansion.map_rules, own.common)]
        for other in others:
            assert other.link is not None
            along, first = other.link.along, other.number * len(expansion.given.values)
            numbers = f"{along.task} {along.over} {first} {other.taken_over} {int(other.starts_some)}"
            lines.append(b"\t".join((numbers.encode(), other.link.map_rules, other.common, other.link.text)))
        return b"\n".join(lines)


def segments_of(expansion: Expansion, task: int) -> Iterator[Segment]:
    """The items of map ``task``, and of those that go along it."""
    yield Segment(expansion, task)
    for number, link in enumerate(expansion.chain, start=1):
        yield Segment(expansion, task, number, link)
