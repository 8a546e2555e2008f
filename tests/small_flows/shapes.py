"""All small graphs with all rules, each once: those that differ only in how tasks are numbered, or in what a
decision calls true, are one."""

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence

from rules_oracle import Node, World, graphs, rules_of

Numbers = tuple[int, ...]
"""Whom each task waits for, or what number each task gets."""


def shapes(tasks: int) -> Iterator[World]:
    """Every world of this size, but for what becomes of its tasks; some of these are branches of others. A
    decision that nobody is a branch of is like any other task to those behind it."""
    return _numbered_once(tasks, _rules)


def without_rules(tasks: int) -> Iterator[World]:
    """Those in which each task starts when all before it have ended."""
    return _numbered_once(tasks, _ready)


def some_shapes(tasks: int, each: int, seed: int) -> Iterator[World]:
    """Of each graph of this size so many worlds, the same ones for a seed."""
    chance = random.Random(seed)
    for graph, _ in small_graphs(tasks):
        able = [list(_rules(after)) for after in graph]
        for _ in range(each):
            yield _with_decisions([chance.choice(rules) for rules in able])


def _numbered_once(tasks: int, able: Callable[[Numbers], Iterable[Node]]) -> Iterator[World]:
    return (world for world, _ in _with_same(tasks, able))


def _with_same(
    tasks: int, able: Callable[[Numbers], Iterable[Node]]
) -> Iterator[tuple[World, list[Numbers]]]:
    """Each world once, with the ways to number its tasks that leave it as it is."""
    for graph, same in small_graphs(tasks):
        for world in itertools.product(*(list(able(after)) for after in graph)):
            if _with_first_true(world) != world:
                continue
            said = _said(world)
            others = [(_said(_renumbered(world, numbers)), numbers) for numbers in same]
            if all(said <= other for other, _ in others):
                yield _with_decisions(world), [numbers for other, numbers in others if other == said]


def cleaning(tasks: int) -> Iterator[World]:
    """Every world of this size with every choice of tasks that clean up, each once. What only such tasks lead
    to is spared with them: whether it cleans up itself is looked at only where joins cancel others, which
    leave alone what does."""
    for world, same in _with_same(tasks, _rules):
        cancels = any(node.rule.endswith(":cancel") for node in world)
        for chosen in itertools.product((False, True), repeat=tasks):
            if (
                any(chosen)
                and (cancels or chosen == _spared(world, chosen))
                and all(chosen <= _moved(chosen, numbers) for numbers in same)
            ):
                yield tuple(
                    node._replace(cleans_up=is_one) for node, is_one in zip(world, chosen, strict=True)
                )


def _spared(world: World, chosen: Sequence[bool]) -> tuple[bool, ...]:
    """Those that clean up, and those that only these lead to; tasks stand behind those they wait for."""
    spared: list[bool] = []
    for node, cleans_up in zip(world, chosen, strict=True):
        spared.append(cleans_up or (bool(node.after) and all(spared[other - 1] for other in node.after)))
    return tuple(spared)


def _moved(chosen: Sequence[bool], numbers: Sequence[int]) -> tuple[bool, ...]:
    """The same choice where the tasks are numbered so."""
    moved = list(chosen)
    for is_one, number in zip(chosen, numbers, strict=True):
        moved[number - 1] = is_one
    return tuple(moved)


def small_graphs(tasks: int) -> Iterator[tuple[tuple[Numbers, ...], list[Numbers]]]:
    """Every graph, and the ways to number its tasks that leave it as it is, but for the plain one."""
    seen: set[frozenset[Numbers]] = set()
    for graph in graphs(tasks):
        edges = frozenset((low, high) for high, after in enumerate(graph, start=1) for low in after)
        if edges in seen:
            continue
        same: list[Numbers] = []
        for numbers in itertools.permutations(range(1, tasks + 1)):
            moved = frozenset((numbers[low - 1], numbers[high - 1]) for low, high in edges)
            seen.add(moved)
            same += [numbers] if moved == edges else []
        yield graph, same[1:]


def _rules(after: Numbers) -> Iterator[Node]:
    """All that may be said of a task which waits for these, whose results it may need."""
    for node in _plain_rules(after):
        yield node._replace(after=after)
    for decision in after:
        for node in _plain_rules(tuple(other for other in after if other != decision)):
            for wanted in (True, False):
                yield node._replace(after=after, when=(decision, wanted))


def _plain_rules(after: Numbers) -> Iterator[Node]:
    yield from _ready(after)
    for rule, needs in rules_of(after):
        if rule != "ready":
            yield Node(rule, after, needs, "")
        if rule.startswith(("any", "at_least")):
            yield Node(f"{rule}:cancel", after, needs, "")


def _ready(after: Numbers) -> Iterator[Node]:
    for count in range(len(after) + 1):
        for needs in itertools.combinations(after, count):
            yield Node("ready", after, frozenset(needs), "")


def _with_decisions(world: Sequence[Node]) -> World:
    """Those decide that others are branches of."""
    decisions = {node.when[0] for node in world if node.when}
    return tuple(node._replace(decides=task in decisions) for task, node in enumerate(world, start=1))


def _renumbered(world: World, numbers: Sequence[int]) -> World:
    moved = list(world)
    for node, number in zip(world, numbers, strict=True):
        moved[number - 1] = node._replace(
            after=tuple(sorted(numbers[other - 1] for other in node.after)),
            needs=frozenset(numbers[other - 1] for other in node.needs),
            when=(numbers[node.when[0] - 1], node.when[1]) if node.when else None,
        )
    return _with_first_true(moved)


def _said(world: World) -> list[tuple[str, list[int], tuple[int, bool]]]:
    """What is said of each task, in an order of its own."""
    return [(node.rule, sorted(node.needs), node.when or (0, False)) for node in world]


def _with_first_true(world: Sequence[Node]) -> World:
    """The first branch of each decision is the one that is taken where it says true."""
    first: dict[int, bool] = {}
    for node in world:
        if node.when:
            first.setdefault(*node.when)
    return tuple(
        node._replace(when=(node.when[0], node.when[1] is first[node.when[0]])) if node.when else node
        for node in world
    )
