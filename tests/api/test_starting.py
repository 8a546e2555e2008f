"""Registrations that say more: keys, parameters, priorities, times."""

from typing import Any

import pytest

from api.serving import RunningApi, details


def register(api: RunningApi, workflow: str, body: Any = None, **headers: str) -> Any:
    reply = api.client.post(f"/register/{workflow}", json=body, headers=headers)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_the_same_key_gives_the_same_flow_also_when_redis_has_forgotten_it(own_api: RunningApi) -> None:
    own_api.define("keyed", {})
    first = register(own_api, "keyed", **{"Idempotency-Key": "order 7"})
    again = register(own_api, "keyed", {"key": "order 7"})
    assert "duplicate" not in first
    assert first.pop("durability") == "memory"
    assert again == {**first, "duplicate": True}  # of what was registered before, nothing is said anew
    await own_api.project()
    async with own_api.engine() as engine:
        await engine.client.delete(engine.keys.key("order 7"))
    assert register(own_api, "keyed", {"key": "order 7"}) == again
    assert own_api.flow(first["taskFlowId"])["key"] == "order 7"


async def test_a_key_of_another_workflow_is_a_conflict(own_api: RunningApi) -> None:
    own_api.define("one", {})
    own_api.define("two", {})
    first = register(own_api, "one", {"key": "k"})["taskFlowId"]
    for _ in range(2):
        reply = own_api.client.post("/register/two", json={"key": "k"})
        assert reply.status_code == 409
        assert first in details(reply)[0] and "'one'" in details(reply)[0]
        await own_api.project()


def test_a_key_in_the_header_and_another_in_the_body_are_refused(api: RunningApi) -> None:
    api.define("both", {})
    headers = {"Idempotency-Key": "a"}
    assert api.client.post("/register/both", json={"key": "a"}, headers=headers).status_code == 200
    assert api.client.post("/register/both", json={"key": "b"}, headers=headers).status_code == 422


def test_keys_work_in_bulk(own_api: RunningApi) -> None:
    own_api.define("many", {})
    own_api.define("other", {})
    body = [{"taskId": "many", "key": "a"}, {"taskId": "many", "key": "a"}, {"taskId": "other", "key": "a"}]
    one, two, three = own_api.client.post("/register", json=body).json()
    assert (one["taskFlowId"], two["duplicate"], three["code"]) == (two["taskFlowId"], True, 409)


async def test_parameters_and_priority_of_a_registration_override_the_definitions(
    own_api: RunningApi,
) -> None:
    own_api.define("daily", {"parameters": {"DAY": "today", "N": 1}}, {"parameters": {"DAY": "today"}}, {})
    body = {"parameters": {"DAY": "monday"}, "taskParameters": {"3": {"X": [1]}}, "priority": -7}
    flow = register(own_api, "daily", body)["taskFlowId"]
    view = own_api.flow(flow)
    assert [task["parameters"] for task in view["tasks"]] == [
        {"DAY": "monday", "N": 1},
        {"DAY": "monday"},
        {"X": [1]},
    ]
    assert {task["taskPriority"] for task in view["tasks"]} == {-7}
    plain = own_api.flow(own_api.register("daily"))
    assert plain["tasks"][0]["parameters"] == {"DAY": "today", "N": 1}


def test_parameters_that_nobody_defines_are_refused(api: RunningApi) -> None:
    api.define("strict", {"parameters": {"A": 1}})
    for body, said in (
        ({"parameters": {"B": 1}}, "defines a parameter 'B'"),
        ({"taskParameters": {"9": {"A": 1}}}, "has no task '9'; it has 1"),
        ({"parameters": {"A": "a\0"}}, "NUL"),
        ({"taskParameters": {"1": {"A": [[["\0"]]]}}}, "NUL"),
    ):
        reply = api.client.post("/register/strict", json=body)
        assert reply.status_code == 422, reply.text
        assert said in details(reply)[0]


@pytest.mark.parametrize("body", [{"delaySeconds": 3600}, {"startAt": "2999-01-01T00:00:00+02:00"}])
async def test_a_flow_starts_at_its_time(own_api: RunningApi, body: Any) -> None:
    own_api.define("later", {})
    flow = register(own_api, "later", body)["taskFlowId"]
    async with own_api.engine() as engine:
        assert await engine.claim() == []
        await engine.check()
    view = own_api.flow(flow)
    assert view["startTs"] is not None
    assert view["tasks"][0]["waitReason"]["reason"] == "delayed"


def test_a_time_that_is_over_starts_at_once(own_api: RunningApi) -> None:
    own_api.define("now", {})
    flow = register(own_api, "now", {"startAt": "2020-01-01"})["taskFlowId"]
    assert own_api.flow(flow)["startTs"] is None


@pytest.mark.parametrize("start", ["2026-02-30", "tomorrow", "2026-01-01T25:00", ""])
def test_a_time_that_is_none_is_refused(api: RunningApi, start: str) -> None:
    api.define("never", {})
    assert api.client.post("/register/never", json={"startAt": start}).status_code == 422
