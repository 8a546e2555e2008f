"""Rules on a real server against an oracle that has only their table: small worlds, in any order."""

import itertools

import fuzzing
from flower_engine.model.tasks.rules import PASS, START, Edge, Standing, decide
from rules_oracle import (
    Node,
    decisions_and_one_behind,
    fates,
    some_worlds,
    with_cancelling_joins,
    worlds,
)
from scripts.engine import Engine
from scripts.played_worlds import Play

STANDS: dict[str, tuple[Standing, bool]] = {
    ".": ("open", False),
    "S": ("held", False),
    "F": ("finished", True),
    "P": ("passed", False),
    "p": ("passed", True),
    "N": ("not_taken", False),
    "X": ("given_up", False),
}


def test_the_model_decides_as_the_table_does() -> None:
    """All that up to three dependencies may come to, beside a decision or without."""
    for count in range(4):
        after = tuple(range(1, count + 1))
        rules = ["ready", "finished", "settled", "any", "failed", *(f"at_least:{most}" for most in after)]
        for rule, ends, needed, says in itertools.product(
            rules,
            itertools.product(STANDS, repeat=count),
            itertools.product((False, True), repeat=count),
            ("", ".", "S", "T", "E", "P", "N", "X") if count < 3 else ("", ".", "T", "E"),
        ):
            if any(needed) and rule not in ("ready", "finished"):
                continue  # refused when it is defined
            if not count and (not says or rule != "ready"):
                continue  # as is that without a dependency
            needs = frozenset(other for other, is_needed in zip(after, needed, strict=True) if is_needed)
            node = Node(rule, after, needs, "F")
            stand = dict(zip(after, ends, strict=True))
            edges = [
                Edge(STANDS[end][0], is_needed, STANDS[end][1])
                for end, is_needed in zip(ends, needed, strict=True)
            ]
            if says:
                node, stand = node._replace(after=(*after, 9), when=(9, True)), {**stand, 9: says}
                edges.append(_decision(says).gate(True))
            found = {START: "!", PASS: "N"}.get(decide(rule, edges), ".")
            assert found == fates(node, stand).replace("W", "N")[0], (rule, ends, needed, says)


def _decision(says: str) -> Edge:
    return Edge("finished", says=says == "T") if says in "TE" else Edge(STANDS[says][0])


async def test_flows_of_up_to_three_tasks_come_to_what_the_table_says(engine: Engine) -> None:
    """One in 24 of them, spread over all; all of them in ``make fuzz``."""
    every = 1 if fuzzing.examples(1) > 1 else 24
    some = [*worlds(1), *worlds(2), *itertools.islice(worlds(3), 3, None, every)]
    for first in range(0, len(some), 1000):
        await Play(engine, some[first : first + 1000], first).run()


async def test_flows_of_four_tasks_come_to_what_the_table_says(engine: Engine) -> None:
    for part in range(fuzzing.examples(1)):
        await Play(engine, some_worlds(4, 400, part), part).run()


async def test_flows_of_up_to_three_tasks_whose_joins_cancel_the_others_come_to_what_the_table_says(
    engine: Engine,
) -> None:
    every = 1 if fuzzing.examples(1) > 1 else 12
    some = [
        *with_cancelling_joins(worlds(2)),
        *itertools.islice(with_cancelling_joins(worlds(3)), 3, None, every),
    ]
    for first in range(0, len(some), 1000):
        await Play(engine, some[first : first + 1000], first).run()


async def test_larger_flows_whose_joins_cancel_the_others_come_to_what_the_table_says(engine: Engine) -> None:
    for part in range(fuzzing.examples(1)):
        some = [
            *some_worlds(4, 600, part),
            *some_worlds(5, 600, part),
            *some_worlds(5, 300, part, decides=0.3),
            *some_worlds(4, 300, part, cleans_up=0.4),
            *some_worlds(5, 300, part, decides=0.3, cleans_up=0.3),
        ]
        await Play(engine, list(with_cancelling_joins(some)), part).run()


async def test_flows_that_decide_come_to_what_the_table_says(engine: Engine) -> None:
    """Every decision with one task behind it; of larger ones some, as there are millions."""
    await Play(engine, list(decisions_and_one_behind()), 1).run()
    for part in range(fuzzing.examples(1)):
        some = [*some_worlds(3, 400, part, decides=0.5), *some_worlds(4, 600, part, decides=0.4)]
        await Play(engine, some, part).run()


async def test_flows_that_clean_up_come_to_what_the_table_says_wherever_they_are_ended(
    engine: Engine,
) -> None:
    for part in range(fuzzing.examples(1)):
        some = [*some_worlds(3, 200, part, cleans_up=0.4), *some_worlds(4, 300, part, cleans_up=0.4)]
        some += some_worlds(4, 300, part, decides=0.3, cleans_up=0.4)
        await Play(engine, some, part).run()
