"""The items of an expansion as they are sent: map by map, those that go along it behind its own."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.definitions.task_rules import TaskRules
from flower_engine.model.flow_control.lanes import lane_of
from flower_engine.model.maps.map_expansion import Expansion, Link
from flower_engine.model.maps.map_items import items_of
from flower_engine.model.tasks.task_policy import TaskPolicy
from flower_engine.model.waits.wait_programs import wait_text
from flower_engine.transitions.task_fields import task_message


class Segment(NamedTuple):
    """The items of one map of an expansion; ``link``: of one that goes along, ``number`` counts these (0: it
    is the map that is expanded, ``task``)."""

    expansion: Expansion
    task: int
    number: int = 0
    link: Link | None = None

    def items(self, first: int) -> Iterator[tuple[bytes, str]]:
        """Each as (message, lane); ``first``: the number of the expansion's first one, which only those need
        to know that go along others."""
        workflow = self.expansion.workflow
        for item in self._planned(first):
            yield task_message(workflow, item), lane_of(workflow, item)

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
    def _places(self) -> str:
        """Which map it is, and by how many the numbers of its items, of those that these go along, and of
        those that go along them are higher than the first ones."""
        count, chain = len(self.expansion.given.values), self.expansion.chain
        maps = [self.task, *(link.along.task for link in chain)]
        own = maps[self.number]
        over = "-" if self.link is None else str(count * maps.index(self.link.along.over))
        behind = [count * number for number, link in enumerate(chain, start=1) if link.along.over == own]
        return f"{own} {count * self.number} {over} {','.join(map(str, behind))}"

    @property
    def told(self) -> bytes:
        """What is said with the last item: the rules of the map once it has its items, then each map that
        goes along, in lines."""
        expansion = self.expansion
        maps = [self.task, *(link.along.task for link in expansion.chain)]
        lines = [expansion.map_rules]
        for link in expansion.chain:
            along = link.along
            numbers = f"{along.task} {along.over} {maps.index(along.task) * len(expansion.given.values)}"
            lines.append(numbers.encode() + b"\t" + link.map_rules + b"\t" + link.text)
        return b"\n".join(lines)


def segments_of(expansion: Expansion, task: int) -> Iterator[Segment]:
    """The items of map ``task``, and of those that go along it."""
    yield Segment(expansion, task)
    for number, link in enumerate(expansion.chain, start=1):
        yield Segment(expansion, task, number, link)
