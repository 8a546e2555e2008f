"""What follows the failure of an item is what its map says (``on_failure``), item by item."""

from typing import Any

import pytest

from flower_engine import Fatal, Outcome, hold, outcomes, program, workflow
from flower_engine.testing import FlowerTest, StuckError, by_element

SHOPS = ["north", "south", "west"]
TOO_MANY = r"TooManyFailedError: 1 of 3 items was given up, and 0 are tolerated: rerun what failed"


@program("failing.read")
def read(shop: str) -> int:
    return len(shop)


@program("failing.add")
def add(rows: list[int]) -> int:
    return sum(rows)


@program("failing.double")
def double(rows: int) -> int:
    return 2 * rows


@program("failing.excuse")
def excuse() -> str:
    return "sorry"


@program("failing.judge")
def judge(rows: list[Outcome[int]]) -> list[str]:
    return [f"{one.status} {one.result}" for one in rows]


@workflow("failing.one")
def one_shop(shop: str) -> int:
    return read.step(shop)


def fails_in_south(flower: FlowerTest, *then: Any) -> None:
    flower.stub(read, by_element("shop", [("north", [3]), ("south", [Fatal("no"), *then]), ("west", [4])]))


@workflow("failing.given up")
def given_up(shops: list[str]) -> int:
    rows = read.having(on_failure="give_up").map(shops)
    excuse.having(rule="failed", after=[rows]).step()
    return add.step(rows)


def test_a_map_that_gives_up_runs_all_of_its_items_and_is_given_up_then(flower: FlowerTest) -> None:
    fails_in_south(flower)
    run = flower.start(given_up, SHOPS)
    assert run.settle() == "Failed"
    tasks = run.tasks
    assert [tasks[f"rows[{index}]"].status for index in range(3)] == ["Finish", "Suspend", "Finish"]
    assert (tasks["rows"].status, tasks["failing_add"].status) == ("Suspend", "Ignore")
    assert tasks["failing_excuse"].result == "sorry"
    with pytest.raises(StuckError, match=TOO_MANY):
        run.finish()


def test_a_map_that_was_given_up_goes_well_once_its_item_does(flower: FlowerTest) -> None:
    fails_in_south(flower, 5)
    run = flower.start(given_up, SHOPS)
    run.settle()
    run.rerun("rows[1]")
    assert run.finish() == 12


@workflow("failing.tolerated")
def tolerated(shops: list[str]) -> int:
    return add.step(read.having(on_failure="give_up", tolerate=1).map(shops))


def test_a_map_that_gives_up_goes_on_while_no_more_fail_than_it_tolerates(flower: FlowerTest) -> None:
    fails_in_south(flower)
    run = flower.start(tolerated, SHOPS)
    assert run.settle() == "Failed"
    assert run.tasks["failing_add"].result == 7
    flower.stub(read, Fatal("no"))
    worse = flower.start(tolerated, SHOPS)
    assert (worse.settle(), worse.tasks["failing_add"].status) == ("Failed", "Ignore")
    assert [worse.tasks[f"failing_read[{index}]"].attempts for index in range(3)] == [1, 1, 1]


@workflow("failing.passed")
def passed(shops: list[str]) -> int:
    return add.step(double.map(read.having(on_failure="pass", stand_in=100).map(shops)))


def test_the_stand_in_of_an_item_stands_at_its_place_and_goes_along_the_chain(flower: FlowerTest) -> None:
    fails_in_south(flower)
    run = flower.run(passed, SHOPS)
    assert run.result == 2 * (3 + 100 + 4)
    assert run.tasks["failing_read"].result == [3, 100, 4]


@workflow("failing.left out")
def left_out(shops: list[str]) -> list[str]:
    rows = read.having(on_failure="pass").map(shops)
    return judge.step(outcomes(rows))


def test_an_item_that_is_passed_over_without_a_stand_in_is_left_out(flower: FlowerTest) -> None:
    fails_in_south(flower)
    assert flower.run(left_out, SHOPS).result == ["finished 3", "ignored None", "finished 4"]


@workflow("failing.held")
def held(shops: list[str]) -> int:
    return add.step(read.having(on_failure=hold("2h")).map(shops))


def test_each_item_is_held_for_its_time_and_then_the_map(flower: FlowerTest) -> None:
    fails_in_south(flower)
    run = flower.start(held, SHOPS)
    flower.skip("119m")
    assert (run.status, run.tasks["failing_read"].status) == ("Suspend", "Wait")
    flower.skip("2m")
    assert run.tasks["failing_read"].status == "Suspend"
    flower.skip("1h")
    run.ignore("failing_read", result=[3, 4])
    run.settle()
    assert run.tasks["failing_add"].result == 7
    fails_in_south(flower)
    other = flower.start(held, SHOPS)
    assert other.settle() == "Failed"
    assert other.skipped.total_seconds() == pytest.approx(4 * 3600, abs=60)


def test_an_item_that_is_held_for_a_time_may_be_rerun_meanwhile(flower: FlowerTest) -> None:
    fails_in_south(flower, 5)
    run = flower.start(held, SHOPS)
    flower.skip("1h")
    run.rerun("failing_read[1]")
    assert run.finish() == 12
    assert run.skipped.total_seconds() < 2 * 3600


@workflow("failing.children")
def children(shops: list[str]) -> int:
    return add.step(one_shop.having(on_failure="pass", stand_in=0).map(shops))


def test_flows_that_do_items_are_passed_over_where_nothing_goes_on_in_them(flower: FlowerTest) -> None:
    fails_in_south(flower)
    assert flower.run(children, SHOPS).result == 7


def test_what_fails_of_the_map_itself_is_held_where_its_items_are_passed_over(flower: FlowerTest) -> None:
    document = passed.document()
    document["tasks"][0]["parameters"]["over"] = {"$param": "shops"}
    document["parametersSchema"]["properties"]["shops"] = {}
    run = flower.start(document, shops=7)
    assert run.settle() == "Suspend"
    assert run.tasks["failing_read"].status == "Suspend"
