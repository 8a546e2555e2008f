"""Tasks with names: whatever takes a task takes its name, too."""

from typing import Any

import pytest

from api.serving import RunningApi, details

DIAMOND: tuple[dict[str, Any], ...] = (
    {"taskName": "list_files", "parameters": {"PATH": "/in"}},
    {"taskName": "left", "dependsOn": ["list_files"]},
    {"taskName": "right", "dependsOn": [1]},
    {"taskName": "combine", "dependsOn": ["left", 3], "parameters": {"PATH": "/out"}},
)


def refusal(api: RunningApi, verb: str, path: str, body: Any, status: int) -> str:
    reply = api.client.request(verb, path, json=body)
    assert reply.status_code == status, reply.text
    (detail,) = details(reply)
    return detail


def test_dependencies_are_named_and_kept_as_numbers(api: RunningApi) -> None:
    api.define("named", *DIAMOND)
    shown = api.client.get("/workflows/named").json()
    assert [task["taskName"] for task in shown["tasks"]] == ["list_files", "left", "right", "combine"]
    assert [task["dependsOn"] for task in shown["tasks"]] == [None, [1], [1], [2, 3]]
    assert api.client.put("/workflows/named", json=shown).status_code == 200
    assert api.client.get("/workflows/named").json() == shown


@pytest.mark.parametrize(
    ("tasks", "problem"),
    [
        ([{"dependsOn": ["nobody"]}], "task_seq 1) depends on task 'nobody', which does not exist"),
        ([{"taskName": "a"}, {"taskName": "b", "dependsOn": ["A"]}], "does not exist; nearest: a"),
        ([{"taskName": "a"}, {"taskName": "a"}], "task_seq 2) has the name 'a', which is that of task_seq 1"),
        ([{"taskName": "a", "dependsOn": ["a"]}], "task_seq 1) depends on itself"),
        ([{"taskName": "7"}], "task_seq 1) has the name '7'; a name is letters"),
        ([{"taskName": "a" * 129}], "has the name 'aaaa"),
        ([{"taskName": "a\n"}], "has the name 'a\\n'"),
        ([{"taskName": ""}], "has the name ''"),
        ([{"taskName": "ä"}], "has the name 'ä'"),
    ],
)
def test_names_that_cannot_be_are_refused_by_row(
    api: RunningApi, tasks: list[dict[str, Any]], problem: str
) -> None:
    rows = [{"taskSeq": number, "program": "A", **task} for number, task in enumerate(tasks, start=1)]
    assert problem in refusal(api, "PUT", "/workflows/misnamed", {"tasks": rows}, 422)


def test_names_in_rows_edited_with_sql_are_checked_at_registration(api: RunningApi) -> None:
    api.define("by-sql", {}, {})
    api.sql("UPDATE ms_task_definition SET task_name = 'same' WHERE task_id = 'by-sql'")
    assert "which is that of task_seq 1" in refusal(api, "POST", "/register/by-sql", None, 422)
    api.sql("UPDATE ms_task_definition SET task_name = NULL WHERE task_id = 'by-sql' AND task_seq = 2")
    assert api.client.post("/register/by-sql").status_code == 200


def test_parameters_are_set_for_a_task_by_name(api: RunningApi) -> None:
    api.define("set", *DIAMOND)
    given = {"combine": {"PATH": "/other"}, "1": {"PATH": "/first"}}
    flow = api.client.post("/register/set", json={"taskParameters": given}).json()["taskFlowId"]
    paths = [task["parameters"].get("PATH") for task in api.flow(flow)["tasks"]]
    assert paths == ["/first", None, None, "/other"]
    twice = {"taskParameters": {"combine": {"PATH": "/a"}, "4": {"PATH": "/b"}}}
    assert "parameters are given already" in refusal(api, "POST", "/register/set", twice, 422)
    unknown = {"taskParameters": {"combin": {"PATH": "/a"}}}
    assert "it has 1 (list_files), 2 (left), 3 (right), 4 (combine); nearest: combine" in refusal(
        api, "POST", "/register/set", unknown, 422
    )
    entries = api.client.post("/register", json=[{"taskId": "set", "taskParameters": given}]).json()
    assert entries[0]["status"] == "succeeded"


async def test_tasks_of_a_flow_are_named(own_api: RunningApi) -> None:
    own_api.define("worked", *DIAMOND)
    flow = own_api.register("worked")
    path = f"/flows/{flow}"
    assert own_api.client.get(f"{path}/tasks/combine").json()["taskExecSeq"] == 4
    assert "has no task 'combin'; nearest: combine" in refusal(
        own_api, "GET", f"{path}/tasks/combin", None, 404
    )
    assert own_api.client.get(f"{path}/tasks/no-name").status_code == 422
    ignored = own_api.client.post(f"{path}/ignore", json={"tasks": ["left", "right", 2]})
    assert ignored.json()["tasks"] == [2, 3], ignored.text
    assert own_api.client.post(f"{path}/unignore", json={"tasks": ["right"]}).json()["tasks"] == [3]
    nobody = {"tasks": ["nobody"]}
    assert "it has no task 'nobody'" in refusal(own_api, "POST", f"{path}/ignore", nobody, 409)
    async with own_api.engine() as engine:
        await engine.work_off()
        rerun = {"tasks": ["combine"], "taskParameters": {"combine": {"PATH": "/again"}}}
        assert own_api.client.post(f"{path}/rerun", json=rerun).json()["tasks"] == [4]
        assert own_api.flow(flow)["tasks"][3]["parameters"] == {"PATH": "/again"}
        await engine.work_off()
        await engine.check()
    await own_api.project()
    assert own_api.client.get(f"{path}/tasks/right").json()["taskName"] == "right"
    forked = own_api.client.post(f"{path}/fork", json={"fromTasks": ["right"]})
    tasks = own_api.flow(forked.json()["taskFlowId"])["tasks"]
    assert [(task["taskName"], task["status"]) for task in tasks] == [
        ("list_files", "Finish"),
        ("left", "Ignore"),
        ("right", "Wait"),
        ("combine", "Wait"),
    ]
    elsewhere = {"tasks": ["left"], "taskParameters": {"right": {"PATH": "/"}}}
    assert "is not among the tasks" in refusal(own_api, "POST", f"{path}/rerun", elsewhere, 422)
