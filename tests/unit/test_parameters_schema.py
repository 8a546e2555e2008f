"""The schema of a workflow's parameters: what is refused of it, and what it says of values."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower_engine.errors import DefinitionError
from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition, plan_flow
from flower_engine.model.definitions.flow_parameters import MAX_BOUND_BYTES, flow_parameters_of
from flower_engine.model.parameters.parameters_schema import ParametersSchema, problems_of_schema

NIGHTLY: dict[str, Any] = {
    "type": "object",
    "properties": {
        "day": {"type": "string", "format": "date"},
        "threshold": {"type": "integer", "default": 50},
        "token": {"type": "string", "x-flower-secret": True},
        "files": {"type": "array", "items": {"$ref": "#/$defs/File"}},
    },
    "required": ["day"],
    "additionalProperties": False,
    "$defs": {"File": {"type": "object", "properties": {"size": {"type": "integer"}}, "required": ["size"]}},
}


def property_of(**schema: Any) -> dict[str, Any]:
    return {"properties": {"a": schema}}


def doubling(times: int) -> dict[str, Any]:
    """A schema that doubles with each reference that is followed."""
    parts: dict[str, Any] = {
        f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}, {"$ref": f"#/$defs/a{n + 1}"}]}
        for n in range(times)
    }
    return {"properties": {"a": {"$ref": "#/$defs/a0"}}, "$defs": {**parts, f"a{times}": {"type": "string"}}}


def deep(levels: int) -> Any:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"items": schema}
    return {"properties": {"a": schema}}


@pytest.mark.parametrize("schema", [{}, NIGHTLY, doubling(5), deep(50), {"properties": {"a": True}}])
def test_a_schema_of_an_object_is_one_of_parameters(schema: dict[str, Any]) -> None:
    assert problems_of_schema(schema) == []


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ([], ": it is no JSON object"),
        ({"type": "array"}, "/type: a flow's parameters are an object"),
        ({"type": ["object", "null"]}, "/type: a flow's parameters are an object"),
        ({"properties": 3}, '/properties: 3 is not of type "object"'),
        ({"required": "day"}, '/required: "day" is not of type "array"'),
        (property_of(type="whatever"), "/properties/a/type: "),
        (property_of(type="integer", default="x"), '/properties/a/default: "x" is not of type "integer"'),
        (property_of(pattern="("), "/properties/a/pattern: "),
        (property_of(pattern="(?=a)"), "/properties/a/pattern: "),
        (property_of(pattern="(a{1,1000}){1,1000}"), "/properties/a/pattern: "),
        (property_of(**{"$ref": "#"}), "/properties/a/$ref: its $ref leads back to itself"),
        (property_of(**{"$ref": "#/properties/a"}), "its $ref leads back to itself"),
        (property_of(anyOf=[{"items": {"$ref": "#/properties/a"}}]), "its $ref leads back to itself"),
        (property_of(**{"$ref": "#/$defs/File"}), "/properties/a/$ref: it leads to no other part"),
        (property_of(**{"$ref": "http://127.0.0.1:1/x"}), "/properties/a/$ref: it leads to no other part"),
        (property_of(**{"$ref": "file:///etc/passwd"}), "/properties/a/$ref: it leads to no other part"),
        (property_of(**{"$ref": 7}), "/properties/a/$ref: it leads to no other part"),
        (property_of(**{"$dynamicRef": "#x"}), "/properties/a: it has $dynamicRef"),
        ({"$id": "http://somewhere/else"}, ": it has $id"),
        (doubling(40), "it has more than 5000 parts, with what its $refs lead to"),
        (deep(200), "it is nested deeper than 100 levels"),
        ({"description": "x" * 300_000}, ": it is longer than 262144 bytes"),
        (property_of(**{"x-flower-secret": "yes"}), "/properties/a/x-flower-secret: it is neither true nor"),
        (
            property_of(properties={"b": {"x-flower-secret": True}}),
            "/properties/a/properties/b/x-flower-secret: only a parameter as a whole is a secret",
        ),
        (
            property_of(**{"x-flower-secret": True, "default": "the secret itself"}),
            "/properties/a/default: this is not the name of a secret",
        ),
    ],
)
def test_what_is_no_schema_of_parameters_is_refused_with_its_place(schema: Any, problem: str) -> None:
    (found,) = problems_of_schema(schema)
    assert problem in found


def test_defaults_are_filled_in() -> None:
    values, faults = ParametersSchema(NIGHTLY).checked({"day": "2026-01-05"}, "#/parameters")
    assert (values, faults) == ({"day": "2026-01-05", "threshold": 50}, [])


def test_each_fault_is_named_with_its_place() -> None:
    given = {"dya": 1, "threshold": "x", "token": "not a name", "files": [{"size": 1}, {"size": 1.5}, {}]}
    _, faults = ParametersSchema(NIGHTLY).checked(given, "#/parameters")
    assert sorted((fault.pointer, fault.detail) for fault in faults) == [
        ("#/parameters/day", "'day': it is missing"),
        ("#/parameters/dya", "'dya': there is no such parameter; nearest: day"),
        ("#/parameters/files/1/size", "'files/1/size': 1.5 is not of type \"integer\""),
        ("#/parameters/files/2/size", "'files/2/size': it is missing"),
        ("#/parameters/threshold", '\'threshold\': "x" is not of type "integer"'),
        (
            "#/parameters/token",
            "'token': this is not the name of a secret; the secret itself stays with the workers",
        ),
    ]


def test_faults_are_told_up_to_a_bound() -> None:
    _, faults = ParametersSchema(NIGHTLY).checked({"day": "2026-01-05", "files": [1] * 5_000}, "")
    assert len(faults) == 100


def test_a_pattern_takes_no_longer_than_the_text_is_long() -> None:
    schema = {"properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}
    assert problems_of_schema(schema) == []
    _, faults = ParametersSchema(schema).checked({"a": "a" * 200_000 + "!"}, "")
    assert len(faults) == 1


ODD: list[Any] = [10**400, -(2**70), 1e308, [[[]]], "\U0010ffff", {"": None}]


@pytest.mark.parametrize("value", ODD)
def test_whatever_json_can_hold_is_checked(value: Any) -> None:
    schema = ParametersSchema({"properties": {"a": {"type": "boolean"}}})
    assert [fault.pointer for fault in schema.checked({"a": value}, "")[1]] == ["/a"]


_SCHEMAS: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["string", "#", "#/$defs/a", "("]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "properties",
                    "a",
                    "$ref",
                    "$defs",
                    "allOf",
                    "items",
                    "pattern",
                    "default",
                    "required",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(_SCHEMAS, _SCHEMAS)
def test_any_json_is_a_schema_or_refused_and_checks_any_json(schema: Any, value: Any) -> None:
    if problems_of_schema(schema) == []:
        values, faults = ParametersSchema(schema).checked({"a": value}, "#")
        assert values["a"] == value
        assert all(fault.pointer.startswith("#") for fault in faults)


def task(seq: int, **parameters: Any) -> TaskDefinition:
    return TaskDefinition(task_seq=seq, program="A", parameters=parameters, depends_on=())


def workflow(*tasks: TaskDefinition, **more: Any) -> WorkflowDefinition:
    return WorkflowDefinition(name="nightly", tasks=tasks, **more)


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        (
            workflow(task(1, p={"$param": "dya"}), parameters_schema=NIGHTLY),
            "task_seq 1): parameters/p: parametersSchema has no property 'dya'; nearest: day",
        ),
        (
            workflow(task(1), parameters_schema=NIGHTLY, returns={"a": {"$param": "token"}}),
            "workflow 'nightly': returns/a: the parameter 'token' is a secret, which no flow returns",
        ),
        (
            workflow(task(1, p={"$param": "x"}), parameters_schema={"type": "array"}),
            "workflow 'nightly': parametersSchema/type: a flow's parameters are an object",
        ),
        (workflow(task(1), labels={"a\n": "x"}), "workflow 'nightly': labels: 'a\\n' is no name"),
        (workflow(task(1), labels={"a": "x" * 257}), "labels: the value of 'a' is no text of at most 256"),
        (workflow(task(1), labels=dict.fromkeys(map(str, range(65)), "")), "labels: there are 65"),
        (workflow(task(1), description="x" * 10_001), "description: it is longer than 10000 characters"),
    ],
)
def test_what_is_said_of_a_workflow_as_a_whole_is_checked(
    definition: WorkflowDefinition, problem: str
) -> None:
    with pytest.raises(DefinitionError) as refused:
        plan_flow(definition)
    (found,) = refused.value.problems
    assert problem in found


def test_what_is_put_into_many_tasks_is_bounded() -> None:
    definition = workflow(*(task(seq, p=[{"$param": "a"}, {"$param": "a"}]) for seq in range(1, 101)))
    takes = flow_parameters_of(definition, plan_flow(definition))
    assert takes is not None
    most = MAX_BOUND_BYTES // 200 - 2
    assert takes.taken({"a": "x" * most}, "#")[2] == []
    (fault,) = takes.taken({"a": "x" * (most + 1)}, "#")[2]
    assert "in all tasks that use them they take" in fault.detail


def test_without_a_schema_a_flow_takes_what_its_definition_names() -> None:
    definition = workflow(task(1, p={"$param": "a"}), returns={"$param": "b"})
    planned = plan_flow(definition)
    takes = flow_parameters_of(definition, planned)
    assert takes is not None
    values, others, faults = takes.taken({"a": {"$from": 1}, "c": 3}, "#")
    assert (values, others, [fault.pointer for fault in faults]) == ({"a": {"$from": 1}}, {"c": 3}, ["#/b"])
    (now,) = (takes.bind(one, values) for one in planned)
    assert (now.parameters, now.refs) == ({"p": {"$from": 1}}, False)
    assert flow_parameters_of(workflow(task(1)), plan_flow(workflow(task(1)))) is None
