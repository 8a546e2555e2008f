"""A rerun of what has changed: a map runs for new elements alone."""

from flower_engine import program, workflow
from flower_engine.testing import FlowerTest


@program("changed.shops")
def shops() -> list[str]:
    return []


@program("changed.count")
def count(shop: str) -> int:
    return len(shop)


@program("changed.add")
def add(counts: list[int]) -> int:
    return sum(counts)


def counted_as(shop: str) -> int:
    return len(shop)


@workflow("changed.all")
def everything() -> int:
    return add.step(count.having(key="").map(shops.step()))


def test_items_that_are_the_same_do_not_run_again_and_those_that_vanished_come_back(
    flower: FlowerTest,
) -> None:
    flower.stub(shops, ["north", "south"], ["south", "west"], ["north", "west"])
    counted = flower.stub(count, counted_as)
    run = flower.start(everything)
    assert run.finish() == 10
    run.rerun("changed_shops", scope="changed")
    assert run.finish() == 9
    run.rerun("changed_shops", scope="changed")
    assert run.finish() == 9
    assert sorted(call["shop"] for call in counted.calls) == ["north", "south", "west"]
