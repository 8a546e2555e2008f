"""References in definitions, over HTTP and in rows of SQL; and what is given later never becomes one."""

from typing import Any

import msgspec
import pytest

from api.serving import RunningApi, details
from flower_engine.model.definitions.task_message import TaskMessage
from flower_engine.model.parameters.references import resolved

SECRETS: list[Any] = [
    {"$secret": "TOKEN"},
    [{"deep": [{"$secret": "TOKEN"}]}],
    {"$text": "{x}", "x": {"$secret": "TOKEN"}},
    {"$literal": {"$secret": "TOKEN"}},
    {"$from": "files", "default": {"$secret": "TOKEN"}},
    '{"$secret": "TOKEN"}',
]
"""What somebody might send who wants to read a secret."""


def refused(api: RunningApi, verb: str, path: str, body: Any) -> str:
    reply = api.client.request(verb, path, json=body)
    assert reply.status_code == 422, reply.text
    return details(reply)[0]


def define(api: RunningApi, workflow: str) -> None:
    """A producer; a reader of it; a task whose parameters are plain."""
    api.define(
        workflow,
        {"taskName": "files", "parameters": {"day": "today"}},
        {
            "taskName": "reader",
            "dependsOn": [],
            "parameters": {"first": {"$from": "files", "path": "/0"}, "note": "as defined"},
        },
        {"taskName": "plain", "dependsOn": [], "parameters": {"note": "as defined"}},
    )


async def messages(api: RunningApi, flow: str, tasks: int = 3) -> list[TaskMessage]:
    """What workers are given."""
    async with api.engine() as engine:
        fields = [f"m{seq}" for seq in range(1, tasks + 1)]
        found = await engine.client.hmget(engine.partition.keys.flow(flow), fields)
        return [msgspec.json.decode(one or b"", type=TaskMessage) for one in found]


def as_run(message: TaskMessage) -> dict[str, Any]:
    """The parameters as the program gets them."""

    def secret(name: str) -> str:
        raise AssertionError(f"the secret {name} was read")

    if not message.refs:
        return message.parameters
    return resolved(message.parameters, lambda name: [f"result of {name}"], secret)


async def test_a_reader_depends_on_its_producer_and_is_told_so(own_api: RunningApi) -> None:
    define(own_api, "read")
    shown = own_api.client.get("/workflows/read").json()
    assert shown["tasks"][1]["parameters"]["first"] == {"$from": "files", "path": "/0"}
    assert own_api.client.put("/workflows/read", json=shown).json() | {"warnings": None} == shown | {
        "warnings": None
    }
    flow = own_api.register("read")
    assert [task["dependsOn"] for task in own_api.flow(flow)["tasks"]] == [[], [1], []]
    files, reader, plain = await messages(own_api, flow)
    assert [one.refs for one in (files, reader, plain)] == [False, True, False]
    assert reader.reads == {"files": 1}
    assert as_run(reader) == {"first": "result of files", "note": "as defined"}


def test_what_is_wrong_names_row_parameter_and_place(api: RunningApi) -> None:
    tasks = [{"taskSeq": 1, "program": "A", "parameters": {"list": [0, {"$from": "nobody"}]}}]
    detail = refused(api, "PUT", "/workflows/wrong", {"tasks": tasks})
    assert "row (task_id 'wrong', task_seq 1): parameters/list/1: it takes the result of" in detail
    api.define("wrong", {"parameters": {"list": []}})
    api.sql(
        """UPDATE ms_task_definition SET parameters = '{"list": [{"$from": 1}]}' WHERE task_id = 'wrong'"""
    )
    detail = refused(api, "POST", "/register/wrong", None)
    assert "parameters/list/0: it takes the result of its own task" in detail
    shown = api.client.get("/workflows", params={"cursor": "wron"}).json()["workflows"][0]
    assert "parameters/list/0" in shown["problem"]


async def test_texts_of_rows_that_hold_references_count_as_their_json(own_api: RunningApi) -> None:
    own_api.sql(
        "INSERT INTO ms_task_definition (task_id, task_seq, task_name, program, task_priority, depends_on,"
        " param1_key, param1_value, param2_key, param2_value) VALUES"
        " ('rows', 1, 'files', 'A', 0, '{}', 'body', %s, 'odd', %s),"
        " ('rows', 2, NULL, 'A', 0, '{}', 'first', %s, 'price', '$from')",
        *('{"id": "$from"}', '{"$from": x}', ' [{"$from": "files", "path": "/0"}]'),
    )
    flow = own_api.register("rows")
    files, reader = await messages(own_api, flow, 2)
    assert files.parameters == {"body": '{"id": "$from"}', "odd": '{"$from": x}'}
    assert not files.refs
    assert as_run(reader) == {"first": ["result of files"], "price": "$from"}
    own_api.sql("UPDATE ms_task_definition SET param1_value = %s WHERE task_seq = 2", '{"$from": 1.5}')
    own_api.wait_for(lambda: own_api.client.post("/register/rows").status_code == 422)
    detail = refused(own_api, "POST", "/register/rows", None)
    assert "parameters/first: it has a $from that is neither" in detail


async def test_a_text_put_over_http_stays_a_text(own_api: RunningApi) -> None:
    texts = {"a": '{"$secret": "TOKEN"}', "b": '[{"$from": 7}]', "c": '{"$from"', "d": "$from"}
    own_api.define("texts", {"parameters": texts})
    assert own_api.client.get("/workflows/texts").json()["tasks"][0]["parameters"] == texts
    (message,) = await messages(own_api, own_api.register("texts"), 1)
    assert (message.parameters, message.refs) == (texts, False)


@pytest.mark.parametrize("secret", SECRETS)
async def test_whoever_registers_reads_no_secret_and_no_result(api: RunningApi, secret: Any) -> None:
    define(api, "asked")
    is_asking = not isinstance(secret, str)
    for_all = api.client.post("/register/asked", json={"parameters": {"note": secret}})
    of_one = api.client.post("/register/asked", json={"taskParameters": {"reader": {"note": secret}}})
    for reply in (for_all, of_one):
        assert reply.status_code == (422 if is_asking else 200), reply.text
        if is_asking:
            assert "the parameter 'note' is given as data: $" in details(reply)[0]
    plain = api.client.post("/register/asked", json={"taskParameters": {"plain": {"note": secret}}})
    found = await messages(api, plain.json()["taskFlowId"])
    assert not found[2].refs
    assert as_run(found[2])["note"] == secret


@pytest.mark.parametrize("data", [{"$text": "{x}"}, {"$param": "day"}, [{"$literal": 1}, 2], {"$slot": 3}])
async def test_data_that_looks_like_a_reference_stays_data(api: RunningApi, data: Any) -> None:
    define(api, "data")
    reply = api.client.post("/register/data", json={"parameters": {"note": data}})
    found = await messages(api, reply.json()["taskFlowId"])
    assert [as_run(one)["note"] for one in found[1:]] == [data, data]
    only = {"taskParameters": {"reader": {"first": data}}}
    reply = api.client.post("/register/data", json=only)
    found = await messages(api, reply.json()["taskFlowId"])
    assert (found[1].refs, found[1].reads, found[1].parameters["first"]) == (False, {}, data)


async def test_a_rerun_and_a_fork_give_data_only(own_api: RunningApi) -> None:
    define(own_api, "again")
    flow = own_api.register("again")
    for secret in SECRETS[:-1]:
        for verb, body in (("rerun", {"tasks": ["reader"]}), ("fork", {"fromTasks": ["reader"]})):
            detail = refused(
                own_api, "POST", f"/flows/{flow}/{verb}", {**body, "parameters": {"note": secret}}
            )
            assert "task 2: the parameter 'note' is given as data" in detail
    data = {"$text": "{x}"}
    async with own_api.engine() as engine:
        await engine.work_off()
    body = {"tasks": [2, 3], "parameters": {"note": data}, "taskParameters": {"plain": {"note": SECRETS[0]}}}
    reply = own_api.client.post(f"/flows/{flow}/rerun", json=body)
    assert reply.status_code == 200, reply.text
    found = await messages(own_api, flow)
    assert [as_run(one)["note"] for one in found[1:]] == [data, SECRETS[0]]
    body = {"fromTasks": [2, 3], "parameters": {"note": data}}
    forked = own_api.client.post(f"/flows/{flow}/fork", json=body).json()["taskFlowId"]
    found = await messages(own_api, forked)
    assert [as_run(one)["note"] for one in found[1:]] == [data, data]
    assert found[1].reads == {"files": 1}
