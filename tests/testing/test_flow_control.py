"""Limits and rates in tests of workflows: set as in production, and waited for in skipped time."""

from datetime import timedelta

import pytest

from flower_engine import program, workflow
from flower_engine.errors import FlowControlError, FlowLimitError
from flower_engine.testing import FlowerTest, hangs


@program("limited.load")
def load(day: int) -> int:
    return day


@program("limited.both")
def both(first: int, second: int) -> int:
    return first + second


@workflow("limited")
def limited(day: int) -> int:
    return both.step(load.step(day), load.step(day))


def test_a_rate_lets_tasks_start_one_after_the_other(flower: FlowerTest) -> None:
    flower.limit(load, rate=1, per="1h")
    run = flower.run(limited, day=3)
    assert run.result == 6
    assert timedelta(hours=1) <= run.skipped < timedelta(hours=1, minutes=1)


def test_what_a_limit_holds_back_waits_and_says_so(flower: FlowerTest) -> None:
    flower.stub(load, hangs())
    flower.limit(load, max_running=1)
    run = flower.start(limited, day=3)
    run.work()
    assert sorted(task.status for task in run.tasks.values()) == ["Running", "Wait", "Wait"]


@pytest.mark.parametrize("scope", ["global", "queue", "workflow"])
def test_every_scope_holds(flower: FlowerTest, scope: str) -> None:
    flower.stub(load, hangs())
    if scope == "queue":
        flower.limit(queue="default", max_running=1)
    else:
        flower.limit(limited if scope == "workflow" else None, max_running=1)
    run = flower.start(limited, day=3)
    run.work()
    assert [task.status for task in run.tasks.values()].count("Running") == 1


def test_a_limit_for_each_value_of_a_parameter(flower: FlowerTest) -> None:
    flower.stub(load, hangs())
    flower.limit(limited, limit_by="day", max_per_key=1)
    runs = [flower.start(limited, day=day) for day in (1, 1, 2)]
    runs[0].work()
    running = [sum(task.status == "Running" for task in run.tasks.values()) for run in runs]
    assert (running[0] + running[1], running[2]) == (1, 1)


def test_more_flows_than_may_be_are_rejected_or_queued(flower: FlowerTest) -> None:
    flower.limit(limited, max_flows=1, at_max_flows="reject")
    first = flower.start(limited, day=1)
    with pytest.raises(FlowLimitError):
        flower.start(limited, day=2)
    flower.limit(limited, max_flows=1)
    second = flower.start(limited, day=2)
    assert (first.finish(), second.finish()) == (2, 4)


def test_settings_that_do_not_fit_are_refused(flower: FlowerTest) -> None:
    with pytest.raises(FlowControlError, match="max_flows is for the scope workflow"):
        flower.limit(load, max_flows=1)
    with pytest.raises(FlowControlError, match="go together"):
        flower.limit(load, limit_by="day")
