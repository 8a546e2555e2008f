"""Loops of sub-flows in tests: each round is a flow of its own, and time between them is skipped."""

import pytest

from flower_engine import Again, program, workflow
from flower_engine.testing import FlowerTest


@program("child_loops.read")
def read_page(page: int, size: int) -> int:
    return size if page < 3 else 0


@program("child_loops.go_on")
def go_on(page: int, rows: int) -> int:
    if rows:
        raise Again({"page": page + 1}, after="1h", of="flow")
    return page


@workflow("child_loops.page")
def one_page(page: int, size: int = 2) -> int:
    return go_on.step(page, read_page.step(page, size))


@workflow("child_loops.all")
def all_pages() -> int:
    return one_page.having(max_rounds=5).step(1, size=50)


@program("child_loops.count")
def count(n: int) -> int:
    if n < 3:
        raise Again({"n": n + 1}, of="flow")
    return n


@workflow("child_loops.counted")
def counted(n: int) -> int:
    return count.step(n)


@workflow("child_loops.all_counted")
def all_counted(numbers: list[int]) -> list[int]:
    return counted.map(numbers)


def test_a_sub_flow_goes_round_until_it_asks_no_more(flower: FlowerTest) -> None:
    run = flower.run(all_pages)
    assert run.result == 3
    step = run.tasks["child_loops_page"]
    assert [one.how for one in step.history] == ["again", "again", "answered"]
    assert [one.round for one in step.history] == [1, 2, None]
    assert run.child("child_loops_page").tasks["child_loops_read"].parameters == {"page": 3, "size": 50}
    assert run.skipped.total_seconds() >= 2 * 3600


def test_items_of_a_map_of_a_workflow_loop_one_by_one(flower: FlowerTest) -> None:
    assert flower.run(all_counted, [1, 3, 2]).result == [3, 3, 3]


def test_a_loop_beyond_its_bound_is_held(flower: FlowerTest) -> None:
    flower.stub(go_on, *[Again({"page": 1}, of="flow")] * 9)
    run = flower.start(all_pages)
    run.settle()
    error = run.tasks["child_loops_page"].error
    assert error is not None
    assert error.type == "TooManyRounds"
    assert "round 6, and it may have 5: max_rounds" in error.message


def test_a_flow_that_is_no_sub_flow_has_no_rounds(flower: FlowerTest) -> None:
    run = flower.start(one_page, 1)
    run.settle()
    error = run.tasks["child_loops_go_on"].error
    assert error is not None
    assert error.type == "NoParentTask"


def test_a_round_is_of_one_of_the_two() -> None:
    with pytest.raises(ValueError, match="give 'task' or 'flow'"):
        Again(of="tree")  # type: ignore[arg-type]
