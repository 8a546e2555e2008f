"""``/tasks`` finds what failed, across workflows; ``/bulk`` does the same to many flows."""

import json
from typing import Any

import pytest

from api.serving import RunningApi, details
from scripts.engine import Engine


async def fail(api: RunningApi, engine: Engine, workflow: str, message: str, count: int = 1) -> list[str]:
    """Flows of one task each that fail with this message, oldest first."""
    api.define(workflow, {"program": workflow})
    flows = [api.register(workflow) for _ in range(count)]
    engine.programs.add(workflow)
    payload = json.dumps({"type": "LookupError", "message": message, "traceback": "lines"}).encode()
    for claim in sorted(await engine.claim(), key=lambda claim: flows.index(claim.flow)):
        await engine.fail(claim, payload=payload)
    await api.project()
    return flows


def tasks(api: RunningApi, **query: Any) -> dict[str, Any]:
    reply = api.client.get("/tasks", params=query)
    assert reply.status_code == 200, reply.text
    return reply.json()


def flows_of(page: dict[str, Any]) -> list[str]:
    return [task["taskFlowId"] for task in page["tasks"]]


async def test_failed_tasks_are_found_newest_first_with_filters(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        bad = await fail(own_api, engine, "books", "no such Book 100%", 3)
        worse = await fail(own_api, engine, "mail", "no such host", 2)
        own_api.define("good", {})
        own_api.register("good")
        await engine.work_off()
        await own_api.project()
        assert set(flows_of(tasks(own_api))) == {*bad, *worse}
        assert flows_of(tasks(own_api))[0] in worse
        entry = tasks(own_api, taskId="books", limit=1)["tasks"][0]
        assert entry["error"] == {"type": "LookupError", "message": "no such Book 100%"}
        assert entry["suspendedTs"] and entry["program"] == "books"
        assert set(flows_of(tasks(own_api, error="book 100%"))) == set(bad)
        assert flows_of(tasks(own_api, error="book 1%0")) == []
        assert set(flows_of(tasks(own_api, program="mail", status="suspended"))) == set(worse)
        assert flows_of(tasks(own_api, until="2020-01-01")) == []
        own_api.client.post(f"/flows/{bad[0]}/resume").raise_for_status()
        await own_api.project()
        assert bad[0] not in flows_of(tasks(own_api)), "only what is suspended now"


async def test_pages_of_failed_tasks_join_without_gaps(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flows = await fail(own_api, engine, "books", "no", 7)
    for query in ({}, {"error": "no"}):
        found: list[str] = []
        page = tasks(own_api, limit=3, **query)
        found += flows_of(page)
        while page["next"]:
            page = tasks(own_api, limit=3, cursor=page["next"], **query)
            found += flows_of(page)
        assert sorted(found) == sorted(flows)
        assert len(found) == 7


async def test_tasks_that_wait_for_a_retry_are_found(own_api: RunningApi) -> None:
    own_api.define("retried", {"retry": {"maxAttempts": 2, "delaySeconds": 600}})
    flow = own_api.register("retried")
    async with own_api.engine() as engine:
        await engine.fail(*await engine.claim())
    await own_api.project()
    (task,) = tasks(own_api, status="retrying")["tasks"]
    assert task["taskFlowId"] == flow and task["retryTs"]


@pytest.mark.parametrize(
    "query",
    [{"status": "Running"}, {"cursor": "x"}, {"limit": 0}, {"error": ""}, {"since": "x"}, {"error": "a\0"}],
)
def test_a_wrong_question_is_refused(api: RunningApi, query: dict[str, Any]) -> None:
    reply = api.client.get("/tasks", params=query)
    assert reply.status_code == 422
    assert details(reply)


async def test_many_flows_are_counted_then_operated_on_with_progress(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        books = await fail(own_api, engine, "books", "no such book", 5)
        await fail(own_api, engine, "mail", "no such host", 2)
        body: dict[str, Any] = {"operation": "resume", "filter": {"status": ["Suspend"], "error": "BOOK"}}
        count = own_api.client.post("/bulk", json={**body, "dryRun": True}).json()
        assert count == {"kind": "count", "matches": 5, "more": False}
        reply = own_api.client.post("/bulk", json=body)
        assert reply.headers["content-type"] == "application/x-ndjson"
        result = json.loads(reply.text.splitlines()[-1])
        operated = result.pop("operated")
        assert result == {"kind": "result", "ended": "finished", "done": 5, "refused": 0, "refusals": []}
        assert operated == [
            {"taskFlowId": flow, "did": "rerun", "tasks": [], "priority": None} for flow in books
        ]
        assert {claim.flow for claim in await engine.work_off()} == set(books)
        await own_api.project()
        body = {"operation": "cancel", "filter": {"taskId": "books"}}
        result = json.loads(own_api.client.post("/bulk", json=body).text.splitlines()[-1])
        assert (result["done"], result["refused"]) == (0, 5)
        assert "it has ended (Finish)" in result["refusals"][0]["detail"]
        body = {"operation": "ignore", "filter": {"taskId": "mail"}, "reason": "gone"}
        result = json.loads(own_api.client.post("/bulk", json=body).text.splitlines()[-1])
        assert result["done"] == 2
        for one in result["operated"]:
            assert one["tasks"] == [1]
            back = own_api.client.post(f"/flows/{one['taskFlowId']}/unignore", json={"tasks": one["tasks"]})
            assert back.status_code == 200
        await engine.check()


async def test_many_flows_are_rerun_as_a_mended_definition_has_them(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        books = await fail(own_api, engine, "books", "no such book", 3)
        engine.programs.add("mended")
        own_api.define("books", {"program": "mended"})
        body = {"operation": "rerun", "filter": {"taskId": "books"}, "workflowVersion": "newest"}
        result = json.loads(own_api.client.post("/bulk", json=body).text.splitlines()[-1])
        assert (result["done"], result["refused"]) == (3, 0)
        await own_api.project()
        assert {own_api.flow(flow)["tasks"][0]["program"] for flow in books} == {"mended"}
        assert len(await engine.work_off()) == 3
        await engine.check()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"operation": "delete", "filter": {}},
        {"operation": "cancel"},
        {"operation": "cancel", "filter": {"status": ["Lost"]}},
        {"operation": "cancel", "filter": {"since": "x"}},
    ],
)
def test_a_malformed_operation_on_many_is_refused(api: RunningApi, body: Any) -> None:
    assert api.client.post("/bulk", json=body).status_code == 422


async def test_failures_that_are_alike_are_operated_on_and_no_others(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        books = await fail(own_api, engine, "books", "no book 17", 3)
        others = await fail(own_api, engine, "mail", "no such host", 2)
        groups = own_api.client.get("/errors").json()["groups"]
        (group,) = [one for one in groups if one["shape"] == "no book N"]
        fault = {name: group[name] for name in ("program", "type", "shape")}
        body: dict[str, Any] = {"operation": "rerun", "filter": {"fault": fault}}
        count = own_api.client.post("/bulk", json={**body, "dryRun": True}).json()
        assert (count["matches"], count["tasks"]) == (3, 3)
        assert [(one["taskFlowId"], one["taskId"], one["tasks"]) for one in count["flows"]] == [
            (flow, "books", [1]) for flow in books
        ]
        narrowed = {**body, "filter": {"fault": fault, "taskId": "mail"}, "dryRun": True}
        assert own_api.client.post("/bulk", json=narrowed).json()["matches"] == 0
        result = json.loads(own_api.client.post("/bulk", json=body).text.splitlines()[-1])
        assert (result["done"], result["refused"]) == (3, 0)
        # As it is projected they still stand failed: what was rerun meanwhile is not run once more.
        again = json.loads(own_api.client.post("/bulk", json=body).text.splitlines()[-1])
        assert (again["done"], again["refused"]) == (0, 3)
        assert "stands failed any more" in again["refusals"][0]["detail"]
        assert {claim.flow for claim in await engine.work_off()} == set(books)
        await own_api.project()
        assert own_api.client.post("/bulk", json={**body, "dryRun": True}).json()["matches"] == 0
        assert {task["taskFlowId"] for task in tasks(own_api)["tasks"]} == set(others)
        await engine.check()


@pytest.mark.parametrize("fault", [{}, {"program": "A"}, {"program": "A", "type": "a\0", "shape": ""}, "A"])
def test_a_fault_that_is_none_is_refused(api: RunningApi, fault: Any) -> None:
    reply = api.client.post("/bulk", json={"operation": "rerun", "filter": {"fault": fault}, "dryRun": True})
    assert reply.status_code == 422
    assert details(reply)
