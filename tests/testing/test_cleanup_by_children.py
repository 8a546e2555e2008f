"""Sub-flows and maps of workflows clean up, as tasks of programs do: their flows begin behind a cancel."""

from typing import Any

import pytest

from flower_engine import Workflow, either, program, workflow
from flower_engine.errors import DefinitionError
from flower_engine.testing import FlowerTest, hangs


@program("tidy.rent")
def rent(place: str) -> str:
    return f"key of {place}"


@program("tidy.build")
def build(key: str) -> str:
    return f"built with {key}"


@program("tidy.sweep")
def sweep(place: str, built: str | None) -> str:
    return f"swept {place}: {built}"


@program("tidy.lock")
def lock(swept: str) -> str:
    return f"locked, {swept}"


@workflow("tidy.leave")
def leave(place: str, built: str | None = None) -> str:
    """What is to be done at a place in the end, in two steps."""
    return lock.step(sweep.step(place, built))


@workflow("tidy.site")
def site(place: str, others: list[str]) -> str:
    """What a flow of its own leaves in order, and one for each of some places more."""
    built = build.step(rent.step(place))
    leave.having(finally_=True, name="left").step(place, built)
    leave.having(finally_=True, name="others_left", after=[built]).map(others)
    return built


@workflow("tidy.town")
def town(place: str, others: list[str]) -> str:
    """A site, in a sub-flow."""
    return site.step(place, others)


def test_a_sub_flow_and_a_map_of_a_workflow_that_clean_up_say_so_in_the_document() -> None:
    _, _, left, others_left = site.document()["tasks"]
    assert left == {
        "taskSeq": 3,
        "taskName": "left",
        "program": "@flow",
        "parameters": {
            "workflow": "tidy.leave",
            "parameters": {"place": {"$param": "place"}, "built": {"$from": "built", "optional": True}},
        },
        "dependsOn": ["built"],
        "finally": True,
    }
    assert (others_left["program"], others_left["finally"]) == ("@map", True)
    assert others_left["dependsOn"] == ["built"]


def test_they_clean_up_where_all_goes_well(flower: FlowerTest) -> None:
    run = flower.run(site, "here", ["there"])
    assert run.tasks["left"].result == "locked, swept here: built with key of here"
    assert run.tasks["others_left"].result == ["locked, swept there: None"]


def test_their_flows_begin_where_the_one_around_them_is_cancelled(flower: FlowerTest) -> None:
    flower.stub(build, hangs())
    run = flower.start(site, "here", ["there", "elsewhere"])
    run.work()
    run.cancel()
    assert run.settle() == "Cancelled"
    assert run.child("left").status == "Finish"
    assert run.tasks["left"].result == "locked, swept here: None"
    assert run.tasks["others_left"].result == ["locked, swept there: None", "locked, swept elsewhere: None"]


@program("tidy.rooms")
def rooms(key: str) -> list[str]:
    return ["hall", "cellar"]


@workflow("tidy.house")
def house(place: str) -> None:
    """What is found out on the way is left in order, as far as it was."""
    found = rooms.step(rent.step(place))
    leave.having(finally_=True, name="left").map(either(found, []))


def test_a_map_that_cleans_up_goes_over_what_there_is(flower: FlowerTest) -> None:
    run = flower.run(house, "here")
    assert run.tasks["left"].result == ["locked, swept hall: None", "locked, swept cellar: None"]
    flower.stub(rooms, hangs())
    run = flower.start(house, "there")
    run.work()
    run.cancel()
    assert run.settle() == "Cancelled"
    assert (run.tasks["found"].ended_as, run.tasks["left"].result) == ("cancelled", [])


def test_they_begin_in_a_child_whose_trunk_is_cancelled(flower: FlowerTest) -> None:
    flower.stub(build, hangs())
    locked = flower.stub(lock, "locked")
    run = flower.start(town, "here", ["there"])
    run.work()
    run.cancel()
    assert run.settle() == "Cancelled"
    assert sorted(call["swept"] for call in locked.calls) == ["swept here: None", "swept there: None"]


def says_yes(place: str) -> None:
    leave.having(finally_="yes").step(place)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def tolerates(places: list[str]) -> None:
    leave.having(finally_=True, tolerate=1).map(places)


def goes_along(places: list[str]) -> None:
    leave.having(finally_=True, aligned=True).map(rent.map(places))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (says_yes, r"finally_='yes'.* is neither True nor False"),
        (tolerates, r"cleans up \(finally\): with 'tolerate' it does not"),
        (goes_along, r"cleans up \(finally\): an aligned map does not"),
    ],
)
def test_what_cannot_clean_up_names_its_line(function: Any, said: str) -> None:
    line = function.__code__.co_firstlineno + 1
    with pytest.raises(DefinitionError, match=said) as error:
        Workflow(function, "refused").document()
    assert f"test_cleanup_by_children.py:{line}: " in str(error.value)
