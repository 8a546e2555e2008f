"""Sub-flows in the tests of workflows: a step of a workflow is a flow of its own, and its result typed."""

import pytest

from flower_engine import program, workflow
from flower_engine.errors import DefinitionError
from flower_engine.testing import FlowerTest, StuckError


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
