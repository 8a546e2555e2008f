"""``/scaling``: what a queue asks for."""

import json
from typing import Any

import pytest

from api.serving import RunningApi
from cli.conftest import flower
from cli.flower_command import Flower
from flower_engine.log.client import send

__all__ = ["flower"]

NOTHING = {"ready": 0, "oldestReadySeconds": 0.0, "running": 0, "slots": 0, "desired": 0}


def scaling(api: RunningApi, queue: str = "default") -> dict[str, Any]:
    reply = api.client.get(f"/scaling/{queue}")
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.mark.parametrize("queue", ["nobody", "a/b", "%E2%82%AC%20%2F", "a,b"])
def test_a_queue_that_nobody_knows_asks_for_nothing(api: RunningApi, queue: str) -> None:
    assert scaling(api, queue) == NOTHING


def test_a_name_that_no_queue_can_have_is_refused(api: RunningApi) -> None:
    assert api.client.get("/scaling/" + "q" * 257).status_code == 422
    assert api.client.get("/scaling/").status_code == 422


async def test_what_is_ready_and_what_runs_is_what_is_wanted(own_api: RunningApi) -> None:
    own_api.define("etl", {"dependsOn": []}, {"queue": "other", "dependsOn": []})
    for _ in range(3):
        own_api.register("etl")
    await own_api.project()
    seen = scaling(own_api)
    assert seen.pop("oldestReadySeconds") > 0
    assert seen == {"ready": 3, "running": 0, "slots": 0, "desired": 3}
    async with own_api.engine() as engine:
        engine.heartbeat("w1", queues=("default", "other"))
        engine.heartbeat("w2")
        assert len(await engine.claim(2)) == 2
    seen = scaling(own_api)
    assert (seen["ready"], seen["running"], seen["slots"], seen["desired"]) == (1, 2, 2, 3)
    other = scaling(own_api, "other")
    assert (other["ready"], other["running"], other["slots"], other["desired"]) == (3, 0, 1, 3)


async def test_what_is_ready_longest_is_told_though_the_tables_do_not_know_it_yet(
    own_api: RunningApi,
) -> None:
    own_api.define("etl", {})
    own_api.register("etl")
    assert scaling(own_api)["oldestReadySeconds"] == 0
    await own_api.project()
    assert scaling(own_api)["oldestReadySeconds"] > 0


async def test_what_a_limit_or_a_pause_holds_back_needs_no_worker(own_api: RunningApi) -> None:
    own_api.define("etl", {"program": "A", "dependsOn": []}, {"program": "B", "dependsOn": []})
    for _ in range(5):
        own_api.register("etl")
    own_api.client.put("/limits/program/A", json={"maxRunning": 2})
    assert scaling(own_api)["desired"] == 7
    async with own_api.engine() as engine:
        assert len([*await engine.claim(1, programs=("A",)), *await engine.claim(1, programs=("B",))]) == 2
        seen = scaling(own_api)
        assert (seen["ready"], seen["running"]) == (5, 2), "one more A, four B"
        assert len(await engine.claim(9, programs=("A",))) == 1
    assert scaling(own_api)["ready"] == 4, "what is set aside waits for its limit"
    own_api.client.put("/limits/queue/default", json={"isPaused": True})
    seen = scaling(own_api)
    assert (seen["ready"], seen["running"], seen["desired"]) == (0, 3, 3)


async def test_an_engine_that_lost_its_state_is_not_taken_for_an_idle_one(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        await send(engine.client, "FLUSHDB")
    reply = own_api.client.get("/scaling/default")
    assert (reply.status_code, reply.json()["type"]) == (503, "urn:flower:problem:redis-lost")


def test_the_command_says_it_in_words_and_as_json(flower: Flower, own_api: RunningApi) -> None:
    own_api.define("etl", {})
    own_api.register("etl")
    assert flower("scaling").stdout == "queue default: 1 ready; 0 running; 1 slots wanted, 0 there\n"
    assert json.loads(flower("scaling", "x/y", "--json").stdout) == NOTHING
