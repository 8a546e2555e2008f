"""Maps, branches, cleanups and sub-flows in one tree: each does beside the others what it does alone."""

import pytest

from flower_engine import either, otherwise, program, when, workflow
from flower_engine.testing import FlowerTest, hangs


@program("together.lock")
def lock(shop: str) -> str:
    return f"lock of {shop}"


@program("together.count")
def count(article: str) -> int:
    return len(article)


@program("together.add")
def add(pieces: list[int]) -> int:
    return sum(pieces)


@program("together.order")
def order(pieces: int) -> str:
    return f"ordered {pieces}"


@program("together.wait")
def wait(pieces: int) -> str:
    return f"waited with {pieces}"


@program("together.unlock")
def unlock(held: str | None = None) -> str:
    return f"gave back {held}"


@program("together.say")
def say(done: str) -> str:
    return done.upper()


@workflow("together.shop")
def shop(name: str, articles: list[str], few: int) -> str:
    """What is counted is locked, and unlocked however it goes."""
    held = lock.step(name)
    total = add.step(count.having(after=[held]).map(articles))
    with when(total > few):
        ordered = order.step(total)
    with otherwise():
        waited = wait.step(total)
    unlock.having(finally_=True, after=[ordered, waited]).step(held)
    return either(ordered, waited)


@workflow("together.trade")
def trade(articles: list[str], few: int = 3) -> str:
    """One shop, and what is said of it."""
    return say.step(shop.step("north", articles, few))


@pytest.mark.parametrize(
    ("articles", "said"),
    [(["pen", "ink"], "ORDERED 6"), (["a"], "WAITED WITH 1"), ([], "WAITED WITH 0")],
)
def test_a_child_maps_decides_and_cleans_up(flower: FlowerTest, articles: list[str], said: str) -> None:
    unlocked = flower.stub("together.unlock", "given back")
    assert flower.run(trade, articles=articles).result == said
    assert len(unlocked.calls) == 1


def test_a_cancel_of_the_trunk_ends_the_items_of_a_child_and_lets_it_clean_up(flower: FlowerTest) -> None:
    flower.stub("together.count", hangs())
    unlocked = flower.stub("together.unlock", "given back")
    run = flower.start(trade, articles=["pen", "ink"])
    run.work()
    run.cancel()
    assert run.settle() == "Cancelled"
    assert len(unlocked.calls) == 1
