"""Limits for each key and times of attempts hold for the items of a map one by one."""

from datetime import timedelta

from flower_engine import RetryPolicy, program, workflow
from flower_engine.testing import FlowerTest, by_element, hangs


@program("bounds.load")
def load(shop: str) -> str:
    return shop.upper()


@workflow("bounds.loaded")
def loaded(shops: list[str]) -> list[str]:
    return load.having(timeout="2h", retry=RetryPolicy(2, delay="30m")).map(shops)


def test_an_item_that_takes_too_long_is_tried_again_by_itself(flower: FlowerTest) -> None:
    flower.stub(load, by_element("shop", [("north", ["N"]), ("south", [hangs(), "S"]), ("west", ["W"])]))
    run = flower.run(loaded, ["north", "south", "west"])
    assert (run.result, run.skipped) == (["N", "S", "W"], timedelta(hours=2, minutes=30))
    attempts = [task.attempts for name, task in run.tasks.items() if "[" in name]
    assert attempts == [1, 2, 1]


def test_items_of_one_key_take_turns_and_the_others_do_not_wait_for_them(flower: FlowerTest) -> None:
    flower.limit(load, limit_by="shop", max_per_key=1)
    flower.stub(load, hangs())
    run = flower.start(loaded, ["north", "north", "south"])
    run.work()
    items = [task for name, task in run.tasks.items() if "[" in name]
    assert [item.status for item in items] == ["Running", "Wait", "Running"]
    assert items[1].why.startswith("limit of program bounds.load (north): 1 of 1 unit is in use, by")
    run.cancel()
