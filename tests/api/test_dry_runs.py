"""Operations that say over HTTP what they would do, and do nothing; and an ignore with all that needs it."""

from typing import Any

from api.serving import RunningApi
from api.test_operations import done, failed_flow, post, refused, statuses
from flower_engine.client import Client

CHAIN: tuple[dict[str, Any], ...] = (
    {"taskName": "first"},
    {"taskName": "second", "parameters": {"rows": {"$from": "first"}}},
    {"taskName": "third", "parameters": {"rows": {"$from": "second"}}},
    {"taskName": "other", "dependsOn": ["first"]},
)
NOTHING: dict[str, Any] = {
    **{
        name: []
        for name in (
            "runs",
            "reopens",
            "askedAgain",
            "passedOver",
            "vanished",
            "matched",
            "cutOff",
            "cleanup",
            "within",
            "kept",
            "ready",
            "withdrawn",
            "runsOn",
            "awaits",
            "prioritised",
            "moved",
            "held",
            "givenUp",
            "heldUp",
        )
    },
    "ends": False,
}


async def test_a_rerun_a_cancel_and_an_ignore_say_what_they_would_do(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flow = await failed_flow(own_api, engine)
        version = own_api.flow(flow)["version"]
        events = len(await engine.events())

        rerun = done(post(own_api, flow, "rerun", {"selection": "failed", "dryRun": True}))
        assert rerun == {
            **{"taskFlowId": flow, "operation": "rerun", "version": version, "tasks": [2]},
            "effect": {**NOTHING, "runs": [2], "kept": [1, 3], "ready": [2]},
        }
        behind = {"tasks": [1], "scope": "dependents", "dryRun": True, "version": version}
        assert done(post(own_api, flow, "rerun", behind))["effect"] == {
            **NOTHING,
            "runs": [1, 2, 3],
            "ready": [1],
        }
        cancel = done(post(own_api, flow, "cancel", {"dryRun": True}))
        assert cancel["effect"] == {**NOTHING, "cutOff": [2, 4], "kept": [1, 3], "ends": True}
        ignore = done(post(own_api, flow, "ignore", {"tasks": [2], "dryRun": True}))
        assert ignore["effect"] == {**NOTHING, "passedOver": [2], "kept": [1, 3], "ready": [4]}

        assert len(await engine.events()) == events
        stale = {"selection": "failed", "dryRun": True, "version": version - 1}
        assert f"it is at version {version} now" in refused(post(own_api, flow, "rerun", stale))


async def test_what_a_dry_run_refuses_is_what_the_operation_refuses(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flow = await failed_flow(own_api, engine)
        for verb, body in (
            ("rerun", {"tasks": [4]}),
            ("rerun", {"tasks": [9]}),
            ("ignore", {"tasks": [1]}),
            ("ignore", {"tasks": [2, 4], "result": 3}),
        ):
            foretold = refused(post(own_api, flow, verb, {**body, "dryRun": True}))
            assert foretold == refused(post(own_api, flow, verb, body))
        post(own_api, flow, "cancel", {}).raise_for_status()
        for verb, body in (("cancel", {}), ("ignore", {"tasks": [4]})):
            foretold = refused(post(own_api, flow, verb, {**body, "dryRun": True}))
            assert foretold == refused(post(own_api, flow, verb, body))


async def test_an_ignored_task_takes_along_what_cannot_do_without_its_result(own_api: RunningApi) -> None:
    own_api.define("chain", *CHAIN)
    flow = own_api.register("chain")
    problem = refused(post(own_api, flow, "ignore", {"tasks": ["first"]}))
    assert "the result of task 1 is needed by task 2" in problem
    cascade: dict[str, Any] = {"tasks": ["first"], "cascade": True}
    effect = done(post(own_api, flow, "ignore", {**cascade, "dryRun": True}))["effect"]
    assert effect == {**NOTHING, "passedOver": [1, 2, 3], "ready": [4]}
    assert done(post(own_api, flow, "ignore", cascade))["tasks"] == [1, 2, 3]
    await own_api.project()
    assert statuses(own_api, flow) == ["Ignore", "Ignore", "Ignore", "Wait"]
    assert [task["endedAs"] for task in own_api.flow(flow)["tasks"]] == [*["passedOver"] * 3, None]


def test_a_client_is_told_what_would_be_done(own_api: RunningApi) -> None:
    own_api.define("chain", *CHAIN)
    flow = own_api.register("chain")
    with Client(str(own_api.client.base_url)) as client:
        handle = client.flow(flow)
        foretold = handle.ignore(["first"], cascade=True, dry_run=True)
        assert foretold.effect is not None and foretold.effect["passedOver"] == [1, 2, 3]
        assert handle.cancel(dry_run=True).effect == {**NOTHING, "cutOff": [1, 2, 3, 4], "ends": True}
        assert handle.ignore(["first"], cascade=True).tasks == [1, 2, 3]
        foretold = handle.rerun("all", dry_run=True)
        assert foretold.effect is not None and foretold.effect["runs"] == [1, 2, 3]


async def test_what_holds_a_flow_says_what_it_would_do(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        sleep: dict[str, Any] = {"program": "@sleep", "parameters": {"seconds": 86_400}}
        plain: dict[str, Any] = {"dependsOn": []}
        own_api.define("kinds", plain, plain, {**plain, **sleep}, plain)
        flow = own_api.register("kinds")
        await engine.finish(*await engine.claim(1))
        (running,) = await engine.claim(1)
        events = len(await engine.events())

        def foretold(verb: str, **body: Any) -> dict[str, Any]:
            told = done(post(own_api, flow, verb, {**body, "dryRun": True}))
            assert (told["taskFlowId"], told["version"]) == (flow, own_api.flow(flow)["version"])
            return told["effect"]

        held = {"withdrawn": [4], "runsOn": [running.task], "awaits": [3]}
        assert foretold("pause", reason="a while") == {**NOTHING, "kept": [1], **held}
        assert foretold("priority", priority=-3) == {
            **{**NOTHING, "kept": [1]},
            **{"prioritised": [2, 3, 4], "moved": [4]},
        }
        assert len(await engine.events()) == events
        done(post(own_api, flow, "pause", {}))
        assert foretold("pause") == {**NOTHING, "kept": [1]}
        assert foretold("resume") == {**NOTHING, "kept": [1], "ready": [4]}
        assert foretold("priority", priority=-3)["moved"] == []
        assert done(post(own_api, flow, "resume", {"dryRun": True}))["operation"] == "resume"
        done(post(own_api, flow, "resume", {}))
        done(post(own_api, flow, "ignore", {"tasks": [4]}))
        assert foretold("unignore", tasks=[4]) == {**NOTHING, "kept": [1], "reopens": [4], "ready": [4]}
        await engine.fail(running)
        told = done(post(own_api, flow, "resume", {"dryRun": True}))
        assert (told["operation"], told["effect"]["runs"]) == ("rerun", [2])


async def test_what_holds_a_flow_refuses_alike_before(own_api: RunningApi) -> None:
    own_api.define("one", {})
    flow = own_api.register("one")
    asked: list[tuple[str, dict[str, Any]]] = [
        ("resume", {}),
        ("unignore", {"tasks": [1]}),
        ("unignore", {"tasks": [2]}),
    ]
    for verb, body in asked:
        foretold = refused(post(own_api, flow, verb, {**body, "dryRun": True}))
        assert foretold == refused(post(own_api, flow, verb, body))
    done(post(own_api, flow, "cancel", {}))
    for verb, body in (("pause", {}), ("priority", {"priority": 3})):
        foretold = post(own_api, flow, verb, {**body, "dryRun": True})
        assert refused(foretold) == refused(post(own_api, flow, verb, body))


def test_a_dry_run_that_there_is_none_of_is_refused_and_nothing_is_done(own_api: RunningApi) -> None:
    own_api.define("one", {})
    flow = own_api.register("one")
    for path, body in ((f"/flows/{flow}/signals", {"name": "paid"}), ("/register/one", {})):
        reply = own_api.client.post(path, json={**body, "dryRun": True})
        assert reply.status_code == 422 and "this call has no dry run" in reply.text
    reply = own_api.client.post(f"/flows/{flow}/cancel?dryRun=true", json={})
    assert reply.status_code == 422 and "dryRun counts in the body" in reply.text
    assert own_api.flow(flow)["finishedTs"] is None


async def test_a_fork_says_what_it_would_take_over_and_run(own_api: RunningApi) -> None:
    approval = {"taskName": "ask", "program": "@approval", "dependsOn": ["second"]}
    own_api.define("chain", *CHAIN, approval)
    flow = own_api.register("chain")
    async with own_api.engine() as engine:
        await engine.finish(*await engine.claim())
        (second, *_) = await engine.claim()
        await engine.finish(second)
        version = own_api.flow(flow)["version"]
        events = len(await engine.events())
        body = {"fromTasks": ["second"]}
        told = done(post(own_api, flow, "fork", {**body, "dryRun": True}))
        assert told == {
            **{"taskFlowId": flow, "operation": "fork", "version": version, "tasks": [2, 3, 4, 5]},
            "effect": {
                **{**NOTHING, "runs": [2, 3, 4, 5]},
                **{"kept": [1], "askedAgain": [5], "ready": [2, 4]},
            },
        }
        assert len(await engine.events()) == events
        with Client(str(own_api.client.base_url)) as client:
            assert client.flow(flow).fork_dry_run(["second"]).effect == told["effect"]
        stale = {**body, "version": version - 1}
        foretold = refused(post(own_api, flow, "fork", {**stale, "dryRun": True}))
        assert foretold == refused(post(own_api, flow, "fork", stale)) and "has moved on" in foretold
        key = {"Idempotency-Key": "once"}
        forked = done(post(own_api, flow, "fork", {**body, "version": version}, **key))["taskFlowId"]
        state = await engine.flow(forked)
        assert [task.planned.seq for task in state.tasks if not task.has_ended] == told["effect"]["runs"]
        known = done(post(own_api, flow, "fork", {**body, "dryRun": True}, **key))
        assert known["effect"] == NOTHING and f"flow {forked} has this key" in known["warnings"][0]
        nothing = post(own_api, flow, "fork", {"fromTasks": [9], "dryRun": True})
        assert refused(nothing) == refused(post(own_api, flow, "fork", {"fromTasks": [9]}))


async def test_a_dry_run_says_what_holds_up_what_would_start(own_api: RunningApi) -> None:
    limits = "/limits/workflow/chain"
    async with own_api.engine() as engine:
        own_api.client.put(limits, json={"maxFlows": 1}).raise_for_status()
        own_api.define("chain", *CHAIN)
        flow = own_api.register("chain")
        await engine.suspend(*await engine.claim())  # it gives its place back
        other = own_api.register("chain")
        rerun: dict[str, Any] = {"selection": "failed", "dryRun": True}
        place = {"reason": "noPlace", "underWay": 1, "most": 1, "ahead": 0}
        held = {**NOTHING, "heldUp": [{"tasks": [1], "reason": place}]}
        assert done(post(own_api, flow, "rerun", rerun))["effect"] == {**held, "runs": [1]}
        fork = done(post(own_api, flow, "fork", {"fromTasks": [1], "dryRun": True}))
        assert fork["effect"] == {**held, "runs": [1, 2, 3, 4]}
        bulk = {"operation": "rerun", "filter": {"status": ["Suspend"], "taskId": "chain"}, "foretell": 10}
        await own_api.project()
        (one,) = done(own_api.client.post("/bulk", json={**bulk, "dryRun": True}))["flows"]
        assert (one["effect"]["runs"], one["effect"]["ready"], one["effect"]["heldUp"]) == (1, 0, 1)

        own_api.client.put(limits, json={"maxFlows": 1, "atMaxFlows": "reject"}).raise_for_status()
        refusals = [
            post(own_api, flow, "fork", {"fromTasks": [1], "dryRun": is_dry}) for is_dry in (True, False)
        ]
        assert [one.status_code for one in refusals] == [429, 429]
        assert refusals[0].json()["detail"] == refusals[1].json()["detail"]

        own_api.client.put(limits, json={"isPaused": True, "reason": "new disks"}).raise_for_status()
        post(own_api, other, "cancel", {}).raise_for_status()
        stopped = done(post(own_api, other, "rerun", {"selection": "all", "dryRun": True}))["effect"]
        why = {"scope": "workflow", "name": "chain", "by": "api", "because": "new disks"}
        assert stopped["heldUp"] == [{"tasks": [1], "reason": {"reason": "scopePaused", **why}}]


async def test_a_fork_to_another_version_is_told_by_the_names_that_tasks_have_there(
    own_api: RunningApi,
) -> None:
    async with own_api.engine() as engine:
        own_api.define("chain", *CHAIN)
        flow = own_api.register("chain")
        await engine.finish(*await engine.claim())
        own_api.define("chain", {"taskName": "zeroth"}, *CHAIN)
        body: dict[str, Any] = {"workflowVersion": "newest", "dryRun": True}
        told = done(post(own_api, flow, "fork", body))
        names = ["zeroth", "first", "second", "third", "other"]
        assert told["names"] == {str(seq): name for seq, name in enumerate(names, start=1)}
        assert set(told["effect"]["runs"]) | set(told["effect"]["kept"]) == {1, 2, 3, 4, 5}
        with Client(str(own_api.client.base_url)) as client:
            seen = client.flow(flow).fork_dry_run(workflow_version="newest")
            assert seen.names == dict(enumerate(names, start=1))
        assert "names" not in done(post(own_api, flow, "fork", {"fromTasks": [1], "dryRun": True}))
