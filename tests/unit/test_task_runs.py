"""Tasks that operations send and tell are texts of runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower_engine.transitions.task_runs import runs_of, tasks_of


@pytest.mark.parametrize(
    ("tasks", "text"),
    [((), ""), ((7,), "7"), ((2, 3, 4), "2-4"), ((5, 2, 3, 9), "5,2-3,9"), ((3, 3, 2), "3,3,2")],
)
def test_runs_are_told_by_their_ends_in_the_order_of_the_tasks(tasks: tuple[int, ...], text: str) -> None:
    assert runs_of(tasks) == text


@given(st.lists(st.integers(1, 30)))
def test_whatever_tasks_there_are_come_back_as_they_were(tasks: list[int]) -> None:
    assert tasks_of(runs_of(tasks)) == tuple(tasks)
