"""Commands say why rules passed over tasks, and what an operation would do before it is done."""

import json
from typing import Any

from api.serving import RunningApi
from api.test_rules import failed_flow
from cli.flower_command import Flower

CHAIN: tuple[dict[str, Any], ...] = (
    {"taskName": "load"},
    {"taskName": "count", "parameters": {"rows": {"$from": "load"}}},
    {"taskName": "tidy", "dependsOn": ["load"]},
)


def test_an_operation_says_what_it_would_do_and_does_nothing(flower: Flower, own_api: RunningApi) -> None:
    own_api.define("chain", *CHAIN)
    flow = flower("register", "chain").stdout.strip()
    refused = flower("ignore", flow, "load")
    assert refused.exit_code == 1 and "is needed by task 2" in refused.output
    told = flower("ignore", flow, "load", "--cascade", "--dry-run").stdout
    assert "nothing was done:" in told
    assert "are passed over: tasks 1, 2" in told and "may start at once: task 3" in told
    assert "are cut off: tasks 1, 2, 3" in flower("cancel", flow, "--dry-run").stdout
    assert "the flow ends" in flower("cancel", flow, "--dry-run").stdout
    assert "might start, and must wait then: task 1" in flower("pause", flow, "--dry-run").stdout
    moved = flower("priority", flow, "-3", "--dry-run").stdout
    assert "have another priority: tasks 1, 2, 3" in moved and "move at once: task 1" in moved
    forked = flower("fork", flow, "--from", "load", "--dry-run").stdout
    assert "the tasks of the new flow" in forked and "run again from the start: tasks 1, 2, 3" in forked
    held = flower("resume", flow, "--dry-run")
    assert held.exit_code == 1 and "nothing to resume" in held.output.replace("\n", " ")
    assert "tasks 1, 2 are ignored" in flower("ignore", flow, "load", "--cascade").stdout
    again = flower("rerun", flow, "--task", "load", "--dependents", "--dry-run", "--json")
    effect = json.loads(again.stdout)["effect"]
    assert (effect["runs"], effect["reopens"], effect["kept"]) == ([1], [2], [])


async def test_it_is_said_how_a_flow_failed_and_what_was_left_out(
    flower: Flower, own_api: RunningApi
) -> None:
    async with own_api.engine() as engine:
        flow = await failed_flow(own_api, engine)
        await own_api.project()
    shown = flower("show", flow).stdout
    assert "Failed" in shown and "given up" in shown and "not taken by its rule ready" in shown
    assert "rule       settled" in flower("show", flow, "--task", "clean").stdout
    assert "task 1 was given up" in flower("why", flow, "count").stdout
    assert json.loads(flower("why", flow, "--json").stdout)["2"]["because"] == "givenUp"
    assert flow in flower("flows", "--status", "Failed").stdout
    assert "(given up)" in flower("errors", "--given-up").stdout.replace("\n", " ")
    assert "nothing has failed" in flower("errors", "--held").stdout
    assert flower("errors", "--held", "--retrying").exit_code == 2
    assert "given up; it failed: " in flower("why", flow, "1").stdout


async def test_why_says_that_somebody_must_decide_on_what_is_held(
    flower: Flower, own_api: RunningApi
) -> None:
    own_api.define("chain", *CHAIN)
    flow = own_api.register("chain")
    async with own_api.engine() as engine:
        await engine.suspend(*await engine.claim(), payload=b'{"type":"LookupError","message":"no table"}')
        await own_api.project()
    said = flower("why", flow).stdout.replace("\n", " ")
    assert "load (A): held until somebody reruns or ignores it, or cancels its flow; it failed:" in said
    assert "LookupError: no table" in said and "task 2 count (A): waits for 1" in said
    assert "nothing of it waits" not in said
    told = json.loads(flower("why", flow, "load", "--json").stdout)
    assert (told["1"]["reason"], told["1"]["error"]["message"]) == ("held", "no table")


async def test_it_is_said_which_join_went_on_without_a_task_that_nobody_needs(
    flower: Flower, own_api: RunningApi
) -> None:
    join = {"taskName": "show", "dependsOn": ["cache", "archive"], "rule": "any:cancel"}
    own_api.define("race", {"taskName": "cache"}, {"taskName": "archive", "dependsOn": []}, join)
    flow = own_api.register("race")
    async with own_api.engine() as engine:
        claims = await engine.claim(2)
        await engine.finish(next(claim for claim in claims if claim.task == 1))
        await engine.work_off()
        from_the_log = own_api.flow(flow)
        await own_api.project()
        await engine.check()
    assert from_the_log["tasks"] == own_api.flow(flow)["tasks"]
    assert [task["notNeededBy"] for task in from_the_log["tasks"]] == [None, [3], None]
    said = "task 2 archive (A): not needed: task 3 went on without it"
    assert flower("why", flow, "archive").stdout.strip() == said
    assert flower("why", flow).stdout.splitlines() == [said, f"flow {flow} is Finish: nothing of it waits"]
    assert json.loads(flower("why", flow, "--json").stdout) == {
        "2": {"reason": "unneeded", "notNeededBy": [3]}
    }
    assert "not needed: task 3 went on without it" in flower("show", flow).stdout.replace("\n", " ")
    assert "not needed: task 3" in flower("show", flow, "--task", "archive").stdout.replace("\n", " ")
