"""Sub-flows in the tests of workflows: a step of a workflow is a flow of its own, and its result typed."""

from typing import Any

import pytest

from flower_engine import Fatal, program, workflow
from flower_engine.errors import DefinitionError, ParametersError, RefusedError
from flower_engine.testing import FlowerTest, StubError, StuckError
from flower_engine.testing.private_server import server


@program("sub.load")
def load(day: str) -> int:
    """So many rows."""
    return len(day)


@program("sub.double")
def double(rows: int) -> int:
    """Twice as many."""
    return 2 * rows


@program("sub.say")
def say(rows: int) -> str:
    """In words."""
    return f"{rows} rows"


@workflow("sub.one_day")
def one_day(day: str, factor: int = 1) -> int:
    """The rows of a day."""
    rows = load.step(day)
    return double.step(rows)


@workflow("sub.two_days")
def two_days(first: str, second: str) -> int:
    """Those of two days, the second in a sub-flow of its own."""
    one_day.having(name="first_day").step(first)
    return one_day.step(second)


@workflow("sub.report")
def report(day: str) -> str:
    """What is told of them."""
    rows = two_days.step(day, second="2026-01-05")
    return say.step(rows)


def test_what_a_workflow_returns_is_the_result_of_its_step(flower: FlowerTest) -> None:
    run = flower.run(report, day="2026-01-05")
    assert run.result == "20 rows"


def test_a_flow_that_was_paused_before_its_child_began_goes_on_with_it(flower: FlowerTest) -> None:
    run = flower.start(two_days, "monday", "sunday")
    run.pause()
    assert run.settle() == "Wait"
    run.resume()
    assert run.finish() == flower.run(two_days, "monday", "sunday").result


def test_a_program_that_fails_in_a_child_holds_the_task_of_its_parent(flower: FlowerTest) -> None:
    flower.stub(double, ValueError("no"))
    with pytest.raises(StuckError, match="ChildSuspended"):
        flower.run(report, day="d")


def test_a_step_of_a_workflow_stands_in_the_body_of_another() -> None:
    with pytest.raises(DefinitionError, match="stands in the body of a function under @workflow"):
        one_day.step("d")


def test_options_of_registrations_are_none_of_steps() -> None:
    @workflow("sub.wrong")
    def wrong() -> int:
        return one_day.having(key="k").step("d")

    with pytest.raises(DefinitionError, match="key is of registrations"):
        wrong.document()


def test_options_of_steps_are_none_of_a_flow_or_a_limit(flower: FlowerTest) -> None:
    careful: Any = one_day.having(on_failure="give_up")
    with pytest.raises(DefinitionError, match=r"having\(on_failure='give_up'\) is registered"):
        flower.start(careful, "d")
    with pytest.raises(DefinitionError, match=r"limited is sub.one_day.having"):
        flower.limit(careful, max_flows=1)
    for given in (lambda: flower.stub(load.having(units=2), 7), lambda: flower.limit(load.having(units=2))):
        with pytest.raises(StubError, match=r"sub.load.having\(...\), whose options are of a step"):
            given()


def test_a_definition_takes_its_parameters_by_name(flower: FlowerTest) -> None:
    start: Any = flower.start
    with pytest.raises(ParametersError, match="takes its parameters by name, and was given 1 without one"):
        start(one_day.document(), "d")


def test_an_argument_that_does_not_fit_names_the_workflow() -> None:
    @workflow("sub.unfit")
    def unfit() -> int:
        return one_day.step(5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]

    with pytest.raises(DefinitionError, match=r"workflow 'sub.one_day': its parameter 'day'"):
        unfit.document()


def test_the_document_names_the_workflow_and_what_it_is_given() -> None:
    said = report.document()["tasks"][0]
    assert said["program"] == "@flow"
    assert said["parameters"] == {
        "workflow": "sub.two_days",
        "parameters": {"first": {"$param": "day"}, "second": "2026-01-05"},
    }


@workflow("sub.weeks")
def weeks(day: str) -> str:
    """A step, a sub-flow with one of its own, and another one."""
    told = report.having(name="told").step(day)
    one_day.having(name="more").step("ab")
    return told


def test_a_rerun_of_a_task_goes_into_its_child_and_runs_there_what_failed(flower: FlowerTest) -> None:
    loaded = flower.stub(load, 7)
    doubled = flower.stub(double, ValueError("no"))
    run = flower.start(weeks, day="d")
    run.work()
    children = run.child("told"), run.child("more")
    flower.stub(double, 14)
    run.rerun("told")
    assert run.child("told").id == children[0].id
    run.work()
    assert run.child("told").status == "Finish"
    assert run.status == "Suspend"  # the other one was not asked for
    run.rerun()
    assert run.child("more").id == children[1].id
    assert run.finish() == "14 rows"
    assert len(loaded.calls) == 3  # none of what had finished ran again
    assert len(doubled.calls) == 3


def test_a_rerun_with_new_children_begins_others(flower: FlowerTest) -> None:
    loaded = flower.stub(load, 7)
    flower.stub(double, ValueError("no"))
    run = flower.start(report, day="d")
    run.work()
    old = run.child("rows")
    flower.stub(double, 14)
    run.rerun(new_children=True)
    assert run.finish() == "14 rows"
    assert run.child("rows").id != old.id
    assert old.status == "Cancelled"
    assert len(loaded.calls) == 4


def test_a_child_whose_task_has_ended_is_rerun_with_all_that_follows_from_it(flower: FlowerTest) -> None:
    run = flower.start(weeks, day="2026-01-05")
    assert run.finish() == "20 rows"
    middle = run.child("told").child("rows")
    leaf = middle.child("sub_one_day")
    with pytest.raises(
        RefusedError, match=f"task 2 of flow {middle.id}, its parent, does not await it any more"
    ):
        leaf.rerun("rows")
    flower.stub(load, 50)
    leaf.rerun("rows", up=True)
    assert run.status == "Running"  # more of it has finished than the one that goes on
    assert run.finish() == "100 rows"
    assert run.child("told").child("rows").child("sub_one_day").id == leaf.id


def test_a_flow_that_is_nobodys_child_has_nothing_above_it(flower: FlowerTest) -> None:
    run = flower.start(report, day="d")
    run.finish()
    with pytest.raises(RefusedError, match="nobody's child"):
        run.rerun("sub_say", up=True)


def test_a_child_of_an_earlier_attempt_is_not_taken_up(flower: FlowerTest) -> None:
    run = flower.start(report, day="2026-01-05")
    run.finish()
    old = run.child("rows")
    run.rerun("rows")
    run.finish()
    with pytest.raises(RefusedError, match="child of an earlier attempt of task 1"):
        old.rerun("sub_one_day", up=True)


@program("sub.days_of")
def days_of(month: str, count: int) -> list[str]:
    """Some days."""
    return [f"{month}-{day:02}" for day in range(1, count + 1)]


@program("sub.add")
def add(rows: list[int]) -> int:
    """All together."""
    return sum(rows)


@workflow("sub.month")
def month(name: str, count: int = 3, factor: int = 1) -> int:
    """A flow for each day."""
    days = days_of.step(name, count)
    return add.step(one_day.map(days, factor=factor))


@workflow("sub.year")
def year(months: list[str]) -> list[int]:
    """And one for each month of those, which has one for each of its days (dagster#31143)."""
    return month.map(months, count=2)


def test_a_map_of_a_workflow_is_a_child_for_each_element(flower: FlowerTest) -> None:
    def numbered(day: str) -> int:
        return int(day[-2:])

    loaded = flower.stub(load, numbered)
    run = flower.start(month, name="2026-01")
    assert run.finish() == 12
    assert sorted(call["day"] for call in loaded.calls) == [
        "2026-01-01",
        "2026-01-02",
        "2026-01-03",
    ]


def test_a_map_of_an_empty_list_begins_no_child(flower: FlowerTest) -> None:
    assert flower.run(month, name="2026-01", count=0).result == 0


def test_maps_are_nested_by_sub_flows(flower: FlowerTest) -> None:
    assert flower.run(year, months=["2026-01", "2026-02"]).result == [40, 40]


def test_what_failed_in_one_item_of_a_map_runs_again_there_alone(flower: FlowerTest) -> None:
    def fails_once(day: str) -> int:
        if day.endswith("02"):
            raise ValueError("no")
        return 1

    loaded = flower.stub(load, fails_once)
    run = flower.start(year, months=["2026-01", "2026-02"])
    run.work()
    assert run.status == "Suspend"
    assert len(loaded.calls) == 4
    again = flower.stub(load, 1)
    run.rerun()
    assert run.finish() == [4, 4]
    assert sorted(call["day"] for call in again.calls) == ["2026-01-02", "2026-02-02"]


def test_a_map_of_a_workflow_is_written_with_its_name() -> None:
    said = month.document()["tasks"][1]
    assert said["program"] == "@map"
    assert said["parameters"] == {
        "over": {"$from": "days"},
        "workflow": "sub.one_day",
        "as": "day",
        "parameters": {"factor": {"$param": "factor"}},
    }


@program("sub.much")
def much(letters: int) -> str:
    """Much of it."""
    return "x" * letters


@program("sub.length")
def length(text: str) -> int:
    """How long it is."""
    return len(text)


@workflow("sub.returns_much")
def returns_much(letters: int) -> str:
    """A child that returns more than an event carries."""
    return much.step(letters)


@workflow("sub.takes_much")
def takes_much(text: str) -> int:
    """A child that is given as much."""
    return length.step(text)


@workflow("sub.hands_on_much")
def hands_on_much(letters: int) -> int:
    """From one child to the next."""
    return takes_much.step(returns_much.step(letters))


@pytest.mark.parametrize("letters", [10, 100_000, 200_000])
def test_what_children_return_and_are_given_may_lie_in_blobs(flower: FlowerTest, letters: int) -> None:
    assert flower.run(hands_on_much, letters=letters).result == letters


def test_what_a_child_returns_in_a_blob_is_the_result_of_its_parent(flower: FlowerTest) -> None:
    assert flower.run(returns_much, letters=1_000_000).result == "x" * 1_000_000

    @workflow("sub.returns_it_on")
    def returns_it_on() -> str:
        return returns_much.step(1_000_000)

    assert flower.run(returns_it_on).result == "x" * 1_000_000


def test_a_child_that_is_given_too_much_says_how_much_it_may_be(flower: FlowerTest) -> None:
    with pytest.raises(StuckError, match="is given 3000"):
        flower.run(hands_on_much, letters=300_000)


@workflow("sub.tolerant")
def tolerant(days: list[str]) -> int:
    """Days that are told apart, one of which may fail."""
    return add.step(one_day.having(key="", tolerate=1, name="each").map(days))


def test_items_that_flows_do_have_keys_and_may_be_given_up(flower: FlowerTest) -> None:
    def loaded(day: str) -> int:
        if day == "b":
            raise Fatal("no such day")
        return len(day)

    flower.stub(load, loaded)
    run = flower.start(tolerant, ["a", "b", "cc"])
    assert run.settle() == "Failed"  # somebody should look, and yet it has ended
    view = server().call(flower._engine.view(run.id))  # pyright: ignore[reportPrivateUsage]
    assert [task.item_key for task in view.tasks if task.item_of] == ["a", "b", "cc"]
    assert (view.finished_ts is not None, bytes(view.result)) == (True, b"6")


@workflow("sub.windowed")
def windowed(days: list[str]) -> int:
    """Two days at once."""
    return add.step(one_day.having(limit=2).map(days))


def test_so_many_flows_of_a_map_go_on_at_once(flower: FlowerTest) -> None:
    assert windowed.document()["tasks"][0]["parameters"]["limit"] == 2
    assert flower.run(windowed, ["a", "bb", "ccc", "dddd", "eeeee"]).result == 30


def test_flows_of_a_map_that_failed_give_their_places_and_get_them_again(flower: FlowerTest) -> None:
    def fails(day: str) -> int:
        raise Fatal(f"no day {day}")

    flower.stub(load, fails)
    run = flower.start(windowed, ["a", "bb", "ccc"])
    assert run.settle() == "Suspend"
    view = server().call(flower._engine.view(run.id))  # pyright: ignore[reportPrivateUsage]
    items = [task for task in view.tasks if task.item_of]
    assert [task.exec_status for task in items] == [2, 2, 2]  # each gave its place to the next
    flower.stub(load, 1)
    run.rerun()  # what failed in the children goes on as there are places
    assert run.finish() == 6


def test_what_tolerates_failures_is_a_map() -> None:
    @workflow("sub.tolerates_alone")
    def wrong() -> int:
        return one_day.having(tolerate=1).step("d")

    with pytest.raises(DefinitionError, match=r"tolerate=\.\.\. is of items"):
        wrong.document()


def test_an_empty_key_is_of_items_and_of_no_flow(flower: FlowerTest) -> None:
    with pytest.raises(DefinitionError, match="the key of a flow is a text"):
        flower.start(one_day.having(key=""), "d")
