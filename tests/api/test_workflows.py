"""/workflows: definitions as people write and read them over HTTP."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from api.serving import RunningApi, details


def test_a_workflow_is_defined_then_replaced_as_a_whole(api: RunningApi) -> None:
    first = api.client.put(
        "/workflows/replaced", json={"tasks": [{"taskSeq": n, "program": "A"} for n in (1, 2)]}
    )
    assert first.status_code == 201
    task: dict[str, Any] = {
        "taskSeq": 5,
        "taskName": "load",
        "program": "B",
        "taskPriority": -20,
        "parameters": {"S": "text", "N": 1.5, "L": [{"deep": None}]},
        "dependsOn": [],
        "queue": "slow",
        "retry": {
            "maxAttempts": 5,
            "delaySeconds": 0.25,
            "backoff": 1.5,
            "maxDelaySeconds": 60.0,
            "jitter": 0.0,
            "noRetryOn": ["ValueError", "pkg.Error"],
        },
        "timeoutSeconds": 30.125,
        "queueTimeoutSeconds": 3600.0,
        "units": 1,
        "maxRounds": 1000,
        "when": None,
        "rule": "ready",
        "onFailure": "hold",
        "standIn": None,
        "finally": False,
    }
    body: dict[str, Any] = {
        "taskId": "replaced",
        "tasks": [task],
        "timeoutSeconds": 7200.0,
        "cleanupTimeoutSeconds": 600.0,
        "parametersSchema": {"properties": {"day": {"type": "string"}}},
        "returns": {"$from": "load"},
        "labels": {"team": "dwh"},
        "description": "It loads.",
        "pin": "workflow",
    }
    second = api.client.put("/workflows/replaced", json=body)
    assert second.status_code == 200
    shown = api.client.get("/workflows/replaced")
    assert shown.status_code == 200
    assert shown.json() == second.json()
    assert shown.json() == body


def test_what_is_shown_can_be_put_back(api: RunningApi) -> None:
    api.define("round", {"parameters": {"K": "V"}}, {"dependsOn": [1]}, {})
    shown = api.client.get("/workflows/round").json()
    assert api.client.put("/workflows/round", json=shown).status_code == 200
    assert api.client.get("/workflows/round").json() == shown


def test_string_parameters_are_written_to_the_pairs_as_in_the_seed(api: RunningApi) -> None:
    api.define("pairs", {"parameters": {"URL": "https://example.org", "BODY": '{"id": "test"}'}})
    rows = api.sql(
        "SELECT param1_key, param1_value, param2_key, param2_value, param3_key, parameters, queue, depends_on"
        " FROM ms_task_definition WHERE task_id = 'pairs'"
    )
    assert rows == [("URL", "https://example.org", "BODY", '{"id": "test"}', None, None, None, None)]


def test_other_parameters_are_written_to_the_json_column(api: RunningApi) -> None:
    parameters = {f"K{n}": str(n) for n in range(7)} | {"LONG": "x" * 1025, "N": 7, "": "no name"}
    api.define("json", {"parameters": parameters})
    ((last_key, others),) = api.sql(
        "SELECT param5_key, parameters FROM ms_task_definition WHERE task_id = 'json'"
    )
    assert last_key == "K4"
    assert set(others) == {"K5", "K6", "LONG", "N", ""}
    assert api.client.get("/workflows/json").json()["tasks"][0]["parameters"] == parameters


def test_a_workflow_is_deleted_once(api: RunningApi) -> None:
    api.define("gone", {})
    assert api.client.delete("/workflows/gone").status_code == 204
    for reply in (api.client.delete("/workflows/gone"), api.client.get("/workflows/gone")):
        assert reply.status_code == 404
        assert "gone" in details(reply)[0]
    assert api.client.post("/register/gone").status_code == 404


def test_workflows_are_listed_by_name_page_by_page(api: RunningApi) -> None:
    for number in range(5):
        api.define(f"zz-page-{number}", *(dict[str, Any]() for _ in range(number + 1)))
    found: list[tuple[str, int]] = []
    cursor = "zz-page"
    while cursor:
        page = api.client.get("/workflows", params={"cursor": cursor, "limit": 2}).json()
        found += ((entry["taskId"], entry["taskCount"]) for entry in page["workflows"])
        cursor = page["next"]
    assert found == [(f"zz-page-{number}", number + 1) for number in range(5)]


_REFUSED: list[tuple[list[dict[str, Any]], str]] = [
    ([], "has no tasks"),
    ([{"taskSeq": 1, "program": "A"}, {"taskSeq": 1, "program": "A"}], "task_seq 1) stands twice"),
    ([{"taskSeq": 1, "program": ""}], "task_seq 1) names no program"),
    ([{"taskSeq": 1, "program": "A\nB"}], "task_seq 1) names no program"),
    ([{"taskSeq": 1, "program": "A", "queue": " "}], "task_seq 1) names no queue"),
    ([{"taskSeq": 1, "program": "A", "taskPriority": 20}], "task_seq 1) has priority 20"),
    ([{"taskSeq": 1, "program": "A", "dependsOn": [2]}], "task_seq 1) depends on task_seq 2, which"),
    ([{"taskSeq": 1, "program": "A", "dependsOn": [1]}], "task_seq 1) depends on itself"),
    (
        [
            {"taskSeq": 1, "program": "A", "dependsOn": [2]},
            {"taskSeq": 2, "program": "A", "dependsOn": [1]},
        ],
        "in a cycle: task_seq",
    ),
    ([{"taskSeq": 10**400, "program": "A"}], "beyond 9007199254740991"),
    (
        [
            {"taskSeq": 2**40, "program": "A", "dependsOn": []},
            {"taskSeq": 2, "program": "A", "dependsOn": [2**40]},
        ],
        "task_seq 2) depends on a task_seq beyond",
    ),
    ([{"taskSeq": 1, "program": "A", "parameters": {"K": ["a\0b"]}}], "parameter 'K' that holds a NUL"),
    ([{"taskSeq": 1, "program": "A", "parameters": {"a\0b": 1}}], "NUL or a surrogate in its name"),
    (
        [{"taskSeq": 1, "program": "A"}] * 10_001,
        "it has 10001 tasks; a flow may have 10000",
    ),
]


@pytest.mark.parametrize(("tasks", "said"), _REFUSED)
def test_a_workflow_is_refused_as_a_whole_with_the_row_named(
    api: RunningApi, tasks: list[dict[str, Any]], said: str
) -> None:
    reply = api.client.put("/workflows/refused", json={"tasks": tasks})
    assert reply.status_code == 422
    assert any(said in detail for detail in details(reply)), reply.text[:500]
    assert api.client.get("/workflows/refused").status_code == 404


@pytest.mark.parametrize("path", ["slash%2Fend%2F", "slash/end/", "slash/end//", "%2F"])
def test_a_name_that_ends_in_a_slash_is_refused_and_defines_nothing_else(api: RunningApi, path: str) -> None:
    reply = api.client.put(f"/workflows/{path}", json={"tasks": [{"taskSeq": 1, "program": "A"}]})
    assert reply.status_code == 422
    assert "must not end in a slash" in details(reply)[0]
    assert api.client.get("/workflows/slash/end").status_code == 404


def test_every_problem_is_named_at_once(api: RunningApi) -> None:
    tasks = [{"taskSeq": n, "program": "", "taskPriority": 50} for n in range(100)]
    assert len(details(api.client.put("/workflows/many", json={"tasks": tasks}))) == 200
    wrong = [{"taskSeq": "1", "program": 5, "extra": True} for _ in range(3)]
    problems = api.client.put("/workflows/many", json={"tasks": wrong}).json()["problems"]
    assert len(problems) == 9
    assert problems[0]["pointer"] == "#/tasks/0/taskSeq"
    assert problems[0]["detail"].startswith("tasks[0].taskSeq: ")


def test_a_body_for_another_workflow_is_refused(api: RunningApi) -> None:
    body = {"taskId": "one", "tasks": [{"taskSeq": 1, "program": "A"}]}
    assert "'one'" in details(api.client.put("/workflows/other", json=body))[0]


def test_deeply_nested_parameters_are_refused_beyond_a_hundred_levels(api: RunningApi) -> None:
    def body(depth: int) -> str:
        nested = "[" * depth + "]" * depth
        return f'{{"tasks":[{{"taskSeq":1,"program":"A","parameters":{{"K":{nested}}}}}]}}'

    def put(depth: int) -> int:
        headers = {"Content-Type": "application/json"}
        return api.client.put("/workflows/deep", content=body(depth), headers=headers).status_code

    assert put(100) == 201
    api.register("deep")
    assert (put(102), put(900), put(100_000)) == (422, 422, 400)


def test_two_people_may_define_a_workflow_at_the_same_moment(api: RunningApi) -> None:
    def put(number: int) -> int:
        tasks = [{"taskSeq": seq, "program": f"P{number}"} for seq in range(1, 51)]
        return api.client.put("/workflows/contended", json={"tasks": tasks}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(put, range(24))) == [200] * 23 + [201]
    programs = {task["program"] for task in api.client.get("/workflows/contended").json()["tasks"]}
    assert len(programs) == 1


def test_a_retry_delay_raises_a_longest_one_that_is_not_given_and_is_refused_beside_one_that_is(
    api: RunningApi,
) -> None:
    def put(**retry: float) -> httpx.Response:
        task = {"taskSeq": 1, "program": "A", "retry": {"maxAttempts": 3, "delaySeconds": 7200, **retry}}
        return api.client.put("/workflows/patient", json={"tasks": [task]})

    assert put().json()["tasks"][0]["retry"]["maxDelaySeconds"] == 7200
    shown = api.client.get("/workflows/patient").json()
    assert shown["tasks"][0]["retry"]["maxDelaySeconds"] == 7200
    assert put(maxDelaySeconds=7200).status_code == 200
    refused = put(maxDelaySeconds=300)
    assert refused.status_code == 422
    assert (
        "its retry delay, 7200 s, is longer than the longest that it may wait, 300 s" in details(refused)[0]
    )
    assert api.client.get("/workflows/patient").json() == shown
