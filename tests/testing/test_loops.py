"""Loops in skipped time: programs ask for another round, and nobody waits for it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flower_engine import CONTEXT, Again, Blob, Context, RetryPolicy, program, workflow
from flower_engine.testing import FlowerTest


@program("loops.poll")
def poll(job: str, ctx: Context = CONTEXT) -> str:
    if ctx.round < 3:
        raise Again(after="30s")
    return f"{job} {ctx.round} {ctx.attempt}"


@program("loops.pages")
async def pages(size: int, cursor: int = 0, seen: list[int] | None = None) -> list[int]:
    if cursor < 3:
        raise Again({"cursor": cursor + 1, "seen": [*(seen or []), cursor * size]})
    return seen or []


@program("loops.numbers")
def numbers() -> list[int]:
    return [1, 2, 3]


@program("loops.item")
def item(number: int, turns: int = 0) -> list[int]:
    if turns < number:
        raise Again({"turns": turns + 1}, after=60)
    return [number, turns]


@workflow("loops.polled")
def polled(job: str) -> str:
    return poll.having(name="poll").step(job)


@workflow("loops.paged")
def paged(size: int) -> list[int]:
    return pages.having(name="pages").step(size)


@workflow("loops.mapped")
def mapped() -> list[list[int]]:
    return item.map(numbers.step())


def test_a_program_that_polls_is_not_waited_for(flower: FlowerTest) -> None:
    run = flower.run(polled, job="copy")
    assert run.result == "copy 3 4"
    assert run.skipped == timedelta(seconds=90)


def test_what_is_given_holds_from_then_on_and_the_rest_stays(flower: FlowerTest) -> None:
    run = flower.run(paged, size=10)
    assert (run.result, run.skipped) == ([0, 10, 20], timedelta())


def test_items_of_a_map_ask_each_for_itself(flower: FlowerTest) -> None:
    run = flower.run(mapped)
    assert run.result == [[1, 1], [2, 2], [3, 3]]
    assert run.skipped == timedelta(minutes=3)


def test_more_rounds_than_its_definition_allows_suspend_a_task_in_words(flower: FlowerTest) -> None:
    @workflow("loops.bounded")
    def bounded() -> str:
        return poll.having(name="poll", max_rounds=2).step("copy")

    run = flower.start(bounded)
    assert run.settle() == "Suspend"
    error = run.tasks["poll"].error
    assert error is not None
    assert (error.type, run.tasks["poll"].attempts) == ("TooManyRounds", 3)
    assert "round 3, and it may have 2: max_rounds" in error.message


def test_retries_are_counted_in_each_round(flower: FlowerTest) -> None:
    @workflow("loops.fragile")
    def fragile() -> str:
        return poll.having(name="poll", retry=RetryPolicy(2, delay="1s")).step("copy")

    flower.stub(poll, OSError("no"), Again(), OSError("no"), Again(after=5), OSError("no"), "done")
    assert flower.run(fragile).result == "done"


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"job": "x" * 70_000}, "65536 may be"),
        ({"job": float("nan")}, "raise Again(parameters): parameters['job']"),
        ({"job": object()}, "has no JSON form"),
        ({"jop": 1}, "jop"),
        ({"job": Blob(b"content")}, "a Blob cannot be given to another round"),
    ],
)
def test_what_cannot_be_given_suspends_the_task(
    flower: FlowerTest, parameters: Mapping[str, Any], says: str
) -> None:
    flower.stub(poll, Again(parameters), "done")
    run = flower.start(polled, job="copy")
    assert run.settle() == "Suspend"
    assert says in str(run.tasks["poll"].error)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"after": "soon"}, "is no duration"),
        ({"after": -1}, "0 to ten years"),
        ({"after": 10**400}, "0 to ten years"),
        ({"at": datetime(2026, 1, 5)}, "a moment with a time zone"),  # that is what is wrong
        ({"at": datetime(2126, 1, 5, tzinfo=UTC)}, "ten years away"),
        ({"after": 1, "at": datetime(2026, 1, 5, tzinfo=UTC)}, "one of the two"),
    ],
)
def test_a_time_that_is_none_is_refused_where_it_stands(arguments: Mapping[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Again(**arguments)
