"""Suspended flows that nobody touches leave Redis, and come back when somebody acts on them."""

from typing import Any

import pytest

from api.serving import RunningApi
from flower_engine.log.client import send
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.transitions.park_transitions import park
from flower_projector.parking import Parker
from scripts.engine import Engine

WORKFLOW: tuple[dict[str, Any], ...] = ({}, {"dependsOn": [1]}, {"dependsOn": [2]})


async def _suspended(api: RunningApi, engine: Engine) -> str:
    """A flow whose first task finished and whose second failed for good."""
    api.define("etl", *WORKFLOW)
    flow = api.register("etl")
    await engine.finish(*await engine.claim(1))
    await engine.suspend(*await engine.claim(1))
    await api.project()
    return flow


async def _park(api: RunningApi, engine: Engine) -> int:
    settings = api.settings.model_copy(update={"park_hours": 1e-9})
    return await Parker(engine.client, [engine.partition], settings).run_once()


async def _is_in_redis(engine: Engine, flow: str) -> bool:
    return bool(await send(engine.client, "EXISTS", engine.keys.flow(flow)))


OPERATIONS: dict[str, tuple[dict[str, Any], int]] = {
    "rerun": ({"tasks": [2]}, 3),
    "ignore": ({"tasks": [2]}, 9),
    "cancel": ({}, 9),
    "pause": ({"reason": "not now"}, 2),
    "resume": ({}, 3),
    "priority": ({"priority": 7}, 2),
}


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_whatever_is_done_with_a_parked_flow_brings_it_back(
    own_api: RunningApi, operation: str
) -> None:
    body, status = OPERATIONS[operation]
    async with own_api.engine() as engine:
        flow = await _suspended(own_api, engine)
        assert await _park(own_api, engine) == 1
        assert not await _is_in_redis(engine, flow)
        await engine.check()
        assert own_api.flow(flow)["status"] == "Suspend"
        reply = own_api.client.post(f"/flows/{flow}/{operation}", json=body)
        assert reply.status_code == 200, reply.text
        await engine.check()
        await engine.work_off()
        await engine.check()
        assert int((await engine.flow(flow)).task(2).status) == status


async def test_a_parked_flow_leaves_no_key_once_an_hour_is_over(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        before = await engine.key_names()
        flow = await _suspended(own_api, engine)
        await _park(own_api, engine)
        left = await engine.key_names() - before
        assert not {key for key in left if flow in key and "ended:" not in key}
        assert not {key for key in left if "flows:" in key}


@pytest.mark.parametrize("moved", ["running", "retrying", "later version"])
async def test_a_flow_of_which_something_goes_on_is_not_parked(own_api: RunningApi, moved: str) -> None:
    async with own_api.engine() as engine:
        own_api.define("two", {}, {"dependsOn": []})
        flow = own_api.register("two")
        first, second = await engine.claim(2)
        await engine.suspend(first)
        if moved == "retrying":
            await engine.ask_for_retry(second, after_ms=60_000)
        version = (await engine.flow(flow)).version
        if moved == "later version":
            await engine.suspend(second)
        assert await park(engine.client, engine.partition, [(flow, version)]) == []
        assert await _is_in_redis(engine, flow)


async def test_a_place_of_a_limit_that_counts_suspended_flows_is_kept(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flow = await _suspended(own_api, engine)
        await engine.control(FlowControl(scope="workflow", name="etl", max_flows=1, count_suspended=True))
        assert await _park(own_api, engine) == 0
        assert await _is_in_redis(engine, flow)


async def test_a_parked_flow_needs_a_place_to_go_on(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flow = await _suspended(own_api, engine)
        await _park(own_api, engine)
        await engine.control(FlowControl(scope="workflow", name="etl", max_flows=1))
        other = own_api.register("etl")
        assert own_api.client.post(f"/flows/{flow}/rerun", json={"tasks": [2]}).status_code == 200
        await engine.check()
        assert {claim.flow for claim in await engine.claim(5)} == {other}


async def test_what_is_not_archived_yet_stays(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        flow = await _suspended(own_api, engine)
        assert own_api.client.post(f"/flows/{flow}/pause", json={}).status_code == 200
        assert await _park(own_api, engine) == 0
        assert await _is_in_redis(engine, flow)


async def test_a_registration_that_is_sent_again_finds_the_parked_flow(own_api: RunningApi) -> None:
    async with own_api.engine() as engine:
        own_api.define("etl", *WORKFLOW)
        first = own_api.client.post("/register/etl", json={"key": "k"}).json()
        await engine.suspend(*await engine.claim(1))
        await own_api.project()
        await _park(own_api, engine)
        again = own_api.client.post("/register/etl", json={"key": "k"}).json()
        assert (again["taskFlowId"], again["duplicate"]) == (first["taskFlowId"], True)
