"""Names that nobody knows are said, with what is near; what may come later is done all the same."""

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from api.serving import RunningApi, details
from flower_engine.flows import unknown_names
from flower_engine.insight.published_signatures import digest_of, publish
from flower_engine.programs.signature import Signature
from scripts.engine import Engine

_SEEN = "ZZZZZZZZZZZZ"  # a program that is like no other, of the worker only


async def serve(
    api: RunningApi, engine: Engine, programs: Sequence[str], queues: Sequence[str] = ("default",)
) -> None:
    """A live worker serves these, and the API has seen it."""
    signatures = {name: Signature({"customer": ()}) for name in programs}
    await publish(engine.client, engine.partition, signatures)
    served = [*programs, _SEEN]
    engine.heartbeat("w1", programs=served, queues=queues, signatures=digest_of(signatures))
    api.wait_for(lambda: warnings(api, "GET", f"/tasks?program={_SEEN}") == [])


def warnings(api: RunningApi, method: str, path: str, body: Any = None) -> list[str]:
    reply = api.client.request(method, path, json=body)
    assert reply.is_success, reply.text
    return reply.json().get("warnings", [])


async def test_a_limit_or_pause_of_something_unknown_is_set_with_a_warning(own_api: RunningApi) -> None:
    own_api.define("nightly", {"program": "Load", "queue": "bulk"})
    async with own_api.engine() as engine:
        await serve(own_api, engine, ["SlowAsync"])
    for path, said in (
        ("program/SlowAsnyc", ["no program 'SlowAsnyc' is known; nearest: SlowAsync"]),
        ("program/lod", ["no program 'lod' is known; nearest: Load"]),
        ("program/SlowAsync", []),
        ("program/Load", []),
        ("workflow/nightlly", ["no workflow 'nightlly' is known; nearest: nightly"]),
        ("workflow/nightly", []),
        ("queue/bluk", ["no queue 'bluk' is known; nearest: bulk"]),
        ("queue/bulk", []),
        ("queue/default", []),
        ("global", []),
    ):
        assert warnings(own_api, "PUT", f"/limits/{path}", {"isPaused": True}) == said, path
    reply = own_api.client.delete("/limits/workflow/nihgtly")
    assert (reply.status_code, details(reply)) == (
        *(404,),
        ["nothing is set for workflow 'nihgtly'; nearest: nightly, nightlly"],
    )


async def test_a_strike_of_something_unknown_is_made_with_a_warning(own_api: RunningApi) -> None:
    own_api.define("etl", {"parameters": {"region": "eu", "deep": {"a": 1}}})
    async with own_api.engine() as engine:
        await serve(own_api, engine, ["A"])
    for program, parameter, said in (
        ("AA", "customer", ["no program 'AA' is known; nearest: A"]),
        ("A", "custmer", ["no parameter 'custmer' of program 'A' is known; nearest: customer"]),
        ("A", "Region", ["no parameter 'Region' of program 'A' is known; nearest: region"]),
        ("A", "region", []),
        ("A", "deep", []),
        ("A", "customer", []),
    ):
        body = {"program": program, "parameter": parameter, "value": 1}
        assert warnings(own_api, "POST", "/strikes", body) == said


async def test_a_definition_that_no_worker_could_run_is_made_with_a_warning(own_api: RunningApi) -> None:
    body = {"tasks": [{"taskSeq": 1, "program": "Laod"}, {"taskSeq": 2, "program": "Load", "queue": "bluk"}]}
    assert warnings(own_api, "PUT", "/workflows/w", body) == []  # no worker has begun yet
    async with own_api.engine() as engine:
        await serve(own_api, engine, ["Load"], ["default", "bulk"])
    said = [
        "taskSeq 1: no worker has served program 'Laod'; nearest: Load",
        "taskSeq 2: no live worker serves queue 'bluk'; nearest: bulk",
    ]
    assert warnings(own_api, "PUT", "/workflows/w", body) == said
    fine = {"tasks": [{"taskSeq": 1, "program": "Load", "queue": "bulk"}]}
    assert warnings(own_api, "PUT", "/workflows/w", fine) == []


async def test_lists_of_nothing_say_what_is_unknown(own_api: RunningApi) -> None:
    own_api.define("nightly", {})
    flow = own_api.register("nightly")
    async with own_api.engine() as engine:
        await serve(own_api, engine, ["A"])
        await engine.suspend(*await engine.claim())
    await own_api.project()
    unknown = ["no workflow 'nihgtly' is known; nearest: nightly"]
    for path, said in (
        ("/flows?taskId=nihgtly", unknown),
        ("/flows?taskId=nightly", []),
        ("/flows?taskId=nightly&status=Finish", []),
        ("/tasks?taskId=nihgtly", unknown),
        ("/tasks?program=B", ["no program 'B' is known"]),
        ("/tasks?error=zzz", ["no error has 'zzz' in its type or message; there are others"]),
        ("/tasks?error=zzz&taskId=nihgtly", unknown),
        ("/tasks", []),
    ):
        assert warnings(own_api, "GET", path) == said, path
    body = {"operation": "cancel", "filter": {"taskId": "nihgtly"}, "dryRun": True}
    assert warnings(own_api, "POST", "/bulk", body) == unknown
    reply = own_api.client.get("/workflows/nihgtly")
    assert details(reply) == ["no task definition has the task_id 'nihgtly'; nearest: nightly"]
    own_api.client.delete("/workflows/nightly")
    assert warnings(own_api, "GET", "/flows?taskId=nightly&status=Finish") == []  # its flows are known
    assert own_api.flow(flow)["taskId"] == "nightly"


async def test_queues_that_no_definition_names_are_said_beside_the_workers(own_api: RunningApi) -> None:
    own_api.define("w", {"queue": "bulk"})
    async with own_api.engine() as engine:
        await serve(own_api, engine, ["A"], ["default", "bulk", "blk"])
    assert warnings(own_api, "GET", "/workers") == [
        "no task definition names queue 'blk', which worker w1 serves; nearest: bulk"
    ]


async def test_top_forgets_queues_whose_workers_left(own_api: RunningApi) -> None:
    own_api.define("w", {})
    async with own_api.engine() as engine:
        await engine.attend("gone", "served")
        engine.heartbeat("w1", queues=["served"])
        own_api.register("w")
        assert own_api.client.get("/top").json()["queues"] == [
            {"queue": "default", "waiting": 1, "running": 0},
            {"queue": "served", "waiting": 0, "running": 0},
        ]


def test_top_shows_what_waits_in_a_queue_that_no_worker_ever_served(own_api: RunningApi) -> None:
    own_api.define("alone", {"queue": "gpu"})
    own_api.register("alone")
    seen = own_api.client.get("/top").json()
    assert {"queue": "gpu", "waiting": 1, "running": 0} in seen["queues"]
    assert [(lane["queue"], lane["workflow"]) for lane in seen["lanes"]] == [("gpu", "alone")]


@pytest.mark.parametrize("path", ["/limits/program/Typo"])
def test_an_answer_stands_where_names_cannot_be_looked_for(
    own_api: RunningApi, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unknown_names, "_PATIENCE_SECONDS", 0.2)
    with psycopg.connect(own_api.settings.database_url or "") as other:
        other.execute("LOCK ms_task_definition IN ACCESS EXCLUSIVE MODE")
        reply = own_api.client.put(path, json={"isPaused": True})
        assert reply.status_code == 200
        assert "warnings" not in reply.json()
        other.rollback()
