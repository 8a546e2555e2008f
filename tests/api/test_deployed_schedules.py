"""POST /deploy with schedules: planned, compared, pruned, refused, with the workflows that they are for."""

from typing import Any

import pytest

from api.serving import RunningApi

Json = dict[str, Any]


def workflow(name: str, **more: Any) -> Json:
    tasks = [{"taskSeq": 1, "program": "A", "parameters": {"day": {"$param": "day"}}}]
    return {"taskId": name, "tasks": tasks, **more}


def schedule(name: str, task_id: str, **more: Any) -> Json:
    said = {
        "schedule": name,
        "taskId": task_id,
        "cron": "0 3 * * *",
        "parameters": {"day": {"$slot": "date"}},
    }
    return said | more


def deploy(api: RunningApi, source: str, workflows: list[Json], schedules: list[Json], **more: Any) -> Json:
    body = {"source": source, "workflows": workflows, "schedules": schedules, **more}
    reply = api.client.post("/deploy", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def actions(plan: Json) -> dict[str, str]:
    return {one["schedule"]: one["action"] for one in plan["schedules"]}


def texts(plan: Json, name: str, what: str = "differences") -> list[str]:
    (one,) = (one for one in plan["schedules"] if one["schedule"] == name)
    return [difference["text"] for difference in one.get(what, [])]


def test_schedules_come_with_their_workflow_and_are_compared(api: RunningApi) -> None:
    flows, wanted = [workflow("d/a")], schedule("d-a", "d/a", timezone="Europe/Berlin", windowSeconds=300)
    plan = deploy(api, "d", flows, [wanted], check=True)
    assert actions(plan) == {"d-a": "new"} and not plan["applied"]
    assert api.client.get("/schedules/d-a").status_code == 404
    more = {"expected": plan["expected"], "expectedSchedules": plan["expectedSchedules"]}
    assert actions(deploy(api, "d", flows, [wanted], **more)) == {"d-a": "new"}
    shown = api.client.get("/schedules/d-a").json()
    assert (shown["state"], shown["source"]) == ("active", "d")
    again = deploy(api, "d", flows, [shown["definition"]], check=True)  # what is shown changes nothing
    assert actions(again) == {"d-a": "unchanged"}
    api.client.post("/schedules/d-a/pause").raise_for_status()
    changed = deploy(api, "d", flows, [wanted | {"cron": "0 4 * * *", "windowSeconds": 600}])
    assert texts(changed, "d-a") == ['cron "0 3 * * *" -> "0 4 * * *"', "window 5m -> 10m"]
    assert api.client.get("/schedules/d-a").json()["state"] == "paused"  # somebody holds it


def test_what_sql_edited_since_is_drift(api: RunningApi) -> None:
    flows, wanted = [workflow("drift/a")], schedule("drift-a", "drift/a")
    deploy(api, "drift", flows, [wanted])
    api.sql("UPDATE ms_schedule SET overlap = 'allow' WHERE name = 'drift-a'")
    plan = deploy(api, "drift", flows, [wanted], check=True)
    assert texts(plan, "drift-a", "drift") == ['overlap unset -> "allow"']
    assert texts(plan, "drift-a") == ['overlap "allow" -> unset']
    api.sql("UPDATE ms_schedule SET cron = '99 * * * *' WHERE name = 'drift-a'")
    broken = deploy(api, "drift", flows, [wanted], check=True)["schedules"][0]
    assert "cron" in broken["problem"] and broken["action"] == "changed"
    api.sql("DELETE FROM ms_schedule WHERE name = 'drift-a'")
    gone = deploy(api, "drift", flows, [wanted])
    assert (actions(gone), texts(gone, "drift-a", "drift")) == (
        {"drift-a": "new"},
        ["its row was deleted with SQL"],
    )
    assert actions(deploy(api, "drift", flows, [wanted], check=True)) == {"drift-a": "unchanged"}


def test_only_what_the_source_brought_is_pruned(api: RunningApi) -> None:
    flows = [workflow("p/a")]
    deploy(api, "p", flows, [schedule(f"p-{name}", "p/a") for name in ("kept", "gone", "taken")])
    deploy(api, "p-other", [], [schedule("p-other", "p/a")])
    own = schedule("p-taken", "p/a", cron="@daily")
    api.client.put("/schedules/p-taken", json=own).raise_for_status()  # somebody has made it theirs
    api.sql("INSERT INTO ms_schedule (name, task_id, cron) VALUES ('p-sql', 'p/a', '@daily')")
    assert actions(deploy(api, "p", flows, [schedule("p-kept", "p/a")])) == {"p-kept": "unchanged"}
    done = deploy(api, "p", flows, [schedule("p-kept", "p/a")], prune=True)
    assert actions(done) == {"p-kept": "unchanged", "p-gone": "pruned"}
    left = api.client.get("/schedules", params={"taskId": "p/a"}).json()["schedules"]
    assert [one["schedule"] for one in left] == ["p-kept", "p-other", "p-sql", "p-taken"]


def test_a_plan_that_moved_is_refused(api: RunningApi) -> None:
    flows, wanted = [workflow("m/a")], schedule("m-a", "m/a")
    plan = deploy(api, "m", flows, [wanted], check=True)
    deploy(api, "m", flows, [schedule("m-a", "m/a", cron="@hourly")])
    body = {"source": "m", "workflows": flows, "schedules": [wanted]}
    reply = api.client.post("/deploy", json=body | {"expectedSchedules": plan["expectedSchedules"]})
    assert (reply.status_code, reply.json()["type"]) == (409, "urn:flower:problem:plan-moved")
    assert "m-a" in reply.json()["detail"]


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"cron": "x"}, "/cron"),
        ({"timezone": "Nowhere"}, "/timezone"),
        ({"parameters": {}}, "/parameters/day"),
        ({"parameters": {"day": 1, "other": 2}}, "/parameters/other"),
        ({"taskId": "w/nobody"}, "/taskId"),
        ({"schedule": "w-1"}, "/schedule"),
        ({"maxCatchUp": "many"}, "/maxCatchUp"),
    ],
)
def test_nothing_is_deployed_where_one_schedule_is_wrong(api: RunningApi, wrong: Json, pointer: str) -> None:
    schema = {
        "type": "object",
        "properties": {"day": {"type": ["string", "integer"]}},
        "required": ["day"],
        "additionalProperties": False,
    }
    flows = [workflow("w/a", parametersSchema=schema)]
    schedules = [schedule("w-1", "w/a"), schedule("w-2", "w/a") | wrong]
    reply = api.client.post("/deploy", json={"source": "w", "workflows": flows, "schedules": schedules})
    assert reply.status_code == 422, reply.text
    assert f"#/schedules/1{pointer}" in {one.get("pointer") for one in reply.json()["problems"]}, reply.text
    assert api.client.get("/schedules/w-1").status_code == 404
    assert api.client.get("/workflows/w/a").status_code == 404


def test_a_workflow_that_no_longer_takes_what_its_schedules_give(api: RunningApi) -> None:
    before = workflow("n/a")
    deploy(api, "n", [before], [schedule("n-mine", "n/a"), schedule("n-too", "n/a")])
    api.sql(
        "INSERT INTO ms_schedule (name, task_id, cron, parameters)"
        " SELECT 'n-sql', task_id, cron, parameters FROM ms_schedule WHERE name = 'n-mine'"
    )
    after = {"taskId": "n/a", "tasks": [{"taskSeq": 1, "program": "A"}]}
    body = {"source": "n", "workflows": [after], "schedules": [schedule("n-mine", "n/a")]}
    refused = api.client.post("/deploy", json=body)
    assert refused.status_code == 422 and "#/schedules/0/parameters" in refused.text
    fitting = schedule("n-mine", "n/a", parameters={})
    done = deploy(api, "n", [after], [fitting])
    assert {"n-too", "n-sql"} == {name for name in ("n-too", "n-sql") if name in str(done["warnings"])}
    assert api.client.get("/schedules/n-too").json()["state"] == "problem"
