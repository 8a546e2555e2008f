"""From a definition to the plan of a flow, and every way in which a definition is refused."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower_engine.errors import DefinitionError, TooLargeError
from flower_engine.model.definitions.definition import (
    MAX_EDGES,
    PlannedTask,
    TaskDefinition,
    WorkflowDefinition,
    dependents_of,
    plan_flow,
)
from flower_engine.model.tasks.task_spec import DEFAULT_QUEUE, MAX_TASKS


def row(
    seq: int, *depends_on: int, program: str = "Noop", priority: int = 0, queue: str = DEFAULT_QUEUE
) -> TaskDefinition:
    """A task with exactly these dependencies."""
    return TaskDefinition(
        task_seq=seq, program=program, priority=priority, queue=queue, depends_on=depends_on
    )


def plan(*rows: TaskDefinition, name: str = "etl") -> tuple[PlannedTask, ...]:
    return plan_flow(WorkflowDefinition(name=name, tasks=rows))


def problems_of(*rows: TaskDefinition, name: str = "etl") -> list[str]:
    with pytest.raises(DefinitionError) as refused:
        plan(*rows, name=name)
    assert not isinstance(refused.value, TooLargeError)
    assert refused.value.workflow == name
    assert str(refused.value) == f"workflow {name!r} cannot be run: " + "; ".join(refused.value.problems)
    return refused.value.problems


def test_without_depends_on_each_task_waits_for_the_previous_one() -> None:
    rows = [TaskDefinition(task_seq=seq, program="Noop") for seq in (30, 10, 20)]
    planned = plan(*rows)
    assert [(task.seq, task.task_seq, task.depends_on) for task in planned] == [
        (1, 10, ()),
        (2, 20, (1,)),
        (3, 30, (2,)),
    ]


def test_depends_on_is_renumbered_in_task_seq_order() -> None:
    planned = plan(row(300, 100, 5), row(5), row(100, 5))
    assert [(task.seq, task.task_seq, task.depends_on) for task in planned] == [
        (1, 5, ()),
        (2, 100, (1,)),
        (3, 300, (1, 2)),
    ]


def test_a_task_may_depend_on_a_later_row() -> None:
    assert [task.depends_on for task in plan(row(1, 2), row(2))] == [(2,), ()]


def test_linear_and_explicit_rows_can_be_mixed() -> None:
    planned = plan(row(1), row(2), TaskDefinition(task_seq=3, program="Noop"))
    assert [task.depends_on for task in planned] == [(), (), (2,)]


def test_everything_else_of_a_row_is_taken_over() -> None:
    (task,) = plan(
        TaskDefinition(task_seq=7, program="Mail", priority=-20, queue="slow", parameters={"TO": "x"})
    )
    assert task == PlannedTask(
        seq=1, task_seq=7, program="Mail", priority=-20, queue="slow", parameters={"TO": "x"}
    )


def test_dependents_are_the_dependencies_turned_around() -> None:
    assert dependents_of(plan(row(1), row(2, 1), row(3, 1), row(4, 2, 3))) == [[], [2, 3], [4], [4], []]


def test_a_workflow_without_tasks_is_refused() -> None:
    assert problems_of() == ["it has no tasks"]


def test_a_repeated_task_seq_is_refused() -> None:
    assert problems_of(row(1), row(1)) == ["row (task_id 'etl', task_seq 1) stands twice"]


def test_an_unknown_dependency_is_refused() -> None:
    assert problems_of(row(1), row(2, 9)) == [
        "row (task_id 'etl', task_seq 2) depends on task_seq 9, which does not exist"
    ]


def test_a_repeated_dependency_is_refused() -> None:
    assert problems_of(row(1), row(2, 1, 1)) == ["row (task_id 'etl', task_seq 2) repeats a dependency"]


def test_a_task_that_depends_on_itself_is_refused() -> None:
    assert problems_of(row(1, 1)) == ["row (task_id 'etl', task_seq 1) depends on itself"]


@pytest.mark.parametrize("priority", [-21, 20])
def test_a_priority_out_of_range_is_refused(priority: int) -> None:
    assert problems_of(row(1, priority=priority)) == [
        f"row (task_id 'etl', task_seq 1) has priority {priority}, outside -20..19"
    ]


@pytest.mark.parametrize("priority", [-20, 19])
def test_the_ends_of_the_priority_range_are_good(priority: int) -> None:
    assert plan(row(1, priority=priority))[0].priority == priority


BAD_NAMES = ["", " ", "x" * 257, "a\nb", "a\0b", "\ud800"]


@pytest.mark.parametrize("program", BAD_NAMES)
def test_a_missing_program_is_refused(program: str) -> None:
    assert problems_of(row(4, program=program)) == [
        "row (task_id 'etl', task_seq 4) names no program (1 to 256 characters)"
    ]


@pytest.mark.parametrize("queue", BAD_NAMES)
def test_a_missing_queue_is_refused(queue: str) -> None:
    assert problems_of(row(4, queue=queue)) == [
        "row (task_id 'etl', task_seq 4) names no queue (1 to 256 characters)"
    ]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_workflow_needs_a_name(name: str) -> None:
    (problem,) = problems_of(row(1), name=name)
    assert problem.startswith("its name must be 1 to 256 characters")


def test_a_name_must_not_end_in_a_slash() -> None:
    assert plan(row(1), name="a/b")
    (problem,) = problems_of(row(1), name="a/b/")
    assert problem.startswith("its name must not end in a slash")


def test_all_problems_are_told_at_once() -> None:
    problems = problems_of(row(1, program=""), row(2, 9, priority=99), row(2))
    assert [problem.split("task_seq ")[1][0] for problem in problems] == ["1", "2", "2", "2"]


def test_a_cycle_is_refused_and_its_rows_are_named() -> None:
    problems = problems_of(row(10), row(20, 10, 40), row(30, 20), row(40, 30), row(50, 40))
    assert problems == [
        "rows of task_id 'etl' depend on each other in a cycle: task_seq 20 -> 30 -> 40 -> 20"
    ]


def test_tasks_that_only_wait_behind_a_cycle_are_not_named() -> None:
    (problem,) = problems_of(row(1, 2), row(2, 3), row(3, 2))
    assert problem.endswith("task_seq 2 -> 3 -> 2")


def test_one_of_two_cycles_is_named() -> None:
    (problem,) = problems_of(row(1, 2), row(2, 1), row(3, 4), row(4, 3))
    assert problem.endswith("task_seq 1 -> 2 -> 1")


def test_the_longest_cycle_is_named_whole() -> None:
    rows = [row(1, MAX_TASKS), *(row(seq, seq - 1) for seq in range(2, MAX_TASKS + 1))]
    (problem,) = problems_of(*rows)
    assert problem.count(" -> ") == MAX_TASKS


def test_too_many_tasks_are_refused() -> None:
    rows = [TaskDefinition(task_seq=seq, program="Noop") for seq in range(MAX_TASKS + 1)]
    with pytest.raises(TooLargeError, match="it has 10001 tasks; a flow may have 10000"):
        plan(*rows)


def test_too_many_edges_are_refused() -> None:
    layer = tuple(range(1, 401))
    rows = [*(row(seq) for seq in layer), *(row(seq, *layer) for seq in range(401, 652))]
    with pytest.raises(TooLargeError, match=f"it has {251 * 400} dependencies; a flow may have {MAX_EDGES}"):
        plan(*rows)


def test_as_many_edges_as_allowed_can_be_planned() -> None:
    layer = tuple(range(1, 401))
    planned = plan(*(row(seq) for seq in layer), *(row(seq, *layer) for seq in range(401, 651)))
    assert sum(len(task.depends_on) for task in planned) == MAX_EDGES


def test_a_chain_of_10000_tasks_can_be_planned() -> None:
    planned = plan(*(TaskDefinition(task_seq=seq, program="Noop") for seq in range(MAX_TASKS)))
    assert planned[-1].depends_on == (MAX_TASKS - 1,)


def test_a_fan_out_and_in_of_10000_tasks_can_be_planned() -> None:
    middle = range(2, MAX_TASKS)
    planned = plan(row(1), *(row(seq, 1) for seq in middle), row(MAX_TASKS, *middle))
    assert planned[-1].depends_on == tuple(middle)
    assert dependents_of(planned)[1] == list(middle)


@st.composite
def acyclic(draw: st.DrawFn) -> list[TaskDefinition]:
    """A DAG whose rows stand in any order under any task_seqs."""
    seqs = draw(st.lists(st.integers(-50, 50), min_size=1, max_size=12, unique=True))
    rows: list[TaskDefinition] = []
    for index, seq in enumerate(seqs):
        earlier = st.sampled_from(seqs[:index]) if index else st.nothing()
        rows.append(row(seq, *draw(st.lists(earlier, unique=True))))
    return draw(st.permutations(rows))


@given(acyclic())
def test_any_dag_is_planned_with_its_own_edges(rows: list[TaskDefinition]) -> None:
    planned = plan(*rows)
    assert [task.seq for task in planned] == list(range(1, len(rows) + 1))
    assert [task.task_seq for task in planned] == sorted(task.task_seq for task in rows)
    task_seq_of = {task.seq: task.task_seq for task in planned}
    edges = {(task_seq_of[other], task.task_seq) for task in planned for other in task.depends_on}
    assert edges == {(other, task.task_seq) for task in rows for other in task.depends_on or ()}


@given(acyclic(), st.data())
def test_an_edge_backwards_makes_a_cycle_that_is_really_there(
    rows: list[TaskDefinition], data: st.DataObject
) -> None:
    edges = [(task.task_seq, other) for task in rows for other in task.depends_on or ()]
    if not edges:
        return
    last, first = data.draw(st.sampled_from(edges))
    closed = [
        row(task.task_seq, *(task.depends_on or ()), last) if task.task_seq == first else task
        for task in rows
    ]
    (problem,) = problems_of(*closed)
    cycle = [int(seq) for seq in problem.split("task_seq ")[1].split(" -> ")]
    assert cycle[0] == cycle[-1]
    assert len(set(cycle)) == len(cycle) - 1
    depends_on = {task.task_seq: task.depends_on or () for task in closed}
    assert all(before in depends_on[after] for before, after in pairwise(cycle))
