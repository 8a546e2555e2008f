"""Decisions and branches in definitions: what is right, how they are planned, shown and compared."""

from typing import Any

import msgspec
import pytest

from flower_engine.errors import DefinitionError
from flower_engine.model.decisions.decision_tasks import says_true, with_text
from flower_engine.model.definitions.definition import WorkflowDefinition, plan_flow
from flower_engine.model.definitions.definition_differences import differences
from flower_engine.model.definitions.flow_parameters import flow_parameters_of
from flower_engine.model.definitions.workflow_document import WorkflowDocument
from flower_engine.model.definitions.workflow_versions import definition_of, plain_document, version_of

TOTAL: dict[str, Any] = {"taskSeq": 1, "taskName": "total", "program": "Total"}
BIG: dict[str, Any] = {
    "taskSeq": 2,
    "taskName": "big",
    "program": "@when",
    "dependsOn": [],
    "parameters": {"condition": "total.bad > params.limit and total.day in params.days"},
}
HELD: dict[str, Any] = {"taskSeq": 3, "program": "Publish", "dependsOn": [], "when": ["big", True]}
SENT: dict[str, Any] = {"taskSeq": 4, "program": "Publish", "dependsOn": [1], "when": [2, False]}


def defined(*tasks: dict[str, Any], **header: Any) -> WorkflowDefinition:
    document = {"taskId": "w", "tasks": tasks, **header}
    return msgspec.convert(document, WorkflowDocument).to_model()


def problems_of(*tasks: dict[str, Any], **header: Any) -> list[str]:
    with pytest.raises(DefinitionError) as raised:
        plan_flow(defined(*tasks, **header))
    return raised.value.problems


def test_a_branch_waits_for_its_decision_and_a_decision_for_what_it_reads() -> None:
    _, big, held, sent = plan_flow(defined(TOTAL, BIG, HELD, SENT))
    assert (big.depends_on, big.reads, big.refs) == ((1,), {"total": 1}, True)
    assert (held.depends_on, held.when) == ((2,), (2, True))
    assert (sent.depends_on, sent.when) == ((1, 2), (2, False))


def test_a_text_and_its_tree_are_one_definition() -> None:
    tree = ["and", ["gt", {"$from": "total", "path": "/bad"}, {"$param": "limit"}],
            ["in", {"$from": "total", "path": "/day"}, {"$param": "days"}]]  # fmt: skip
    written = defined(TOTAL, BIG, HELD)
    assert written.tasks[1].parameters == {"condition": tree}
    as_tree = defined(TOTAL, {**BIG, "parameters": {"condition": tree}}, HELD)
    assert version_of(as_tree) == version_of(written)
    assert definition_of("w", version_of(written).canonical) == as_tree


def test_what_is_exported_has_the_text_and_is_taken_back() -> None:
    definition = defined(TOTAL, BIG, HELD, SENT)
    document = plain_document(definition)
    exported = {**document, "tasks": [*map(with_text, document["tasks"])]}
    assert exported["tasks"][1]["parameters"] == BIG["parameters"]
    assert exported["tasks"][2]["when"] == [2, True]
    again = msgspec.convert(exported, WorkflowDocument).to_model()
    assert version_of(again) == version_of(definition)


def test_parameters_of_the_flow_are_put_into_a_condition_as_data() -> None:
    definition = defined(TOTAL, BIG)
    tasks = plan_flow(definition)
    takes = flow_parameters_of(definition, tasks)
    assert takes is not None
    big = takes.bind(tasks[1], {"limit": 3, "days": ["or", True]})
    assert big.parameters == {
        "condition": [
            "and",
            ["gt", {"$from": "total", "path": "/bad"}, 3],
            ["in", {"$from": "total", "path": "/day"}, {"$literal": ["or", True]}],
        ]
    }
    assert (big.refs, big.reads) == (True, {"total": 1})


WRONG: list[tuple[tuple[dict[str, Any], ...], str]] = [
    (({**BIG, "parameters": {}},), " is a decision (@when) and has no parameter 'condition'"),
    (
        ({**BIG, "parameters": {"condition": True, "x": 1}},),
        " is a decision (@when), which has no parameter 'x' but its 'condition'",
    ),
    (({**BIG, "parameters": {"condition": ["gt", 1]}},), ": condition: it gives 'gt' 1 values"),
    (
        ({**BIG, "parameters": {"condition": ["not", ["eq", {"$secret": "A"}, 1]]}},),
        ": condition/1/1: a condition tells what it saw, so it cannot hold secrets",
    ),
    (
        ({**BIG, "parameters": {"condition": "totl.bad > 3"}},),
        ": parameters/condition/1: it takes the result of task 'totl', which does not exist;",
    ),
    (
        ({**BIG, "parameters": {"condition": True}, "timeoutSeconds": 3},),
        " is a decision (@when), which no worker runs: it has no timeout",
    ),
    (({**HELD, "when": [1, True]},), " is a branch of task_seq 1, which is no decision: its"),
    (({**HELD, "when": [3, True]},), " is a branch of itself"),
    (({**HELD, "when": [7, True]},), " is a branch of task_seq 7, which does not exist"),
]


@pytest.mark.parametrize(("tasks", "problem"), WRONG)
def test_what_is_wrong_is_said_of_the_row(tasks: tuple[dict[str, Any], ...], problem: str) -> None:
    (said,) = [one for one in problems_of(TOTAL, *tasks) if problem in one]
    assert said.startswith(f"row (task_id 'w', task_seq {tasks[0]['taskSeq']})")


@pytest.mark.parametrize(
    ("task", "problem"),
    [
        ({**HELD, "when": ["bigg", True]}, "is a branch of task 'bigg', which does not exist; nearest: big"),
        ({**HELD, "when": ["big"]}, "has a when that is no pair of a decision and what it must say"),
        ({**HELD, "when": ["big", 1]}, "has a when that is no pair"),
        ({**HELD, "when": [True, True]}, "has a when that is no pair"),
        (
            {**BIG, "taskSeq": 3, "taskName": "x", "parameters": {"condition": "total.bad >"}},
            "task_seq 3): the condition 'total.bad >' is no condition: invalid syntax",
        ),
    ],
)
def test_what_cannot_be_read_is_said_of_the_row(task: dict[str, Any], problem: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        defined(TOTAL, BIG, task)
    assert problem in raised.value.problems[0]


def test_a_secret_parameter_has_no_place_in_a_condition() -> None:
    schema = {"type": "object", "properties": {"token": {"type": "string", "x-flower-secret": True}}}
    decision = {**BIG, "parameters": {"condition": "params.token == 'x'"}}
    from flower_engine.model.parameters.parameters_schema import ParametersSchema  # noqa: PLC0415

    if not ParametersSchema(schema).secrets:
        pytest.fail("the schema of this test has no secret")
    (said,) = problems_of(TOTAL, decision, parametersSchema=schema)
    assert "condition: the parameter 'token' is a secret, and a condition tells what it saw" in said


def test_a_circle_through_a_decision_is_one() -> None:
    decision = {**BIG, "parameters": {"condition": "task(3) == 1"}}
    assert "in a cycle" in problems_of(TOTAL, decision, HELD)[0]


def test_differences_are_told_as_they_are_read() -> None:
    old = plain_document(defined(TOTAL, BIG, HELD))
    changed = {**BIG, "parameters": {"condition": "total.bad > 60"}}
    new = plain_document(defined(TOTAL, changed, {**HELD, "when": ["big", False]}, SENT))
    assert [one.text for one in differences(old, new)] == [
        "+ task 4 Publish",
        "task 2 big: parameters.condition total.bad > params.limit and total.day in params.days"
        " -> total.bad > 60",
        "task 3: when task 2 big is true -> task 2 big is false",
    ]
    assert [one.text for one in differences({**old, "tasks": []}, new)][
        1
    ] == "+ task 2 big @when total.bad > 60"


@pytest.mark.parametrize(
    ("result", "is_true"),
    [
        (b'{"is":true,"values":{}}', True),
        (b'{"is": true, "values": {"task(1)": 2}}', True),  # as Postgres gives it back
        (b'{"is": false, "values": {"is": true}}', False),
        (b'{"is":false,"values":{}}', False),
        (None, None),
    ],
)
def test_what_a_decision_came_to_is_read_however_its_result_is_written(
    result: bytes | None, is_true: bool | None
) -> None:
    assert says_true(result) is is_true
