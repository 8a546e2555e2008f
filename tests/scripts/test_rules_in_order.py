"""Rules on a real server against the oracle of rules: ways through small worlds on which each end comes
wherever it may."""

import itertools
from collections.abc import Iterable

import fuzzing
from rules_oracle import Node, World
from scripts.engine import Engine
from scripts.played_worlds import PlayInOrder
from small_flows.shapes import shapes, some_shapes
from small_flows.ways import Way, ways_through


async def _play(engine: Engine, ways: Iterable[tuple[World, Way]]) -> None:
    left = iter(ways)
    while some := list(itertools.islice(left, 1000)):
        await PlayInOrder(engine, some).run()


async def test_flows_of_up_to_three_tasks_come_to_what_the_table_says_in_every_order(engine: Engine) -> None:
    """Every way in ``make fuzz``, one in 24 else."""
    every = 1 if fuzzing.examples(1) > 1 else 24
    worlds = itertools.chain.from_iterable(map(shapes, (1, 2, 3)))
    ways = itertools.chain.from_iterable(map(ways_through, worlds))
    await _play(engine, itertools.islice(ways, 7, None, every))


async def test_flows_of_each_graph_of_four_tasks_come_to_what_the_table_says(engine: Engine) -> None:
    """One way in 24 of one world of each graph; in ``make fuzz`` of so many times as many worlds."""
    for seed in range(fuzzing.examples(1)):
        ways = itertools.chain.from_iterable(map(ways_through, some_shapes(4, 1, seed)))
        await _play(engine, itertools.islice(ways, 11, None, 24))


async def test_a_decision_that_was_held_is_not_counted_where_its_branch_starts_because_of_failures(
    engine: Engine,
) -> None:
    """It was counted nowhere while it was held; when it was given up, one of nought was taken away."""
    decision, other = (
        Node("ready", (), frozenset(), becomes, decides=becomes == "SX") for becomes in ("SX", "S")
    )
    branch = Node("failed", (1, 2), frozenset(), "F", when=(1, True))
    await _play(engine, [((decision, other, branch), ((1, "S"), (1, "SX"), (2, "S")))])
