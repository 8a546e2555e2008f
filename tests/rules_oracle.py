"""An oracle of rules, written from their table alone: it shares nothing with ``model/rules.py``.

A world is a small graph, the rule of each task, and what becomes of each task that runs. The oracle tells,
for any order in which running tasks end, which tasks wait, may run, or are passed over.
"""

import itertools
import random
from collections.abc import Iterator
from typing import NamedTuple

# How a task stands: "." it waits, "!" it may run or runs, F finished, P passed over (p: with a result), N not
# taken, S held, X given up.
UNSETTLED = ".!S"


class Node(NamedTuple):
    """A task: its rule, whom it waits for, whose results it cannot do without, and what becomes of it."""

    rule: str
    after: tuple[int, ...]
    needs: frozenset[int]
    becomes: str


World = tuple[Node, ...]


def fate(node: Node, stand: dict[int, str]) -> str:
    """What becomes of a task that waits: "!" it starts, "N" it is passed over, "." it waits."""
    ends = [stand[other] for other in node.after]
    if not ends:
        return "!"
    settled = [end for end in ends if end not in UNSETTLED]
    all_settled = len(settled) == len(ends)
    if node.rule == "ready":
        starved = any(stand[other] in "PNX" for other in node.needs)
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
    wanted = 1 if node.rule == "any" else int(node.rule.removeprefix("at_least:"))
    good = sum(end in "FPp" for end in ends)
    may_come = sum(end in UNSETTLED for end in ends)
    if good >= wanted:
        return "!"
    return "." if good + may_come >= wanted else "N"


class Oracle:
    """How the tasks of a world stand; a task that may run does so until it is ended."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stand = dict.fromkeys(range(1, len(world) + 1), ".")
        self._follow()

    @property
    def running(self) -> list[int]:
        return [task for task, stands in self.stand.items() if stands == "!"]

    def end(self, task: int) -> None:
        """A running task ends as the world has it."""
        assert self.stand[task] == "!"
        self.stand[task] = self.world[task - 1].becomes
        self._follow()

    def _follow(self) -> None:
        moved = True
        while moved:
            moved = False
            for task, node in enumerate(self.world, start=1):
                if self.stand[task] == "." and (after := fate(node, self.stand)) != ".":
                    self.stand[task] = after
                    moved = True


def graphs(tasks: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Whom each task waits for, of all graphs in which tasks wait for such with lower numbers."""
    pairs = [(low, high) for high in range(1, tasks + 1) for low in range(1, high)]
    for chosen in itertools.product((False, True), repeat=len(pairs)):
        edges = [pair for pair, is_there in zip(pairs, chosen, strict=True) if is_there]
        yield tuple(tuple(low for low, high in edges if high == task) for task in range(1, tasks + 1))


def rules_of(after: tuple[int, ...]) -> list[tuple[str, frozenset[int]]]:
    """The rules that a task may have, with the results that it cannot do without."""
    if not after:
        return [("ready", frozenset())]
    plain = ["ready", "finished", "settled", "any", "failed"]
    plain += [f"at_least:{most}" for most in range(2, len(after) + 1)]
    return [
        *((rule, frozenset[int]()) for rule in plain),
        *(("ready", frozenset({other})) for other in after),
    ]


def worlds(tasks: int) -> Iterator[World]:
    """All of this size."""
    for graph in graphs(tasks):
        for rules in itertools.product(*(rules_of(after) for after in graph)):
            for outcomes in itertools.product("FSXPp", repeat=tasks):
                yield tuple(
                    Node(rule, after, needs, becomes)
                    for (rule, needs), after, becomes in zip(rules, graph, outcomes, strict=True)
                )


def some_worlds(tasks: int, count: int, seed: int) -> list[World]:
    """So many of this size, the same ones for a seed."""
    chance = random.Random(seed)  # the same ones each time
    every = list(graphs(tasks))
    found: list[World] = []
    for _ in range(count):
        nodes: list[Node] = []
        for after in chance.choice(every):
            rule, needs = chance.choice(rules_of(after))
            nodes.append(Node(rule, after, needs, chance.choice("FFSXPp")))
        found.append(tuple(nodes))
    return found
