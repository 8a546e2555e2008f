"""A definition is refused if no live version of a program takes it, and warned of if some do not."""

from typing import Any

import msgspec
import pytest

from api.serving import RunningApi, details
from api.test_programs import LOAD, work

Json = dict[str, Any]
ROW = "row (task_id 'w', task_seq 1): program 'Load'"


OPEN = (
    f"{ROW} needs the parameter 'table', which is neither given nor referenced: each registration has to give"
    " it (taskParameters); it takes table, limit (optional)"
)


def _body(**parameters: Any) -> Json:
    return {"tasks": [{"taskSeq": 1, "program": "Load", "parameters": parameters}]}


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"tabel": "x"}, [" has no parameter 'tabel'; nearest: table; it takes table, limit (optional)"]),
        ({"table": "x", "limit": "many"}, [": parameter 'limit' has the value 'many', which is no integer"]),
        (
            {"table": "x", "limit": {"$literal": []}},
            [": parameter 'limit' has the value [], which is no integer"],
        ),
        ({"TABLE": "x", "limit": "7"}, None),
        ({"table": {"$secret": "T"}, "limit": {"$text": "{n}", "n": {"$secret": "N"}}}, None),
        ({"table": None}, None),
    ],
)
async def test_what_no_live_version_takes_is_refused(
    own_api: RunningApi, parameters: Json, said: list[str] | None
) -> None:
    async with own_api.engine() as engine:
        await work(own_api, engine, "w1", {"Load": LOAD})
    reply = own_api.client.put("/workflows/w", json=_body(**parameters))
    deployed = own_api.client.post(
        "/deploy", json={"source": "s", "workflows": [{"taskId": "w", **_body(**parameters)}]}
    )
    if said is None:
        assert (reply.status_code, reply.json().get("warnings")) == (201, None), reply.text
        assert (deployed.status_code, deployed.json().get("warnings")) == (200, None), deployed.text
        return
    told = [ROW + one for one in said]
    left_open = [] if "table" in parameters else [OPEN]
    assert (reply.status_code, details(reply)) == (422, told)
    assert own_api.client.get("/workflows/w").status_code == 404
    assert (deployed.status_code, details(deployed)) == (422, [f"workflow 'w': {one}" for one in told])
    ahead = {"source": "s", "workflows": [{"taskId": "w", **_body(**parameters)}], "ahead": True}
    taken = own_api.client.post("/deploy", json=ahead)
    assert taken.json()["warnings"] == [f"workflow 'w', {one}" for one in told + left_open]
    again = own_api.client.post("/deploy", json={**ahead, "ahead": False})
    assert (again.status_code, again.json()["workflows"][0]["action"]) == (200, "unchanged")


async def test_what_a_definition_leaves_open_each_registration_has_to_give(own_api: RunningApi) -> None:
    def register(body: Json | None = None) -> Any:
        reply = own_api.client.post("/register/w", json=body)
        if reply.status_code == 200:
            return None
        assert reply.status_code == 422, reply.text
        assert "program 'Load' needs the parameter 'table'" in details(reply)[0]
        return [problem["pointer"] for problem in reply.json()["problems"]]

    async with own_api.engine() as engine:
        await work(own_api, engine, "w1", {"Other": LOAD})
        own_api.client.put("/workflows/w", json=_body(limit=1)).raise_for_status()
        assert register() is None  # nobody says what it takes
        await work(own_api, engine, "w1", {"Load": LOAD})
        own_api.wait_for(lambda: register() is not None)
        defined = own_api.client.put("/workflows/w", json=_body(limit=1))
        assert (defined.status_code, defined.json()["warnings"]) == (200, [OPEN])
        missing = ["#/taskParameters/1/table"]
        bodies: list[Json | None] = [None, {"taskParameters": {"1": {"limit": 2}}}, {"priority": 1}]
        before = await engine.raw_events()
        assert [register(body) for body in bodies] == [missing] * 3
        assert await engine.raw_events() == before
        many = own_api.client.post(
            "/register", json=[{"taskId": "w"}, {"taskId": "w", "taskParameters": {"1": {"TABLE": "x"}}}]
        ).json()
        assert ["taskFlowId" in one for one in many] == [False, True], many
        assert register({"taskParameters": {"1": {"table": "x"}}}) is None
        free = msgspec.structs.replace(LOAD, required=())
        await work(own_api, engine, "w2", {"Load": free})  # one of two versions does without
        own_api.wait_for(lambda: register() is None)


async def test_what_some_live_version_takes_is_warned_of(own_api: RunningApi) -> None:
    newer = msgspec.structs.replace(LOAD, parameters={**LOAD.parameters, "mode": ("string",)})
    async with own_api.engine() as engine:
        await work(own_api, engine, "w1", {"Load": LOAD})
        assert own_api.client.put("/workflows/w", json=_body(table="x", mode="y")).status_code == 422
        await work(own_api, engine, "w2", {"Load": newer})
    reply = own_api.client.put("/workflows/w", json=_body(table="x", mode="y"))
    assert reply.status_code == 201
    said = f"{ROW} has no parameter 'mode'; it takes table, limit (optional), as worker w1 has it"
    assert reply.json()["warnings"] == [said]
    refused = own_api.client.put("/workflows/w", json=_body(table="x", mood="y"))
    assert refused.status_code == 422
    assert "; none of its 2 live versions takes all of it" in details(refused)[0]


async def test_what_nobody_says_is_warned_of(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        await work(own_api, engine, "w1", {"Other": LOAD})
        engine.heartbeat("w2", programs=["Load"])  # an older one
        own_api.wait_for(lambda: own_api.client.get("/programs/Load").status_code == 200)
        reply = own_api.client.put("/workflows/w", json=_body(colour="red"))
        said = "some live workers do not say what program 'Load' takes: it was not checked against that"
        assert reply.json()["warnings"] == [said]
        await work(own_api, engine, "w3", {"Load": LOAD})
    mixed = own_api.client.put("/workflows/w", json=_body(table=[]))
    assert mixed.status_code == 200
    warned = f"{ROW}: parameter 'table' has the value [], which is no string, as worker w3 has it"
    assert mixed.json()["warnings"] == [warned, said]


async def test_a_path_that_a_result_does_not_have_is_warned_of(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        await work(own_api, engine, "w1", {"Load": LOAD})
    tasks: list[Json] = [
        {"taskSeq": 1, "taskName": "first", "program": "Load", "parameters": {"table": "x"}},
        {
            "taskSeq": 2,
            "program": "Load",
            "parameters": {"table": "y", "limit": {"$from": "first", "path": "/rows"}},
        },
        {
            "taskSeq": 3,
            "program": "Load",
            "parameters": {"table": "y", "limit": {"$from": "first", "path": "/row"}},
        },
    ]
    body = {"tasks": tasks, "returns": {"n": {"$from": 2, "path": "/rows/0"}}}
    reply = own_api.client.put("/workflows/w", json=body)
    assert reply.status_code == 201, reply.text
    gives = "by what program 'Load' gives"
    assert reply.json()["warnings"] == [
        "row (task_id 'w', task_seq 3): parameters/limit: the result of task 'first' has nothing at '/row',"
        f" {gives}: it is an object with rows",
        f"workflow 'w': returns/n: the result of task '2' has nothing at '/rows/0', {gives}: at '/rows' there"
        " is a number",
    ]
