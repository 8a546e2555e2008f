"""Who asks for a task that loops is told its round, when the next begins and with which parameters."""

from typing import Any

from api.serving import RunningApi
from scripts.engine import Engine

LOOP: dict[str, Any] = {"taskName": "poll", "program": "Poll", "parameters": {"cursor": 0}, "maxRounds": 7}


async def looping(api: RunningApi, engine: Engine) -> str:
    """A flow in its second round, which begins in an hour."""
    api.define("polls", LOOP, {"program": "Poll", "dependsOn": [1]})
    engine.programs.add("Poll")
    flow = api.register("polls")
    await engine.again(*await engine.claim(), given=b'{"cursor":40}')
    await engine.again(*await engine.claim(), given=b'{"cursor":80,"page":[1]}', after_ms=3_600_000)
    return flow


async def test_a_task_says_its_round_from_the_log_and_from_the_tables(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flow = await looping(own_api, engine)
        seen: list[dict[str, Any]] = []
        for project in (False, True):
            if project:
                await own_api.project()
            seen.append(own_api.client.get(f"/flows/{flow}/tasks/poll").json())
        assert seen[0] == seen[1]
        task = seen[1]
        assert (task["round"], task["maxRounds"], task["given"]) == (2, 7, {"cursor": 80, "page": [1]})
        assert task["parameters"] == {"cursor": 0} and task["retryTs"] is None
        assert task["waitReason"] == {"reason": "round", "round": 2, "dueTs": task["againTs"]}
        assert [(one["how"], one["round"], one["given"]) for one in task["attempts"]] == [
            ("again", 1, {"cursor": 40}),
            ("again", 2, {"cursor": 80, "page": [1]}),
        ]
        assert own_api.client.get("/tasks", params={"status": "retrying"}).json()["tasks"] == []
        whole = own_api.client.get(f"/flows/{flow}").json()
        assert (whole["rounds"], whole["failedTasks"]) == (2, [])
        own_api.client.post(f"/flows/{flow}/rerun", json={"tasks": ["poll"]}).raise_for_status()
        await own_api.project()
        anew = own_api.client.get(f"/flows/{flow}/tasks/poll").json()
        assert (anew["round"], anew["given"], anew["againTs"]) == (0, None, None)
        assert own_api.client.get(f"/flows/{flow}").json()["rounds"] == 2


async def test_a_past_moment_of_a_loop_is_shown(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flow = await looping(own_api, engine)
        await own_api.project()
        events = own_api.client.get(f"/flows/{flow}/events").json()["events"]
        (first, _) = [one["position"] for one in events if one["event"]["type"] == "task.again"]
        then = own_api.client.get(f"/flows/{flow}", params={"at": first}).json()["tasks"][0]
        assert (then["round"], then["given"], then["againTs"]) == (1, {"cursor": 40}, None)
        timeline = own_api.client.get(f"/flows/{flow}/timeline").json()
        assert timeline["stages"][timeline["stage"][-1]] == "round"


async def test_a_dry_run_of_a_rerun_takes_what_waits_for_its_round(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flow = await looping(own_api, engine)
        body = {"tasks": ["poll"], "dryRun": True}
        told = own_api.client.post(f"/flows/{flow}/rerun", json=body).json()["effect"]
        assert told["runs"] == [1]
        assert own_api.client.post(f"/flows/{flow}/cancel", json={"dryRun": True}).status_code == 200
