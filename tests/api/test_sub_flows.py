"""Sub-flows over HTTP: what is refused when they are defined, and how parents and children are shown."""

from typing import Any

import msgspec

from api.serving import RunningApi
from api.test_operations import done, post, refused
from flower_engine.flows.begun_children import ChildPlans
from flower_engine.flows.postgres_sources import PostgresDefinitions
from flower_engine.flows.wait_words import in_words
from flower_engine.projection.database import connect
from flower_engine.projection.read.wait_views import WaitReason
from flower_engine.runtime.clock import SYSTEM_CLOCK
from flower_engine.runtime.deciding import Decider
from flower_engine.transitions.tree_transitions import begin_children, look_at_trees
from scripts.engine import Engine


def step(workflow: str, **given: Any) -> dict[str, Any]:
    """A task that a flow of this workflow does."""
    return {"program": "@flow", "parameters": {"workflow": workflow, "parameters": given}, "dependsOn": []}


def problems(api: RunningApi, workflow: str, *tasks: dict[str, Any]) -> str:
    """Why this cannot be defined."""
    body = {"tasks": [{"taskSeq": seq, "taskPriority": 0, **one} for seq, one in enumerate(tasks, start=1)]}
    reply = api.client.put(f"/workflows/{workflow}", json=body)
    assert reply.status_code == 422, reply.text
    return reply.text


async def begin(engine: Engine, database_url: str) -> None:
    """What a watcher does once."""
    async with await connect(database_url, "test") as connection:

        class OfTest:
            async def __aenter__(self) -> Any:
                return connection

            async def __aexit__(self, *_: object) -> None:
                return None

        plans = ChildPlans(PostgresDefinitions(OfTest), SYSTEM_CLOCK)  # type: ignore[arg-type]
        _, due = await look_at_trees(engine.client, engine.partition)
        begun = [(one, made) for one in due if (made := await plans.begin(one)) is not None]
        await begin_children(engine.client, engine.partition, begun)


def test_a_workflow_that_does_not_exist_is_refused(api: RunningApi) -> None:
    assert "is done by workflow 'nobody', which does not exist" in problems(api, "sub.alone", step("nobody"))


def test_a_circle_is_refused_with_its_way(api: RunningApi) -> None:
    assert "circle of sub-flows, which would never end: 'sub.self' -> 'sub.self'" in problems(
        api, "sub.self", step("sub.self")
    )
    api.define("sub.a", {})
    api.define("sub.b", step("sub.a"))
    assert "'sub.a' -> 'sub.b' -> 'sub.a'" in problems(api, "sub.a", step("sub.b"))


def test_what_a_sub_flow_cannot_have_is_said(api: RunningApi) -> None:
    api.define("sub.c", {})
    cases: list[tuple[dict[str, Any], str]] = [
        ({"parameters": {}}, "needs the parameter 'workflow'"),
        ({"parameters": {"workflow": {"$param": "w"}}}, "it is the name of a workflow, as text"),
        ({"parameters": {"workflow": "sub.c", "parameters": [1]}}, "it is an object"),
        ({"parameters": {"workflow": "sub.c", "version": "ab"}}, "fixed when a flow begins"),
        ({"parameters": {"workflow": "sub.c", "day": 1}}, "has no parameter 'day'"),
        ({"parameters": {"workflow": "sub.c", "parameters": {"k": {"$secret": "K"}}}}, "gives a secret"),
        ({"timeoutSeconds": 5}, "which is for what workers run"),
    ]
    for wrong, why in cases:
        assert why in problems(api, "sub.wrong", {**step("sub.c"), **wrong})
    watching = {"program": "A", "dependsOn": [1], "rule": "failed"}
    assert "behind the sub-flow task_seq 1" in problems(api, "sub.wrong", step("sub.c"), watching)


def test_what_a_sub_flow_is_given_is_no_parameter_of_whoever_registers(api: RunningApi) -> None:
    api.define("sub.d", {})
    api.define("sub.e", step("sub.d"))
    reply = api.client.post("/register/sub.e", json={"taskParameters": {"1": {"workflow": "sub.c"}}})
    assert reply.status_code == 422
    assert "what a sub-flow (@flow) is given is part of its definition" in reply.text


async def test_parents_and_children_name_each_other(own_api: RunningApi, database_url: str) -> None:
    async with own_api.engine() as engine:
        own_api.define("sub.leaf", {"parameters": {"n": 1}})
        own_api.define("sub.top", step("sub.leaf", n=7), {"dependsOn": [1]})
        flow = own_api.register("sub.top")
        await begin(engine, database_url)
        task = own_api.flow(flow)["tasks"][0]
        child = own_api.flow(task["childFlowId"])
        assert (child["parentFlowId"], child["parentTask"], child["trunkFlowId"]) == (flow, 1, flow)
        assert child["tasks"][0]["parameters"] == {"n": 7}
        assert task["parameters"]["version"] == child["workflowVersion"]
        assert task["waitReason"]["what"] == f"sub.leaf, flow {child['taskFlowId']}"
        await own_api.project()
        for query, found in (
            ({"parent": flow}, [child["taskFlowId"]]),
            ({"trunk": flow}, [child["taskFlowId"]]),
            ({"children": "false"}, [flow]),
        ):
            listed = own_api.client.get("/flows", params=query).json()["flows"]
            assert [one["taskFlowId"] for one in listed] == found, query
        assert own_api.client.get("/flows", params={"parent": "x\0"}).status_code == 422
        assert own_api.client.get("/flow-names/last").json() == {"taskFlowId": flow}  # not its child
        own_api.client.post(f"/flows/{flow}/cancel", json={}).raise_for_status()
        await look_at_trees(engine.client, engine.partition)
        await own_api.project()
        assert own_api.flow(child["taskFlowId"])["cancelledBy"] == "parent"


async def test_a_rerun_goes_into_the_child_or_up_to_the_parent_and_says_so_before(
    own_api: RunningApi, database_url: str
) -> None:
    async with own_api.engine() as engine:
        own_api.define("sub.small", {}, {"dependsOn": [1]}, {"dependsOn": [2]})
        own_api.define("sub.large", step("sub.small"), {"dependsOn": [1]})
        flow = own_api.register("sub.large")
        await begin(engine, database_url)
        child = own_api.flow(flow)["tasks"][0]["childFlowId"]
        await engine.finish(*await engine.claim())
        await engine.suspend(*await engine.claim())

        failed: dict[str, Any] = {"selection": "failed"}
        told = done(post(own_api, flow, "rerun", {**failed, "dryRun": True}))
        assert (told["effect"]["within"], told["effect"]["runs"]) == ([1], [])
        (below,) = told["tree"]
        assert (below["taskFlowId"], below["effect"]["runs"], below["effect"]["kept"]) == (child, [2], [1])
        other = done(post(own_api, flow, "rerun", {**failed, "newChildren": True, "dryRun": True}))
        assert (other["effect"]["within"], other["effect"]["runs"]) == ([], [1])
        (gone,) = other["tree"]
        assert (gone["operation"], gone["taskFlowId"], gone["effect"]["cutOff"]) == ("cancel", child, [2, 3])

        ran = done(post(own_api, flow, "rerun", failed, **{"Idempotency-Key": "again"}))
        assert ran["version"] == own_api.flow(flow)["version"]
        done(post(own_api, flow, "rerun", failed, **{"Idempotency-Key": "again"}))  # it is done once
        assert own_api.flow(flow)["tasks"][0]["attempt"] == 1
        assert [one["attempt"] for one in own_api.flow(child)["tasks"]] == [1, 1, 0]
        await engine.finish(*await engine.claim())
        assert own_api.flow(child)["tasks"][1]["attempt"] == 2
        await engine.finish(*await engine.claim())
        await engine.finish(*await engine.claim())
        await own_api.project()
        assert own_api.flow(flow)["status"] == "Finish"

        again: dict[str, Any] = {"tasks": [3]}
        assert f"task 1 of flow {flow}, its parent, does not await it" in refused(
            post(own_api, child, "rerun", again)
        )
        told = done(post(own_api, child, "rerun", {**again, "up": True, "dryRun": True}))
        (above,) = told["tree"]
        assert (above["taskFlowId"], above["effect"]["within"], above["effect"]["runs"]) == (flow, [1], [2])
        assert told["effect"]["runs"] == [3]
        done(post(own_api, child, "rerun", {**again, "up": True}))
        (claim,) = await engine.claim()
        assert (claim.flow, claim.task) == (child, 3)
        await engine.finish(claim)
        (claim,) = await engine.claim()
        assert (claim.flow, claim.task) == (flow, 2)
        assert "nobody's child" in refused(post(own_api, flow, "rerun", {"tasks": [1], "up": True}))
        await engine.finish(claim)


async def test_a_task_with_a_suspended_child_is_ignored_and_taken_back(
    own_api: RunningApi, database_url: str
) -> None:
    async with own_api.engine() as engine:
        own_api.define("sub.tiny", {})
        own_api.define("sub.over", step("sub.tiny"), {"dependsOn": [1]})
        flow = own_api.register("sub.over")
        await begin(engine, database_url)
        old = own_api.flow(flow)["tasks"][0]["childFlowId"]
        await engine.suspend(*await engine.claim())
        told = done(post(own_api, flow, "ignore", {"tasks": [1], "dryRun": True}))
        assert [(one["operation"], one["taskFlowId"]) for one in told["tree"]] == [("cancel", old)]
        done(post(own_api, flow, "ignore", {"tasks": [1]}))
        done(post(own_api, flow, "unignore", {"tasks": [1]}))
        await begin(engine, database_url)
        await begin(engine, database_url)
        await own_api.project()
        assert own_api.flow(old)["cancelledBy"] == "parent"
        new = own_api.flow(flow)["tasks"][0]["childFlowId"]
        assert new != old
        (claim,) = await engine.claim()
        assert claim.flow == new
        await engine.finish(claim)
        await engine.finish(*await engine.claim())


async def test_it_is_said_for_which_cleanup_a_task_waits(own_api: RunningApi, database_url: str) -> None:
    async with own_api.engine() as engine:
        own_api.define("sub.tidy", {}, {"dependsOn": [1]}, {"dependsOn": [1], "finally": True})
        own_api.define("sub.owner", step("sub.tidy"), {"dependsOn": [1]})
        flow = own_api.register("sub.owner")
        await begin(engine, database_url)
        old = own_api.flow(flow)["tasks"][0]["childFlowId"]
        await engine.finish(*await engine.claim(1))
        done(post(own_api, flow, "rerun", {"tasks": [1], "newChildren": True}))
        await begin(engine, database_url)
        why = own_api.flow(flow)["tasks"][0]["waitReason"]
        assert (why["kind"], why["what"]) == ("childBefore", f"sub.tidy, flow {old}")
        told = done(post(own_api, flow, "cancel", {"dryRun": True}))
        assert (told["effect"]["cleanup"], told["effect"]["cutOff"], told["effect"]["ends"]) == (
            [1],
            [2],
            False,
        )
        done(post(own_api, flow, "cancel", {}))
        await own_api.project()
        shown = own_api.flow(flow)
        assert (shown["endingCause"], shown["finishedTs"]) == ("cancel", None)
        why = shown["tasks"][0]["waitReason"]
        assert (why["kind"], why["what"]) == ("childEnd", f"sub.tidy, flow {old}")
        assert why["untilTs"] == shown["endingUntilTs"]
        (cleanup,) = await engine.claim()
        assert (cleanup.flow, cleanup.task) == (old, 3)
        await engine.finish(cleanup)
        await own_api.project()
        assert own_api.flow(flow)["status"] == "Ignore"
        assert own_api.flow(flow)["cancelledBy"] != "parent"


async def test_it_is_said_for_which_place_a_child_waits(own_api: RunningApi, database_url: str) -> None:
    schema: Any = {"type": "object", "properties": {"n": {}}, "required": ["n"]}
    body: dict[str, Any] = {"tasks": [{"taskSeq": 1, "program": "A"}], "parametersSchema": schema}
    own_api.client.put("/workflows/sub.one", json=body).raise_for_status()
    given = {"over": [1, 2, 3], "workflow": "sub.one", "as": "n", "limit": 1}
    own_api.define("sub.windowed", {"program": "@map", "parameters": given})
    flow = own_api.register("sub.windowed")
    async with own_api.engine() as engine:
        engine.programs |= {"A"}
        await Decider(engine.client, engine.partition, "w1").run_once()
        await begin(engine, database_url)
        first, *others = own_api.flow(flow)["tasks"][1:]
        assert first["waitReason"]["reason"] == "awaits"
        place = {"reason": "noPlaceInMap", "flow": flow, "map": 1, "inside": 1, "most": 1}
        assert [one["waitReason"] for one in others] == [place | {"ahead": 0}, place | {"ahead": 1}]
        words = f"waits for a place in the window of map 1 (n=1) of flow {flow}: 1 goes on, 1 waits before it"
        assert in_words(msgspec.convert(others[1]["waitReason"], type=WaitReason)) == words
        await engine.suspend(*await engine.claim())
        await begin(engine, database_url)
        done(post(own_api, first["childFlowId"], "rerun", {"selection": "failed"}))
        why = own_api.flow(first["childFlowId"])["tasks"][0]["waitReason"]
        assert why == place | {"ahead": 0}
        assert own_api.flow(flow)["tasks"][1]["waitReason"] == place | {"ahead": 0}


def test_what_a_map_of_a_workflow_cannot_have_is_said(api: RunningApi) -> None:
    api.define("sub.each", {})

    def mapped(**given: Any) -> dict[str, Any]:
        parameters: dict[str, Any] = {"over": [1, 2], "as": "n", "workflow": "sub.each"}
        return {"program": "@map", "parameters": parameters | given, "dependsOn": []}

    cases: list[tuple[dict[str, Any], str]] = [
        (mapped(program="A"), "has both of 'program' and 'workflow'"),
        (mapped(workflow=""), "it is the name of a workflow, as text"),
        (mapped(workflow="nobody"), "is done by workflow 'nobody', which does not exist"),
        (mapped(version="ab"), "the versions of a tree are fixed when a flow begins"),
        ({**mapped(), "timeoutSeconds": 5}, "flows, whose workflow says that of its own tasks"),
        (mapped(limit=0), "its 'limit' is 0: it is a whole number of 1..10000"),
        ({**mapped(), "units": 2}, "flows, which do its items, take no room of any limit"),
    ]
    for wrong, why in cases:
        assert why in problems(api, "sub.wrong", wrong)
    assert "circle of sub-flows" in problems(api, "sub.round", mapped(workflow="sub.round"))
    body = {"tasks": [{"taskSeq": 1, "taskPriority": 0, **mapped()}]}
    told = api.client.put("/workflows/sub.mapped", json=body)
    assert told.status_code in (200, 201), told.text
    assert "warnings" not in told.json() or not told.json()["warnings"]
