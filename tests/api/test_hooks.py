"""``/hooks``: hooks are set, shown, tried and taken away; what they told is listed, and told again."""

import json
from typing import Any

import pytest

from api.serving import RunningApi, details
from flower_engine.projection.database import make_pool
from flower_engine.runtime.settings import Settings
from flower_projector.hook_deliveries import DeliveryLoop
from hooks.conftest import settle
from hooks.receiver import receiving

HOOK: dict[str, Any] = {
    "occasions": ["flow.failed"], "kind": "webhook", "target": "https://example.com/x",
}  # fmt: skip


def put(api: RunningApi, name: str, **body: Any) -> dict[str, Any]:
    reply = api.client.put(f"/hooks/{name}", json=HOOK | body)
    assert reply.status_code in {200, 201}, reply.text
    return reply.json()


def test_a_hook_is_set_changed_shown_and_taken_away(own_api: RunningApi) -> None:
    client = own_api.client
    assert client.get("/hooks").json() == {"hooks": [], "next": None}
    own_api.define("etl", {})
    body = {**HOOK, "taskId": "etl", "occasions": ["flow.late"], "lateAfterSeconds": 90, "secret": "OPS"}
    made = client.put("/hooks/ops", json=body)
    assert made.status_code == 201
    assert {name: made.json()[name] for name in body} == body
    assert (made.json()["isPaused"], made.json()["changedBy"], "warnings" in made.json()) == (
        False,
        "api",
        False,
    )
    assert client.get("/hooks/ops").json() == made.json()
    put(own_api, "ops", isPaused=True, reason="the move")
    kept = put(own_api, "ops", target="https://example.com/y")
    assert (kept["isPaused"], kept["reason"], kept["target"]) == (True, "the move", "https://example.com/y")
    assert put(own_api, "ops", isPaused=False)["isPaused"] is False
    for number in range(3):
        put(own_api, f"more {number}")
    first = client.get("/hooks", params={"limit": 3}).json()
    rest = client.get("/hooks", params={"limit": 3, "cursor": first["next"]}).json()
    assert [one["hook"] for one in first["hooks"] + rest["hooks"]] == ["more 0", "more 1", "more 2", "ops"]
    assert rest["next"] is None
    assert client.delete("/hooks/ops").status_code == 204
    assert client.delete("/hooks/ops").status_code == 404
    assert "more 0" in details(client.get("/hooks/more"))[0]


def test_the_workflow_of_a_hook_may_come_later_and_is_asked_for(own_api: RunningApi) -> None:
    assert "etl" in put(own_api, "ops", taskId="etl")["warnings"][0]
    put(own_api, "all")
    put(own_api, "other", taskId="other")
    found = own_api.client.get("/hooks", params={"taskId": "etl"}).json()["hooks"]
    assert [one["hook"] for one in found] == ["all", "ops"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"occasions": []}, "#/occasions"),
        ({"occasions": ["flow.started"]}, "#/occasions/0"),
        ({"occasions": ["flow.late"]}, "#/lateAfterSeconds"),
        ({"lateAfterSeconds": 5}, "#/lateAfterSeconds"),
        ({"occasions": ["flow.late"], "lateAfterSeconds": 0}, "#/lateAfterSeconds"),
        ({"kind": "email"}, "#/kind"),
        ({"target": "/etc/passwd"}, "#/target"),
        ({"target": "http://u:p@h/"}, "#/target"),
        ({"target": "http://h/\0"}, "#/target"),
        ({"kind": "command", "target": "/bin/sh -c"}, "#/target"),
        ({"secret": "a b"}, "#/secret"),
        ({"secret": "\0"}, "#/secret"),
        ({"kind": "python", "target": "x", "secret": "A"}, "#/secret"),
        ({"colour": "red"}, "#/colour"),
    ],
)
def test_what_is_wrong_with_a_hook_is_said_of_its_field(
    api: RunningApi, change: dict[str, Any], pointer: str
) -> None:
    reply = api.client.put("/hooks/ops", json=HOOK | change)
    assert reply.status_code == 422, reply.text
    assert [problem["pointer"] for problem in reply.json()["problems"]] == [pointer]
    assert api.client.get("/hooks/ops").status_code == 404


@pytest.mark.parametrize(
    "path", ["/hooks/%00", "/hooks/%00/deliveries", "/hook-deliveries/%00", "/hooks/a%2Fb"]
)
def test_names_that_can_be_nobodys_are_refused(api: RunningApi, path: str) -> None:
    assert api.client.get(path).status_code in {404, 422}
    assert api.client.put("/hooks/a%0Ab", json=HOOK).status_code == 422
    for cursor in ("x", "e30"):
        assert api.client.get("/hooks/x/deliveries", params={"cursor": cursor}).status_code == 422


def test_a_row_that_sql_wrote_is_shown_with_what_is_wrong(own_api: RunningApi) -> None:
    own_api.sql(
        "INSERT INTO ms_hook (name, occasions, kind, target, created_ts) VALUES"
        " ('bad', '{x}', 'email', 'y', 'infinity')"
    )
    (shown,) = own_api.client.get("/hooks").json()["hooks"]
    assert {problem["pointer"] for problem in shown["problems"]} == {"#/occasions", "#/kind"}
    assert shown["createdTs"] is None
    assert own_api.client.post("/hooks/bad/test").status_code == 409


async def test_a_hook_is_tried_and_what_it_told_is_told_again(own_api: RunningApi) -> None:
    client = own_api.client
    with receiving() as receiver:
        receiver.answer = lambda _: (500, {}, b"oops")
        put(own_api, "ops", target=receiver.url)
        tried = client.post("/hooks/ops/test")
        assert (tried.status_code, tried.json()["state"], tried.json()["attempts"]) == (202, "waiting", 0)
        await deliver(own_api.settings)
        assert receiver.calls[0].json["type"] == "hook.test"
        number = tried.json()["id"]
        shown = client.get(f"/hook-deliveries/{number}").json()
        assert (shown["state"], shown["status"], shown["answer"]) == ("waiting", 500, "oops")
        assert json.loads(shown["body"])["id"] == number == receiver.calls[0].id
        assert client.get("/hooks/ops").json()["lastError"] == "answered 500"
        receiver.answer = lambda _: (204, {}, b"")
        for _ in range(2):  # it waits, and it was taken
            again = client.post(f"/hook-deliveries/{number}/redeliver")
            assert (again.status_code, again.json()["state"]) == (202, "waiting")
            await deliver(own_api.settings)
            assert client.get(f"/hook-deliveries/{number}").json()["state"] == "delivered"
        assert [call.id for call in receiver.calls] == [number] * 3
    put(own_api, "ops", isPaused=True)
    assert client.post("/hooks/ops/test").status_code == 409
    client.delete("/hooks/ops")
    assert client.post(f"/hook-deliveries/{number}/redeliver").json()["type"].endswith("no-hook")
    assert client.post("/hooks/ops/test").status_code == 404
    assert client.post("/hook-deliveries/x/redeliver").status_code == 404
    assert len(client.get("/hooks/ops/deliveries").json()["deliveries"]) == 1


async def deliver(settings: Settings) -> None:
    """What a projector does once."""
    own = settings.model_copy(update={"hook_networks": ("loopback",)})
    async with make_pool(settings.database_url or "", "test", max_size=2) as pool:
        loop = DeliveryLoop(pool, own)
        await loop.run_once()
        await settle(loop)
        await loop.close()


def test_deliveries_come_in_pages_the_newest_first_and_by_state(own_api: RunningApi) -> None:
    own_api.sql(
        "INSERT INTO kr_hook_delivery (id, hook, occasion, body, state, created_ts)"
        " SELECT 'msg_' || n, 'ops', 'flow.failed', '{}',"
        " CASE WHEN n > 3 THEN 'given_up' ELSE 'delivered' END, now() - n * interval '1 minute'"
        " FROM generate_series(1, 7) AS n"
    )
    path = "/hooks/ops/deliveries"
    first = own_api.client.get(path, params={"limit": 4}).json()
    rest = own_api.client.get(path, params={"limit": 4, "cursor": first["next"]}).json()
    assert [one["id"] for one in first["deliveries"] + rest["deliveries"]] == [
        f"msg_{n}" for n in range(1, 8)
    ]
    taken = own_api.client.get(path, params={"state": "delivered"}).json()["deliveries"]
    assert len(taken) == 3
    assert own_api.client.get(path, params={"state": "lost"}).status_code == 422
