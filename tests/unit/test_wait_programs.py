"""What tasks wait for of the world, as it stands in Redis: made of their parameters, and taken apart."""

from typing import Any

import pytest

from flower_engine.errors import ParametersError, ProgramError
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.waits.wait_programs import Awaited, known_parameters, takes_signal, wait_text
from flower_engine.programs.registry import Registry


def planned(program: str, **parameters: Any) -> PlannedTask:
    return PlannedTask(seq=1, task_seq=1, program=program, parameters=parameters)


@pytest.mark.parametrize(
    ("task", "text"),
    [
        (planned("A", seconds=1), ""),
        (planned("@sleep", seconds=0.0015), "sleep 2"),
        (planned("@sleep", until="2026-01-05T06:00:00+01:00"), "sleep @1767589200000"),
        (planned("@sleep", until="1960-01-01T00:00:00Z"), "sleep @0"),
        (planned("@event", name="a b/ü", key="k:1"), "event 0 a%20b%2Fü k%3A1 suspend"),
        (planned("@event", name="a", timeout_seconds=60), "event 60000 a  suspend"),
        (
            planned("@event", name="a", timeout_seconds=1, on_timeout="default", default={"n": [1.5, " "]}),
            'event 1000 a  ={"n":[1.5," "]}',
        ),
        (
            planned("@event", name="a", timeout_seconds=1, on_timeout="default", default=None),
            "event 1000 a  =null",
        ),
        (planned("@approval", of=2), "approval 0 2 suspend"),
    ],
)
def test_what_redis_knows_of_a_wait_follows_from_its_parameters(task: PlannedTask, text: str) -> None:
    assert wait_text(task) == text


@pytest.mark.parametrize(
    "task",
    [
        planned("@sleep"),
        planned("@sleep", seconds=1, until="2026-01-05T06:00:00Z"),
        planned("@sleep", seconds=10**12),
        planned("@sleep", seconds=True),
        planned("@sleep", until="tomorrow"),
        planned("@event", name="a\nb"),
        planned("@event", name="a", default=1),
        planned("@event", name="a", on_timeout="default", timeout_seconds=1),
        planned("@event", name="a", on_timeout="suspend"),
        planned("@approval", of=101),
        planned("@approval", form=[]),
    ],
)
def test_what_makes_no_sense_is_refused_wherever_it_comes_from(task: PlannedTask) -> None:
    with pytest.raises(ParametersError):
        wait_text(task)


def test_parameters_that_stand_among_references_are_what_they_say() -> None:
    given = {"name": "paid", "type": {"$literal": {"$from": 1}}, "shows": {"$from": 1}}
    task = PlannedTask(seq=2, task_seq=2, program="@event", parameters=given, refs=True)
    assert known_parameters(task) == {"name": "paid", "type": {"$from": 1}}


@pytest.mark.parametrize(("key", "takes"), [("7", True), ("8", False), ("", False)])
def test_a_wait_that_names_a_key_takes_no_other(key: str, takes: bool) -> None:
    assert takes_signal(planned("@event", name="paid", key="7"), "paid", key) is takes
    assert takes_signal(planned("@event", name="paid"), "paid", key)
    assert not takes_signal(planned("@sleep", seconds=1), "paid", key)


@pytest.mark.parametrize(
    "awaited", [Awaited("sleep", 7), Awaited("event", 0, "a%20b", ""), Awaited("approval", 9)]
)
def test_what_is_awaited_is_taken_apart_again(awaited: Awaited) -> None:
    assert Awaited.parse(awaited.text) == awaited


def test_no_worker_serves_a_program_that_no_worker_runs() -> None:
    with pytest.raises(ProgramError, match="that no worker runs"):
        Registry().add(lambda: None, "@event", None)
