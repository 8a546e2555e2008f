"""``POST /bulk``: what it says beforehand is what it does; who is meant may be named one by one; and it tells
what it takes to undo it."""

import json
from typing import Any

import pytest

from api.serving import RunningApi, details
from api.test_failed_tasks import fail
from api.test_operations import done, post
from api.test_sub_flows import begin, step
from scripts.engine import Engine


def foretold(api: RunningApi, operation: str, filter_: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {"operation": operation, "filter": filter_, "dryRun": True, "foretell": 100, **more}
    reply = api.client.post("/bulk", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def operated(api: RunningApi, operation: str, filter_: dict[str, Any], **more: Any) -> dict[str, Any]:
    reply = api.client.post("/bulk", json={"operation": operation, "filter": filter_, **more})
    assert reply.status_code == 200, reply.text
    return json.loads(reply.text.splitlines()[-1])


async def several(api: RunningApi, engine: Engine) -> dict[str, list[str]]:
    """Flows that stand otherwise: failed, paused, waiting, over."""
    flows = {"failed": await fail(api, engine, "books", "no book", 2)}
    api.define("idle", {"program": "nobody's"}, {"program": "nobody's"})
    flows["waiting"] = [api.register("idle")]
    flows["paused"] = [api.register("idle")]
    done(post(api, flows["paused"][0], "pause", {}))
    api.define("fine", {})
    flows["over"] = [api.register("fine")]
    await engine.work_off()
    await api.project()
    return flows


async def test_a_dry_run_says_of_each_flow_what_the_operation_then_does(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flows = await several(own_api, engine)
        every = [one for some in flows.values() for one in some]
        for operation in ("pause", "resume", "rerun", "ignore", "cancel"):
            before = len(await engine.events())
            told = foretold(own_api, operation, {"taskFlowIds": every})
            assert len(await engine.events()) == before
            assert [one["taskFlowId"] for one in told["flows"]] == sorted(every)
            fit = {one["taskFlowId"]: one for one in told["flows"] if "refusal" not in one}
            result = operated(own_api, operation, {"taskFlowIds": every})
            assert {one["taskFlowId"]: one["did"] for one in result["operated"]} == {
                flow: one["did"] for flow, one in fit.items()
            }, operation
            refused = {one["taskFlowId"] for one in result["refusals"]}
            assert refused == {one["taskFlowId"] for one in told["flows"] if "refusal" in one}, operation
            await own_api.project()
            for flow, one in fit.items():
                if one["effect"]["ends"]:
                    assert own_api.flow(flow)["finishedTs"] is not None
        engine.programs.add("nobody's")  # takes down the bell that hangs for it
        await engine.check()


async def test_an_effect_counts_the_tasks_that_the_dry_run_of_the_flow_names(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flow, other = await fail(own_api, engine, "books", "no book", 2)
        for operation, body in (
            ("rerun", {"selection": "failed"}),
            ("cancel", {}),
            ("ignore", {"tasks": [1]}),
            ("pause", {}),
        ):
            alone = done(post(own_api, flow, operation, {**body, "dryRun": True}))["effect"]
            one, _ = foretold(own_api, operation, {"taskFlowIds": [flow, other]})["flows"]
            assert one["taskId"] == "books"
            assert one["effect"] == {
                **{
                    name: len(alone[name]) if isinstance(alone[name], list) else alone[name]
                    for name in one["effect"]
                    if name != "elsewhere"
                },
                "elsewhere": 0,
            }
        ended = operated(own_api, "cancel", {"taskFlowIds": [flow]})
        assert ended["done"] == 1
        (refusing,) = foretold(own_api, "cancel", {"taskFlowIds": [flow]})["flows"]
        assert "it has ended (Ignore)" in refusing["refusal"]


async def test_what_would_happen_to_alike_failures_is_told_in_the_same_answer(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        await fail(own_api, engine, "books", "no book 17", 3)
        fault = {"program": "books", "type": "LookupError", "shape": "no book N"}
        told = foretold(own_api, "rerun", {"fault": fault}, foretell=2)
        assert [("effect" in one, one["tasks"]) for one in told["flows"]] == [
            (True, [1]),
            (True, [1]),
            (False, [1]),
        ]
        assert told["flows"][0]["effect"]["runs"] == 1


async def test_flows_are_named_one_by_one_and_no_others_are_meant(own_api: RunningApi) -> None:
    own_api.define("idle", {"program": "nobody's"})
    flows = [own_api.register("idle") for _ in range(4)]
    await own_api.project()
    stranger = "01a207a2-c5c2-7000-b2a9-e6c476986474"
    named = {"taskFlowIds": [flows[0].upper(), flows[2], stranger]}
    assert foretold(own_api, "pause", named)["matches"] == 2
    assert operated(own_api, "pause", named)["done"] == 2
    await own_api.project()
    assert [own_api.flow(one)["pausedTs"] is not None for one in flows] == [True, False, True, False]
    assert operated(own_api, "pause", {"taskFlowIds": []})["done"] == 0
    assert operated(own_api, "pause", {"taskFlowIds": flows, "taskId": "other"})["done"] == 0
    again = operated(own_api, "pause", {"taskFlowIds": flows})
    assert [one["did"] for one in again["operated"]] == ["nothing", "pause", "nothing", "pause"]
    (noted,) = own_api.client.get("/audit", params={"what": "bulk.pause", "limit": 1}).json()["acts"]
    assert noted["details"] == {"filter": {"taskFlowIds": flows}, "flows": 4}


async def test_another_priority_for_many_tells_the_one_before(own_api: RunningApi) -> None:
    own_api.define("even", {"program": "nobody's", "taskPriority": 3})
    own_api.define("odd", {"program": "nobody's", "taskPriority": 1}, {"program": "nobody's"})
    even, odd = own_api.register("even"), own_api.register("odd")
    await own_api.project()
    result = operated(own_api, "priority", {"taskFlowIds": [even, odd]}, priority=-5)
    assert [(one["taskFlowId"], one["priority"]) for one in result["operated"]] == [(even, 3), (odd, None)]
    await own_api.project()
    assert {task["taskPriority"] for one in (even, odd) for task in own_api.flow(one)["tasks"]} == {-5}


async def test_the_tree_below_a_flow_is_meant_without_the_flow(
    own_api: RunningApi, database_url: str
) -> None:
    async with own_api.engine() as engine:
        own_api.define("leaf", {"program": "nobody's"})
        own_api.define("top", step("leaf"), step("leaf"))
        flow = own_api.register("top")
        own_api.register("leaf")
        await begin(engine, database_url)
        await own_api.project()
        told = foretold(own_api, "cancel", {"trunk": flow.upper()})
        children = {task["childFlowId"] for task in own_api.flow(flow)["tasks"]}
        assert {one["taskFlowId"] for one in told["flows"]} == children
        (above,) = foretold(own_api, "cancel", {"taskFlowIds": [flow]})["flows"]
        assert above["effect"]["elsewhere"] == 2


async def test_waits_behind_what_runs_again_keep_their_answers_where_somebody_says_so(
    own_api: RunningApi,
) -> None:
    """What was given up has let the approval behind it be asked, so that it has an answer."""
    asked = {"program": "@approval", "parameters": {"title": "?"}, "dependsOn": [1], "rule": "settled"}
    async with own_api.engine() as engine:
        own_api.define("clean up", {"program": "A", "onFailure": "give_up"}, asked)
        flow = own_api.register("clean up")
        await engine.suspend(*await engine.claim())
        done(post(own_api, flow, "tasks/2/answer", {"answer": {"approved": True}}))
        await own_api.project()
        only, behind = {"taskFlowIds": [flow]}, {"scope": "dependents"}
        (told,) = foretold(own_api, "rerun", only, **behind)["flows"]
        assert (told["effect"]["runs"], told["effect"]["askedAgain"]) == (2, 1)
        (told,) = foretold(own_api, "rerun", only, **behind, keepAnswers=True)["flows"]
        assert (told["effect"]["runs"], told["effect"]["askedAgain"]) == (1, 0)
        assert operated(own_api, "rerun", only, **behind, keepAnswers=True)["done"] == 1
        await own_api.project()
        assert [task["status"] for task in own_api.flow(flow)["tasks"]] == ["Wait", "Finish"]
        await engine.check()


@pytest.mark.parametrize(
    "body",
    [
        {"operation": "priority", "filter": {}},
        {"operation": "priority", "priority": 20, "filter": {}},
        {"operation": "pause", "priority": 1, "filter": {}},
        {"operation": "pause", "keepAnswers": True, "filter": {}},
        {"operation": "resume", "scope": "dependents", "filter": {}},
        {"operation": "ignore", "workflowVersion": "newest", "filter": {}},
        {"operation": "pause", "filter": {"taskFlowIds": ["x"]}},
        {"operation": "pause", "filter": {"taskFlowIds": ["01a207a2-c5c2-7000-b2a9-e6c476986474"] * 1_001}},
        {"operation": "pause", "filter": {"trunk": "last"}},
        {"operation": "pause", "filter": {}, "dryRun": True, "foretell": 101},
    ],
)
def test_what_makes_no_sense_is_refused(api: RunningApi, body: dict[str, Any]) -> None:
    reply = api.client.post("/bulk", json=body)
    assert reply.status_code == 422
    assert details(reply)
