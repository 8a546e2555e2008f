"""Of events that Postgres refuses, what people made of them is left out: of those that rules lead to, too."""

import msgspec
import pytest

from flower_engine.model.events.event_base import NO_VALUE
from flower_engine.model.events.events import AnyEvent, TaskGivenUp, encode_event
from flower_engine.model.events.operator_events import TaskIgnored, TasksIgnored
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.projection.archive.refused_events import without_values

BAD = TaskError(type="E", message="a NUL \0", traceback="\0")


@pytest.mark.parametrize(
    "event",
    [
        TaskGivenUp(at=1, flow="f", v=2, task=1, was=1, by="on_failure", attempt=1, lease="1-0", error=BAD),
        TaskIgnored(
            at=1,
            flow="f",
            v=2,
            task=1,
            was=1,
            by="on_failure",
            reason="E: a NUL \0",
            error=BAD,
            result=msgspec.Raw(b'"\\u0000"'),
        ),
    ],
)
def test_what_an_attempt_said_is_left_out(event: AnyEvent) -> None:
    bare = without_values(event, "NUL")
    assert type(bare) is type(event)
    assert b"u0000" not in encode_event(bare)
    assert (getattr(bare, "task", 0), getattr(bare, "was", 0)) == (1, 1)


def test_what_has_no_error_keeps_having_none() -> None:
    given_up = TaskGivenUp(at=1, flow="f", v=2, task=1, was=2, by="hold")
    assert without_values(given_up, "NUL") == given_up
    ignored = TaskIgnored(
        at=1, flow="f", v=2, task=1, was=2, by="bob", reason="old", result=msgspec.Raw(b"1")
    )
    bare = without_values(ignored, "NUL")
    assert isinstance(bare, TaskIgnored)
    assert (bare.reason, bare.error, bare.result) == ("old", None, NO_VALUE)


def test_what_stands_in_for_results_of_many_tasks_is_left_out() -> None:
    stand_in = msgspec.Raw(b'"\\u0000"')
    ignored = TasksIgnored(at=1, flow="f", v=2, by="bob", ranges=((1, 3),), held=((5, 5),), result=stand_in)
    assert without_values(ignored, "NUL") == msgspec.structs.replace(ignored, result=NO_VALUE)
