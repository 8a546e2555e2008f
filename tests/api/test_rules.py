"""Flows with rules over HTTP: what is shown of them, where they are listed, and what people may do."""

import asyncio
from typing import Any

from api.serving import RunningApi, details, moment
from api.test_operations import done, post
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.transitions.worker_transitions import Outcome
from scripts.engine import AN_ERROR, Engine

TASKS: tuple[dict[str, Any], ...] = (
    {"taskName": "load", "onFailure": "give_up"},
    {"taskName": "count", "parameters": {"rows": {"$from": "load"}}},
    {"taskName": "clean", "dependsOn": ["load", "count"], "rule": "settled"},
    {"taskName": "tell", "dependsOn": ["load"], "rule": "failed"},
)


async def failed_flow(api: RunningApi, engine: Engine, workflow: str = "ruled") -> str:
    """Its first task is given up; what is behind it has ended, too."""
    api.define(workflow, *TASKS)
    flow = api.register(workflow)
    (first,) = await engine.claim()
    await engine.suspend(first)
    await engine.work_off()
    return flow


async def test_a_flow_that_ended_with_a_task_given_up_is_shown_so(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flow = await failed_flow(own_api, engine)
        await engine.check()
    from_the_log = own_api.flow(flow)
    await own_api.project()
    from_postgres = own_api.flow(flow)
    for view in (from_the_log, from_postgres):
        assert (view["status"], view["finishedTs"] is None, view["suspended"]) == ("Suspend", False, 1)
        stand = [(task["status"], task["endedAs"]) for task in view["tasks"]]
        assert stand == [("Suspend", "givenUp"), ("Ignore", "notTaken"), ("Finish", None), ("Finish", None)]
        assert [task["rule"] for task in view["tasks"]] == ["ready", "ready", "settled", "failed"]
        assert view["tasks"][0]["error"]["type"] == "E"
        assert view["tasks"][1]["notTaken"] == {
            **{"rule": "ready", "because": "givenUp", "dependsOn": [1], "count": 1},
            **{"ends": {"givenUp": 1}, "needed": None, "decision": None},
        }
        assert [task["taskExecSeq"] for task in view["failedTasks"]] == [1]
    assert from_the_log["tasks"] == from_postgres["tasks"]


async def test_it_is_found_among_the_failed_and_not_among_what_somebody_must_decide(
    own_api: RunningApi,
) -> None:
    async with own_api.engine() as engine:
        flow = await failed_flow(own_api, engine)
        own_api.define("held", {})
        held = own_api.register("held")
        await engine.suspend(*await engine.claim())
        await own_api.project()

    def flows(*statuses: str) -> set[str]:
        answer = own_api.client.get("/flows", params={"status": list(statuses)}).raise_for_status()
        return {found["taskFlowId"] for found in answer.json()["flows"]}

    assert flows("Failed") == {flow}
    assert flows("Suspend") == flows("Suspend", "Running") == flows("suspend", "Failed") == {flow, held}
    assert flows("Running", "Failed") == flows("Finish", "Failed") == {flow}
    assert flows("Wait") == set()

    def tasks(status: str) -> dict[str, bool]:
        answer = own_api.client.get("/tasks", params={"status": status}).raise_for_status()
        return {found["taskFlowId"]: found["isGivenUp"] for found in answer.json()["tasks"]}

    assert tasks("suspend") == {flow: True, held: False}
    assert (tasks("held"), tasks("givenUp")) == ({held: False}, {flow: True})
    body = {"operation": "rerun", "filter": {"status": ["Failed"]}, "dryRun": True}
    assert own_api.client.post("/bulk", json=body).json()["matches"] == 1


async def test_a_rerun_opens_what_the_rules_had_passed_over_and_was_foretold(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flow = await failed_flow(own_api, engine)
        rerun = {"selection": "failed", "scope": "dependents"}
        effect = done(post(own_api, flow, "rerun", {**rerun, "dryRun": True}))["effect"]
        assert (effect["runs"], effect["reopens"], effect["ready"]) == ([1, 3, 4], [2], [1])
        assert done(post(own_api, flow, "rerun", rerun))["tasks"] == [1, 2, 3, 4]
        await engine.work_off()
        await engine.check()
        await own_api.project()
    view = own_api.flow(flow)
    stand = [(task["status"], task["endedAs"]) for task in view["tasks"]]
    assert stand == [*[("Finish", None)] * 3, ("Ignore", "notTaken")]
    assert (view["status"], view["tasks"][3]["notTaken"]["because"]) == ("Finish", "noFailure")


async def test_a_task_that_fails_may_leave_its_readers_a_result(own_api: RunningApi) -> None:
    own_api.define("pass", {"onFailure": "pass", "standIn": {"rows": 0}}, {"parameters": {"n": {"$from": 1}}})
    flow = own_api.register("pass")
    async with own_api.engine() as engine:
        (first,) = await engine.claim()
        got = await engine.exchange("w1", outcomes=[Outcome(first, OutcomeKind.SUSPENDED, AN_ERROR)])
        assert got.words == ["ok"]
        assert [claim.task for claim in await engine.work_off()] == [2]
        await engine.check()
        await own_api.project()
    first_view = own_api.flow(flow)["tasks"][0]
    assert (first_view["endedAs"], first_view["result"], first_view["hasStandIn"]) == (
        *("passedOver", {"rows": 0}, True),
    )
    assert (first_view["ignoredBy"], first_view["error"]["message"]) == ("on_failure", "no")


async def test_what_is_held_for_a_time_says_when_it_is_given_up(own_api: RunningApi) -> None:
    own_api.define("held", {"onFailure": "hold:2h"}, {})
    assert own_api.client.get("/workflows/held").json()["tasks"][0]["onFailure"] == "hold:7200"
    flow = own_api.register("held")
    async with own_api.engine() as engine:
        await engine.suspend(*await engine.claim())
        from_the_log = own_api.flow(flow)
        await own_api.project()
        from_postgres = own_api.flow(flow)
        assert from_the_log["tasks"][0]["givesUpTs"] == from_postgres["tasks"][0]["givesUpTs"] is not None
        waits = asyncio.to_thread(
            own_api.client.get, f"/flows/{flow}", params={"wait": 0.01}
        )  # it goes on by itself, so it is not over
        assert (await waits).json()["finishedTs"] is None
        await engine.bring_due()
        await own_api.project()
    view = own_api.flow(flow)
    assert [task["endedAs"] for task in view["tasks"]] == ["givenUp", "notTaken"]
    assert view["finishedTs"] is not None


def test_a_definition_whose_cleanup_waits_for_somebody_is_warned_about(own_api: RunningApi) -> None:
    tasks = [
        {"taskSeq": 1, "program": "Noop"},
        {"taskSeq": 2, "program": "Noop", "rule": "settled"},
    ]
    reply = own_api.client.put("/workflows/cleanup", json={"tasks": tasks})
    assert any("waits for somebody's decision when task_seq 1" in said for said in reply.json()["warnings"])
    body = {"source": "s", "check": True, "workflows": [{"taskId": "other", "tasks": tasks}]}
    planned = own_api.client.post("/deploy", json=body).json()
    assert any("workflow 'other', row (task_id 'other', task_seq 2)" in said for said in planned["warnings"])
    tasks[1]["rule"] = "sometimes"
    (detail,) = details(own_api.client.put("/workflows/cleanup", json={"tasks": tasks}))
    assert "row (task_id 'cleanup', task_seq 2) has the rule 'sometimes', which is none of" in detail


async def test_a_flow_that_is_ending_is_shown_and_listed_so_until_its_cleanup_is_done(
    own_api: RunningApi,
) -> None:
    async with own_api.engine() as engine:
        cleaning = {"taskName": "clean", "dependsOn": ["load"], "finally": True}
        own_api.define("cleaned", {"taskName": "load"}, cleaning, {"dependsOn": ["load"]})
        flow = own_api.register("cleaned")
        await engine.claim()
        foretold = done(post(own_api, flow, "cancel", {"dryRun": True}))["effect"]
        assert (foretold["cutOff"], foretold["cleanup"], foretold["ends"]) == ([1, 3], [2], False)
        done(post(own_api, flow, "cancel", {"reason": "no need"}))
        refusal = post(own_api, flow, "rerun", {"tasks": [1]})
        assert (refusal.status_code, refusal.json()["type"]) == (409, "urn:flower:problem:ending")
        from_the_log = own_api.flow(flow)
        await own_api.project()
        from_postgres = own_api.flow(flow)
        for view in (from_the_log, from_postgres):
            assert (view["status"], view["endingCause"], view["finishedTs"]) == ("Running", "cancel", None)
            assert view["endingTs"] == view["cancelledTs"]
            assert moment(view["endingTs"]) < moment(view["endingUntilTs"])
            assert [task["finally"] for task in view["tasks"]] == [False, True, False]
        assert _listed(own_api, "Ending") == [flow]
        await engine.work_off()
        await own_api.project()
    ended = own_api.flow(flow)
    assert (ended["status"], ended["endingCause"], ended["finishedTs"] is None) == ("Ignore", "cancel", False)
    assert _listed(own_api, "Ending") == []


def _listed(api: RunningApi, status: str) -> list[str]:
    page = api.client.get("/flows", params={"status": status}).json()
    return [flow["taskFlowId"] for flow in page["flows"]]
