"""What happens in the world reaches flows over HTTP: signals by flow, or by name and key, and answers."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.serving import RunningApi, details, moment
from flower_engine.log.client import send
from flower_projector.parking import Parker

PAID: dict[str, Any] = {"program": "@event", "dependsOn": [], "parameters": {"name": "paid", "key": "7"}}
ASKED: dict[str, Any] = {"program": "@approval", "dependsOn": [], "parameters": {"title": "Publish?"}}
NUMBERS = {"$literal": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}}


def post(api: RunningApi, path: str, body: Any, **headers: str) -> httpx.Response:
    return api.client.post(path, json=body, headers=headers)


def became(reply: httpx.Response) -> str:
    assert reply.status_code == 200, reply.text
    return reply.json()["became"]


async def test_a_flow_says_what_its_tasks_await_and_until_when(own_api: RunningApi) -> None:
    limits = {"timeout_seconds": 86_400}
    own_api.define(
        "orders",
        {**PAID, "parameters": {**PAID["parameters"], **limits}},
        ASKED,
        {"program": "@sleep", "dependsOn": [], "parameters": {"until": "2126-01-05T06:00:00+01:00"}},
        {"dependsOn": [1, 2, 3]},
    )
    flow = own_api.register("orders")
    for _ in range(2):  # from the log, and from the tables
        event, asked, sleep, _ = own_api.flow(flow)["tasks"]
        assert (event["status"], event["awaiting"]["kind"], event["attempt"]) == ("Wait", "event", 1)
        assert moment(event["awaiting"]["until"]) > moment(event["awaiting"]["since"])
        assert event["waitReason"]["reason"] == "awaits"
        assert event["waitReason"]["what"] == "paid 7"
        assert asked["awaiting"] == {**asked["awaiting"], "until": None, "answeredBy": []}
        assert asked["waitReason"]["what"] == "Publish?"
        assert sleep["awaiting"]["until"].startswith("2126-01-05T05:00:00")
        await own_api.project()


async def test_a_signal_counts_once_and_an_ended_flow_takes_none(own_api: RunningApi) -> None:
    own_api.define("orders", PAID, {**PAID, "dependsOn": [1]})
    flow = own_api.register("orders")
    path = f"/flows/{flow}/signals"
    body = {"name": "paid", "key": "7", "id": "order 7", "payload": {"n": 7}}
    reply = post(own_api, path, body)
    assert became(reply) == "taken"
    assert reply.json()["taskExecSeq"] == 1
    assert became(post(own_api, path, body)) == "known"
    assert became(post(own_api, path, {"name": "paid", "key": "8"})) == "kept"
    kept = post(own_api, path, {"name": "paid", "key": "8"}, **{"Idempotency-Key": "k"})
    assert (became(kept), kept.json()["id"]) == ("kept", "k")
    assert own_api.flow(flow)["tasks"][0]["result"] == {"n": 7}
    assert became(post(own_api, path, {**body, "id": "again"})) == "taken"
    assert became(post(own_api, path, {**body, "id": "again"})) == "known"  # its reply may have been lost
    reply = post(own_api, path, {"name": "paid"})
    assert reply.status_code == 410
    assert "it takes no signals" in details(reply)[0]
    assert (
        post(own_api, f"/flows/{flow[:-1]}{'0' if flow[-1] != '0' else '1'}/signals", body).status_code == 404
    )


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"name": ""}, 422, "name"),
        ({"name": "a\nb"}, 422, "name"),
        ({"name": "paid", "key": "x" * 201}, 422, "key"),
        ({"name": "paid", "id": "x" * 1_000_000}, 422, "255 characters at most"),
        ({"name": "paid", "payload": "x" * 70_000}, 413, "65,536"),
        ({"name": "paid", "payload": "\0"}, 422, "payload"),
        ({"name": "paid", "key": "7", "payload": {"n": "7"}}, 422, "task 1"),
        ({"name": "paid", "colour": "red"}, 422, "colour"),
    ],
)
async def test_what_is_wrong_with_a_signal_is_said_and_nothing_is_kept(
    api: RunningApi, body: dict[str, Any], status: int, said: str
) -> None:
    api.define("typed", {**PAID, "parameters": {**PAID["parameters"], "type": NUMBERS}})
    flow = api.register("typed")
    for path in (f"/flows/{flow}/signals", "/signals"):
        reply = post(api, path, body)
        assert reply.status_code == status, reply.text
        assert said in reply.text
    assert api.flow(flow)["version"] == 2
    fits = {"name": "paid", "key": "7", "payload": {"n": 1}}
    assert became(post(api, f"/flows/{flow}/signals", fits)) == "taken"


async def test_a_flow_that_keeps_a_thousand_signals_takes_no_more(own_api: RunningApi) -> None:
    own_api.define("orders", {}, {**PAID, "dependsOn": [1]})
    flow = own_api.register("orders")
    for number in range(1000):
        assert became(post(own_api, f"/flows/{flow}/signals", {"name": "x", "id": str(number)})) == "kept"
    reply = post(own_api, f"/flows/{flow}/signals", {"name": "x"})
    assert reply.status_code == 429
    assert int(reply.headers["retry-after"]) > 0


async def test_a_signal_by_name_and_key_reaches_all_that_await_it(own_api: RunningApi) -> None:
    own_api.define("orders", PAID)
    own_api.define("any", {**PAID, "parameters": {"name": "paid"}})
    own_api.define("typed", {**PAID, "parameters": {**PAID["parameters"], "type": NUMBERS}})
    flows = [own_api.register(name) for name in ("orders", "orders", "any", "typed")]
    body = {"name": "paid", "key": "7", "id": "1", "payload": 7}
    reply = post(own_api, "/signals", {**body, "first": True}).json()
    assert (reply["taken"], [one["taskFlowId"] for one in reply["tasks"]]) == (1, [flows[0]])
    again = post(own_api, "/signals", {**body, "first": True}).json()
    assert (again["taken"], again["isKnown"]) == (0, True)
    reply = post(own_api, "/signals", {**body, "id": "2"}).json()
    assert (reply["taken"], reply["unfit"]) == (2, 1)
    assert {one["taskFlowId"] for one in reply["tasks"]} == {flows[1], flows[2]}
    misfit = post(own_api, "/signals", {**body, "id": "3"})
    assert (misfit.status_code, "flow " in misfit.text and "takes another payload" in misfit.text) == (
        422,
        True,
    )
    assert post(own_api, "/signals", {**body, "id": "4", "payload": {"n": 1}}).json()["taken"] == 1
    assert post(own_api, "/signals", {**body, "id": "5"}).json()["taken"] == 0


async def test_a_signal_reaches_very_many_flows_in_steps(own_api: RunningApi) -> None:
    own_api.define("orders", PAID, {**PAID, "dependsOn": [1]})
    replies = post(own_api, "/register", [{"taskId": "orders"}] * 250).json()
    assert len(replies) == 250
    body = {"name": "paid", "key": "7", "id": "1"}
    reply = post(own_api, "/signals", body).json()
    assert (reply["taken"], len(reply["tasks"])) == (250, 250)
    assert post(own_api, "/signals", body).json()["taken"] == 0
    assert post(own_api, "/signals", {**body, "id": "2"}).json()["taken"] == 250


async def test_a_signal_brings_a_parked_flow_back_which_keeps_it(own_api: RunningApi) -> None:
    own_api.define("orders", {}, {**PAID, "dependsOn": [1]})
    flow = own_api.register("orders")
    async with own_api.engine() as engine:
        await engine.suspend(*await engine.claim())
        await own_api.project()
        settings = own_api.settings.model_copy(update={"park_hours": 1e-9})
        assert await Parker(engine.client, [engine.partition], settings).run_once() == 1
        assert await send(engine.client, "EXISTS", engine.keys.flow(flow)) == 0
        body = {"name": "paid", "key": "7", "id": "1", "payload": 7}
        assert became(post(own_api, f"/flows/{flow}/signals", body)) == "kept"
        assert became(post(own_api, f"/flows/{flow}/signals", body)) == "known"
        await engine.check()
        assert post(own_api, f"/flows/{flow}/ignore", {"tasks": [1]}).status_code == 200
        await engine.check()
        await own_api.project()
    view = own_api.flow(flow)
    assert (view["status"], view["tasks"][1]["result"]) == ("Finish", 7)


async def test_an_approval_is_answered_as_its_form_wants(own_api: RunningApi) -> None:
    form = {"$literal": {"type": "object", "properties": {"note": {"type": "string"}}, "required": ["note"]}}
    own_api.define("publish", {**ASKED, "taskName": "ok", "parameters": {"form": form}}, {"dependsOn": [1]})
    flow = own_api.register("publish")
    path = f"/flows/{flow}/tasks/ok/answer"
    for answer, said in (({}, "note"), ({"note": 7}, "/note"), ("x" * 70_000, "65,536")):
        reply = post(own_api, path, {"answer": answer})
        assert reply.status_code == (413 if isinstance(answer, str) else 422), reply.text
        assert said in reply.text
    assert (
        post(own_api, f"/flows/{flow}/tasks/2/answer", {"answer": 1}).json()["type"].endswith("no-approval")
    )
    assert post(own_api, f"/flows/{flow}/tasks/3/answer", {"answer": 1}).status_code == 409
    stale = post(own_api, path, {"answer": {"note": "x"}, "attempt": 2})
    assert (stale.status_code, stale.json()["type"][-10:]) == (409, "asked-anew")
    reply = post(own_api, path, {"answer": {"note": "fine"}}, **{"Idempotency-Key": "one"})
    assert reply.json()["tasks"] == [1]
    again = post(own_api, path, {"answer": {"note": "fine"}}, **{"Idempotency-Key": "one"})
    assert again.json()["version"] == reply.json()["version"]
    assert post(own_api, path, {"answer": {"note": "late"}}).json()["type"].endswith("not-awaiting")
    result = own_api.flow(flow)["tasks"][0]["result"]
    assert (result["answer"], result["by"]) == ({"note": "fine"}, ["api"])
    async with own_api.engine() as engine:
        await engine.work_off()
        await engine.check()
    assert post(own_api, path, {"answer": {"note": "late"}}).status_code == 410


async def test_who_may_answer_is_said_by_the_approval(start_api: Callable[..., RunningApi]) -> None:
    own = start_api(api_tokens="ann:aaaaaaaaaaaaaaaa,bob:bbbbbbbbbbbbbbbb,eve:eeeeeeeeeeeeeeee")
    names = {"ann": "a" * 16, "bob": "b" * 16, "eve": "e" * 16}

    def call(who: str, method: str, path: str, body: Any = None) -> httpx.Response:
        return own.client.request(method, path, json=body, headers={"Authorization": f"Bearer {names[who]}"})

    parameters = {"of": 2, "roles": ["ann", "bob"], "not_registrant": True}
    rows = [{"taskSeq": 1, **ASKED, "parameters": parameters}]
    assert call("ann", "PUT", "/workflows/publish", {"tasks": rows}).status_code in (200, 201)
    flows = [
        call("ann" if first else "eve", "POST", "/register/publish").json()["taskFlowId"] for first in (1, 0)
    ]
    paths = [f"/flows/{flow}/tasks/1/answer" for flow in flows]
    yes = {"answer": {"approved": True}}
    assert call("eve", "POST", paths[0], yes).status_code == 403
    refused = call("ann", "POST", paths[0], yes)
    assert (refused.status_code, refused.json()["type"][-9:]) == (403, "not-asked")
    assert call("bob", "POST", paths[0], yes).json()["tasks"] == []
    assert call("bob", "POST", paths[0], yes).json()["type"].endswith("answered")
    assert call("ann", "POST", paths[1], yes).json()["tasks"] == []
    assert call("bob", "POST", paths[1], yes).json()["tasks"] == [1]
    assert call("bob", "GET", f"/flows/{flows[1]}").json()["tasks"][0]["result"]["by"] == ["ann", "bob"]


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"program": "@slep", "parameters": {"seconds": 1}}, "@sleep"),
        ({"program": "@sleep"}, "seconds or until"),
        ({"program": "@sleep", "parameters": {"seconds": -1}}, "more than 0"),
        ({"program": "@sleep", "parameters": {"until": "2026-01-05T06:00:00"}}, "with its zone"),
        ({"program": "@sleep", "parameters": {"seconds": 1}, "timeoutSeconds": 5}, "what workers run"),
        ({"program": "@event", "parameters": {}}, "'name'"),
        ({"program": "@event", "parameters": {"name": "x", "colour": 1}}, "no parameter 'colour'"),
        ({"program": "@event", "parameters": {"name": "x", "type": {"type": 7}}}, "no JSON Schema"),
        ({"program": "@event", "parameters": {"name": "x", "on_timeout": "default"}}, "no default is given"),
        ({"program": "@event", "parameters": {"name": {"$from": 1}}, "dependsOn": [1]}, "$param"),
        ({"program": "@event", "parameters": {"name": {"$secret": "A"}}}, "secret"),
        ({"program": "@approval", "parameters": {"of": 0}}, "1 to 100"),
        (
            {
                "program": "@approval",
                "parameters": {"timeout_seconds": 1, "on_timeout": "default", "default": {"approved": "yes"}},
            },
            "does not fit form",
        ),
        ({"program": "@approval", "parameters": {"remind_seconds": 0.5}}, "1 s at least"),
    ],
)
def test_what_is_wrong_with_a_wait_is_said_when_it_is_defined(
    api: RunningApi, task: dict[str, Any], said: str
) -> None:
    rows: list[dict[str, Any]] = [{"taskSeq": 1, "program": "A"}, {"taskSeq": 2, "dependsOn": [], **task}]
    reply = api.client.put("/workflows/wrong", json={"tasks": rows})
    assert reply.status_code == 422, reply.text
    assert any(said in detail for detail in details(reply)), reply.text


async def test_what_a_wait_waits_for_may_be_a_parameter_of_the_flow(own_api: RunningApi) -> None:
    own_api.define(
        "orders",
        {**PAID, "parameters": {"name": "paid", "key": {"$param": "order"}}},
        {"program": "@sleep", "dependsOn": [1], "parameters": {"seconds": {"$param": "pause"}}},
    )
    reply = post(own_api, "/register/orders", {"parameters": {"order": "7", "pause": -1}})
    assert reply.status_code == 422, reply.text
    assert "more than 0" in reply.text
    reply = post(own_api, "/register/orders", {"parameters": {"order": "7", "pause": 3600}})
    assert reply.status_code == 200, reply.text
    flow = reply.json()["taskFlowId"]
    assert became(post(own_api, f"/flows/{flow}/signals", {"name": "paid", "key": "7"})) == "taken"
    rerun = {"tasks": [2], "parameters": {"seconds": 0}}
    refused = post(own_api, f"/flows/{flow}/rerun", rerun)
    assert refused.status_code == 422, refused.text
    async with own_api.engine() as engine:
        await engine.check()


async def test_what_waits_for_an_answer_is_listed(start_api: Callable[..., RunningApi]) -> None:
    own = start_api(
        api_tokens="ann:aaaaaaaaaaaaaaaa:operator:ops+dwh,bob:bbbbbbbbbbbbbbbb::ops,eve:eeeeeeeeeeeeeeee"
    )
    names = {"ann": "a" * 16, "bob": "b" * 16, "eve": "e" * 16}

    def call(who: str, method: str, path: str, body: Any = None, **query: Any) -> Any:
        reply = own.client.request(
            method, path, json=body, params=query, headers={"Authorization": f"Bearer {names[who]}"}
        )
        assert reply.status_code in (200, 201), reply.text
        return reply.json()

    shows = {"n": {"$from": "count", "path": "/n"}, "day": {"$param": "day"}}
    rows: list[dict[str, Any]] = [
        {"taskSeq": 1, "taskName": "count", "program": "A", "dependsOn": []},
        {
            "taskSeq": 2,
            "taskName": "ok",
            "program": "@approval",
            "parameters": {
                "title": {"$text": "{n} rows of {day}", **shows},
                "shows": shows,
                "roles": ["ops"],
                "of": 2,
                "not_registrant": True,
                "timeout_seconds": 3600,
            },
        },
    ]
    call("ann", "PUT", "/workflows/publish", {"tasks": rows})
    call("ann", "PUT", "/workflows/free", {"tasks": [{**ASKED, "taskSeq": 1}]})
    body = {"parameters": {"day": "today"}}
    flows = [call(who, "POST", "/register/publish", body)["taskFlowId"] for who in ("ann", "eve")]
    free = call("eve", "POST", "/register/free")["taskFlowId"]
    assert call("eve", "GET", "/approvals")["approvals"] == []
    async with own.engine() as engine:
        for _ in flows:
            await engine.finish(*await engine.claim(), payload=b'{"n":7}')
    detail = call("eve", "GET", f"/flows/{flows[0]}/tasks/ok/approval")
    assert (detail["title"], detail["shows"]) == ("7 rows of today", {"n": 7, "day": "today"})
    assert (detail["isAsked"], detail["problems"], detail["answeredBy"]) == (True, [], [])
    await own.project()

    def listed(who: str, **query: Any) -> list[str]:
        return [one["taskFlowId"] for one in call(who, "GET", "/approvals", **query)["approvals"]]

    first = call("eve", "GET", "/approvals", limit=1)
    assert first["approvals"][0]["title"] == "7 rows of today"
    assert first["approvals"][0]["roles"] == ["ops"]
    seen = [one["taskFlowId"] for one in first["approvals"]]
    while first["next"] is not None:
        first = call("eve", "GET", "/approvals", limit=1, cursor=first["next"])
        seen += [one["taskFlowId"] for one in first["approvals"]]
    assert seen == listed("eve")
    assert set(seen) == {*flows, free}
    assert listed("eve", taskId="free") == [free]
    assert set(listed("eve", role="ops")) == set(flows)
    assert listed("eve", role="dwh") == []
    assert listed("eve", mine=True) == [free]
    assert set(listed("ann", mine=True)) == {flows[1], free}
    assert set(listed("eve", **{"for": "bob"})) == {*flows, free}
    path = f"/flows/{flows[1]}/tasks/ok/answer"
    yes = {"answer": {"approved": True}}
    assert call("ann", "POST", path, yes)["tasks"] == []
    await own.project()
    assert listed("ann", mine=True) == [free]
    assert flows[1] in listed("bob", mine=True)
    assert call("bob", "POST", path, yes)["tasks"] == [2]
    await own.project()
    detail = call("eve", "GET", f"/flows/{flows[1]}/tasks/ok/approval")
    assert (detail["isAsked"], detail["answeredBy"]) == (False, ["ann", "bob"])
    refused = own.client.get(
        f"/flows/{flows[0]}/tasks/1/approval", headers={"Authorization": "Bearer " + "e" * 16}
    )
    assert (refused.status_code, refused.json()["type"][-11:]) == (409, "no-approval")


async def test_roles_that_no_token_has_are_a_warning(start_api: Callable[..., RunningApi]) -> None:
    rows = [{"taskSeq": 1, **ASKED, "parameters": {"roles": ["ops"]}}]
    own = start_api()
    for path in ("/workflows/asks", "/deploy"):
        body: Any = {"tasks": rows}
        if path == "/deploy":
            rows = [{"taskSeq": 1, **ASKED, "parameters": {"roles": ["law"]}}]
            body = {"source": "test", "workflows": [{"taskId": "asks", "tasks": rows}]}
        reply = own.client.request("POST" if path == "/deploy" else "PUT", path, json=body)
        assert reply.status_code in (200, 201), reply.text
        assert any("this API has no tokens" in said for said in reply.json()["warnings"]), reply.text
    headers = {"Authorization": "Bearer " + "a" * 16}
    own = start_api(api_tokens=f"ann:{'a' * 16}:operator:law,eve:{'e' * 16}:read:ops")
    for roles, warns in ((["ops"], True), (["ops", "law"], False), (["ann"], False), ([], False)):
        rows = [{"taskSeq": 1, **ASKED, "parameters": {"roles": roles}}]
        reply = own.client.put("/workflows/asks", json={"tasks": rows}, headers=headers)
        said = [one for one in reply.json().get("warnings", []) if "no token has such a name or role" in one]
        assert bool(said) == warns, reply.text
