"""What a workflow takes and returns: checked at registration, put into tasks, shown with the flow."""

from typing import Any

import msgspec
import pytest

from api.serving import RunningApi, details
from flower_engine.model.definitions.task_message import TaskMessage

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "day": {"type": "string", "format": "date"},
        "threshold": {"type": "integer", "default": 50},
        "token": {"type": "string", "x-flower-secret": True},
    },
    "required": ["day"],
    "additionalProperties": False,
}
DEFAULTS: dict[str, Any] = {"properties": {"n": {"type": "integer", "default": 7}}}


def define(api: RunningApi, workflow: str, **more: Any) -> None:
    """Two tasks: the first takes parameters of the flow, the second the result of the first."""
    first = {
        "day": {"$param": "day"},
        "title": {"$text": "{d}: {n}", "d": {"$param": "day"}, "n": {"$param": "threshold"}},
        "auth": {"$text": "Bearer {t}", "t": {"$param": "token"}},
    }
    tasks = [
        {"taskSeq": 1, "taskName": "first", "program": "A", "parameters": first},
        {"taskSeq": 2, "taskName": "second", "program": "A", "parameters": {"rows": {"$from": "first"}}},
    ]
    body = {"tasks": tasks, "parametersSchema": SCHEMA, **more}
    api.client.put(f"/workflows/{workflow}", json=body).raise_for_status()


def register(api: RunningApi, workflow: str, **parameters: Any) -> str:
    reply = api.client.post(f"/register/{workflow}", json={"parameters": parameters})
    assert reply.status_code == 200, reply.text
    return reply.json()["taskFlowId"]


def faults(api: RunningApi, workflow: str, body: Any) -> dict[str, str]:
    """What is wrong, by place."""
    reply = api.client.post(f"/register/{workflow}", json=body)
    assert reply.status_code == 422, reply.text
    details(reply)
    return {problem["pointer"]: problem["detail"] for problem in reply.json()["problems"]}


async def message(api: RunningApi, flow: str, task: int = 1) -> TaskMessage:
    async with api.engine() as engine:
        found = await engine.client.hget(engine.partition.keys.flow(flow), f"m{task}")
        return msgspec.json.decode(found or b"", type=TaskMessage)


def test_what_is_said_of_a_workflow_is_shown_as_it_was_put(api: RunningApi) -> None:
    said = {
        "returns": {"rows": {"$from": "second", "path": "/n"}, "day": {"$param": "day"}},
        "labels": {"team": "dwh", "ä": ""},
        "description": "Every night.\nSee the wiki.",
        "timeoutSeconds": 21_600.0,
    }
    define(api, "said", **said)
    shown = api.client.get("/workflows/said").json()
    assert {name: shown[name] for name in said} == said
    assert shown["parametersSchema"] == SCHEMA
    assert api.client.put("/workflows/said", json=shown).status_code == 200
    assert api.client.get("/workflows/said").json() == shown
    api.define("said", {})
    shown = api.client.get("/workflows/said").json()
    assert [shown[name] for name in ("parametersSchema", "returns", "labels", "description")] == [
        *(None, None),
        {},
        None,
    ]


async def test_parameters_are_checked_filled_in_and_bound(own_api: RunningApi) -> None:
    define(own_api, "nightly")
    flow = register(own_api, "nightly", day="2026-01-05", token="PROD_TOKEN")
    given = {"day": "2026-01-05", "threshold": 50, "token": "PROD_TOKEN"}
    first = await message(own_api, flow)
    assert first.parameters == {
        "day": "2026-01-05",
        "title": "2026-01-05: 50",
        "auth": {"$text": "Bearer {t}", "t": {"$secret": "PROD_TOKEN"}},
    }
    assert (await message(own_api, flow, 2)).reads == {"first": 1}
    assert own_api.flow(flow)["parameters"] == given
    await own_api.project()
    assert own_api.flow(flow)["parameters"] == given
    async with own_api.engine() as engine:
        await engine.work_off()
    forked = own_api.client.post(f"/flows/{flow}/fork", json={"fromTasks": ["second"]}).json()["taskFlowId"]
    assert own_api.flow(forked)["parameters"] == given


def test_each_fault_is_told_with_its_place(api: RunningApi) -> None:
    define(api, "faulty")
    assert faults(api, "faulty", None) == {"#/parameters/day": "'day': it is missing"}
    assert faults(api, "faulty", {"priority": 1}) == {"#/parameters/day": "'day': it is missing"}
    wrong = {"day": "tomorrow", "treshold": 1, "token": "it is a secret", "threshold": [10**30]}
    found = faults(api, "faulty", {"parameters": wrong})
    assert found.keys() == {f"#/parameters/{name}" for name in wrong}
    assert found["#/parameters/treshold"] == "'treshold': there is no such parameter; nearest: threshold"
    entries = api.client.post("/register", json=[{"taskId": "faulty", "parameters": wrong}]).json()
    assert entries[0]["code"] == 422
    for odd in ({"day": "\0"}, {"day": {"$from": "first"}}, {"day": {"$secret": "TOKEN"}}, {"day": None}):
        assert faults(api, "faulty", {"parameters": odd})


async def test_data_that_looks_like_a_reference_is_bound_as_data(own_api: RunningApi) -> None:
    tasks = [{"taskSeq": 1, "program": "A", "parameters": {"p": {"$param": "any"}, "s": {"$secret": "OWN"}}}]
    own_api.client.put(
        "/workflows/any", json={"tasks": tasks, "parametersSchema": {"properties": {"any": {}}}}
    )
    for value in ({"$secret": "TOKEN"}, [{"$from": 1}], {"$literal": {"$secret": "TOKEN"}}):
        first = await message(own_api, register(own_api, "any", any=value))
        assert first.parameters == {"p": {"$literal": value}, "s": {"$secret": "OWN"}}


async def test_without_a_body_defaults_are_enough(own_api: RunningApi) -> None:
    tasks = [{"taskSeq": 1, "program": "A", "parameters": {"n": {"$param": "n"}}}]
    own_api.client.put("/workflows/defaults", json={"tasks": tasks, "parametersSchema": DEFAULTS})
    for flow in (own_api.register("defaults"), register(own_api, "defaults"), own_api.register("defaults")):
        first = await message(own_api, flow)
        assert (first.parameters, first.refs) == ({"n": 7}, False)
        assert own_api.flow(flow)["parameters"] == {"n": 7}
    flow = own_api.client.post("/register", json=[{"taskId": "defaults"}]).json()[0]["taskFlowId"]
    assert own_api.flow(flow)["parameters"] == {"n": 7}


async def test_without_a_schema_parameters_go_where_they_are_named(own_api: RunningApi) -> None:
    own_api.define("plain", {"parameters": {"day": {"$param": "day"}, "table": "orders"}})
    assert faults(own_api, "plain", None) == {"#/parameters/day": "'day': it is missing"}
    flow = register(own_api, "plain", day="today", table="rows")
    assert (await message(own_api, flow)).parameters == {"day": "today", "table": "rows"}
    assert own_api.flow(flow)["parameters"] == {"day": "today"}
    other = {"parameters": {"day": 1, "tabel": 2}}
    (detail,) = faults(own_api, "plain", other).values()
    assert "no task of workflow 'plain' defines a parameter 'tabel'" in detail


def test_what_is_put_into_many_tasks_at_once_is_bounded(api: RunningApi) -> None:
    api.define("many", *({"parameters": {"p": {"$param": "p"}, "q": ""}} for _ in range(200)))
    long = "x" * 400_000
    assert "bytes; 67108864 may be" in faults(api, "many", {"parameters": {"p": long}})["#/parameters"]
    assert (
        "bytes; 67108864 may be" in faults(api, "many", {"parameters": {"p": 1, "q": long}})["#/parameters"]
    )


async def test_keys_of_flow_control_are_those_of_what_is_bound(own_api: RunningApi) -> None:
    tasks = [{"taskSeq": 1, "program": "A", "parameters": {"day": {"$param": "day"}, "r": {"$secret": "S"}}}]
    own_api.client.put("/workflows/keyed", json={"tasks": tasks})
    own_api.client.put("/limits/workflow/keyed", json={"limitBy": "day", "maxPerKey": 3}).raise_for_status()
    flow = register(own_api, "keyed", day="today")
    event = own_api.client.get(f"/flows/{flow}/events").json()["events"][0]["event"]
    assert event["tasks"][0]["workflow_key"] == "today"
    own_api.client.put("/limits/workflow/keyed", json={"limitBy": "r", "maxPerKey": 3}).raise_for_status()
    own_api.wait_for(
        lambda: own_api.client.post("/register/keyed", json={"parameters": {"day": 1}}).status_code == 422
    )
    reply = own_api.client.post("/register/keyed", json={"parameters": {"day": 1}})
    assert "limit_by of workflow 'keyed' tells tasks apart by it" in details(reply)[0]


@pytest.mark.parametrize("is_projected", [False, True], ids=["in the log", "in Postgres"])
async def test_a_flow_that_has_finished_shows_what_it_returns(
    own_api: RunningApi, is_projected: bool
) -> None:
    returns = {"rows": {"$from": "second", "path": "/n"}, "day": {"$param": "day"}, "all": [{"$from": 1}]}
    define(own_api, "returning", returns=returns)
    flow = register(own_api, "returning", day="2026-01-05", token="T")
    define(own_api, "returning", returns="another one by now")
    assert (own_api.flow(flow)["result"], own_api.flow(flow)["resultProblem"]) == (None, None)
    async with own_api.engine() as engine:
        (task,) = await engine.claim()
        await engine.finish(task, payload=b'{"$from":"data"}')
        (task,) = await engine.claim()
        await engine.finish(task, payload=b'{"n":3}')
    if is_projected:
        await own_api.project()
    shown = own_api.flow(flow)
    assert shown["result"] == {"rows": 3, "day": "2026-01-05", "all": [{"$from": "data"}]}
    assert shown["resultProblem"] is None


@pytest.mark.parametrize("is_projected", [False, True], ids=["in the log", "in Postgres"])
async def test_null_may_stand_in_for_what_is_returned(own_api: RunningApi, is_projected: bool) -> None:
    define(own_api, "standing", returns={"rows": {"$from": "second"}, "other": {"$from": 1, "default": 3}})
    flow = register(own_api, "standing", day="2026-01-05")
    path = f"/flows/{flow}/ignore"
    own_api.client.post(path, json={"tasks": ["second"], "result": None}).raise_for_status()
    own_api.client.post(path, json={"tasks": ["first"]}).raise_for_status()
    if is_projected:
        await own_api.project()
    shown = own_api.flow(flow)
    assert (shown["result"], shown["resultProblem"]) == ({"rows": None, "other": 3}, None)
    assert [task["hasStandIn"] for task in shown["tasks"]] == [False, True]


async def test_a_value_that_is_missing_is_said(own_api: RunningApi) -> None:
    define(own_api, "missing", returns={"$from": "second", "path": "/n"})
    flow = register(own_api, "missing", day="2026-01-05")
    own_api.client.post(f"/flows/{flow}/ignore", json={"tasks": ["second"]}).raise_for_status()
    async with own_api.engine() as engine:
        await engine.work_off()
    shown = own_api.flow(flow)
    assert (shown["status"], shown["result"]) == ("Finish", None)
    assert shown["resultProblem"] == (
        "what the flow returns is '/n' of the result of task second, which has none: it was passed over"
    )


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("UPDATE kr_flow_stat SET parameters = %s", "[1]"),
        ("UPDATE ms_workflow_version SET definition = %s", '{"returns": {"$from": 1.5}}'),
        ("UPDATE ms_workflow_version SET definition = %s", '{"returns": {"$from": {}, "$param": 1}}'),
        ("UPDATE kr_task_stat SET result = %s WHERE task_exec_seq = 2", "[" * 960 + "]" * 960),
        ("UPDATE kr_task_stat SET result = %s WHERE task_exec_seq = 2", "[" * 3000 + "]" * 3000),
        ("UPDATE kr_flow_stat SET parameters = %s", "[" * 3000 + "]" * 3000),
    ],
)
async def test_rows_that_make_no_sense_are_no_result(own_api: RunningApi, statement: str, value: str) -> None:
    define(own_api, "edited", returns=[[{"$from": "second"}]])
    flow = register(own_api, "edited", day="2026-01-05")
    async with own_api.engine() as engine:
        await engine.work_off()
    await own_api.project()
    own_api.sql(statement, value)
    reply = own_api.client.get(f"/flows/{flow}")
    if "[[[[" in value:
        assert reply.status_code in (200, 409), reply.text
        return
    assert reply.status_code == 200, reply.text
    shown = msgspec.json.decode(reply.content, type=dict[str, msgspec.Raw])
    assert bytes(shown["result"]) != b"null" or bytes(shown["resultProblem"]) != b"null"


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("parameters_schema", "[1]", "has a parameters_schema that is not an object"),
        ("parameters_schema", '{"type": "array"}', "parametersSchema/type: "),
        ("parameters_schema", '{"properties": {"a": {"$ref": "#"}}}', "leads back to itself"),
        ("returns", '{"$from": "nobody"}', "returns: it takes the result of task 'nobody'"),
        ("returns", '{"$from": ["a"]}', "returns: it has a $from that is neither"),
        ("labels", "[]", "has a labels that is not an object of texts"),
        ("labels", '{"a": 1}', "has a labels that is not an object of texts"),
        ("returns", "[" * 150 + "]" * 150, "has a returns that is nested deeper than 100 levels"),
    ],
)
def test_rows_edited_with_sql_are_refused_by_name(
    own_api: RunningApi, column: str, value: str, problem: str
) -> None:
    own_api.define("edited", {})
    own_api.sql(f"INSERT INTO ms_workflow (task_id, {column}) VALUES ('edited', '{value}')")  # noqa: S608
    own_api.wait_for(lambda: own_api.client.post("/register/edited").status_code == 422)
    (detail,) = details(own_api.client.post("/register/edited"))
    assert problem in detail
    assert "edited" in own_api.client.get("/workflows").text


@pytest.mark.parametrize(
    "more",
    [
        {"parametersSchema": {"properties": {"a": {"default": "\0"}}}},
        {"returns": {"a": "\0"}},
        {"labels": {"\0": "x"}},
        {"description": "\0"},
        {"parametersSchema": {"properties": {"a": {"pattern": "(a+)+("}}}},
        {"parametersSchema": {"minProperties": 10**400}},
        {"returns": [[[[{"$from": 10**400}]]]]},
        {"returns": {"$text": {"$text": {}}}},
        {"parametersSchema": []},
        {"labels": {"a": 1}},
    ],
)
def test_whatever_is_put_is_taken_or_refused(api: RunningApi, more: dict[str, Any]) -> None:
    body = {"tasks": [{"taskSeq": 1, "program": "A"}], **more}
    reply = api.client.put("/workflows/whatever", json=body)
    assert reply.status_code in (200, 201, 422), reply.text
    if reply.status_code == 422:
        assert details(reply)
