"""Retries and timeouts: seven numbers, each with its name."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from flower_engine.model.tasks.task_policy import TaskPolicy
from flower_engine.model.tasks.task_spec import MAX_ATTEMPTS, MAX_DURATION_MS, RetryPolicy, TaskSpec

durations = st.none() | st.integers(1, MAX_DURATION_MS)
retries = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, MAX_ATTEMPTS),
    delay_ms=st.integers(0, MAX_DURATION_MS),
    backoff=st.floats(1, 1000),
    max_delay_ms=st.integers(0, MAX_DURATION_MS),
    jitter=st.floats(0, 1),
    no_retry_on=st.lists(st.text(min_size=1, max_size=5), max_size=2).map(tuple),
)
tasks = st.builds(
    TaskSpec,
    task_seq=st.just(1),
    program=st.just("A"),
    parameters=st.just({}),
    retry=st.none() | retries,
    timeout_ms=durations,
    queue_timeout_ms=durations,
)


@given(tasks)
def test_what_is_written_is_read_back(task: TaskSpec) -> None:
    policy = TaskPolicy.of(task)
    assert TaskPolicy.parse(policy.text() if policy else "") == policy
    assert (policy is None) == (not (task.retry or task.timeout_ms or task.queue_timeout_ms))
    if policy is not None:
        assert policy.retry(task.retry.no_retry_on if task.retry else ()) == task.retry
        assert (policy.timeout_ms or None, policy.queue_timeout_ms or None) == (
            task.timeout_ms,
            task.queue_timeout_ms,
        )


def test_the_numbers_stand_in_the_order_in_which_lua_takes_them_apart() -> None:
    retry = RetryPolicy(max_attempts=3, delay_ms=250, backoff=1.5, max_delay_ms=60_000, jitter=0.25)
    policy = TaskPolicy.of(TaskSpec(task_seq=1, program="A", retry=retry, timeout_ms=7, queue_timeout_ms=8))
    assert policy is not None
    assert policy.text() == "3 250 1.5 60000 0.25 7 8"


LUA = Path(__file__).parents[2] / "shared" / "flower_engine" / "transitions" / "lua"


def test_lua_retries_a_task_without_a_policy_by_the_same_defaults() -> None:
    (defaults,) = re.findall(r"RETRY_DEFAULTS = '([^']+)'", (LUA / "lib" / "failed_attempt.lua").read_text())
    nothing = TaskPolicy.of(TaskSpec(task_seq=1, program="A", retry=RetryPolicy(max_attempts=0)))
    assert TaskPolicy.parse(defaults) == nothing


def test_one_file_of_lua_takes_policies_apart() -> None:
    taking = {file.name for file in LUA.rglob("*.lua") if re.search(r"match\(policy", file.read_text())}
    assert taking == {"timers.lua"}
