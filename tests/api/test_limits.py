"""``/limits`` and ``/flows/{id}/priority``: flow control over HTTP, in the table and in Redis."""

from typing import Any

import pytest

from api.serving import RunningApi, details
from flower_engine.log.client import send
from flower_engine.projection.database import connect
from flower_watcher.flow_control import ControlLoop


def put(api: RunningApi, path: str, **settings: Any) -> dict[str, Any]:
    reply = api.client.put(f"/limits/{path}", json=settings)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def held(api: RunningApi) -> dict[str, str]:
    async with api.engine() as engine:
        found: dict[bytes, bytes] = await send(engine.client, "HGETALL", engine.keys.limits)
    return {name.decode(): value.decode() for name, value in found.items()}


async def test_a_limit_holds_when_the_answer_comes(own_api: RunningApi) -> None:
    own_api.define("etl", {}, {})
    put(own_api, "program/A", maxRunning=1)
    assert await held(own_api) == {"p:A": "1 - - 0"}
    assert own_api.client.delete("/limits/program/A").status_code == 204
    assert await held(own_api) == {}
    assert own_api.client.delete("/limits/program/A").status_code == 404


async def test_all_settings_are_kept_and_shown(own_api: RunningApi) -> None:
    put(own_api, "global", maxRunning=9)
    put(own_api, "queue/a/b", isPaused=True, reason="move")
    settings = {
        **{"maxRunning": 5, "limitBy": "customer", "maxPerKey": 1, "maxFlows": 3, "atMaxFlows": "skip"},
        **{"countSuspended": True, "rate": 7, "ratePeriodSeconds": 60.0, "fairBy": "customer", "weight": 2.5},
    }
    shown = put(own_api, "workflow/daily load", **settings)
    assert {name: shown[name] for name in settings} == settings
    listed = own_api.client.get("/limits").json()["limits"]
    assert [(row["scope"], row["name"]) for row in listed] == [
        ("global", ""),
        ("queue", "a/b"),
        ("workflow", "daily load"),
    ]
    assert await held(own_api) == {
        "g": "9 - - 0",
        "q:a%2Fb": "- - - 1",
        "w:daily%20load": "5 7 60000 0",
        "wk:daily%20load": "1",
        "f:daily%20load": "3 skip 1",
        "v:daily%20load": "40",
    }


@pytest.mark.parametrize(
    ("path", "settings", "word"),
    [
        ("program/A", {"maxRunning": 0}, "max_running"),
        ("program/A", {"maxFlows": 1}, "max_flows"),
        ("program/A", {"limitBy": "x"}, "limit_by"),
        ("workflow/A", {"weight": 0}, "weight"),
        ("workflow/A", {"rate": 1, "ratePeriodSeconds": 0}, "rate_period_seconds"),
        ("global", {"rate": 1}, "rate"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    api: RunningApi, path: str, settings: dict[str, Any], word: str
) -> None:
    reply = api.client.put(f"/limits/{path}", json=settings)
    assert reply.status_code == 422
    assert any(word in detail for detail in details(reply))


def test_beyond_the_flow_limit_registrations_are_refused_or_skipped(own_api: RunningApi) -> None:
    own_api.define("one", {})
    put(own_api, "workflow/one", maxFlows=1, atMaxFlows="reject")
    first = own_api.register("one")
    reply = own_api.client.post("/register/one")
    assert (reply.status_code, reply.json()["type"].rpartition(":")[2]) == (429, "flow-limit")
    assert own_api.client.post("/register", json=[{"taskId": "one"}]).json()[0]["code"] == 429
    put(own_api, "workflow/one", maxFlows=1, atMaxFlows="skip")
    assert own_api.client.post("/register/one").json() == {
        "status": "succeeded",
        "taskId": "one",
        "taskFlowId": first,
        "duplicate": True,
    }


def test_beyond_the_flow_limit_forks_are_refused_too_and_no_flow_is_named_that_is_not_there(
    own_api: RunningApi,
) -> None:
    own_api.define("one", {})
    flow = own_api.register("one")
    own_api.client.post(f"/flows/{flow}/cancel", json={})
    put(own_api, "workflow/one", maxFlows=1, atMaxFlows="reject")
    other = own_api.register("one")
    reply = own_api.client.post(f"/flows/{flow}/fork", json={"fromTasks": [1]})
    assert (reply.status_code, reply.json()["type"].rpartition(":")[2]) == (429, "flow-limit")
    put(own_api, "workflow/one", maxFlows=1, atMaxFlows="skip")
    told = own_api.client.post(f"/flows/{flow}/fork", json={"fromTasks": [1]}).json()
    assert told["taskFlowId"] == other and "no other was begun" in told["warnings"][0]


def test_a_fork_that_several_keys_would_pin_is_refused_before_as_then(own_api: RunningApi) -> None:
    task = {"program": "A", "parameters": {"customer": "a"}}
    tasks = [{"taskSeq": 1, **task}, {"taskSeq": 2, **task}]
    assert own_api.client.put("/workflows/keyed", json={"pin": "key", "tasks": tasks}).is_success
    put(own_api, "workflow/keyed", limitBy="customer", maxPerKey=1)
    flow = own_api.register("keyed")
    body = {"fromTasks": [1, 2], "taskParameters": {"2": {"customer": "b"}}}
    told = own_api.client.post(f"/flows/{flow}/fork", json={**body, "dryRun": True})
    done = own_api.client.post(f"/flows/{flow}/fork", json=body)
    assert (told.status_code, details(told)) == (done.status_code, details(done))
    assert "several: a, b" in details(done)[0]


async def test_keys_and_units_come_from_the_tables(own_api: RunningApi) -> None:
    own_api.define("keyed", {"parameters": {"customer": "x", "size": 3}, "units": 4})
    put(own_api, "workflow/keyed", fairBy="customer")
    put(own_api, "program/A", limitBy="size", maxPerKey=2)
    reply = own_api.client.post("/register/keyed", json={"parameters": {"customer": "y"}})
    assert reply.status_code == 200
    async with own_api.engine() as engine:
        (flow,) = (await engine.flows()).values()
    planned = flow.task(1).planned
    assert (planned.units, planned.fair_key, planned.program_key) == (4, "y", "3")


async def test_a_flow_under_way_gets_another_priority(own_api: RunningApi) -> None:
    own_api.define("late", {}, {})
    flow = own_api.register("late")
    await own_api.project()
    reply = own_api.client.post(f"/flows/{flow}/priority", json={"priority": -9})
    assert reply.status_code == 200, reply.text
    await own_api.project()
    assert [task["taskPriority"] for task in own_api.flow(flow)["tasks"]] == [-9, -9]
    assert own_api.client.post(f"/flows/{flow}/priority", json={"priority": 99}).status_code == 422


async def test_an_edit_with_sql_reaches_redis_by_the_watcher(own_api: RunningApi) -> None:
    own_api.sql("INSERT INTO ms_flow_control (scope, name, max_running) VALUES ('program', 'A', 3)")
    url = own_api.settings.database_url or ""
    async with own_api.engine() as engine, await connect(url, "test") as connection:
        loop = ControlLoop(engine.client, [engine.partition], url)
        assert await loop.run_once(connection) == ["p:A"]
        assert await loop.run_once(connection) == []
        own_api.sql("DELETE FROM ms_flow_control")
        assert await loop.run_once(connection) == ["p:A"]
    assert await held(own_api) == {}


async def test_a_flow_says_what_stops_its_tasks(own_api: RunningApi) -> None:
    own_api.define("one", {"dependsOn": []}, {"dependsOn": []})
    put(own_api, "workflow/one", maxFlows=1)
    put(own_api, "program/A", maxRunning=1)
    first, second, third = (own_api.register("one") for _ in range(3))
    async with own_api.engine() as engine:
        assert len(await engine.claim(9)) == 1
    await own_api.project()
    reasons = [task["waitReason"] for task in own_api.flow(first)["tasks"]]
    full = {"reason": "limit", "scope": "program", "name": "A", "key": "", "running": 1, "most": 1}
    full |= {"heldBy": [first]}
    assert reasons == [None, full]
    for flow, ahead in ((second, 0), (third, 1)):
        no_place = {"reason": "noPlace", "underWay": 1, "most": 1, "ahead": ahead}
        assert [task["waitReason"] for task in own_api.flow(flow)["tasks"]] == [no_place] * 2
    put(own_api, "queue/default", isPaused=True)
    paused = {"reason": "scopePaused", "scope": "queue", "name": "default", "by": "api", "because": ""}
    assert own_api.flow(first)["tasks"][1]["waitReason"] == paused
