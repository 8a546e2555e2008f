"""``/strikes`` and ``/top``: what is passed over, and what the engine is busy with."""

from typing import Any
from urllib.parse import quote

import pytest

from api.serving import RunningApi, details
from api.test_limits import put
from flower_engine.insight import overview
from flower_engine.model.tasks.status import Status
from flower_engine.projection.database import connect
from flower_watcher.flow_control import ControlLoop


def strike(api: RunningApi, **body: Any) -> dict[str, Any]:
    reply = api.client.post("/strikes", json={"program": "A", **body})
    assert reply.status_code == 201, reply.text
    made = reply.json()
    made.pop("warnings", None)  # nobody serves the program in most of these tests
    return made


async def test_a_strike_passes_over_what_waits_and_what_comes_until_it_is_lifted(own_api: RunningApi) -> None:
    own_api.define("etl", {"parameters": {"customer": "a"}})
    own_api.define("other", {"parameters": {"customer": "b"}})
    async with own_api.engine() as engine:
        put(own_api, "program/A", isPaused=True)
        waiting, kept = own_api.register("etl"), own_api.register("other")
        made = strike(own_api, parameter="customer", value="a", reason="gone")
        assert own_api.client.get("/strikes").json()["strikes"] == [made]
        loop = ControlLoop(engine.client, [engine.partition], own_api.settings.database_url or "")
        async with await connect(own_api.settings.database_url or "", "test") as connection:
            await loop.run_once(connection)
        assert (await engine.flow(waiting)).status is Status.FINISH
        ignored = (await engine.flow(waiting)).task(1)
        assert ignored.status is Status.IGNORE
        assert (ignored.ignored_by, ignored.ignore_reason) == ("api", f"strike {made['id']}: gone")
        own_api.client.delete("/limits/program/A").raise_for_status()
        later = own_api.register("etl")
        assert [claim.flow for claim in await engine.claim()] == [kept]
        assert (await engine.flow(later)).task(1).status is Status.IGNORE
        assert own_api.client.delete(f"/strikes/{made['id']}").status_code == 204
        assert own_api.client.get("/strikes").json() == {"strikes": []}
        after = own_api.register("etl")
        assert [claim.flow for claim in await engine.claim(1, worker="w2")] == [after]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"parameter": "a"},
        {"parameter": "", "value": 1},
        {"parameter": "a", "value": None},
        {"parameter": "a", "value": [1]},
        {"parameter": "a", "value": {"b": 1}},
        {"parameter": "a", "value": "\0"},
        {"parameter": "a", "value": -1.7976931348623155e308},
        {"parameter": "a", "value": 1, "until": "tomorrow"},
    ],
)
def test_what_is_no_strike_is_refused(api: RunningApi, body: dict[str, Any]) -> None:
    reply = api.client.post("/strikes", json={"program": "A", **body})
    assert reply.status_code == 422
    details(reply)


def test_a_strike_that_nobody_made_cannot_be_lifted(api: RunningApi) -> None:
    assert api.client.delete("/strikes/nobody").status_code == 404


@pytest.mark.parametrize("identity", ["orders/2026", "a/", "/", "a b%2F?#", "..", "ä"])
def test_a_strike_made_with_sql_can_be_lifted_whatever_its_id(api: RunningApi, identity: str) -> None:
    api.sql(
        "INSERT INTO ms_strike (strike_id, program, parameter, value) VALUES (%s, 'A', 'p', '1')", identity
    )
    path = quote(identity, safe="").replace(".", "%2E")
    reply = api.client.delete(f"/strikes/{path}")
    assert reply.status_code == 204, reply.text
    assert identity not in [row["id"] for row in api.client.get("/strikes").json()["strikes"]]


async def test_top_says_what_waits_runs_and_is_limited(
    own_api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "_RECENT_MS", 600_000)  # a test may take more than the 5 s that are of late
    own_api.define("etl", {"parameters": {"customer": "a"}, "taskPriority": 3})
    own_api.define("free", {"program": "B"})
    put(own_api, "program/A", maxRunning=2)
    for _ in range(5):
        own_api.register("etl")
    own_api.register("free")
    async with own_api.engine() as engine:
        await engine.finish(*await engine.claim(1, programs=("B",)))
        await engine.claim(9, programs=("A", "B"))
        await engine.claim(9, worker="w2", programs=("A", "B"))
    seen = own_api.client.get("/top").json()
    assert seen["queues"] == [{"queue": "default", "waiting": 3, "running": 2}]
    (lane,) = seen["lanes"]
    assert lane.pop("firstSeconds") >= 0
    assert lane == {
        **{"queue": "default", "priority": 3, "workflow": "etl", "program": "A", "key": ""},
        **{"waiting": 3, "setAsideBy": "program A"},
    }
    (limit,) = seen["limits"]
    assert (limit["scope"], limit["name"], limit["running"], limit["most"]) == ("program", "A", 2, 2)
    assert seen["startsPerSecond"] > seen["finishesPerSecond"] > 0


async def test_a_task_says_how_many_are_before_it_and_when_a_rate_lets_it_start(own_api: RunningApi) -> None:
    own_api.define("etl", {})
    own_api.define("urgent", {"taskPriority": -5})
    first, second = own_api.register("etl"), own_api.register("etl")
    own_api.register("urgent")
    async with own_api.engine() as engine:
        engine.heartbeat("w1")
        await own_api.project()

        def reason(flow: str) -> dict[str, Any]:
            return own_api.flow(flow)["tasks"][0]["waitReason"]

        assert reason(first) == {"reason": "behind", "tasks": 1, "atLeast": False}
        assert reason(second) == {"reason": "behind", "tasks": 2, "atLeast": False}
        put(own_api, "program/A", rate=1, ratePeriodSeconds=3_600)
        await engine.claim(1)
        found = reason(first)
        assert found.pop("untilTs") > "2026"
        assert found == {
            "reason": "rate",
            "scope": "program",
            "name": "A",
            "rate": 1,
            "periodSeconds": 3600.0,
        }


async def test_a_queue_that_nobody_serves_is_told_from_a_program_that_nobody_serves(
    own_api: RunningApi,
) -> None:
    own_api.define(
        "etl", {"dependsOn": []}, {"dependsOn": [], "queue": "gpu"}, {"dependsOn": [], "program": "B"}
    )
    flow = own_api.register("etl")
    async with own_api.engine() as engine:
        engine.heartbeat("w1")
    await own_api.project()
    reasons = [task["waitReason"] for task in own_api.flow(flow)["tasks"]]
    assert reasons[1:] == [
        {"reason": "noWorker", "program": "A", "queue": "gpu", "isQueueServed": False},
        {"reason": "noWorker", "program": "B", "queue": "default", "isQueueServed": True},
    ]
