"""Parameters given to a rerun, a fork or a registration are checked before anything happens."""

from collections.abc import Callable
from typing import Annotated, Any

import httpx
import msgspec
import pytest

from api.serving import RunningApi, details
from api.test_programs import work
from flower_engine.insight.published_signatures import digest_of, publish
from flower_engine.programs.parameter_binding import Binder
from flower_engine.programs.registry import Registry
from flower_engine.programs.self_description import published
from scripts.engine import Engine


class Point(msgspec.Struct, forbid_unknown_fields=True):
    x: float
    y: float = 0.0


def load(table: str, limit: int = 10, day: str | None = None) -> None:
    """The program as most workers have it."""


def newer_load(table: str, limit: float = 10, region: str = "eu") -> None:
    """The next version of it."""


def free(**others: Any) -> None:
    """Takes anything."""


async def serve(engine: Engine, worker: str, function: Callable[..., None] = load) -> None:
    """A live worker says what its program A takes."""
    signatures = {"A": Binder("A", function).signature}
    await publish(engine.client, engine.partition, signatures)
    engine.heartbeat(worker, signatures=digest_of(signatures))


async def failed(api: RunningApi, engine: Engine, **parameters: Any) -> str:
    """A flow whose one task has failed for good; its definition came before the workers that are there."""
    task = {"taskSeq": 1, "program": "A", "parameters": parameters}
    body = {"source": "tests", "workflows": [{"taskId": "etl", "tasks": [task]}], "ahead": True}
    api.client.post("/deploy", json=body).raise_for_status()
    flow = api.register("etl")
    await engine.suspend(*await engine.claim())
    return flow


def rerun(api: RunningApi, flow: str, **body: Any) -> httpx.Response:
    return api.client.post(f"/flows/{flow}/rerun", json={"tasks": [1], **body})


def parameters(api: RunningApi, flow: str) -> dict[str, Any]:
    return api.flow(flow)["tasks"][0]["parameters"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tabel": "x"}, "program 'A' has no parameter 'tabel'; it takes table, limit, day; nearest: table"),
        ({"limit": "abc"}, "parameter 'limit' has the value 'abc', which is no integer"),
        ({"LIMIT": "abc"}, "parameter 'LIMIT' has the value 'abc', which is no integer"),
        ({"table": 7}, "parameter 'table' has the value 7, which is no string"),
        ({"table": "a", "TABLE": "b"}, "the parameter 'table' is given twice, the second time as 'TABLE'"),
    ],
)
async def test_what_no_live_version_takes_is_refused_and_changes_nothing(
    own_api: RunningApi, given: dict[str, Any], said: str
) -> None:
    async with own_api.engine() as engine:
        await serve(engine, "w1")
        flow = await failed(own_api, engine, table="order")
        before = own_api.flow(flow)
        replies = [
            rerun(own_api, flow, parameters=given),
            rerun(own_api, flow, taskParameters={"1": given}),
            own_api.client.post(f"/flows/{flow}/fork", json={"fromTasks": [1], "parameters": given}),
            own_api.client.post("/register/etl", json={"taskParameters": {"1": given}}),
        ]
        for reply in replies:
            assert reply.status_code == 422, reply.text
            assert said in " ".join(details(reply))
        assert own_api.flow(flow) == before
        assert len(await engine.flows()) == 1


async def test_a_name_in_another_case_changes_the_parameter_that_the_task_has(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        await serve(engine, "w1")
        flow = await failed(own_api, engine, table="order", LIMIT=3)
        assert rerun(own_api, flow, parameters={"TABLE": "orders", "limit": 5}).status_code == 200
        assert parameters(own_api, flow) == {"table": "orders", "LIMIT": 5}
        for path, body in (
            (f"/flows/{flow}/fork", {"fromTasks": [1], "parameters": {"Table": "x"}}),
            ("/register/etl", {"parameters": {"TABLE": "x"}}),
            ("/register/etl", {"taskParameters": {"1": {"TABLE": "x"}}}),
        ):
            started = own_api.client.post(path, json=body).json()["taskFlowId"]
            assert parameters(own_api, started)["table"] == "x"


def shaped_load(table: str, points: list[Point], limit: Annotated[int, msgspec.Meta(ge=1)] = 1) -> None:
    """Takes more than words tell."""


async def serve_shaped(api: RunningApi, engine: Engine) -> None:
    program = published(Registry().add(shaped_load, "A", None))
    await work(api, engine, "w1", {"A": program})


WRONG = {"points": [{"x": 1}, {"x": "far", "z": 0}], "LIMIT": 0, "tabel": "x"}
PLACES = {"/points/1/x", "/points/1/z", "/LIMIT", "/tabel"}


def pointers(reply: httpx.Response) -> set[str]:
    assert reply.status_code == 422, reply.text
    assert details(reply)
    return {problem["pointer"] for problem in reply.json()["problems"]}


async def test_each_fault_of_a_value_by_its_programs_schema_is_named_and_nothing_changes(
    own_api: RunningApi,
) -> None:
    async with own_api.engine() as engine:
        flow = await failed(own_api, engine, table="order", points=[])
        await serve_shaped(own_api, engine)
        before = await engine.raw_events()
        own_api.wait_for(lambda: rerun(own_api, flow, parameters={"tabel": 1}).status_code == 422)
        of_all, of_task = {"parameters": WRONG}, {"taskParameters": {"1": WRONG}}
        assert pointers(rerun(own_api, flow, **of_all)) == {f"#/parameters{place}" for place in PLACES}
        of_one = {f"#/taskParameters/1{place}" for place in PLACES}
        assert pointers(rerun(own_api, flow, **of_task)) == of_one
        forked = own_api.client.post(f"/flows/{flow}/fork", json={"fromTasks": [1], **of_task})
        assert pointers(forked) == of_one
        both: dict[str, Any] = {**of_task, "parameters": {"points": {}}}
        registered = own_api.client.post("/register/etl", json=both)
        assert pointers(registered) == of_one | {"#/parameters/points"}
        said = "program 'A': parameter 'points' at /1/z: there is no such field"
        assert any(said in one for one in details(registered))
        assert await engine.raw_events() == before
        fits = {"points": [{"x": "1.5"}], "limit": "2"}  # texts convert, as those of the table
        assert rerun(own_api, flow, taskParameters={"1": fits}).status_code == 200


async def test_constants_of_a_definition_are_held_against_the_schema(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        await serve_shaped(own_api, engine)
    given = {"table": "x", "points": [{"x": 1, "z": 2}]}
    refused = own_api.client.put(
        "/workflows/w", json={"tasks": [{"taskSeq": 1, "program": "A", "parameters": given}]}
    )
    assert refused.status_code == 422
    said = "program 'A': parameter 'points' at /0/z: there is no such field"
    assert details(refused) == [f"row (task_id 'w', task_seq 1): {said}"]


async def test_a_new_parameter_may_be_one_of_any_live_version(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        await serve(engine, "w1")
        flow = await failed(own_api, engine, table="order")
        assert rerun(own_api, flow, parameters={"region": "us"}).status_code == 422
        await serve(engine, "w2", newer_load)
        own_api.wait_for(lambda: rerun(own_api, flow, parameters={"region": "us"}).status_code == 200)
        assert rerun(own_api, flow, parameters={"limit": 1.5}).status_code == 200
        assert rerun(own_api, flow, parameters={"day": "monday"}).status_code == 200
        assert rerun(own_api, flow, parameters={"limit": "abc"}).status_code == 422
        await serve(engine, "w3", free)
        given = {"whatever": [1], "limit": "abc"}
        own_api.wait_for(lambda: rerun(own_api, flow, parameters=given).status_code == 200)


async def test_where_no_live_worker_says_anything_a_new_name_is_taken_with_a_warning(
    own_api: RunningApi,
) -> None:
    async with own_api.engine() as engine:
        flow = await failed(own_api, engine, table="order")
        engine.heartbeat("old")  # of a version that publishes nothing
        answer = rerun(own_api, flow, parameters={"region": "us", "TABLE": 7})
        assert answer.status_code == 200
        (warning,) = answer.json()["warnings"]
        assert warning.startswith("task 1: no live worker says what program 'A' takes")
        assert warning.endswith("takes 'region'")
        assert parameters(own_api, flow) == {"table": 7, "region": "us"}


async def test_parameters_are_taken_away(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        await serve(engine, "w1")
        flow = await failed(own_api, engine, table="order", TABEL="typo", day="x")
        for unset, said in (
            (["nothing"], "none of the tasks has a parameter 'nothing' to take away; they have"),
            (["TABLE"], "program 'A' needs the parameter 'table'"),
        ):
            reply = rerun(own_api, flow, unset=unset)
            assert reply.status_code == 422
            assert said in details(reply)[0]
        both = rerun(own_api, flow, unset=["day"], parameters={"DAY": "y"})
        assert "the parameter 'day' is given and taken away" in details(both)[0]
        forked = own_api.client.post(f"/flows/{flow}/fork", json={"fromTasks": [1], "unset": ["TABEL"]})
        assert parameters(own_api, forked.json()["taskFlowId"]) == {"table": "order", "day": "x"}
        assert rerun(own_api, flow, unset=["tabel", "DAY"], parameters={"limit": 2}).status_code == 200
        assert parameters(own_api, flow) == {"table": "order", "limit": 2}
        await own_api.project()
        assert parameters(own_api, flow) == {"table": "order", "limit": 2}
        (claim,) = [one for one in await engine.claim(9) if one.flow == flow]
        await engine.finish(claim)
        await own_api.project()
        assert rerun(own_api, flow, unset=["limit"]).status_code == 200  # it had ended
        await own_api.project()
        assert parameters(own_api, flow) == {"table": "order"}


async def test_all_that_is_wrong_with_a_registration_is_named(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        await serve(engine, "w1")
    own_api.define("two", {"parameters": {"table": "a", "limit": 1}}, {"parameters": {"table": "b"}})
    reply = own_api.client.post("/register/two", json={"parameters": {"limit": "x", "tabel": 1, "table": 2}})
    assert reply.status_code == 422
    assert list(details(reply)) == [
        "taskSeq 1: program 'A': parameter 'table' has the value 2, which is no string",
        "taskSeq 1: program 'A': parameter 'limit' has the value 'x', which is no integer",
        "taskSeq 2: program 'A': parameter 'table' has the value 2, which is no string",
        "no task of workflow 'two' defines a parameter 'tabel'; set it for one task with taskParameters;"
        " nearest: table",
    ]


async def test_a_schedule_of_flows_that_lack_what_a_program_needs_is_refused(own_api: RunningApi) -> None:
    workflow: dict[str, Any] = {"taskId": "etl", "tasks": [{"taskSeq": 1, "program": "A", "parameters": {}}]}
    body: dict[str, Any] = {"source": "tests", "workflows": [workflow], "ahead": True}
    said: dict[str, Any] = {"taskId": "etl", "everySeconds": 60}
    async with own_api.engine() as engine:
        await serve(engine, "w1")
        own_api.client.post("/deploy", json=body).raise_for_status()
        reply = own_api.client.put("/schedules/late", json=said)
        assert reply.status_code == 422, reply.text
        (fault,) = reply.json()["problems"]
        assert fault["pointer"] == "#/parameters"
        assert fault["detail"].endswith("needs the parameter 'table', which the definition leaves open")
        own_api.sql("INSERT INTO ms_schedule (name, task_id, every_seconds) VALUES ('early', 'etl', 60)")
        reply = own_api.client.post("/schedules/early/trigger", json={})
        assert reply.status_code == 422 and "'table'" in reply.text
        body["schedules"] = [{"schedule": "late", **said}]
        reply = own_api.client.post("/deploy", json=body)
        assert reply.status_code == 200 and "'table'" in reply.text, reply.text
