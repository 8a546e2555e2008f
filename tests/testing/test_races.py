"""The fastest of several wins, and the others are stopped: joins that cancel what they do not need."""

import pytest

from flower_engine import approval, at_least, program, workflow
from flower_engine.errors import DefinitionError
from flower_engine.testing import FlowerTest, hangs


@program("races.ask")
def ask(source: str) -> str:
    return source


@program("races.clean")
def clean(answer: str) -> str:
    return answer.strip()


@program("races.show")
def show(first: str | None = None, second: str | None = None) -> str:
    return first or second or "nobody"


@workflow("races.fastest")
def fastest() -> str:
    cache = ask.step("cache")
    archive = clean.step(ask.having(name="asked").step("archive"))
    return show.having(rule="any:cancel").step(cache, archive)


@workflow("races.two_of_three")
def two_of_three() -> str:
    ones = [ask.having(name=name).step(name) for name in ("north", "south")]
    ok = approval(title="Without asking the west?")
    return show.having(rule=at_least(2, others="cancel"), after=[ok]).step(*ones)


@pytest.mark.parametrize("is_archive_slow", [True, False])
def test_the_fastest_wins_and_what_runs_or_waits_for_the_other_is_stopped(
    flower: FlowerTest, is_archive_slow: bool
) -> None:
    flower.stub(ask, hangs(), task="asked" if is_archive_slow else "cache")
    run = flower.run(fastest)
    assert run.result == ("cache" if is_archive_slow else "archive")
    ends = {name: task.status for name, task in run.tasks.items()}
    stopped = {"asked", "archive"} if is_archive_slow else {"cache"}
    assert {name for name, status in ends.items() if status == "Ignore"} == stopped
    assert {status for name, status in ends.items() if name not in stopped} == {"Finish"}


def test_a_question_is_asked_no_more_once_there_are_enough(flower: FlowerTest) -> None:
    run = flower.run(two_of_three)
    assert run.result == "north"
    assert (run.status, run.tasks["ok"].status) == ("Finish", "Ignore")


def test_what_becomes_of_the_others_is_one_of_two_words() -> None:
    with pytest.raises(DefinitionError, match=r"others.*'stop'.*neither 'keep' nor 'cancel'"):
        at_least(2, others="stop")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
