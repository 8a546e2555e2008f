"""Times that no store or reader can hold: refused at every door, shown as such where they are in already."""

import asyncio
import base64
import json
from typing import Any

import pytest
from typer.testing import CliRunner

from api.serving import RunningApi, details
from cli.whole_command import app
from flower_engine.model.definitions.definition import TaskDefinition

YEAR_10000_MS = 253_402_387_139_000  # 9999-12-31T23:59:59-23:59
BEYOND = [
    "9999-12-31T23:59:59-23:59",
    "9999-12-31T23:59:59Z",
    "9900-01-01T00:00:01",
    "9900-01-01T00:00:00-00:01",
    "1969-12-31T23:59:59",
    "1970-01-01T00:00:00+00:01",
    "0001-01-01",
    "0001-01-01T00:00:00+23:59",
]
WITHIN = ["1970-01-01", "9900-01-01", "9900-01-01T23:59:00+23:59", "2026-02-03T04:05:06.789+01:00"]


def cursor(*place: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


@pytest.mark.parametrize("time", BEYOND)
def test_a_time_that_cannot_be_held_is_refused_at_every_door(api: RunningApi, time: str) -> None:
    api.define("times", {})
    flow = api.register("times")
    replies = [
        api.client.post("/register/times", json={"startAt": time}),
        api.client.get("/flows", params={"since": time}),
        api.client.get("/flows", params={"until": time}),
        api.client.get("/flows", params={"cursor": cursor(time + ("" if "T" in time else "T00:00Z"), "x")}),
        api.client.get("/tasks", params={"since": time}),
        api.client.get("/tasks", params={"until": time}),
        api.client.get(f"/flows/{flow}", params={"at": time}),
        api.client.get(f"/flows/{flow}/tasks/1", params={"at": time}),
        *(
            api.client.post("/bulk", json={"operation": "cancel", "dryRun": True, "filter": {bound: time}})
            for bound in ("since", "until")
        ),
    ]
    for reply in replies:
        assert reply.status_code == 422, (reply.request.url, reply.text)
        details(reply)
    (entry,) = api.client.post("/register", json=[{"taskId": "times", "startAt": time}]).json()
    assert entry["code"] == 422 and "startAt" in entry["description"]
    assert api.client.get("/flows").status_code == 200


@pytest.mark.parametrize("time", WITHIN)
async def test_a_time_that_can_be_held_is_taken_and_shown_by_every_reader(api: RunningApi, time: str) -> None:
    api.define("held", {})
    flow = api.client.post("/register/held", json={"startAt": time}).json()["taskFlowId"]
    before = api.flow(flow)
    await api.project()
    after = api.flow(flow)
    assert before["startTs"] == after["startTs"] and not after["unreadable"]
    assert api.client.get("/flows", params={"since": time}).status_code == 200
    assert api.client.get(f"/flows/{flow}", params={"at": time}).status_code in (200, 404)


@pytest.mark.parametrize("seconds", [1e300, 4e8, 10**400, -1e-9, -1])
def test_a_delay_without_end_is_refused(api: RunningApi, seconds: float) -> None:
    api.define("delayed", {})
    body = json.dumps({"delaySeconds": seconds})
    reply = api.client.post("/register/delayed", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code in (400, 422)
    details(reply)


@pytest.mark.parametrize("start_ms", [YEAR_10000_MS, 8_000_000_000_000_000])
async def test_a_flow_that_an_older_version_took_fails_no_reader(
    own_api: RunningApi, monkeypatch: pytest.MonkeyPatch, start_ms: int
) -> None:
    own_api.define("old", {})
    async with own_api.engine() as engine:
        old = await engine.register(TaskDefinition(task_seq=1, program="A"), start_ms=start_ms)
    other = own_api.register("old")

    def check(flow: dict[str, Any]) -> None:
        assert flow["startTs"].startswith("9999-12-31T23:59:59")
        (why,) = flow["unreadable"]
        assert "startTs" in why

    check(own_api.flow(old))
    await own_api.project()
    check(own_api.flow(old))
    assert own_api.client.get(f"/flows/{old}/tasks/1").status_code == 200
    assert own_api.client.get(f"/flows/{old}/events").status_code == 200
    flows = own_api.client.get("/flows").json()["flows"]
    assert {flow["taskFlowId"] for flow in flows} == {old, other}
    check(next(flow for flow in flows if flow["taskFlowId"] == old))
    monkeypatch.setenv("FLOWER_URL", own_api.url)
    monkeypatch.setenv("FLOWER_REDIS_URL", own_api.settings.redis_url or "")
    monkeypatch.setenv("FLOWER_DATABASE_URL", own_api.settings.database_url or "")
    for words in (["flows"], ["show", old], ["why", old], ["show", old, "--json"], ["verify"]):
        result = await asyncio.to_thread(CliRunner().invoke, app, words)
        assert result.exit_code == 0, result.output
    assert own_api.client.post(f"/flows/{old}/cancel", json={}).status_code == 200
    await own_api.project()
    check(own_api.flow(old))


async def test_rows_with_times_that_only_sql_takes_fail_no_reader(own_api: RunningApi) -> None:
    own_api.define("edited", {})
    flow = own_api.register("edited")
    await own_api.project()
    own_api.sql("UPDATE kr_flow_stat SET start_ts = 'infinity', paused_ts = '-infinity'")
    own_api.sql("UPDATE kr_task_stat SET registered_ts = '4000-01-01 BC'")
    view = own_api.flow(flow)
    assert view["startTs"].startswith("9999") and view["pausedTs"].startswith("0001")
    assert [mark.partition(":")[0] for mark in view["unreadable"]] == ["startTs", "pausedTs", "task 1"]
    assert own_api.client.get("/flows").status_code == 200


@pytest.mark.parametrize("bound", ["--since", "--until"])
@pytest.mark.parametrize("command", ["verify", "replay"])
def test_commands_refuse_such_times_too(command: str, bound: str) -> None:
    refused = CliRunner().invoke(app, [command, bound, "9999-12-31"])
    assert refused.exit_code == 2 and "9900" in refused.output
