"""Maps over HTTP: a list becomes items, which are shown counted, rerun alone, and forked as a list."""

from typing import Any

import msgspec

from api.serving import RunningApi, details
from flower_cli.commands.show import print_flow
from flower_engine.model.folding.flow_table import FlowTable
from flower_engine.runtime.deciding import Decider
from scripts.engine import Engine

OVER = {"over": {"$from": "files"}, "program": "A", "as": "file", "parameters": {"strict": True}}
GIVEN = {"over": [{"id": "north"}, {"id": "south"}], "program": "A", "as": "shop"}
TASKS: tuple[dict[str, Any], ...] = (
    {"taskName": "files", "program": "A", "dependsOn": []},
    {"taskName": "totals", "program": "@map", "dependsOn": ["files"], "parameters": OVER},
    {"taskName": "report", "program": "A", "parameters": {"all": {"$from": "totals"}}},
)


async def expanded(api: RunningApi, engine: Engine, count: int = 3) -> str:
    """A flow of which the map has its items."""
    api.define("mapping", *TASKS)
    flow = api.register("mapping")
    engine.programs |= {"A"}
    (claim,) = await engine.claim()
    await engine.finish(claim, payload=msgspec.json.encode(list(range(count))))
    await Decider(engine.client, engine.partition, "w1").run_once()
    return flow


async def test_items_are_counted_on_their_map_and_shown_by_number(own_api: RunningApi, capsys: Any) -> None:
    async with own_api.engine() as engine:
        flow = await expanded(own_api, engine)
        first, second, *_ = await engine.claim()
        await engine.finish(first, payload=b"1")
        await engine.suspend(second)
        shown = own_api.flow(flow)
        of_map, item = shown["tasks"][1], shown["tasks"][4]
        assert shown["taskCount"] == 6
        assert of_map["items"] == {
            **{"count": 3, "waiting": 0, "running": 1, "failed": 1, "finished": 1, "ignored": 0}
        }
        assert of_map["waitReason"] == {
            **{"reason": "items", "count": 3, "waiting": 0, "running": 1, "failed": 1, "failedItems": [5]}
        }
        assert (item["itemOf"], item["itemIndex"], item["parameters"]) == (2, 1, {"strict": True, "file": 1})
        assert [one["itemIndex"] for one in shown["failedTasks"]] == [1]
        print_flow(shown)
        said = capsys.readouterr().out
        assert "waits for 2 of 3 items: 1 failed, 1 running (task 5 failed)" in said
        assert "5 A[1] failed" in said
        tree = said.partition("failed, attempt")[0]
        assert "4 A" not in tree


async def test_a_map_that_is_named_by_its_number_is_its_list_and_none_of_its_items(
    own_api: RunningApi,
) -> None:
    """Items have the taskSeq of their map."""
    shows: dict[str, Any] = {"n": {"$from": 1}}
    asked = {"title": {"$text": "{n} rows", **shows}, "shows": shows}
    tasks: list[dict[str, Any]] = [
        {"taskSeq": 1, "program": "@map", "dependsOn": [], "parameters": {**GIVEN, "over": [1, 2]}},
        {"taskSeq": 2, "program": "@approval", "dependsOn": [1], "parameters": asked},
    ]
    own_api.client.put("/workflows/numbered", json={"tasks": tasks, "returns": {"$from": 1}})
    flow = own_api.register("numbered")
    async with own_api.engine() as engine:
        engine.programs |= {"A"}
        decider = Decider(engine.client, engine.partition, "w1")
        await decider.run_once()
        for claim in await engine.claim():
            await engine.finish(claim, payload=b"%d" % (10 * claim.task))
        await decider.run_once()
        await own_api.project()
        (listed,) = own_api.client.get("/approvals").json()["approvals"]
        found = own_api.client.get(f"/flows/{flow}/tasks/2/approval").json()
        assert [listed["title"], found["title"]] == ["[30,40] rows"] * 2
        assert found["shows"] == {"n": [30, 40]}
        yes = {"answer": {"approved": True}}
        own_api.client.post(f"/flows/{flow}/tasks/2/answer", json=yes).raise_for_status()
        await own_api.project()
    assert own_api.flow(flow)["result"] == [30, 40]


def _effect(api: RunningApi, flow: str, task: int) -> dict[str, Any]:
    """What a rerun of the task would do."""
    asked = {"tasks": [task], "dryRun": True}
    effect: dict[str, Any] = (
        api.client.post(f"/flows/{flow}/rerun", json=asked).raise_for_status().json()["effect"]
    )
    return effect


async def test_an_item_of_an_aligned_map_waits_for_one_task_and_says_so(
    own_api: RunningApi, capsys: Any
) -> None:
    along = {"over": {"$from": "totals"}, "program": "A", "as": "total", "aligned": True}
    doubled = {"taskName": "doubled", "program": "@map", "dependsOn": ["totals"], "parameters": along}
    own_api.define("along", *TASKS[:2], doubled)
    flow = own_api.register("along")
    async with own_api.engine() as engine:
        engine.programs |= {"A"}
        (claim,) = await engine.claim()
        await engine.finish(claim, payload=b"[1,2]")
        await Decider(engine.client, engine.partition, "w1").run_once()
        first, second = await engine.claim()
        await engine.suspend(first)
        await engine.finish(second, payload=b"7")
        shown = own_api.flow(flow)
        assert [task["dependsOn"] for task in shown["tasks"]] == [[], [1], [2], [], [], [4], [5]]
        assert [task["itemOf"] for task in shown["tasks"]] == [None, None, None, 2, 2, 3, 3]
        assert shown["tasks"][5]["waitReason"] == {"reason": "dependencies", "dependsOn": [4]}
        assert shown["tasks"][2]["waitReason"]["reason"] == "items"
        assert shown["tasks"][5]["parameters"] == {"total": {"$from": "totals"}}
        assert _effect(own_api, flow, 5)["runs"] == [5]
        (behind,) = await engine.claim()
        assert behind.task == 7
        await engine.finish(behind)
        assert _effect(own_api, flow, 5)["runs"] == [5, 7]
        told = _effect(own_api, flow, 2)
        assert (told["runs"], told["vanished"]) == ([2, 3], [4, 5, 6, 7])
        own_api.client.post(f"/flows/{flow}/rerun", json={"tasks": [2]}).raise_for_status()
        assert [task["endedAs"] for task in own_api.flow(flow)["tasks"][3:]] == ["vanished"] * 4
        print_flow(own_api.flow(flow))
        assert "doubled" in capsys.readouterr().out


async def test_the_key_of_an_item_is_shown_wherever_its_index_is(own_api: RunningApi, capsys: Any) -> None:
    own_api.define("keyed", {"taskName": "all", "program": "@map", "parameters": {**GIVEN, "key": "/id"}})
    flow = own_api.register("keyed")
    async with own_api.engine() as engine:
        engine.programs |= {"A"}
        await Decider(engine.client, engine.partition, "w1").run_once()
        (first, _) = await engine.claim()
        await engine.suspend(first)
        shown = own_api.flow(flow)
        assert [task["itemKey"] for task in shown["tasks"]] == [None, "north", "south"]
        print_flow(shown)
        assert "2 A[north] failed" in capsys.readouterr().out
        table = FlowTable()
        for event in await engine.events():
            table.add(event)
        assert table.plan().item_keys == ["", "north", "south"]


async def test_an_item_says_that_its_map_lets_no_more_run_or_is_held(own_api: RunningApi) -> None:
    bounds = {"limit": 1, "tolerate": 0}
    own_api.define("bounded", {"taskName": "all", "program": "@map", "parameters": {**GIVEN, **bounds}})
    flow = own_api.register("bounded")
    async with own_api.engine() as engine:
        engine.programs |= {"A"}
        await Decider(engine.client, engine.partition, "w1").run_once()
        (first,) = await engine.claim()
        assert own_api.flow(flow)["tasks"][2]["waitReason"] == {
            **{"reason": "limit", "scope": "map", "name": "1", "key": "", "running": 1, "most": 1},
            "heldBy": [flow],
        }
        assert "map 1 of flow" in own_api.client.get("/top").raise_for_status().text
        await engine.suspend(first)
        await Decider(engine.client, engine.partition, "w1").run_once()
        shown = own_api.flow(flow)
        assert shown["tasks"][0]["error"]["message"].startswith(
            "1 of 2 items was given up, and 0 are tolerated"
        )
        reason = shown["tasks"][2]["waitReason"]
        assert (reason["reason"], reason["scope"], reason["name"]) == ("scopePaused", "map", "1")
        await engine.check()


async def test_what_follows_the_failure_of_an_item_is_shown_with_it(own_api: RunningApi) -> None:
    passing = {**TASKS[1], "onFailure": "pass", "standIn": {"rows": 0}}
    own_api.define("passing", TASKS[0], passing, {**TASKS[2], "parameters": {"all": {"$from": "totals"}}})
    flow = own_api.register("passing")
    async with own_api.engine() as engine:
        engine.programs |= {"A"}
        decider = Decider(engine.client, engine.partition, "w1")
        await engine.finish(*await engine.claim(), payload=b"[1,2]")
        await decider.run_once()
        first, second = await engine.claim()
        await engine.suspend(first)
        await engine.finish(second, payload=b'{"rows":5}')
        await decider.run_once()
        await own_api.project()
        shown = own_api.flow(flow)
        of_map, item, other = shown["tasks"][1], *shown["tasks"][3:]
        assert (item["status"], item["endedAs"], item["ignoredBy"]) == ("Ignore", "passedOver", "on_failure")
        assert (item["onFailure"], item["hasStandIn"], other["onFailure"]) == ("pass", True, "pass")
        assert (of_map["status"], of_map["items"]["ignored"]) == ("Finish", 1)
        whole = own_api.client.get(f"/flows/{flow}/tasks/2").json()
        assert whole["result"] == [{"rows": 0}, {"rows": 5}]
        await engine.work_off()
        await engine.check()


async def test_a_dry_run_says_which_items_vanish_and_so_it_is(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flow = await expanded(own_api, engine)
        await engine.work_off()
        body = {"tasks": ["totals"], "dryRun": True}
        said = own_api.client.post(f"/flows/{flow}/rerun", json=body).raise_for_status().json()["effect"]
        assert (said["runs"], said["vanished"], said["kept"]) == ([2], [4, 5, 6], [1])
        own_api.client.post(f"/flows/{flow}/rerun", json={**body, "dryRun": False}).raise_for_status()
        assert [task["endedAs"] for task in own_api.flow(flow)["tasks"][3:]] == ["vanished"] * 3
        await Decider(engine.client, engine.partition, "w1").run_once()
        reply = own_api.client.post(f"/flows/{flow}/rerun", json={"tasks": [4]})
        assert (reply.status_code, reply.json()["type"]) == (409, "urn:flower:problem:vanished")
        one = own_api.client.post(f"/flows/{flow}/rerun", json={"tasks": [7], "dryRun": True})
        assert one.status_code == 409  # it waits
        await engine.check()


async def test_a_rerun_of_what_has_changed_keeps_what_the_same_items_came_to(
    own_api: RunningApi, capsys: Any
) -> None:
    async with own_api.engine() as engine:
        flow = await expanded(own_api, engine)
        await engine.work_off()
        await Decider(engine.client, engine.partition, "w1").run_once()
        await engine.work_off()
        body = {"tasks": ["files"], "scope": "changed", "dryRun": True}
        said = own_api.client.post(f"/flows/{flow}/rerun", json=body).raise_for_status().json()["effect"]
        assert (said["runs"], said["vanished"], said["matched"]) == ([1, 2, 3], [4, 5, 6], [2])
        before = own_api.flow(flow)["tasks"]
        own_api.client.post(f"/flows/{flow}/rerun", json={**body, "dryRun": False}).raise_for_status()
        (claim,) = await engine.claim()
        await engine.finish(claim, payload=b"[2,7,0]")
        await Decider(engine.client, engine.partition, "w1").run_once()
        shown = own_api.flow(flow)
        items = shown["tasks"][6:]
        assert [(one["status"], one["takenFrom"], one["attempt"]) for one in items] == [
            *(("Finish", 6, 0), ("Wait", None, 0), ("Finish", 4, 0))
        ]
        assert [items[0]["result"], items[2]["result"]] == [before[5]["result"], before[3]["result"]]
        assert shown["tasks"][1]["items"]["finished"] == 2
        print_flow(shown)
        capsys.readouterr()
        own_api.client.post(f"/flows/{flow}/rerun", json={"tasks": [7]}).raise_for_status()
        assert own_api.flow(flow)["tasks"][6]["takenFrom"] is None  # it runs itself now
        await engine.check()


async def test_a_fork_takes_over_the_list_of_a_map_or_expands_it_anew(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flow = await expanded(own_api, engine)
        await engine.work_off()
        await Decider(engine.client, engine.partition, "w1").run_once()
        await engine.work_off()
        for begin, stands in ((3, ["Finish", "Finish", "Wait"]), (5, ["Finish", "Wait", "Wait"])):
            reply = own_api.client.post(f"/flows/{flow}/fork", json={"fromTasks": [begin]})
            forked = reply.raise_for_status().json()["taskFlowId"]
            assert [task["status"] for task in own_api.flow(forked)["tasks"]] == stands
        again = own_api.client.post(f"/flows/{flow}/rerun", json={"tasks": [5], "scope": "dependents"})
        again.raise_for_status()
        assert [task["status"] for task in own_api.flow(flow)["tasks"]] == [
            *("Finish", "Wait", "Wait", "Finish", "Wait", "Finish")
        ]
        version = {"selection": "all", "workflowVersion": "newest"}
        own_api.client.post(f"/flows/{flow}/rerun", json=version).raise_for_status()
        assert [task["endedAs"] for task in own_api.flow(flow)["tasks"][3:]] == ["vanished"] * 3
        await engine.check()


async def test_a_fork_with_another_version_takes_over_the_items_that_are_the_same(
    own_api: RunningApi,
) -> None:
    async with own_api.engine() as engine:
        flow = await expanded(own_api, engine)
        first, second, third = await engine.claim()
        await engine.finish(first, payload=b"1")
        await engine.suspend(second)
        await engine.finish(third, payload=b"3")
        report = {**TASKS[2], "parameters": {"all": {"$from": "totals"}, "rounded": True}}
        other = {**TASKS[1], "parameters": {**OVER, "parameters": {"strict": False}}}
        for rows, stand in (
            ((*TASKS[:2], report), ["Finish", "Wait", "Finish"]),
            ((TASKS[0], other, TASKS[2]), ["Wait"] * 3),
        ):
            own_api.define("mapping", *rows)
            reply = own_api.client.post(f"/flows/{flow}/fork", json={"workflowVersion": "newest"})
            forked = reply.raise_for_status().json()["taskFlowId"]
            await Decider(engine.client, engine.partition, "w1").run_once()
            tasks = own_api.flow(forked)["tasks"]
            assert [one["status"] for one in tasks[:3]] == ["Finish", "Wait", "Wait"]
            assert [one["status"] for one in tasks[3:]] == stand
            assert [one["takenFrom"] for one in tasks[3:]] == [None] * 3
        await engine.check()


async def test_a_map_is_given_no_parameters_but_those_of_its_flow(own_api: RunningApi) -> None:
    over = {**OVER, "over": {"$param": "numbers"}}
    own_api.define("given", {"taskName": "totals", "program": "@map", "parameters": over})
    for body in (
        {"taskParameters": {"totals": {"over": [1]}}},
        {"parameters": {"numbers": [1], "over": [1]}},
    ):
        reply = own_api.client.post("/register/given", json=body)
        assert reply.status_code == 422, details(reply)
    async with own_api.engine() as engine:
        reply = own_api.client.post("/register/given", json={"parameters": {"numbers": [1, 2]}})
        assert reply.status_code == 200, reply.text
        flow = reply.raise_for_status().json()["taskFlowId"]
        await Decider(engine.client, engine.partition, "w1").run_once()
        assert [task["parameters"].get("file") for task in own_api.flow(flow)["tasks"][1:]] == [1, 2]
        await engine.check()


async def test_items_are_not_drawn_and_whoever_watches_is_told_of_which_map_they_are(
    own_api: RunningApi,
) -> None:
    async with own_api.engine() as engine:
        flow = await expanded(own_api, engine)
        layout = own_api.client.get(f"/flows/{flow}/layout").json()
        assert (layout["layers"], layout["layer"]) == (3, [0, 1, 2, -1, -1, -1])
        assert layout["edges"] == [1, 2, 2, 3]
        table = FlowTable()
        for event in await engine.events():
            table.add(event)
        plan = table.plan()
        assert (plan.item_of, plan.item_index) == ([0, 0, 0, 2, 2, 2], [0, 0, 0, 0, 1, 2])
        assert plan.item_keys == []
        assert (plan.parent, plan.trunk) == (None, None)
        await engine.check()
