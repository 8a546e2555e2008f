"""An oracle of rules, written from their table alone: it shares nothing with ``model/tasks/rules.py``.

A world is a small graph, the rule of each task, which of them decide, whose branches the others are, which
clean up, and what becomes of each task that runs. The oracle tells, for any order in which running tasks end,
and wherever the flow is cancelled or takes too long, which tasks wait, may run, or are passed over.
"""

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

# How a task stands: "." it waits, "!" it may run or runs, F finished (a decision: T, it came to true, or E),
# P passed over (p: with a result), N not taken by its rule, W not taken by a decision, C cut off by a cancel,
# U not needed any more, S held, X given up.
UNSETTLED = ".!S"
_COUNTS_AS = {"T": "F", "E": "F", "W": "N", "C": "P", "U": "N"}


class Node(NamedTuple):
    """A task: its rule, whom it waits for, whose results it cannot do without, and what becomes of it.
    ``when``: the decision whose branch it is, and what that must come to."""

    rule: str
    after: tuple[int, ...]
    needs: frozenset[int]
    becomes: str
    when: tuple[int, bool] | None = None
    decides: bool = False
    cleans_up: bool = False


World = tuple[Node, ...]


def fates(node: Node, stand: dict[int, str]) -> str:
    """What may become of a task that waits: "!" it starts, "N", "W" it is passed over, "." it waits. Two
    letters: two reasons to pass over it are there, and either may have been seen first."""
    if node.when is None:
        return _by_rule(node, node.after, stand)
    decision, wanted = node.when
    found = _by_rule(node, [other for other in node.after if other != decision], stand)
    if stand[decision] in UNSETTLED:
        return "." if found == "!" else found
    if stand[decision] == ("T" if wanted else "E"):
        return found
    return "WN" if found == "N" else "W"


def _by_rule(node: Node, after: Sequence[int], stand: dict[int, str]) -> str:
    ends = [_COUNTS_AS.get(stand[other], stand[other]) for other in after]
    settled = [end for end in ends if end not in UNSETTLED]
    all_settled = len(settled) == len(ends)
    if node.rule == "ready":
        starved = any(stand[other] in "PCNWUX" for other in node.needs)
        if "X" in ends or starved:
            return "N"
        if not all_settled:
            return "."
        return "N" if set(ends) == {"N"} else "!"
    if node.rule == "finished":
        if set(settled) - {"F"}:
            return "N"
        return "!" if all_settled else "."
    if node.rule == "settled":
        return "!" if all_settled else "."
    if node.rule == "failed":
        if set(ends) & {"S", "X"}:
            return "!"
        return "N" if all_settled else "."
    rule = node.rule.removesuffix(":cancel")
    wanted = 1 if rule == "any" else int(rule.removeprefix("at_least:"))
    good = sum(end in "FPp" for end in ends)
    may_come = sum(end in UNSETTLED for end in ends)
    if good >= wanted:
        return "!"
    return "." if good + may_come >= wanted else "N"


class Oracle:
    """How the tasks of a world stand; a task that may run does so until it is ended. ``either``: those that
    were passed over for two reasons."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stand = dict.fromkeys(range(1, len(world) + 1), ".")
        self.either: set[int] = set()
        self.began = dict.fromkeys(self.stand, False)
        self.is_ending = False
        self._follow()

    @property
    def running(self) -> list[int]:
        return [task for task, stands in self.stand.items() if stands == "!"]

    @property
    def has_ended(self) -> bool:
        return not any(stands in UNSETTLED for stands in self.stand.values())

    def copied(self) -> "Oracle":
        """Another one, which stands as this one does."""
        other = Oracle.__new__(Oracle)
        other.world, other.is_ending = self.world, self.is_ending
        other.stand, other.either, other.began = dict(self.stand), set(self.either), dict(self.began)
        return other

    def end(self, task: int, becomes: str = "") -> None:
        """A running task ends so, or as the world has it."""
        assert self.stand[task] == "!"
        self.began[task] = True
        self.stand[task] = becomes or self.world[task - 1].becomes
        self._follow()

    def let_go(self, task: int, becomes: str, *, have_begun: bool = True) -> None:
        """A held task is given up, as nobody decided in time, or passed over. What may run has begun, or it
        is decided anew whether it may."""
        assert self.stand[task] == "S"
        self.stand[task] = becomes
        if not have_begun:
            self.stand.update(dict.fromkeys(self.running, "."))
        self._follow()

    def cancel(self) -> None:
        """Everything is cut off, but what cleans up, if any of it is left; a second time that, too."""
        spared = self._spared()
        for task, stands in self.stand.items():
            if stands in UNSETTLED and task not in spared:
                self.stand[task] = "C"
        self.is_ending = True
        self._follow()

    def time_out(self) -> None:
        """The flow takes too long. With a cleanup what ran or was held is given up, and what waited is cut
        off; without one what ran is held, and everything goes on waiting."""
        spared = self._spared()
        if not spared:
            for task in self.running:
                self.stand[task] = "S"
        for task, stands in self.stand.items():
            if spared and stands in UNSETTLED and task not in spared:
                self.stand[task] = "C" if stands == "." else "X"
        self.is_ending = bool(spared)
        self._follow()

    def _spared(self) -> set[int]:
        """What cleans up, and what only that leads to: none, where nothing of it is left, or in an end."""
        spared: set[int] = set()
        for task, node in enumerate(self.world, start=1):
            if node.cleans_up or (node.after and spared.issuperset(node.after)):
                spared.add(task)
        is_left = any(self.stand[task] in UNSETTLED for task in spared)
        return spared if is_left and not self.is_ending else set()

    def _follow(self) -> None:
        moved = True
        while moved:
            moved = False
            for task, node in enumerate(self.world, start=1):
                if self.stand[task] == "." and (after := fates(node, self.stand)) != ".":
                    self.stand[task] = after[0]
                    if len(after) > 1:
                        self.either.add(task)
                    moved = True
            for task in range(len(self.world), 0, -1):
                if self._is_unneeded(task):
                    self.stand[task] = "U"
                    moved = True

    def _is_unneeded(self, task: int) -> bool:
        """A task that has not ended, and that everybody behind it can do without: all have ended, or are
        joins that cancel the others and have enough; and one is such a join, or was not needed itself."""
        node = self.world[task - 1]
        if self.stand[task] not in UNSETTLED or node.cleans_up:
            return False
        behind = [number for number, other in enumerate(self.world, start=1) if task in other.after]
        enough = [number for number in behind if self.stand[number] == "U" or self._has_enough(number)]
        return bool(enough) and all(
            number in enough or self.stand[number] not in UNSETTLED for number in behind
        )

    def _has_enough(self, task: int) -> bool:
        node = self.world[task - 1]
        if not node.rule.endswith(":cancel") or self.stand[task] in "PpNWCU":
            return False
        return self.began[task] or fates(node, self.stand) == "!"


def graphs(tasks: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Whom each task waits for, of all graphs in which tasks wait for such with lower numbers."""
    pairs = [(low, high) for high in range(1, tasks + 1) for low in range(1, high)]
    for chosen in itertools.product((False, True), repeat=len(pairs)):
        edges = [pair for pair, is_there in zip(pairs, chosen, strict=True) if is_there]
        yield tuple(tuple(low for low, high in edges if high == task) for task in range(1, tasks + 1))


def rules_of(after: tuple[int, ...]) -> list[tuple[str, frozenset[int]]]:
    """The rules that a task may have, with the results that it cannot do without; ``after``: without the
    decision whose branch it is."""
    if not after:
        return [("ready", frozenset())]
    plain = ["ready", "finished", "settled", "any", "failed"]
    plain += [f"at_least:{most}" for most in range(2, len(after) + 1)]
    return [
        *((rule, frozenset[int]()) for rule in plain),
        *(("ready", frozenset({other})) for other in after),
    ]


def worlds(tasks: int) -> Iterator[World]:
    """All of this size in which nothing is decided or cleaned up."""
    for graph in graphs(tasks):
        for rules in itertools.product(*(rules_of(after) for after in graph)):
            for outcomes in itertools.product("FSXPp", repeat=tasks):
                yield tuple(
                    Node(rule, after, needs, becomes)
                    for (rule, needs), after, becomes in zip(rules, graph, outcomes, strict=True)
                )


def with_cancelling_joins(some: Iterable[World]) -> Iterator[World]:
    """The same worlds, in which joins that take the first ones cancel the others; without those that have
    none."""
    for world in some:
        joins = [node.rule.startswith(("any", "at_least")) for node in world]
        if any(joins):
            yield tuple(
                node._replace(rule=f"{node.rule}:cancel") if is_join else node
                for node, is_join in zip(world, joins, strict=True)
            )


def decisions_and_one_behind() -> Iterator[World]:
    """A decision, whatever it comes to, and one task behind it, which is its branch or only waits for it."""
    for when in (None, (1, True), (1, False)):
        after = () if when else (1,)
        for says, becomes in itertools.product("TESXPp", "FSXPp"):
            for rule, needs in rules_of(after):
                first = Node("ready", (), frozenset(), says, decides=True)
                yield (first, Node(rule, (1,), needs, becomes, when))


def some_worlds(
    tasks: int, count: int, seed: int, *, decides: float = 0, cleans_up: float = 0
) -> list[World]:
    """So many of this size, the same ones for a seed; what share of their tasks decides, and cleans up."""
    chance = random.Random(seed)  # the same ones each time
    every = list(graphs(tasks))
    found: list[World] = []
    while len(found) < count:
        nodes: list[Node] = []
        for after in chance.choice(every):
            asked = [other for other in after if nodes[other - 1].decides]
            when = (chance.choice(asked), chance.random() < 0.5) if asked and chance.random() < 0.7 else None
            others = tuple(other for other in after if not when or other != when[0])
            rule, needs = chance.choice(rules_of(others))
            is_decision, is_cleanup = chance.random() < decides, chance.random() < cleans_up
            if is_cleanup and after and chance.random() < 0.7:
                rule, needs = "settled", frozenset[int]()
            becomes = chance.choice("TTEESXPp" if is_decision else "FFSXPp")
            nodes.append(Node(rule, after, needs, becomes, when, is_decision, is_cleanup))
        if (not decides or any(node.when for node in nodes)) and (
            not cleans_up or any(node.cleans_up for node in nodes)
        ):
            found.append(tuple(nodes))
    return found
