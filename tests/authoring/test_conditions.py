"""Conditions and branches in the body of a workflow: what they become, and what is refused."""

import inspect
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from authoring.sample import Colour, Total, add, anything, count, list_files
from flower_engine import (
    DefinitionError,
    Workflow,
    approval,
    either,
    is_in,
    is_none,
    not_,
    otherwise,
    program,
    secret,
    some,
    text,
    when,
    workflow,
)
from flower_engine.model.definitions.definition import PlannedTask, plan_flow
from flower_engine.model.definitions.workflow_document import WorkflowDocument


class Verdict(msgspec.Struct, omit_defaults=True):
    is_good: bool
    note: str | None = None
    weight: int = 1


@program("Sample.total")
def make_total() -> Total:
    return Total(1)


@program("Sample.judge")
def judge(total: Total) -> Verdict:
    return Verdict(is_good=True)


@program("Sample.publish")
def publish(total: Total, note: str | None = None) -> str:
    return note or ""


def planned(definition: Workflow[Any, Any]) -> dict[str, PlannedTask]:
    """The tasks as a registration has them, by name."""
    model = msgspec.convert(definition.document(), WorkflowDocument).to_model()
    return {task.task_name or "": task for task in plan_flow(model)}


def condition_of(definition: Workflow[Any, Any]) -> Any:
    (decision,) = [task for task in planned(definition).values() if task.program == "@when"]
    return decision.parameters["condition"]


def condition(body: Callable[[Any, Any], Any]) -> Any:
    """The tree of the condition that is made of a total and a verdict."""

    @workflow("conditions")
    def conditions(day: date, threshold: int = 50) -> None:
        total = add.step([count.step(list_files.step(day)[0]), threshold])
        verdict = judge.step(total)
        with when(body(total, verdict)):
            anything.step()

    return condition_of(conditions)


@workflow("branching")
def branching(day: date, threshold: int = 50) -> str:
    total = make_total.step()
    with when(total.bad > threshold):
        verdict = judge.step(total)
        with when(verdict.is_good, name="good"):
            held = publish.step(total, verdict.note)
        with otherwise():
            dropped = anything.having(name="dropped").step()
    with otherwise():
        sent = publish.step(total)
    after = anything.having(after=[dropped]).step(either(held, sent))
    return either(held, sent, after)


def test_a_block_is_one_decision_that_its_branches_read() -> None:
    tasks = planned(branching)
    assert [(name, task.when) for name, task in tasks.items()] == [
        ("total", None),
        ("when_total", None),
        ("verdict", (2, True)),
        ("good", (2, True)),
        ("held", (4, True)),
        ("dropped", (4, False)),
        ("sent", (2, False)),
        ("after", None),
    ]
    decision, inner = tasks["when_total"], tasks["good"]
    assert (decision.program, decision.reads) == ("@when", {"total": 1})
    assert decision.parameters == {
        "condition": ["gt", {"$from": "total", "path": "/bad"}, {"$param": "threshold"}]
    }
    assert inner.parameters == {"condition": ["truthy", {"$from": "verdict", "path": "/is_good"}]}
    assert inner.depends_on == (2, 3)
    assert tasks["dropped"].depends_on == (4,)
    assert tasks["after"].depends_on == (5, 6, 7)


def test_either_is_the_first_that_there_is() -> None:
    tasks = planned(branching)
    (given,) = tasks["after"].parameters.values()
    assert given == {"$either": [{"$from": "held"}, {"$from": "sent"}], "optional": True}
    assert branching.document()["returns"] == {
        "$either": [{"$from": "held"}, {"$from": "sent"}, {"$from": "after"}]
    }


BAD = {"$from": "total", "path": "/bad"}
NOTE = {"$from": "verdict", "path": "/note", "optional": True}
WEIGHT = {"$from": "verdict", "path": "/weight", "default": 1}


GOOD = ["truthy", {"$from": "verdict", "path": "/is_good"}]
CHOICE = {"$from": "verdict", "path": "/note", "default": None}
TREES: list[tuple[Callable[[Any, Any], Any], Any]] = [
    (lambda total, _: total.bad == 3, ["eq", BAD, 3]),
    (lambda total, _: total.bad != 3, ["ne", BAD, 3]),
    (lambda total, _: total.bad < 3.5, ["lt", BAD, 3.5]),
    (lambda total, _: total.bad >= total.bad, ["ge", BAD, BAD]),
    (lambda total, _: total.bad <= 3, ["le", BAD, 3]),
    (lambda total, _: 3 < total.bad, ["gt", BAD, 3]),  # noqa: SIM300
    (lambda total, _: not_(total.bad == 3), ["not", ["eq", BAD, 3]]),
    (lambda total, _: (total.bad > 1) & (total.bad < 3), ["and", ["gt", BAD, 1], ["lt", BAD, 3]]),
    (lambda total, v: (total.bad > 1) | v.is_good, ["or", ["gt", BAD, 1], GOOD]),
    (lambda total, v: v.is_good & (total.bad > 1), ["and", GOOD, ["gt", BAD, 1]]),
    (lambda _, v: v.is_good & v.is_good, ["and", GOOD, GOOD]),
    (lambda _, v: is_none(v.note), ["is_none", NOTE]),
    (lambda total, _: some(total), ["some", {"$from": "total", "optional": True}]),
    (lambda _, v: some(either(v.note, v.weight)), ["some", {"$either": [CHOICE, WEIGHT], "optional": True}]),
    (lambda _, v: v.weight == 2, ["eq", WEIGHT, 2]),
    (lambda _, v: v.note == "x", ["eq", NOTE, "x"]),
    (lambda _, v: v.note == None, ["eq", NOTE, None]),  # noqa: E711
    (lambda total, _: is_in(total.bad, [1, 2]), ["in", BAD, ["list", [1, 2]]]),
    (lambda total, _: is_in(total.bad, [1, total.bad]), ["in", BAD, ["list", [1, BAD]]]),
    (lambda _, v: is_in("a", v.note), ["in", "a", NOTE]),
    (lambda _, v: v.note == Colour.RED, ["eq", NOTE, "red"]),
    (lambda total, _: text("{n}", n=total.bad) == "3", ["eq", {"$text": "{n}", "n": BAD}, "3"]),
]


@pytest.mark.parametrize(("body", "tree"), TREES)
def test_trees(body: Callable[[Any, Any], Any], tree: Any) -> None:
    assert condition(body) == tree


REFUSED: list[tuple[Callable[[], Any], str]] = []


def refused(what: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    def keep(body: Callable[[], Any]) -> Callable[[], Any]:
        REFUSED.append((body, what))
        return body

    return keep


@program("Sample.amount")
def amount() -> Decimal:
    return Decimal(1)


@program("Sample.pause")
def pause() -> timedelta:
    return timedelta()


@refused("it compares x.bad, int, with 'a' (>); numbers compare with numbers, and texts with texts")
def other_kinds() -> None:
    x = make_total.step()
    with when(x.bad > "a"):  # here # pyright: ignore
        anything.step()


@refused("it compares x.bad, int, with 'a' (==); they are never equal")
def never_equal() -> None:
    x = make_total.step()
    with when(x.bad == "a"):  # here # pyright: ignore
        anything.step()


@refused("it compares x.bad, int, with True (==); they are never equal")
def number_and_bool() -> None:
    x = make_total.step()
    with when(x.bad == True):  # here # noqa: E712 # pyright: ignore
        anything.step()


@refused("it compares Sample_amount, Decimal, with y, Decimal (<); values of Decimal are text in JSON")
def decimals() -> None:
    x, y = amount.step(), amount.having(name="y").step()
    with when(x < y):  # here
        anything.step()


@refused("values of timedelta are text in JSON, whose order is not theirs")
def durations() -> None:
    x = pause.step()
    with when(x > timedelta(1)):  # here
        anything.step()


@refused("it takes x for a condition, which is Total; compare it, or ask whether it is there: some(x)")
def no_condition() -> None:
    x = make_total.step()
    with when(x):  # here # pyright: ignore
        anything.step()


@refused("it takes ok for a condition, which is Approved; write ok.approved")
def an_answer_of_yes_or_no() -> None:
    ok = approval(title="Go on?")
    with when(ok):  # here # pyright: ignore
        anything.step()


@refused("it takes 3 for a condition; compare a reference with it")
def a_constant() -> None:
    with when(3):  # here # pyright: ignore
        anything.step()


@refused("it calls when(True), which is known while the workflow is defined; write if")
def a_known_one() -> None:
    with when(True):  # here
        anything.step()


@refused("it calls is_none() with None; it asks for the value of a reference")
def nothing_to_ask() -> None:
    anything.step()
    is_none(None)  # here


@refused("it holds secret('TOKEN') in a condition; a condition tells what it saw")
def a_secret() -> None:
    x = make_total.step()
    with when(x.bad == secret("TOKEN")):  # here # pyright: ignore
        anything.step()


@refused("it asks whether x.bad > 3 is true (if, while")
def joined_with_and() -> None:
    x = make_total.step()
    with when(x.bad > 3 and x.bad < 5):  # here
        anything.step()


@refused("it writes ~ for not (x.bad > 3); write not_(...)")
def inverted() -> None:
    x = make_total.step()
    with when(~(x.bad > 3)):  # here # pyright: ignore
        anything.step()


@refused("it computes with x.bad (&); compute inside a program")
def without_parentheses() -> None:
    x = make_total.step()
    with when(x.rows > 3 & x.bad):  # here
        anything.step()


@refused("it puts x.bad > 3 into a text")
def in_a_text() -> None:
    x = make_total.step()
    anything.step(f"{x.bad > 3}")  # here


@refused("it calls otherwise(), and no block of when(...) ends right before")
def lonely() -> None:
    anything.step()
    with otherwise():  # here
        anything.step()


@refused("it calls otherwise(), and no block of when(...) ends right before")
def not_right_behind() -> None:
    x = make_total.step()
    with when(x.bad > 3):
        anything.step()
    anything.step()
    with otherwise():  # here
        anything.step()


@refused("it calls otherwise(), and no block of when(...) ends right before")
def twice() -> None:
    x = make_total.step()
    with when(x.bad > 3):
        anything.step()
    with otherwise():
        anything.step()
    with otherwise():  # here
        anything.step()


@refused("it calls otherwise(), and no block of when(...) ends right before")
def of_the_outer_block() -> None:
    x = make_total.step()
    with when(x.bad > 3), otherwise():  # here
        anything.step()


@refused("it calls when(...) without with, so its steps belong to nothing")
def without_with() -> None:
    x = make_total.step()
    when(x.bad > 3)  # here
    anything.step()


@refused("its block is entered twice")
def entered_twice() -> None:
    x = make_total.step()
    block = when(x.bad > 3)  # here
    with block:
        anything.step()
    with block:
        anything.step()


@refused("two steps are named 'x', the other at")
def a_name_that_is_taken() -> None:
    x = make_total.step()
    with when(x.bad > 3, name="x"):  # here
        anything.step()


@refused("when(name='a b'): it is no name of a task")
def no_name() -> None:
    x = make_total.step()
    with when(x.bad > 3, name="a b"):  # here
        anything.step()


@refused("it gives either() 3, which is no result of a step; only the last may be something else")
def either_of_a_constant() -> Any:
    x = make_total.step()
    return either(3, x)  # here


@refused("it calls either() with 1 values; it takes 2 to 20")
def either_of_one() -> Any:
    x = make_total.step()
    return either(x)  # here # pyright: ignore


@refused("Sample.judge': its parameter 'total' is either(x, y), of type")
def either_of_a_wrong_type() -> Any:
    x = list_files.step(date(2026, 1, 5))
    y = list_files.step(date(2026, 1, 6))
    judge.step(either(x, y))  # here # pyright: ignore


def place_of(body: Callable[..., Any]) -> str:
    lines, first = inspect.getsourcelines(body)
    (line,) = [number for number, line in enumerate(lines, first) if "# here" in line]
    return f"{inspect.getsourcefile(body)}:{line}: "


@pytest.mark.parametrize(("body", "what"), REFUSED, ids=[body.__name__ for body, _ in REFUSED])
def test_it_is_refused_with_file_and_line(body: Callable[[], Any], what: str) -> None:
    with pytest.raises(DefinitionError) as error:
        workflow("refusing")(body).document()
    (problem,) = error.value.problems
    assert problem.startswith(place_of(body))
    assert what in problem


def test_outside_of_a_body_there_are_no_blocks() -> None:
    for call in (lambda: when(True), otherwise):
        with pytest.raises(DefinitionError, match="outside the body of a workflow"):
            call()


def test_a_condition_is_no_value() -> None:
    @workflow
    def returns_one() -> bool:
        return anything.step() == 3

    @workflow
    def gives_one() -> None:
        anything.step(make_total.step().bad > 3)

    with pytest.raises(DefinitionError, match=r"conditions stand in with when"):
        returns_one.document()
    with pytest.raises(DefinitionError, match=r"test_conditions.py:\d+: .*conditions stand in with when"):
        gives_one.document()


def test_a_step_behind_an_error_inside_a_block_belongs_to_no_branch() -> None:
    @workflow
    def catches() -> None:
        x = make_total.step()
        try:
            with when(x.bad > 3):
                raise KeyError
        except KeyError:
            anything.step()

    assert planned(catches)["Sample_anything"].when is None
