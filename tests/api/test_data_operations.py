"""What operators do to flows whose tasks read each other's results, over HTTP."""

import json
from typing import Any

import httpx
import pytest

from api.serving import RunningApi, details
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.transitions.worker_transitions import Outcome
from scripts.engine import Engine

PIPE: tuple[dict[str, Any], ...] = (
    {"taskName": "first"},
    {"parameters": {"rows": {"$from": "first"}}},
    {"parameters": {"rows": {"$from": 2, "path": "/n"}, "old": {"$from": "first", "optional": True}}},
)


def post(api: RunningApi, flow: str, verb: str, body: Any = None) -> httpx.Response:
    return api.client.post(f"/flows/{flow}/{verb}", json=body)


def done(reply: httpx.Response) -> dict[str, Any]:
    assert reply.status_code == 200, reply.text
    return reply.json()


async def run_to_the_end(engine: Engine, flow: str) -> None:
    """Each task's result says which it is."""
    while claims := await engine.claim():
        assert {claim.flow for claim in claims} == {flow}
        for claim in claims:
            assert await engine.finish(claim, payload=b'{"n":%d}' % claim.task) == ["ok"]


async def ended_flow(api: RunningApi, engine: Engine) -> str:
    api.define("pipe", *PIPE)
    flow = api.register("pipe")
    await run_to_the_end(engine, flow)
    return flow


async def inputs(engine: Engine) -> dict[int, Any]:
    """What the one task that can be claimed is given of results."""
    got = await engine.exchange(wanted=1)
    assert len(got.claims) == 1
    return {task: json.loads(payload[1:] or b"null") for (_, task), payload in got.results.items()}


@pytest.mark.parametrize("is_archived", [False, True])
async def test_a_rerun_fetches_the_results_that_it_needs_again(
    own_api: RunningApi, *, is_archived: bool
) -> None:
    async with own_api.engine() as engine:
        flow = await ended_flow(own_api, engine)
        if is_archived:
            await own_api.project()
        assert done(post(own_api, flow, "rerun", {"tasks": [3]}))["tasks"] == [3]
        assert await inputs(engine) == {1: {"n": 1}, 2: {"n": 2}}
        await engine.check()


async def test_a_rerun_of_a_producer_runs_what_read_its_result_again(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flow = await ended_flow(own_api, engine)
        assert done(post(own_api, flow, "rerun", {"tasks": ["first"]}))["tasks"] == [1, 2, 3]
        await run_to_the_end(engine, flow)
        done(post(own_api, flow, "rerun", {"tasks": [2], "scope": "only"}))
        assert await inputs(engine) == {1: {"n": 1}}
        await engine.check()


async def test_a_task_that_another_needs_is_ignored_with_a_result_only(own_api: RunningApi) -> None:
    own_api.define("pipe", *PIPE)
    async with own_api.engine() as engine:
        flow = own_api.register("pipe")
        refused = post(own_api, flow, "ignore", {"tasks": ["first"]})
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:flower:problem:needed")
        assert "the result of task 1 is needed by task 2" in details(refused)[0]
        both = post(own_api, flow, "ignore", {"tasks": [1, 2], "result": 1})
        assert (both.status_code, both.json()["type"]) == (409, "urn:flower:problem:one-result")
        done(post(own_api, flow, "ignore", {"tasks": [1], "result": {"n": [1.5, None]}}))
        assert own_api.flow(flow)["tasks"][0]["result"] == {"n": [1.5, None]}
        assert await inputs(engine) == {1: {"n": [1.5, None]}}
        await engine.check()


async def test_null_is_a_result_that_may_stand_in(own_api: RunningApi) -> None:
    own_api.define("pipe", *PIPE)
    async with own_api.engine() as engine:
        flow = own_api.register("pipe")
        done(post(own_api, flow, "ignore", {"tasks": [1], "result": None}))
        assert await inputs(engine) == {1: None}


@pytest.mark.parametrize("result", ["a\0b", "x" * 70_000, [[["deep"]]]])
async def test_a_result_that_cannot_be_kept_is_refused(api: RunningApi, result: Any) -> None:
    api.define("pipe", *PIPE)
    flow = api.register("pipe")
    if isinstance(result, list):
        for _ in range(120):
            result = [result]
    reply = post(api, flow, "ignore", {"tasks": [1], "result": result})
    assert reply.status_code in (400, 422), reply.text
    assert api.flow(flow)["tasks"][0]["status"] == "Wait"


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("{flow}/ignore", {"tasks": [1], "result": {"a": ["x", "y\0"]}}),
        ("{flow}/rerun", {"tasks": [1], "parameters": {"a": ["x", "y\0"]}}),
        ("{flow}/fork", {"fromTasks": [1], "parameters": {"a": ["x", "y\0"]}}),
        ("register", {"parameters": {"a": ["x", "y\0"]}}),
        ("register", {"taskParameters": {"1": {"a": ["x", "y\0"]}}}),
        ("workflow", {"tasks": [{"taskSeq": 1, "program": "A", "parameters": {"a": ["x", "y\0"]}}]}),
        ("deploy", {"tasks": [{"taskSeq": 1, "program": "A", "parameters": {"a": ["x", "y\0"]}}]}),
    ],
)
async def test_what_cannot_be_kept_is_refused_with_its_place(
    api: RunningApi, call: str, body: dict[str, Any]
) -> None:
    api.define("pipe", *PIPE)
    flow = api.register("pipe")
    if call == "register":
        reply = api.client.post("/register/pipe", json=body)
    elif call == "workflow":
        reply = api.client.put("/workflows/other", json=body)
    elif call == "deploy":
        body = {"source": "x", "workflows": [{"taskId": "other", **body}]}
        reply = api.client.post("/deploy", json=body)
    else:
        reply = api.client.post(f"/flows/{call.format(flow=flow)}", json=body)
    assert reply.status_code == 422, reply.text
    assert "NUL (character 1)" in reply.text and "/1" in reply.text, reply.text


async def test_a_fork_takes_results_over_wherever_they_lie(own_api: RunningApi) -> None:
    blob = {"sha256": "ab", "bytes": 70_000, "store": "api"}
    own_api.define("pipe", *PIPE)
    async with own_api.engine() as engine:
        flow = own_api.register("pipe")
        (first,) = await engine.claim()
        stored = Outcome(first, OutcomeKind.STORED, json.dumps(blob).encode())
        (second,) = (await engine.exchange(outcomes=[stored], wanted=1)).claims
        await engine.finish(second, payload=b'{"n":2}')
        await run_to_the_end(engine, flow)
        new = done(post(own_api, flow, "fork", {"fromTasks": [3]}))["taskFlowId"]
        assert own_api.flow(new)["tasks"][0]["blob"] == blob
        assert own_api.flow(new)["tasks"][1]["result"] == {"n": 2}
        assert await inputs(engine) == {1: blob, 2: {"n": 2}}
        await engine.check()
