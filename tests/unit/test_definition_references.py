"""References in a workflow's definition: the edges that follow, and every way in which they are refused."""

from typing import Any

import pytest

from flower_engine.errors import DefinitionError, TooLargeError
from flower_engine.model.definitions.definition import (
    MAX_EDGES,
    Keying,
    PlannedTask,
    TaskDefinition,
    WorkflowDefinition,
    plan_flow,
    with_parameters,
)

ODD: dict[str, Any] = {"a/b": {"$from": {}}}


def row(seq: int, name: str | None = None, program: str = "Noop", **parameters: Any) -> TaskDefinition:
    """A task that depends on nothing but what its parameters take."""
    return TaskDefinition(task_seq=seq, task_name=name, program=program, parameters=parameters, depends_on=())


def plan(*rows: TaskDefinition, **more: Any) -> tuple[PlannedTask, ...]:
    return plan_flow(WorkflowDefinition(name="etl", tasks=rows, **more))


def problems_of(*rows: TaskDefinition, **more: Any) -> list[str]:
    with pytest.raises(DefinitionError) as refused:
        plan(*rows, **more)
    return refused.value.problems


def test_who_takes_a_result_depends_on_its_producer() -> None:
    planned = plan(
        row(10, "files"),
        row(20, None, first={"$from": "files", "path": "/0"}, same={"$from": 10}),
        row(30, None, a=[{"$from": 20}], b={"$text": "{n}", "n": {"$from": "files", "default": 0}}),
    )
    assert [task.depends_on for task in planned] == [(), (1,), (1, 2)]
    assert [task.reads for task in planned] == [{}, {"files": 1, "10": 1}, {"20": 2, "files": 1}]
    assert [task.refs for task in planned] == [False, True, True]
    assert planned[1].parameters == {"first": {"$from": "files", "path": "/0"}, "same": {"$from": 10}}


def test_without_depends_on_a_task_waits_for_the_previous_one_and_for_its_producers() -> None:
    rows = [
        TaskDefinition(task_seq=1, program="A", task_name="a"),
        TaskDefinition(task_seq=2, program="A"),
        TaskDefinition(task_seq=3, program="A", parameters={"p": {"$from": "a", "optional": True}}),
        TaskDefinition(task_seq=4, program="A", parameters={"p": {"$from": "a"}}, depends_on=(2,)),
    ]
    assert [task.depends_on for task in plan(*rows)] == [(), (1,), (1, 2), (1, 2)]


def test_what_needs_no_result_is_settled_in_the_plan() -> None:
    (task,) = plan(row(1, t={"$text": "{{{n}}}", "n": 3}, data={"$literal": {"$from": "x"}}, other=[1]))
    assert not task.refs
    assert task.parameters == {"t": "{3}", "data": {"$from": "x"}, "other": [1]}
    _, task = plan(row(1, "a"), row(2, t={"$text": "x"}, data={"$literal": {"$from": "x"}}, f={"$from": "a"}))
    assert task.refs
    assert task.parameters == {"t": "x", "data": {"$literal": {"$from": "x"}}, "f": {"$from": "a"}}
    (task,) = plan(row(1, s={"$secret": "TOKEN"}))
    assert task.refs and not task.reads


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (
            [row(1, "files"), row(2, a={"b": [{"$from": "file"}]})],
            "row (task_id 'etl', task_seq 2): parameters/a/b/0: it takes the result of task 'file', which"
            " does not exist; nearest: files",
        ),
        ([row(1, a={"$from": 7})], "parameters/a: it takes the result of task 7, which does not exist"),
        ([row(1, a={"$from": 10**5000})], "parameters/a: it takes the result of task ..., which"),
        ([row(1, "me", a={"$from": "me"})], "parameters/a: it takes the result of its own task"),
        (
            [row(1, a={"$from": 1, "path": "x"})],
            "parameters/a: it has the path 'x', which is no JSON Pointer",
        ),
        ([row(1, **ODD)], "parameters/a~1b: it has a $from that is neither"),
        ([row(1, a={"$slot": "date"})], "parameters/a: $slot 'date' stands in parameters of schedules only"),
        ([row(1, "a", p={"$from": "b"}), row(2, "b", p={"$from": 1})], "depend on each other in a cycle"),
    ],
)
def test_what_is_wrong_is_named_by_row_parameter_and_place(rows: list[TaskDefinition], problem: str) -> None:
    (found,) = problems_of(*rows)
    assert problem in found


def test_every_problem_is_told_up_to_a_bound() -> None:
    parameters: dict[str, Any] = {f"p{n}": {"$from": "nobody"} for n in range(40)}
    rows = [row(seq, **parameters) for seq in range(1, 41)]
    problems = problems_of(row(0, program=""), *rows)
    assert problems[0].endswith("names no program (1 to 256 characters)")
    assert len(problems) == 1_001


def test_edges_of_references_are_bounded() -> None:
    producers = [row(seq, f"t{seq}") for seq in range(1, 402)]
    everything: dict[str, Any] = {f"p{seq}": {"$from": seq} for seq in range(1, 402)}
    readers = [row(seq, **everything) for seq in range(1001, 1001 + MAX_EDGES // 401 + 1)]
    with pytest.raises(TooLargeError, match="dependencies; a flow may have"):
        plan(*producers, *readers)


@pytest.mark.parametrize(
    ("keying", "who"),
    [
        (Keying(fair_by="key"), "fair_by of workflow 'etl'"),
        (Keying(limit_by="key"), "limit_by of workflow 'etl'"),
        (Keying(programs={"Noop": "key"}), "limit_by of program 'Noop'"),
    ],
)
@pytest.mark.parametrize("value", [{"$from": 1}, {"$secret": "T"}, {"$text": "{x}", "x": {"$from": 1}}])
def test_what_tells_tasks_apart_must_be_known_at_registration(keying: Keying, who: str, value: Any) -> None:
    rows = (row(1, program="A"), row(2, key=value, other={"$from": 1}))
    assert plan(*rows)
    (problem,) = problems_of(*rows, keying=keying)
    assert "task_seq 2): parameters/key" in problem and f"{who} tells tasks apart by it" in problem


def test_keys_are_those_of_values_that_are_settled() -> None:
    keying = Keying(fair_by="key", limit_by="data")
    parameters: dict[str, Any] = {"key": {"$text": "a{n}", "n": 1}, "data": {"$literal": {"$from": 1}}}

    _, task, same = plan(row(1), row(2, p={"$from": 1}, **parameters), row(3, key="a1"), keying=keying)
    assert task.fair_key == same.fair_key == "a1"
    assert task.workflow_key == '{"$from":1}'
    keys = keying.keys_of("Noop", {"key": {"$from": 1}, "data": {"$literal": {"$from": 1}}}, refs=True)
    assert (keys.fair_key, keys.workflow_key) == ("", '{"$from":1}')
    assert keying.keys_of("Noop", {"key": {"$from": 1}}).fair_key == '{"$from":1}'


@pytest.mark.parametrize(
    ("returns", "problem"),
    [
        (
            {"$from": "nobody"},
            "workflow 'etl': returns: it takes the result of task 'nobody', which does not",
        ),
        ({"a": {"$from": 1, "paht": "/"}}, "workflow 'etl': returns/a: it has 'paht', which is nothing"),
        ({"$from": 1, "$param": "x"}, "workflow 'etl': returns: it has $from and $param"),
        ([{"$secret": "T"}], "workflow 'etl': returns/0: what a flow returns is no place for secrets"),
        ({"$slot": "date"}, "workflow 'etl': returns: $slot 'date' stands in parameters of schedules only"),
    ],
)
def test_what_a_flow_returns_is_checked(returns: Any, problem: str) -> None:
    (found,) = problems_of(row(1, "a"), returns=returns)
    assert problem in found
    assert plan(row(1, "a"), returns={"$text": "{a}", "a": {"$from": "a", "path": "/b"}})


def test_parameters_that_are_given_take_references_away() -> None:
    _, _, task = plan(row(1, "a"), row(2, "b"), row(3, x={"$from": "a"}, y={"$from": "b"}))
    less = with_parameters(task, {**task.parameters, "x": {"$literal": {"$from": "b"}}})
    assert (less.reads, less.refs, less.depends_on) == ({"b": 2}, True, (1, 2))
    none = with_parameters(less, {**less.parameters, "y": 5})
    assert (none.reads, none.refs, none.parameters) == ({}, False, {"x": {"$from": "b"}, "y": 5})
    data = with_parameters(none, {"x": {"$secret": "TOKEN"}})
    assert (data.refs, data.parameters) == (False, {"x": {"$secret": "TOKEN"}})
