"""Rows of ms_task_definition that people edited with SQL may hold anything."""

import json
from importlib.resources import files
from typing import Any

import pytest

from api.serving import RunningApi, details
from flower_cli.yaml_documents import documents_of
from unit.pages import blocks

_COLUMNS = "task_id, task_seq, program, task_priority"


def _insert(api: RunningApi, workflow: str, **columns: Any) -> None:
    row = {"task_seq": 1, "program": "A", "task_priority": 0} | columns
    names = ", ".join(["task_id", *row])
    marks = ", ".join(["%s"] * (len(row) + 1))
    api.sql(f"INSERT INTO ms_task_definition ({names}) VALUES ({marks})", workflow, *row.values())  # noqa: S608


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"task_seq": "1.5"}, "task_seq 1.5) has a task_seq that is not a whole number"),
        ({"task_seq": "NaN"}, "task_seq NaN) has a task_seq that is not a whole number"),
        ({"task_seq": "Infinity"}, "task_seq Infinity) has a task_seq that is not a whole number"),
        ({"task_seq": "1e1000"}, "has a task_seq that is not a whole number up to"),
        ({"task_priority": "0.1"}, "task_seq 1) has priority 0.1"),
        ({"task_priority": "NaN"}, "task_seq 1) has priority NaN"),
        ({"task_priority": "-21"}, "task_seq 1) has priority -21, outside -20..19"),
        ({"program": ""}, "task_seq 1) names no program"),
        ({"queue": ""}, "task_seq 1) names no queue"),
        ({"param2_value": "v"}, "task_seq 1) has param2_value but no param2_key"),
        ({"param2_key": "", "param2_value": "v"}, "task_seq 1) has param2_value but no param2_key"),
        ({"param1_key": "K", "param3_key": "K"}, "task_seq 1) has the parameter 'K' twice"),
        ({"parameters": "[1]"}, "task_seq 1) has parameters that are not a JSON object"),
        ({"parameters": "null"}, "task_seq 1) has parameters that are not a JSON object"),
        ({"parameters": '{"K": 1e5000}'}, "task_seq 1) has parameters that are not a JSON object of usable"),
        ({"parameters": '{"K": ' + "[" * 500 + "]" * 500 + "}"}, "'K' that is nested deeper than 100 levels"),
        ({"parameters": '{"K": ' + "[" * 3000 + "]" * 3000 + "}"}, "task_seq 1) has parameters that are not"),
        ({"depends_on": "{{1,2},{3,4}}"}, "task_seq 1) has a depends_on that is not a plain list"),
        ({"task_seq": "9" * 100_000}, "has a task_seq that is not a whole number up to"),
        ({"task_priority": "9" * 100_000}, "..., which is not a whole number"),
        ({"program": "\n"}, "task_seq 1) names no program"),
        ({"queue": "a\tb"}, "task_seq 1) names no queue"),
        ({"units": -1}, "task_seq 1) weighs -1 units"),
        ({"max_rounds": 0}, "task_seq 1) has max_rounds 0, outside 1..10000"),
        ({"max_attempts": 0}, "max_attempts is 0"),
        ({"max_attempts": 2, "retry_backoff": "1" + "0" * 400}, "its retry backoff is inf"),
        ({"max_attempts": 2, "retry_delay_seconds": "-1"}, "its retry delay is -1 s"),
        ({"max_attempts": 2, "no_retry_on": "{{a,b},{c,d}}"}, "no_retry_on that is not a plain list"),
        ({"timeout_seconds": "NaN"}, "timeout_seconds NaN, which is no usable"),
        ({"timeout_seconds": "0." + "1" * 5_000}, "give at most three decimals"),
        ({"queue_timeout_seconds": "Infinity"}, "queue_timeout_seconds Infinity, which is no usable"),
        ({"parameters": '{"K": ' + "9" * 5_000 + "}"}, "not a JSON object of usable values"),
        ({"parameters": '{"' + "K" * 5_000 + '": ' + "[" * 200 + "]" * 200 + "}"}, "nested deeper than"),
        ({"depends_on": "[0:0]={7}"}, "task_seq 1) depends on task_seq 7, which does not exist"),
        ({"depends_on": "{NULL}"}, "task_seq 1) has a depends_on that is not a plain list"),
        ({"depends_on": "{2}"}, "task_seq 1) depends on task_seq 2, which does not exist"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(api: RunningApi, columns: dict[str, Any], said: str) -> None:
    api.sql("DELETE FROM ms_task_definition")
    _insert(api, "edited", **columns)
    reply = api.client.post("/register/edited")
    assert reply.status_code == 422
    (problem,) = details(reply)
    assert problem.startswith("row (task_id 'edited', task_seq ")
    assert said in problem
    assert len(problem) < 1_000
    listed = api.client.get("/workflows").json()["workflows"]
    assert listed == [{"taskId": "edited", "taskCount": 1, "problem": problem}]


def test_all_rows_that_cannot_be_understood_are_named_when_the_definition_is_shown(api: RunningApi) -> None:
    _insert(api, "shown", task_seq="0.5")
    _insert(api, "shown", task_seq=2, task_priority="0.5", param1_value="v")
    _insert(api, "shown", task_seq=3)
    reply = api.client.get("/workflows/shown")
    assert reply.status_code == 422
    assert len(details(reply)) == 3


def test_pairs_and_json_are_read_as_one_and_json_wins(api: RunningApi) -> None:
    _insert(
        api,
        "merged",
        task_seq="1.0",
        task_priority="10.00",
        param1_key="A",
        param1_value="1",
        param3_key="B",
        param3_value="2",
        param4_key="NOTHING",
        param5_key="",
        param5_value="",
        parameters='{"B": 3, "C": [true], "big": 123456789012345678901234567890}',
    )
    (task,) = api.client.get("/workflows/merged").json()["tasks"]
    assert task["parameters"] == {
        "A": "1",
        "B": 3,
        "NOTHING": None,
        "C": [True],
        "big": 123456789012345678901234567890,
    }
    assert (task["taskSeq"], task["taskPriority"], task["queue"], task["dependsOn"]) == (
        1,
        10,
        "default",
        None,
    )
    assert api.flow(api.register("merged"))["tasks"][0]["parameters"] == task["parameters"]


def test_too_many_rows_are_refused_without_reading_them_all(api: RunningApi) -> None:
    api.sql(
        f"INSERT INTO ms_task_definition ({_COLUMNS})"  # noqa: S608
        " SELECT 'endless', number, 'A', 0 FROM generate_series(1, 20000) AS number"
    )
    reply = api.client.post("/register/endless")
    assert reply.status_code == 422
    assert "more than 10000 tasks" in details(reply)[0]


def test_the_seeds_example_rows_are_a_workflow(api: RunningApi) -> None:
    api.sql((files("flower_schema") / "example.sql").read_text())
    tasks = api.client.get("/workflows/example").json()["tasks"]
    assert [task["program"] for task in tasks] == [
        "EchoRandomTimeSleep",
        "EchoParamTimeSleep",
        "HTTPPostRequest",
    ]
    flow = api.flow(api.register("example"))
    assert [task["dependsOn"] for task in flow["tasks"]] == [[], [1], [2]]
    assert flow["tasks"][1]["parameters"] == {"SLEEP_TIME_SECOND": "3"}


def test_workflows_that_cannot_be_run_are_listed_with_the_reason_beside_the_others(api: RunningApi) -> None:
    api.sql("DELETE FROM ms_task_definition")
    api.define("fine", {}, {})
    _insert(api, "broken")
    api.sql("INSERT INTO ms_workflow VALUES ('broken', 'NaN')")
    _insert(api, "named/\n")
    _insert(api, "")
    api.sql(
        f"INSERT INTO ms_task_definition ({_COLUMNS})"  # noqa: S608
        " SELECT 'vast', number, 'A', 0 FROM generate_series(1, 10001) AS number"
    )
    listed = {row["taskId"]: row for row in api.client.get("/workflows").json()["workflows"]}
    assert listed["fine"] == {"taskId": "fine", "taskCount": 2}
    assert "flow_timeout_seconds NaN" in listed["broken"]["problem"]
    assert "without control characters" in listed["named/\n"]["problem"]
    assert "its name must be 1 to 256 characters" in listed[""]["problem"]
    assert "more than 10000 tasks" in listed["vast"]["problem"]
    api.sql("DELETE FROM ms_task_definition")


_PAGE = "workflows.md"
_SAID: list[dict[str, Any]] = [
    document
    for block in blocks(_PAGE, "yaml")
    if block.startswith("taskId: ")
    for document in documents_of(block.encode())
]
_COLUMNS_OF = {"taskName": "task_name", "onFailure": "on_failure", "rule": "rule", "finally": "finally"}
_JSON_OF = {"parameters": "parameters", "standIn": "stand_in", "when": "when_is"}


def _put(api: RunningApi, document: dict[str, Any]) -> dict[str, Any]:
    """Defines a workflow of the page over HTTP, and what it is made of; what is shown of it."""
    small = {"tasks": [{"taskSeq": 1, "program": "A"}]}
    api.client.put("/workflows/one_day", json=small).raise_for_status()
    name = document["taskId"]
    reply = api.client.put(f"/workflows/{name}", json={**document, "taskId": name})
    assert reply.status_code < 300, reply.text
    shown: dict[str, Any] = api.client.get(f"/workflows/{name}").json()
    return shown


@pytest.mark.parametrize("document", _SAID, ids=lambda document: document["taskId"])
def test_a_workflow_is_the_same_as_rows_of_sql(api: RunningApi, document: dict[str, Any]) -> None:
    """Rules, waits, maps, branches, sub-flows and cleanups: as people write them in YAML, row by row."""
    said, name = _put(api, document), "as rows"
    numbers = {task.get("taskName"): task["taskSeq"] for task in document["tasks"]}
    api.sql("DELETE FROM ms_task_definition WHERE task_id = %s", name)
    for task in document["tasks"]:
        row: dict[str, Any] = {column: task[field] for field, column in _COLUMNS_OF.items() if field in task}
        row |= {column: json.dumps(task[field]) for field, column in _JSON_OF.items() if field in task}
        row["depends_on"] = [numbers.get(one, one) for one in task["dependsOn"]]
        row["max_attempts"] = task.get("retry", {}).get("maxAttempts")
        _insert(api, name, task_seq=task["taskSeq"], program=task["program"], **row)
    shown = api.client.get(f"/workflows/{name}").json()
    assert shown["tasks"] == said["tasks"]


def test_the_rows_of_the_page_are_those_of_its_workflows(api: RunningApi) -> None:
    said = {document["taskId"]: _put(api, document) for document in _SAID}
    tried: list[str] = []
    for block in blocks(_PAGE, "sql"):
        (name,) = [name for name in said if f"('{name}', " in block]
        for seq in [
            task["taskSeq"] for task in said[name]["tasks"] if f"('{name}', {task['taskSeq']}," in block
        ]:
            api.sql("DELETE FROM ms_task_definition WHERE task_id = %s AND task_seq = %s", name, seq)
        assert api.client.get(f"/workflows/{name}").json() != said[name]
        api.sql(block)
        assert api.client.get(f"/workflows/{name}").json() == said[name]
        tried.append(name)
    assert sorted(tried) == ["counted", "loading", "published"]
