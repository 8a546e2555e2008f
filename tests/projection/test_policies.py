"""Retry policies and timeouts are written to rows and read back; rows that make no sense are named."""

import pytest

from flower_engine.errors import DefinitionError
from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.definition_rows import (
    delete_workflow,
    encode_workflow,
    put_workflow,
    read_workflow,
)
from flower_engine.projection.definitions.rows_of_definition import check_definition

POLICY = RetryPolicy(
    max_attempts=5, delay_ms=1, backoff=1.25, max_delay_ms=86_400_000, jitter=0.3, no_retry_on=("E", "a.B")
)


async def put(
    tables: Connection, *tasks: TaskDefinition, timeout_ms: int | None = None
) -> WorkflowDefinition:
    definition = WorkflowDefinition(name="w", tasks=tasks, timeout_ms=timeout_ms)
    await put_workflow(tables, await encode_workflow(definition), "eve")
    return definition


@pytest.mark.parametrize(
    "task",
    [
        TaskDefinition(task_seq=1, program="A"),
        TaskDefinition(task_seq=1, program="A", retry=POLICY),
        TaskDefinition(task_seq=1, program="A", retry=RetryPolicy(max_attempts=2)),
        TaskDefinition(task_seq=1, program="A", timeout_ms=1, queue_timeout_ms=315_360_000_000),
    ],
)
@pytest.mark.parametrize("timeout_ms", [None, 90_500])
async def test_what_is_put_is_read_back(
    tables: Connection, task: TaskDefinition, timeout_ms: int | None
) -> None:
    definition = await put(tables, task, timeout_ms=timeout_ms)
    assert await read_workflow(tables, "w") == definition


async def test_deleting_a_workflow_deletes_its_timeout(tables: Connection) -> None:
    await put(tables, TaskDefinition(task_seq=1, program="A"), timeout_ms=5_000)
    await delete_workflow(tables, "w")
    definition = await put(tables, TaskDefinition(task_seq=1, program="A"))
    assert await read_workflow(tables, "w") == definition


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("retry_delay_seconds = 5", "no max_attempts"),
        ("no_retry_on = '{E}'", "no max_attempts"),
        ("max_attempts = 2, retry_delay_seconds = 'NaN'", "retry_delay_seconds NaN"),
        ("max_attempts = 2, retry_backoff = 'Infinity'", "retry_backoff Infinity"),
        ("max_attempts = 2, retry_delay_seconds = 0.0001", "at most three decimals"),
        ("max_attempts = 2, no_retry_on = '{E,NULL}'", "no_retry_on"),
        ("timeout_seconds = 1e40", "timeout_seconds"),
        ("timeout_seconds = ('1' || repeat('0', 100000))::numeric", "timeout_seconds"),
    ],
)
async def test_a_row_that_makes_no_sense_is_named(tables: Connection, columns: str, said: str) -> None:
    await put(tables, TaskDefinition(task_seq=7, program="A"))
    await tables.execute(b"UPDATE ms_task_definition SET " + columns.encode())
    with pytest.raises(DefinitionError) as caught:
        await read_workflow(tables, "w")
    (problem,) = caught.value.problems
    assert "task_seq 7" in problem and said in problem


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (TaskDefinition(task_seq=1, program="A", retry=RetryPolicy(max_attempts=0)), "max_attempts is 0"),
        (TaskDefinition(task_seq=1, program="A", retry=RetryPolicy(backoff=0.5)), "backoff is 0.5"),
        (TaskDefinition(task_seq=1, program="A", retry=RetryPolicy(backoff=float("nan"))), "backoff is nan"),
        (TaskDefinition(task_seq=1, program="A", retry=RetryPolicy(jitter=1.5)), "jitter is 1.5"),
        (
            TaskDefinition(task_seq=1, program="A", retry=RetryPolicy(delay_ms=7_200_000)),
            "its retry delay, 7200 s, is longer than the longest that it may wait, 300 s",
        ),
        (TaskDefinition(task_seq=1, program="A", retry=RetryPolicy(delay_ms=-1)), "retry delay is -0.001 s"),
        (TaskDefinition(task_seq=1, program="A", retry=RetryPolicy(no_retry_on=("",))), "name error types"),
        (TaskDefinition(task_seq=1, program="A", timeout_ms=0), "its timeout is 0 s"),
        (TaskDefinition(task_seq=1, program="A", queue_timeout_ms=-5), "its queue timeout is -0.005 s"),
    ],
)
async def test_a_policy_out_of_bounds_is_refused(task: TaskDefinition, said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        await encode_workflow(WorkflowDefinition(name="w", tasks=(task,)))


async def test_a_flow_timeout_out_of_bounds_is_refused() -> None:
    definition = WorkflowDefinition(name="w", tasks=(TaskDefinition(task_seq=1, program="A"),), timeout_ms=0)
    with pytest.raises(DefinitionError, match="its flow timeout is 0 s"):
        await encode_workflow(definition)


@pytest.mark.parametrize(
    ("columns", "longest_ms"),
    [
        ("retry_delay_seconds = 7200", 7_200_000),
        ("retry_delay_seconds = 7200, retry_max_delay_seconds = 9000", 9_000_000),
        ("retry_delay_seconds = 300", 300_000),
        ("retry_delay_seconds = 1", 300_000),
        ("retry_backoff = 3", 300_000),
    ],
)
async def test_a_delay_raises_a_longest_one_that_nobody_set(
    tables: Connection, columns: str, longest_ms: int
) -> None:
    await put(tables, TaskDefinition(task_seq=1, program="A"))
    await tables.execute(b"UPDATE ms_task_definition SET max_attempts = 2, " + columns.encode())
    definition = await read_workflow(tables, "w")
    assert definition is not None
    (task,) = definition.tasks
    assert task.retry is not None
    assert task.retry.max_delay_ms == longest_ms
    assert await put(tables, task) == await read_workflow(tables, "w")


async def test_a_longest_delay_that_was_not_set_follows_an_edit_of_the_delay(tables: Connection) -> None:
    policy = RetryPolicy(max_attempts=2, delay_ms=400_000, max_delay_ms=400_000)
    await put(tables, TaskDefinition(task_seq=1, program="A", retry=policy))
    await tables.execute("UPDATE ms_task_definition SET retry_delay_seconds = 500")
    definition = await read_workflow(tables, "w")
    assert definition is not None
    assert definition.tasks[0].retry == RetryPolicy(max_attempts=2, delay_ms=500_000, max_delay_ms=500_000)


@pytest.mark.parametrize("longest", ["300", "7199.999"])
async def test_a_delay_beyond_a_longest_one_that_is_set_is_refused_by_name(
    tables: Connection, longest: str
) -> None:
    await put(tables, TaskDefinition(task_seq=7, program="A"))
    await tables.execute(
        b"UPDATE ms_task_definition SET max_attempts = 2, retry_delay_seconds = 7200,"
        b" retry_max_delay_seconds = " + longest.encode()
    )
    definition = await read_workflow(tables, "w")
    assert definition is not None
    with pytest.raises(DefinitionError, match=r"task_seq 7\): its retry delay, 7200 s, is longer"):
        check_definition(definition)
