"""POST /register: the seed's replies, bulk calls, and flows that are really there."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from api.serving import RunningApi, details
from flower_engine.model.events.events import FlowRegistered
from flower_engine.model.values.ids import is_flow_id, partition_of


def test_a_registration_answers_as_the_seed_does_and_names_the_flow(api: RunningApi) -> None:
    api.define("example", {})
    reply = api.client.post("/register/example")
    body = reply.json()
    assert reply.status_code == 200
    assert list(body) == ["status", "taskId", "taskFlowId", "durability"]
    assert (body["status"], body["taskId"]) == ("succeeded", "example")
    assert is_flow_id(body["taskFlowId"])
    assert body["durability"] == "memory"  # the tests' Valkey does not sync


def test_an_unknown_workflow_is_answered_as_the_seed_does(api: RunningApi) -> None:
    reply = api.client.post("/register/nobody-defined-this")
    assert reply.status_code == 404
    assert reply.json() == {
        "status": "failed",
        "taskId": "nobody-defined-this",
        "description": "no tasks registered",
    }


@pytest.mark.parametrize(
    "path", ["both-ways", "both-ways/", "nobody-defined-this", "not-fit", "a%00b", "x" * 257]
)
def test_without_a_body_it_is_answered_as_with_an_empty_one(api: RunningApi, path: str) -> None:
    api.define("both-ways", {})
    api.sql(
        "INSERT INTO ms_task_definition (task_id, task_seq, program, task_priority, depends_on)"
        " VALUES ('not-fit', 1, 'A', 0, '{7}') ON CONFLICT DO NOTHING"
    )
    plain, with_body = api.client.post(f"/register/{path}"), api.client.post(f"/register/{path}", json={})
    assert plain.status_code == with_body.status_code
    told = [{**reply.json(), "taskFlowId": "", "instance": ""} for reply in (plain, with_body)]
    assert told[0] == told[1]


def test_a_trailing_slash_is_accepted(api: RunningApi) -> None:
    api.define("with-slash", {})
    assert api.client.post("/register/with-slash/").json()["taskId"] == "with-slash"
    assert api.client.post("/register/", json=[{"taskId": "with-slash"}]).json()[0]["code"] == 200


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        "ünïcödé",
        "日本語",
        "team/etl/daily",
        "50%",
        "a?b#c",
        "😀",
        "q'\"; --",
        "x" * 256,
        "a:b{c}",
        "..",
    ],
)
async def test_a_workflow_may_have_any_printable_name(api: RunningApi, name: str) -> None:
    path = quote(name, safe="") if name != ".." else "%2E%2E%2F.."
    name = name if name != ".." else "../.."
    api.define(path, {"parameters": {"K": name}})
    reply = api.client.post(f"/register/{path}")
    assert (reply.status_code, reply.json()["taskId"]) == (200, name)
    async with api.engine() as engine:
        flow = (await engine.flows())[reply.json()["taskFlowId"]]
    assert (flow.workflow, flow.task(1).planned.parameters) == (name, {"K": name})


def test_a_line_end_is_a_part_of_the_name(api: RunningApi) -> None:
    api.define("line", {})
    for path in ("line%0A", "line%0Aend", "%0Aline", "line%0A/"):
        assert api.client.post(f"/register/{path}").status_code == 404
    assert api.client.put("/workflows/a%0Ab", json={"tasks": []}).status_code == 422


@pytest.mark.parametrize("path", ["x" * 257, "%00", "a%00b", "ü" * 300])
def test_a_name_that_no_workflow_can_have_is_refused(api: RunningApi, path: str) -> None:
    reply = api.client.post(f"/register/{path}")
    assert reply.status_code == 422
    assert "task_id" in details(reply)[0]


def test_a_definition_that_cannot_run_names_its_rows(api: RunningApi) -> None:
    api.sql(
        "INSERT INTO ms_task_definition (task_id, task_seq, program, task_priority, depends_on) VALUES"
        " ('broken', 1, 'A', 99, NULL), ('broken', 2, ' ', 0, '{7}'), ('broken', 3, 'A', 0, '{3}')"
    )
    reply = api.client.post("/register/broken")
    assert reply.status_code == 422
    problems = details(reply)
    assert len(problems) == 4
    assert all("row (task_id 'broken', task_seq" in problem for problem in problems)


async def test_a_bulk_call_is_answered_in_order_and_goes_on_after_a_failure(api: RunningApi) -> None:
    api.define("bulk-a", {})
    api.define("bulk-b", {}, {})
    api.sql("INSERT INTO ms_task_definition VALUES ('bulk-broken', 1.5, 'A', 0)")
    names = ["bulk-a", "unknown", "bulk-b", "bulk-broken", "bulk-a"]
    reply = api.client.post("/register", json=[{"taskId": name} for name in names])
    assert reply.status_code == 200
    entries = reply.json()
    assert [entry["taskId"] for entry in entries] == names
    assert [entry["code"] for entry in entries] == [200, 404, 200, 422, 200]
    assert entries[1] == {
        "status": "failed",
        "taskId": "unknown",
        "code": 404,
        "description": "no tasks registered",
        "type": "urn:flower:problem:unknown-workflow",
    }
    assert "task_seq 1.5" in entries[3]["description"]
    async with api.engine() as engine:
        flows = await engine.flows()
    started = [entry["taskFlowId"] for entry in entries if entry["code"] == 200]
    assert [flows[flow].workflow for flow in started] == ["bulk-a", "bulk-b", "bulk-a"]


def test_a_bulk_call_may_be_empty_and_must_not_be_endless(api: RunningApi) -> None:
    assert api.client.post("/register", json=[]).json() == []
    api.define("thousand", {})
    entries = api.client.post("/register", json=[{"taskId": "thousand"}] * 1_000).json()
    assert len({entry["taskFlowId"] for entry in entries}) == 1_000
    reply = api.client.post("/register", json=[{"taskId": "thousand"}] * 1_001)
    assert reply.status_code == 422
    assert "1000" in details(reply)[0]


async def test_a_flow_of_ten_thousand_tasks_is_registered_as_a_whole(api: RunningApi) -> None:
    rows: list[dict[str, Any]] = [{"dependsOn": []}, *({"dependsOn": [1]} for _ in range(9_998))]
    api.define("wide", *rows, {"dependsOn": list(range(2, 10_000))})
    flow_id = api.register("wide")
    async with api.engine() as engine:
        flow = (await engine.flows())[flow_id]
    assert len(flow.tasks) == 10_000
    assert flow.task(10_000).open == 9_998


async def test_flows_are_spread_over_the_partitions_in_turn(start_api: Callable[..., RunningApi]) -> None:
    api = start_api(partitions=3)
    api.define("spread", {})
    singles = [api.register("spread") for _ in range(6)]
    assert sorted(map(partition_of, singles)) == [0, 0, 1, 1, 2, 2]
    entries = api.client.post("/register", json=[{"taskId": "spread"}] * 6).json()
    bulk = [entry["taskFlowId"] for entry in entries]
    assert sorted(map(partition_of, bulk)) == [0, 0, 1, 1, 2, 2]
    for number in range(3):
        async with api.engine(number) as engine:
            there = [event.flow for event in await engine.events() if isinstance(event, FlowRegistered)]
        assert sorted(there) == sorted(flow for flow in singles + bulk if partition_of(flow) == number)
    assert {api.flow(flow)["taskFlowId"] for flow in singles} == set(singles)
