"""The pure fold against the oracle of rules, over every way that small flows can go (``make exhaust``: all of
them up to four tasks; here those of up to three, and some of four)."""

import itertools
from collections.abc import Iterable

import pytest

import fuzzing
import rules_oracle
from flower_engine.model.folding import fold_rules
from flower_engine.model.tasks.end_kinds import EndedAs
from flower_engine.model.tasks.rules import Standing
from flower_engine.model.tasks.status import Status
from rules_oracle import Node, World
from small_flows.shapes import cleaning, shapes, small_graphs, some_shapes, without_rules
from small_flows.walk import Walked, walk


def _walked(worlds: Iterable[World], **how: bool) -> Walked:
    total = Walked()
    for world in worlds:
        total = total.with_more(walk(world, **how))
    return total


def _up_to(tasks: int) -> Iterable[World]:
    return itertools.chain.from_iterable(map(shapes, range(1, tasks + 1)))


def test_each_small_graph_is_there_once() -> None:
    counts = [len(list(small_graphs(tasks))) for tasks in (1, 2, 3, 4)]
    assert counts == [1, 2, 6, 31]  # as many acyclic graphs as there are without numbers


def test_every_flow_of_up_to_three_tasks_comes_to_what_the_table_says_in_every_order() -> None:
    walked = _walked(_up_to(3), refuses=True)
    assert walked == Walked(worlds=344, states=7_752, steps=17_499, orders=34_018)


def test_it_does_so_where_tasks_begin_late() -> None:
    _walked([*_up_to(2), *itertools.islice(shapes(3), 0, None, 2)], at_once=False)


def test_it_does_so_without_rules() -> None:
    _walked(itertools.chain.from_iterable(map(without_rules, range(1, 5))), ruled=False)


def test_every_flow_of_two_tasks_that_cleans_up_does_so_wherever_it_is_ended() -> None:
    """And one in 97 of those of three."""
    _walked(itertools.chain.from_iterable(map(cleaning, (1, 2))))
    _walked(itertools.islice(cleaning(3), 5, None, 67))


def test_what_only_cleanups_lead_to_goes_alike_whether_it_says_so_itself_or_not() -> None:
    """So one of them is there, where no join cancels others; and one of those that differ in numbers."""
    counts = [len(list(cleaning(tasks))) for tasks in (1, 2, 3)]
    assert counts == [1, 19, 1_536]
    plain = [world for world in shapes(3) if world[2].after == (2,) and world[1].rule == "settled"]
    for world in plain[::5]:
        walked = [walk(_cleaned_up(world, chosen)) for chosen in ({2}, {2, 3})]
        assert walked[0] == walked[1], world


def _cleaned_up(world: World, chosen: set[int]) -> World:
    return tuple(node._replace(cleans_up=task in chosen) for task, node in enumerate(world, start=1))


def test_some_flows_of_each_graph_of_four_tasks_come_to_what_the_table_says() -> None:
    for seed in range(fuzzing.examples(1)):
        _walked(some_shapes(4, 2, seed))


def test_a_rule_of_the_model_that_is_not_that_of_the_table_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a rule passed over counts as if somebody had passed over it."""
    plain = fold_rules.stands_as

    def stands_as(status: Status, ended_as: EndedAs) -> Standing:
        return plain(status, "p" if ended_as == "n" else ended_as)

    monkeypatch.setattr(fold_rules, "stands_as", stands_as)
    with pytest.raises(AssertionError, match=r"came to .*, the table says"):
        _walked(shapes(3))


def test_a_table_that_says_something_else_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = rules_oracle.fates

    def fates(node: Node, stand: dict[int, str]) -> str:
        """A join waits for all where the first two are enough."""
        return plain(node._replace(rule="settled") if node.rule == "at_least:2" else node, stand)

    _walked(shapes(2))
    monkeypatch.setattr(rules_oracle, "fates", fates)
    with pytest.raises(AssertionError, match=r"came to .*, the table says"):
        _walked(shapes(3))
