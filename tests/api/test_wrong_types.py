"""A value of a wrong type is named by its place in what was sent, and by what is wanted."""

from typing import Any

import pytest

from api.serving import RunningApi

FLOW = "/flows/00000000-0000-7000-8000-000000000000"


WRONG: list[tuple[str, Any, str, str]] = [
        ("POST /register", [{"taskId": "a"}, {"taskId": "a", "workflowVersion": []}], "#/1/workflowVersion",
            "[1].workflowVersion: this is none of: a whole number, a text"),
        ("POST /register", [{"taskId": "a", "workflowVersion": 0}], "#/0/workflowVersion",
            "[0].workflowVersion: it must be 1 or more"),
        ("POST /register", [{"taskId": "a", "workflowVersion": ""}], "#/0/workflowVersion",
            "it needs 1 character or more"),
        ("POST /register", [{"taskId": "a", "taskParameters": {"1": 3}}], "#/0/taskParameters/1",
            "[0].taskParameters.1: this is not an object"),
        ("POST /register", [7], "#/0", "[0]: this is not an object"),
        (f"POST {FLOW}/rerun", {"tasks": [1, {"a": 1}]}, "#/tasks/1", "tasks[1]: this is none of: a whole"),
        (f"POST {FLOW}/rerun", {"tasks": ["1x"]}, "#/tasks/0", "tasks[0]: it is no name of a task"),
        ("PUT /workflows/a", {"tasks": [{"taskSeq": 1, "program": "A", "dependsOn": [None]}]},
            "#/tasks/0/dependsOn/0", "tasks[0].dependsOn[0]: this is none of: a whole number, a text"),
        ("PUT /workflows/a", {"tasks": [{"taskSeq": 1, "program": "A", "retry": {"maxAttempts": "x"}}]},
            "#/tasks/0/retry/maxAttempts", "this is not a whole number"),
        ("PUT /workflows/a", {"tasks": [{"taskSeq": 1}]}, "#/tasks/0/program", "it is missing"),
        ("POST /deploy", {"source": "s", "workflows": [{"taskId": "a", "tasks": [{"taskSeq": "1"}]}]},
            "#/workflows/0/tasks/0/taskSeq", "this is not a whole number"),
        ("PUT /workflows/a", {"tasks": [], "labels": {"a": 1}}, "#/labels/a", "this is not a string"),
        ("POST /strikes", {"program": "A", "parameter": "p", "value": [1]}, "#/value", "this is none of"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "body", "pointer", "said"), WRONG)
def test_a_value_of_a_wrong_type_is_named(
    api: RunningApi, call: str, body: Any, pointer: str, said: str
) -> None:
    method, path = call.split(" ")
    reply = api.client.request(method, path, json=body)
    assert reply.status_code == 422, reply.text
    problem = next(one for one in reply.json()["problems"] if one["pointer"] == pointer)
    assert said in problem["detail"]
    for inner in ("constrained", "Input should", "valid ", "pydantic", "tagged-union", "function-"):
        assert inner not in reply.text
