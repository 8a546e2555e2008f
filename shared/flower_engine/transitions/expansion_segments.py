"""The items of an expansion as they are sent: map by map, those that go along it behind its own."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.definitions.task_rules import TaskRules
from flower_engine.model.flow_control.lanes import lane_of
from flower_engine.model.folding.kept_results import payload_of_earlier
from flower_engine.model.maps.map_expansion import Expansion, Link
from flower_engine.model.maps.map_items import items_of
from flower_engine.model.tasks.task_policy import TaskPolicy
from flower_engine.model.waits.wait_programs import wait_text
from flower_engine.transitions.task_fields import task_message


class SentItem(NamedTuple):
    """An item as it is sent. ``taken``: that it takes a result over, and the one that it goes along does, as
    ``lua/worker/expand.lua`` has it."""

    message: bytes
    lane: str
    taken: bytes = b""


class Segment(NamedTuple):
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
            taken = self._taken(index) if has_taken else b""
            yield SentItem(task_message(workflow, item), lane_of(workflow, item), taken)

    def _taken(self, index: int) -> bytes:
        taken, count = self.expansion.taken, len(self.expansion.given.values)
        is_behind = self.link is not None and count * self._over + index in taken
        one = taken.get(count * self.number + index)
        text = b"+" if is_behind else b""
        if one is None:
            return text
        readers = 1 + sum(count * behind + index not in taken for behind in self._behind)
        return b"%d%b%b" % (readers, text, payload_of_earlier(one))

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
    def alike(self) -> bytes:
        """What its items have in common, in lines, as ``lua/worker/expand.lua`` has it."""
        item = self.expansion.item if self.link is None else self.link.along.item
        policy, rules = TaskPolicy.of(item), TaskRules.of(item)
        lines = (
            policy.text().encode() if policy else b"",
            wait_text(item).encode(),
            rules.text() if rules else b"",
            self._places.encode(),
        )
        return b"\n".join(lines)

    @property
    def fields_of_each(self) -> int:
        """How many fields of the flow are written for each: its message, its lane, who is behind it, by how
        many it is read, and what it has in common with the others."""
        return 4 + sum(map(bool, self.alike.split(b"\n")[:3]))

    @property
    def _places(self) -> str:
        """Which map it is, and by how many the numbers of its items, of those that these go along, and of
        those that go along them are higher than the first ones."""
        count = len(self.expansion.given.values)
        over = "-" if self.link is None else str(count * self._over)
        behind = ",".join(str(count * number) for number in self._behind)
        return f"{self._maps[self.number]} {count * self.number} {over} {behind}"

    @property
    def told(self) -> bytes:
        """What is said with the last item: what is taken over, and the rules of the map once it has its
        items, then each map that goes along, in lines."""
        expansion = self.expansion
        own, *others = segments_of(expansion, self.task)
        kept = sum(len(payload_of_earlier(one)) for one in expansion.taken.values())
        lines = [b"%d %d\t%b" % (own.taken_over, kept, expansion.map_rules)]
        for other in others:
            assert other.link is not None
            along, first = other.link.along, other.number * len(expansion.given.values)
            numbers = f"{along.task} {along.over} {first} {other.taken_over} {int(other.starts_some)}"
            lines.append(b"\t".join((numbers.encode(), other.link.map_rules, other.link.text)))
        return b"\n".join(lines)


def segments_of(expansion: Expansion, task: int) -> Iterator[Segment]:
    """The items of map ``task``, and of those that go along it."""
    yield Segment(expansion, task)
    for number, link in enumerate(expansion.chain, start=1):
        yield Segment(expansion, task, number, link)
