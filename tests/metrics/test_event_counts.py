"""What the projector counts of events, and what it makes of their times; no store, no clock."""

from typing import Any

import pytest

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.events.attempt_events import (
    TaskFinished,
    TaskLapsed,
    TaskRetrying,
    TaskStarted,
    TaskSuspended,
)
from flower_engine.model.events.events import (
    AnyEvent,
    FlowRegistered,
    TaskGivenUp,
    TasksPassed,
    TasksUnneeded,
)
from flower_engine.model.events.operator_events import (
    FlowCancelled,
    FlowPaused,
    FlowRerun,
    FlowResumed,
    TaskIgnored,
    TasksIgnored,
)
from flower_engine.model.events.schedule_events import ScheduleFired, ScheduleMissed
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.tallies import WORK_SECONDS, Tally
from flower_projector.event_counts import EventCounts
from flower_projector.task_waits import REASONS, TaskWaits, WorkTimes

ERROR = TaskError(type="ValueError", message="no")


def registered(flow: str, at: int, *depends_on: tuple[int, ...], **more: Any) -> FlowRegistered:
    """A flow with a task for each, depending on these."""
    tasks = tuple(
        PlannedTask(seq=seq, task_seq=seq, program="P", depends_on=on)
        for seq, on in enumerate(depends_on, start=1)
    )
    return FlowRegistered(at=at, flow=flow, v=1, workflow="w", order=0, tasks=tasks, **more)


def started(flow: str, task: int, at: int) -> TaskStarted:
    return TaskStarted(at=at, flow=flow, v=1, task=task, attempt=1, lease=f"{at}-0", worker="w")


def finished(flow: str, task: int, at: int, lease: str = "1-0", *, ends: bool = False) -> TaskFinished:
    return TaskFinished(at=at, flow=flow, v=1, task=task, attempt=1, lease=lease, ends=ends)


def _times(*events: AnyEvent) -> WorkTimes:
    times = WorkTimes()
    waits = TaskWaits(times)
    waits.take(events)
    return times


def _waited(times: WorkTimes) -> dict[str, tuple[int, float]]:
    return {
        reason: (tally.count, round(tally.total, 3)) for reason, tally in times.waits.items() if tally.count
    }


def test_a_task_waits_for_what_it_depends_on_and_then_for_a_worker() -> None:
    times = _times(
        registered("f", 1_000, (), (1,)),
        started("f", 1, 1_500),
        finished("f", 1, 4_000),
        started("f", 2, 4_250),
        finished("f", 2, 5_250, ends=True),
    )
    assert _waited(times) == {"dependencies": (1, 3.0), "queue": (2, 0.75)}
    assert (times.runs.count, times.runs.total) == (2, 3.5)


def test_a_task_waits_for_the_last_of_what_it_depends_on() -> None:
    times = _times(
        registered("f", 1_000, (), (), (1, 2)),
        started("f", 1, 1_000),
        started("f", 2, 1_000),
        finished("f", 2, 10_000),
        finished("f", 1, 3_000),
        started("f", 3, 10_500),
    )
    assert _waited(times) == {"dependencies": (1, 9.0), "queue": (3, 0.5)}


def test_a_pause_a_set_start_and_a_retry_are_waits_of_their_own() -> None:
    times = _times(
        registered("f", 0, (), start_ms=10_000),
        FlowPaused(at=11_000, flow="f", v=2, by="me"),
        FlowResumed(at=14_000, flow="f", v=3, by="me"),
        started("f", 1, 15_000),
        TaskRetrying(
            at=16_000,
            flow="f",
            v=4,
            task=1,
            attempt=1,
            lease="15000-0",
            error=ERROR,
            failures=1,
            due_ms=20_000,
        ),
        started("f", 1, 20_500),
        TaskLapsed(at=21_000, flow="f", v=5, task=1, attempt=2, lease="20500-0", worker="w", lost=1),
        started("f", 1, 22_000),
        finished("f", 1, 23_000, ends=True),
    )
    assert _waited(times) == {"start": (1, 10.0), "pause": (1, 3.0), "queue": (3, 3.5), "retry": (1, 4.0)}
    assert (times.runs.count, times.runs.total) == (2, 2.0)  # what lapsed has no end of its own


def test_a_task_that_is_given_up_or_passed_over_is_waited_for_until_then() -> None:
    times = _times(
        registered("f", 1_000, (), (1,), (1, 2)),
        started("f", 1, 2_000),
        TaskGivenUp(
            at=5_000,
            flow="f",
            v=2,
            task=1,
            was=1,
            by="on_failure",
            attempt=1,
            lease="2000-0",
            error=ERROR,
        ),
        TasksPassed(at=6_000, flow="f", v=3, ranges=((2, 2),), cause=1),
        started("f", 3, 8_000),
    )
    assert (times.runs.count, times.runs.total) == (1, 3.0)
    assert _waited(times) == {"queue": (2, 3.0), "dependencies": (1, 5.0)}


@pytest.mark.parametrize("last", ["given up", "passed", "unneeded", "ignored", "ignored with others"])
def test_a_flow_that_ends_by_a_rule_is_remembered_no_more(last: str) -> None:
    head: dict[str, Any] = {"at": 5_000, "flow": "f", "v": 2, "ends": True}
    ending: dict[str, AnyEvent] = {
        "given up": TaskGivenUp(**head, task=1, was=2, by="hold"),
        "passed": TasksPassed(**head, ranges=((1, 1),), cause=1),
        "unneeded": TasksUnneeded(**head, ran=((1, 1),), cause=2),
        "ignored": TaskIgnored(**head, task=1, was=1, by="on_failure", error=ERROR),
        "ignored with others": TasksIgnored(**head, by="bob", held=((1, 1),)),
    }
    times = WorkTimes()
    waits = TaskWaits(times)
    waits.take([registered("f", 1_000, ()), started("f", 1, 2_000)])
    assert waits.remembered > 0
    waits.take([ending[last]])
    assert (waits.remembered, times.ends) == (0, 1)
    assert times.runs.count == (last == "ignored")


def test_a_rerun_begins_the_wait_anew() -> None:
    times = _times(
        registered("f", 0, (), (1,)),
        started("f", 1, 0),
        TaskSuspended(at=1_000, flow="f", v=2, task=1, attempt=1, lease="0-1", error=ERROR),
        FlowRerun(at=100_000, flow="f", v=3, by="me", suspended=(1,)),
        started("f", 1, 100_500),
    )
    assert _waited(times) == {"queue": (2, 0.5)}


def test_what_began_before_it_looked_ran_since_its_lease() -> None:
    times = _times(finished("f", 1, 5_000, "2000-7"), finished("f", 2, 6_000, "odd"))
    assert (times.runs.count, times.runs.total) == (2, 3.0)
    assert _waited(times) == {}


def test_clocks_that_go_back_give_no_negative_times() -> None:
    times = _times(registered("f", 5_000, ()), started("f", 1, 4_000), finished("f", 1, 3_000, ends=True))
    assert _waited(times) == {"queue": (1, 0.0)}
    assert times.runs.total == 0


def test_what_is_remembered_of_open_flows_is_bounded_and_a_fair_sample_goes_on() -> None:
    times = WorkTimes()
    waits = TaskWaits(times, most_tasks=1_000)
    for number in range(20_000):
        waits.take([registered(f"flow-{number}", 0, ())])
        assert waits.remembered <= 1_000
    for number in range(20_000):
        waits.take([started(f"flow-{number}", 1, 100)])
        waits.take([finished(f"flow-{number}", 1, 200, ends=True)])
    assert 100 <= times.waits["queue"].count <= 1_000
    assert times.runs.count == 20_000
    assert waits.remembered == 0
    waits.take([registered("next", 0, ())])
    waits.take([started("next", 1, 100)])
    assert waits.remembered == 1  # all of them again, where there is room


def test_a_flow_that_is_too_large_by_itself_is_not_remembered() -> None:
    waits = TaskWaits(WorkTimes(), most_tasks=10)
    waits.take([registered("f", 0, *[()] * 50)])
    assert waits.remembered == 0


def test_what_becomes_of_tasks_flows_and_slots_is_counted() -> None:
    counts = EventCounts()
    counts.following().written(
        [
            registered("f", 0, (), (), ()),
            started("f", 1, 10),
            finished("f", 1, 20),
            FlowRerun(at=30, flow="f", v=4, by="me", finished=(1,)),
            FlowCancelled(at=40, flow="f", v=5, by="me", waiting=(1, 2, 3)),
            registered("g", 0, ()),
            started("g", 1, 10),
            finished("g", 1, 20, ends=True),
            ScheduleFired(at=1, schedule="s", slot=0, flow="g", late_ms=2_500),
            ScheduleFired(at=1, schedule="s", slot=0, flow="g", late_ms=99_000, backfill="b"),
            ScheduleMissed(at=1, schedule="s", slot=0, until=9, count=7),
        ],
        0.02,
    )
    assert counts.tasks == {"registered": 4, "started": 2, "finished": 2, "rerun": 1, "cancelled": 3}
    assert counts.flows == {"registered": 2, "rerun": 1, "cancelled": 1, "ended": 2}
    assert counts.slots == {"fired": 2, "missed": 7}
    assert (counts.lateness.count, counts.lateness.total) == (1, 2.5)
    assert (counts.events, counts.batches.count) == (11, 1)


def test_an_event_that_cannot_be_stops_nothing() -> None:
    times = _times(
        registered("f", 0, (), (7,)),
        started("f", 9, 10),
        started("g", 1, 10),
        registered("h", 0, (), (7,)),
        started("h", 2, 10),
        finished("h", 2, 20, "10-0"),
        registered("i", 0, ()),
        started("i", 1, 1_000),
    )
    assert _waited(times) == {"queue": (1, 1.0)}
    assert (times.runs.count, times.runs.total) == (1, 0.01)


def test_every_reason_has_its_tally() -> None:
    assert set(WorkTimes().waits) == set(REASONS)


def test_many_values_at_once_come_to_the_same_as_one_by_one() -> None:
    values = [-5, 0, 5, 6, 10, 1_000, 60_000, 60_001, 999_999_999]
    one_by_one, at_once = Tally(WORK_SECONDS), Tally(WORK_SECONDS)
    for value in values:
        one_by_one.add(max(0, value) / 1000)
    at_once.add_ms(values[::-1])
    at_once.add_ms([])
    assert at_once.counts == one_by_one.counts
    assert at_once.total == pytest.approx(one_by_one.total)


def test_a_value_on_a_bound_is_below_it() -> None:
    tally = Tally((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 3.0):
        tally.add(value)
    assert (tally.counts, tally.total, tally.count) == ([2, 2, 1], 8.0, 5)
