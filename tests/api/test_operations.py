"""What operators do to a flow: each over HTTP, on flows under way and on flows that ended."""

from typing import Any

import httpx
import pytest

from api.serving import RunningApi, details
from flower_engine.insight.live_state import read_live_state
from flower_engine.log.client import send
from scripts.engine import Engine

DIAMOND: tuple[dict[str, Any], ...] = (
    {"parameters": {"PATH": "/wrong"}},
    {"dependsOn": [1]},
    {"dependsOn": [1]},
    {"dependsOn": [2, 3]},
)


def post(api: RunningApi, flow: str, verb: str, body: Any = None, **headers: str) -> httpx.Response:
    return api.client.post(f"/flows/{flow}/{verb}", json=body, headers=headers)


def done(reply: httpx.Response) -> dict[str, Any]:
    assert reply.status_code == 200, reply.text
    return reply.json()


def refused(reply: httpx.Response) -> str:
    assert reply.status_code == 409, reply.text
    (detail,) = details(reply)
    return detail


async def ended_flow(api: RunningApi, workflow: str = "diamond") -> str:
    api.define(workflow, *DIAMOND)
    flow = api.register(workflow)
    async with api.engine() as engine:
        await engine.work_off("somebody")
    return flow


async def failed_flow(api: RunningApi, engine: Engine, workflow: str = "failing") -> str:
    """Its second task has failed for good."""
    api.define(workflow, *DIAMOND)
    flow = api.register(workflow)
    await engine.finish(*await engine.claim())
    two, three = await engine.claim()
    await engine.fail(two)
    await engine.finish(three)
    return flow


def statuses(api: RunningApi, flow: str) -> list[str]:
    return [task["status"] for task in api.flow(flow)["tasks"]]


async def test_what_failed_runs_again_and_the_flow_ends(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flow = await failed_flow(own_api, engine)
        assert own_api.flow(flow)["failedTasks"][0]["taskExecSeq"] == 2
        answer = done(post(own_api, flow, "rerun", {"selection": "failed"}))
        assert (answer["operation"], answer["tasks"], answer["taskFlowId"]) == ("rerun", [2], flow)
        await engine.work_off()
        await engine.check()
    view = own_api.flow(flow)
    assert (view["status"], view["failedTasks"], view["tasks"][1]["attempt"]) == ("Finish", [], 2)


@pytest.mark.parametrize("is_projected", [True, False], ids=["archived", "in the log only"])
@pytest.mark.parametrize("is_forgotten", [True, False], ids=["forgotten by Redis", "just ended"])
async def test_an_ended_flow_runs_again_from_any_task(
    own_api: RunningApi, is_projected: bool, is_forgotten: bool
) -> None:
    flow = await ended_flow(own_api)
    if is_projected:
        await own_api.project()
    async with own_api.engine() as engine:
        if is_forgotten and is_projected:
            await send(engine.client, "DEL", engine.keys.ended(flow))
        answer = done(post(own_api, flow, "rerun", {"tasks": [2], "scope": "dependents"}))
        assert answer["tasks"] == [2, 4]
        assert own_api.flow(flow)["status"] in ("Running", "Finish")
        assert [claim.task for claim in await engine.work_off()] == [2, 4]
        await engine.check()
    await own_api.project()
    view = own_api.flow(flow)
    assert view["status"] == "Finish"
    assert [task["attempt"] for task in view["tasks"]] == [1, 2, 1, 2]


async def test_a_rerun_with_a_corrected_parameter_is_given_to_the_program(own_api: RunningApi) -> None:
    flow = await ended_flow(own_api)
    body = {"tasks": [1], "scope": "dependents", "parameters": {"PATH": "/right"}}
    done(post(own_api, flow, "rerun", body))
    async with own_api.engine() as engine:
        (claim,) = await engine.claim()
        assert b'"PATH":"/right"' in claim.message
        await engine.check()
    await own_api.project()
    assert own_api.flow(flow)["tasks"][0]["parameters"] == {"PATH": "/right"}


async def test_a_rerun_that_would_leave_results_behind_is_refused_with_the_way_out(
    own_api: RunningApi,
) -> None:
    flow = await ended_flow(own_api)
    assert 'scope "dependents"' in refused(post(own_api, flow, "rerun", {"tasks": [1]}))
    assert statuses(own_api, flow) == ["Finish"] * 4


async def test_a_rerun_of_another_version_is_refused(own_api: RunningApi) -> None:
    flow = await ended_flow(own_api)
    version = own_api.flow(flow)["version"]
    body = {"tasks": [4], "version": version - 1}
    assert f"at version {version} now" in refused(post(own_api, flow, "rerun", body))
    done(post(own_api, flow, "rerun", body | {"version": version}))


async def test_resume_reruns_what_failed_or_lifts_a_pause(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flow = await failed_flow(own_api, engine)
        done(post(own_api, flow, "pause", {"reason": "look first"}))
        assert own_api.flow(flow)["pausedBy"] == "api"
        assert done(post(own_api, flow, "resume"))["operation"] == "resume"
        assert statuses(own_api, flow)[1] == "Suspend"
        assert done(post(own_api, flow, "resume"))["operation"] == "rerun"
        assert "nothing to resume" in refused(post(own_api, flow, "resume"))
        await engine.work_off()
    assert "nothing to resume" in refused(post(own_api, flow, "resume"))


async def test_a_cancelled_flow_goes_on_after_resume(own_api: RunningApi) -> None:
    own_api.define("cut", *DIAMOND)
    flow = own_api.register("cut")
    answer = done(post(own_api, flow, "cancel", {"reason": "too late"}, **{"Flower-Client": "cli"}))
    assert answer["tasks"] == [1, 2, 3, 4]
    view = own_api.flow(flow)
    assert (view["status"], view["execStatus"], view["cancelledBy"]) == ("Ignore", 9, "cli")
    assert {task["ignoreReason"] for task in view["tasks"]} == {"too late"}
    await own_api.project()
    assert own_api.flow(flow) == view
    assert "it has ended (Ignore)" in refused(post(own_api, flow, "cancel"))
    done(post(own_api, flow, "resume"))
    async with own_api.engine() as engine:
        assert len(await engine.work_off()) == 4
    await own_api.project()
    view = own_api.flow(flow)
    assert (view["status"], view["cancelledTs"], view["tasks"][0]["ignoredBy"]) == ("Finish", None, None)


async def test_a_fork_runs_from_a_task_on_and_keeps_the_results_before_it(own_api: RunningApi) -> None:
    flow = await ended_flow(own_api)
    fork = done(post(own_api, flow, "fork", {"fromTasks": [2], "taskParameters": {"2": {"N": 1}}}))
    assert fork["forkedFrom"] == flow
    new = fork["taskFlowId"]
    assert statuses(own_api, new) == ["Finish", "Wait", "Finish", "Wait"]
    async with own_api.engine() as engine:
        assert [claim.task for claim in await engine.work_off()] == [2, 4]
        await engine.check()
    await own_api.project()
    view = own_api.flow(new)
    assert (view["status"], view["forkedFrom"], view["tasks"][1]["parameters"]) == ("Finish", flow, {"N": 1})
    assert statuses(own_api, flow) == ["Finish"] * 4


async def test_ignored_tasks_let_others_go_on_until_the_ignore_is_taken_back(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flow = await failed_flow(own_api, engine)
        assert done(post(own_api, flow, "ignore", {"tasks": [2], "reason": "known"}))["tasks"] == [2]
        assert own_api.flow(flow)["tasks"][1]["ignoreReason"] == "known"
        done(post(own_api, flow, "unignore", {"tasks": [2]}))
        assert statuses(own_api, flow)[1] == "Wait"
        done(post(own_api, flow, "ignore", {"tasks": [2, 4]}))
    await own_api.project()
    assert own_api.flow(flow)["status"] == "Finish"
    done(post(own_api, flow, "unignore", {"tasks": [4]}))
    async with own_api.engine() as engine:
        assert [claim.task for claim in await engine.claim(worker="w2")] == [4]
    assert "has gone on without it" in refused(post(own_api, flow, "unignore", {"tasks": [2]}))


async def test_why_a_task_waits_is_told(own_api: RunningApi) -> None:
    own_api.define("plain", {"retry": {"maxAttempts": 2, "delaySeconds": 600}})
    retrying, paused = own_api.register("plain"), own_api.register("plain")
    delayed = own_api.client.post("/register/plain", json={"delaySeconds": 60}).json()["taskFlowId"]
    async with own_api.engine() as engine:
        for claim in await engine.claim():
            await (engine.fail(claim) if claim.flow == retrying else engine.give_back(claim))
    done(post(own_api, paused, "pause"))
    for _ in range(2):
        reasons = [own_api.flow(flow)["tasks"][0]["waitReason"] for flow in (retrying, paused, delayed)]
        assert [reason["reason"] for reason in reasons] == ["retry", "paused", "delayed"]
        assert reasons[1]["by"] == "api"
        await own_api.project()


async def test_a_task_shows_all_its_attempts(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flow = await failed_flow(own_api, engine)
        done(post(own_api, flow, "resume"))
        await engine.work_off()
    for _ in range(2):
        task = own_api.client.get(f"/flows/{flow}/tasks/2").json()
        assert [(each["attempt"], each["how"]) for each in task["attempts"]] == [
            (1, "failed"),
            (2, "finished"),
        ]
        assert task["attempts"][0]["error"]["message"] == "no"
        await own_api.project()
    assert own_api.client.get(f"/flows/{flow}/tasks/5").status_code == 404


UNKNOWN = "018f3c5e-7a10-7000-8000-000000000001"


@pytest.mark.parametrize("verb", ["rerun", "resume", "fork", "ignore", "unignore", "cancel", "pause"])
@pytest.mark.parametrize("flow", [UNKNOWN, "nonsense", "018f3c5e-7a10-7fff-8000-000000000001"])
def test_an_unknown_flow_is_not_found(api: RunningApi, verb: str, flow: str) -> None:
    body = {"tasks": [1]} if verb in ("rerun", "ignore", "unignore") else {}
    reply = post(api, flow, verb, {"fromTasks": [1]} if verb == "fork" else body)
    assert reply.status_code == 404, reply.text
    assert flow in details(reply)[0]


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("rerun", None),
        ("rerun", {}),
        ("rerun", {"tasks": [1], "selection": "all"}),
        ("rerun", {"tasks": []}),
        ("rerun", {"tasks": [0]}),
        ("rerun", {"tasks": ["1"]}),
        ("rerun", {"tasks": [10_001]}),
        ("rerun", {"selection": "some"}),
        ("rerun", {"tasks": [1], "scope": "all"}),
        ("rerun", {"tasks": [1], "parameters": {"A": "a\0b"}}),
        ("rerun", {"tasks": [1], "taskParameters": {"2": {"A": 1}}}),
        ("rerun", {"selection": "failed", "parameters": {"A": 1}}),
        ("rerun", {"tasks": [1], "version": 0}),
        ("ignore", {"tasks": [1], "reason": "x" * 1_001}),
        ("ignore", {"tasks": [1], "reason": "a\0"}),
        ("cancel", {"because": "typo"}),
        ("cancel", []),
        ("fork", {"fromTasks": []}),
        ("pause", {"version": -1}),
    ],
)
def test_a_malformed_operation_is_refused(api: RunningApi, verb: str, body: Any) -> None:
    reply = post(api, UNKNOWN, verb, body)
    assert reply.status_code == 422, reply.text
    assert details(reply)


def test_a_body_that_is_too_large_or_no_json_is_refused(api: RunningApi) -> None:
    headers = {"Content-Type": "application/json"}
    for content, status in ((b"[" * 10_000_000, 413), (b'{"tasks":[NaN]}', 400), (b"{", 400)):
        reply = api.client.post(f"/flows/{UNKNOWN}/rerun", content=content, headers=headers)
        assert reply.status_code == status
        assert details(reply)


async def lanes_of(api: RunningApi, flow: str) -> list[str]:
    """The lane of each task of a flow under way."""
    async with api.engine() as engine:
        await engine.check()
        live = await read_live_state(engine.client, engine.partition)
        return [task.lane for task in live.flows[flow].tasks]


def keyed(api: RunningApi) -> str:
    """A flow of customer a whose workflow is served and limited by customer."""
    api.define("keyed", {"parameters": {"customer": "a"}}, {"parameters": {"customer": "a"}})
    settings = {"fairBy": "customer", "limitBy": "customer", "maxPerKey": 1}
    assert api.client.put("/limits/workflow/keyed", json=settings).status_code == 200
    settings = {"limitBy": "customer", "maxPerKey": 5}
    assert api.client.put("/limits/program/A", json=settings).status_code == 200
    return api.register("keyed")


async def test_a_fork_waits_and_is_counted_by_its_own_parameters(own_api: RunningApi) -> None:
    flow = keyed(own_api)
    assert await lanes_of(own_api, flow) == ["default:0:keyed/a:A/a/a"] * 2
    body = {"fromTasks": [1], "taskParameters": {"1": {"customer": "b"}}}
    new = done(post(own_api, flow, "fork", body))["taskFlowId"]
    assert await lanes_of(own_api, new) == ["default:0:keyed/b:A/b/b", "default:0:keyed/a:A/a/a"]


async def test_a_fork_is_counted_by_the_limits_of_now(own_api: RunningApi) -> None:
    flow = keyed(own_api)
    for path in ("workflow/keyed", "program/A"):
        assert own_api.client.delete(f"/limits/{path}").status_code == 204
    new = done(post(own_api, flow, "fork", {"fromTasks": [1]}))["taskFlowId"]
    assert await lanes_of(own_api, new) == ["default:0:keyed:A"] * 2


async def test_a_task_that_runs_again_with_other_parameters_waits_in_their_lane(own_api: RunningApi) -> None:
    flow = keyed(own_api)
    done(post(own_api, flow, "rerun", {"tasks": [1], "parameters": {"customer": "b"}}))
    assert await lanes_of(own_api, flow) == ["default:0:keyed/b:A/b/b", "default:0:keyed/a:A/a/a"]
    done(post(own_api, flow, "rerun", {"tasks": [1], "unset": ["customer"]}))
    assert await lanes_of(own_api, flow) == ["default:0:keyed:A", "default:0:keyed/a:A/a/a"]
    async with own_api.engine() as engine:
        assert len(await engine.work_off()) == 2
        await engine.check()
    done(post(own_api, flow, "rerun", {"tasks": [2], "parameters": {"customer": "c"}}))
    assert (await lanes_of(own_api, flow))[1] == "default:0:keyed/c:A/c/c"


async def test_what_is_sent_again_with_the_same_key_is_done_once(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flow = await failed_flow(own_api, engine)
        again: dict[str, Any] = {"Idempotency-Key": "one"}
        body = {"tasks": [2], "parameters": {"PATH": "/right"}}
        first = done(post(own_api, flow, "rerun", body, **again))
        unset = {"tasks": [2], "unset": ["PATH"]}  # which is not there any more when it is sent again
        taken = done(post(own_api, flow, "rerun", unset, **again))
        for sent, before in ((body, first), (unset, taken)):
            twice = done(post(own_api, flow, "rerun", sent, **again))
            assert (twice["version"], twice["tasks"]) == (before["version"], [])
        for verb, said in (("pause", None), ("priority", {"priority": 3}), ("resume", None)):
            assert done(post(own_api, flow, verb, said, **again)) | {"tasks": []} == done(
                post(own_api, flow, verb, said, **again)
            ) | {"tasks": []}
        assert done(post(own_api, flow, "ignore", {"tasks": [2]}, **again))["tasks"] == [2]
        assert done(post(own_api, flow, "ignore", {"tasks": [2]}, **again))["tasks"] == []
        assert done(post(own_api, flow, "unignore", {"tasks": [2]}, **again))["tasks"] == [2]
        assert done(post(own_api, flow, "unignore", {"tasks": [2]}, **again))["tasks"] == []
        ended = done(post(own_api, flow, "cancel", {"reason": "enough"}, **again))
        assert (
            done(post(own_api, flow, "cancel", {"reason": "enough"}, **again))["version"] == ended["version"]
        )
        assert "it has ended" in refused(post(own_api, flow, "cancel", {"reason": "another"}, **again))
        await engine.check()


@pytest.mark.parametrize("is_projected", [True, False], ids=["archived", "in the log only"])
async def test_a_fork_that_is_sent_again_with_the_same_key_is_the_same_flow(
    own_api: RunningApi, is_projected: bool
) -> None:
    flow = await ended_flow(own_api)
    fork = done(post(own_api, flow, "fork", {"fromTasks": [2]}, **{"Idempotency-Key": "one"}))
    if is_projected:
        await own_api.project()
    assert done(post(own_api, flow, "fork", {"fromTasks": [2]}, **{"Idempotency-Key": "one"})) == fork
    own_api.define("other", {})
    other = own_api.register("other")
    assert "belongs to flow" in refused(
        post(own_api, other, "fork", {"fromTasks": [1]}, **{"Idempotency-Key": "one"})
    )
