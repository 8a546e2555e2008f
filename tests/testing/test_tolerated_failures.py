"""A flow whose map tolerated failures has ended as Suspend, and what it returns is told all the same."""

import pytest

from flower_engine import Fatal, program, workflow
from flower_engine.testing import FlowerTest, StuckError, by_element
from flower_engine.testing.private_server import server


@program("tolerated.read")
def read(shop: str) -> int:
    return len(shop)


@program("tolerated.add")
def add(rows: list[int]) -> int:
    return sum(rows)


@workflow("tolerated.all")
def everything(shops: list[str]) -> int:
    return add.step(read.having(tolerate=1).map(shops))


def test_what_a_flow_returns_is_told_where_failures_were_tolerated(flower: FlowerTest) -> None:
    flower.stub(read, by_element("shop", [("north", [3]), ("south", [Fatal("no")]), ("west", [4])]))
    run = flower.start(everything, ["north", "south", "west"])
    assert run.settle() == "Failed"  # somebody should look
    view = server().call(flower._engine.view(run.id))  # pyright: ignore[reportPrivateUsage]
    assert (view.finished_ts is not None, bytes(view.result), view.result_problem) == (True, b"7", None)


def test_what_lacks_a_value_because_of_a_failure_is_no_problem_of_the_result(flower: FlowerTest) -> None:
    flower.stub(read, Fatal("no"))
    run = flower.start(
        {
            "taskId": "tolerated.lacks",
            "returns": {"$from": "rows"},
            "tasks": [
                {
                    "taskSeq": 1,
                    "taskName": "rows",
                    "program": "tolerated.read",
                    "onFailure": "give_up",
                    "parameters": {"shop": "north"},
                }
            ],
        }
    )
    assert run.settle() == "Failed"
    view = server().call(flower._engine.view(run.id))  # pyright: ignore[reportPrivateUsage]
    assert (view.finished_ts is not None, view.result_problem) == (True, None)
    with pytest.raises(
        StuckError, match=r"has ended as Failed.*\n  rows: given up after attempt 1: .*Fatal: no"
    ):
        run.finish()
