"""Statuses and the status of a whole flow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower_engine.model.tasks.status import Status, flow_status


def test_the_numbers_are_those_of_the_seeds_tables() -> None:
    assert {status.word: int(status) for status in Status} == {
        "Wait": 0,
        "Running": 1,
        "Suspend": 2,
        "Finish": 3,
        "Ignore": 9,
    }


def test_only_finish_and_ignore_are_final() -> None:
    assert [status for status in Status if status.is_final] == [Status.FINISH, Status.IGNORE]


@pytest.mark.parametrize(
    ("waiting", "running", "suspended", "expected"),
    [
        (3, 0, 0, Status.WAIT),
        (2, 1, 0, Status.RUNNING),
        (2, 0, 0, Status.RUNNING),
        (0, 1, 0, Status.RUNNING),
        (0, 0, 0, Status.FINISH),
        (0, 0, 1, Status.SUSPEND),
        (1, 1, 1, Status.SUSPEND),
    ],
)
def test_a_flow_of_three_tasks_stands_where_its_tasks_say(
    waiting: int, running: int, suspended: int, expected: Status
) -> None:
    assert (
        flow_status(tasks=3, waiting=waiting, running=running, suspended=suspended, cancelled=False)
        is expected
    )


@given(st.lists(st.sampled_from(Status), min_size=1, max_size=8))
def test_a_flow_is_finished_exactly_when_all_its_tasks_are_final(tasks: list[Status]) -> None:
    status = flow_status(
        tasks=len(tasks),
        waiting=tasks.count(Status.WAIT),
        running=tasks.count(Status.RUNNING),
        suspended=tasks.count(Status.SUSPEND),
        cancelled=False,
    )
    assert (status is Status.FINISH) == all(task.is_final for task in tasks)
    assert (status is Status.SUSPEND) == (Status.SUSPEND in tasks)
