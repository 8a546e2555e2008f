"""Flows that decide over HTTP: their conditions are no parameters, and forks take over what was decided."""

from typing import Any

from api.serving import RunningApi, details
from flower_engine.runtime.deciding import Decider
from scripts.engine import Engine

TASKS: tuple[dict[str, Any], ...] = (
    {"taskName": "big", "program": "@when", "parameters": {"condition": "2 > 1"}},
    {"when": ["big", True], "dependsOn": []},
    {"when": ["big", False], "dependsOn": []},
    {"dependsOn": [2, 3], "parameters": {"condition": "free"}},
)
OF_A_DECISION = (
    "the condition of a decision (@when) is part of its definition, and no parameter to be given: change what"
    " it reads, or define another version"
)


async def decided(api: RunningApi, engine: Engine) -> str:
    api.define("deciding", *TASKS)
    flow = api.register("deciding")
    await Decider(engine.client, engine.partition, "w1").run_once()
    return flow


def ends(api: RunningApi, flow: str) -> list[tuple[str, str | None]]:
    return [(task["status"], task["endedAs"]) for task in api.flow(flow)["tasks"]]


async def test_a_condition_is_not_given_by_whoever_registers_reruns_or_forks(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flow = await decided(own_api, engine)
        condition = {"condition": ["truthy", {"$secret": "KEY"}]}
        reply = own_api.client.post("/register/deciding", json={"taskParameters": {"big": condition}})
        assert (reply.status_code, list(details(reply))) == (422, [f"taskSeq 1: {OF_A_DECISION}"])
        for verb, name in (("rerun", "tasks"), ("fork", "fromTasks")):
            reply = own_api.client.post(f"/flows/{flow}/{verb}", json={name: [1], "parameters": condition})
            assert (reply.status_code, list(details(reply))) == (422, [f"task 1: {OF_A_DECISION}"])
        for_all = own_api.client.post("/register/deciding", json={"parameters": {"condition": "new"}})
        assert for_all.status_code == 200
        shown = own_api.flow(for_all.json()["taskFlowId"])["tasks"]
        assert [shown[seq]["parameters"]["condition"] for seq in (0, 3)] == [["gt", 2, 1], "new"]
        await engine.check()


async def test_a_fork_with_another_version_takes_over_what_was_decided(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flow = await decided(own_api, engine)
        await engine.work_off()
        assert ends(own_api, flow) == [("Finish", None)] * 2 + [("Ignore", "notTaken"), ("Finish", None)]
        *same, last = TASKS
        own_api.define("deciding", *same, {**last, "parameters": {"condition": "other"}})
        body = {"fromTasks": [4], "workflowVersion": "newest"}
        forked = own_api.client.post(f"/flows/{flow}/fork", json=body).raise_for_status().json()["taskFlowId"]
        assert ends(own_api, forked) == [
            *[("Finish", None)] * 2,
            *[("Ignore", "notTaken"), ("Wait", None)],
        ]
        own_api.define("deciding", TASKS[0], {**TASKS[1], "when": ["big", False]}, *TASKS[2:])
        turned = own_api.client.post(f"/flows/{flow}/fork", json=body).raise_for_status().json()["taskFlowId"]
        assert ends(own_api, turned)[:3] == [("Finish", None), *[("Ignore", "notTaken")] * 2]
        await engine.work_off()
        await engine.check()
