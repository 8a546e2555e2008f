"""An operation that is held up, and a clock that is ahead of the API's own: what the API makes of them."""

import asyncio
import threading
from typing import Any

import httpx
import pytest

from api.serving import RunningApi
from flower_engine.flows import matched_maps
from flower_engine.log.client import send
from flower_engine.log.reader import read_log
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.operator_transitions import Operated
from flower_engine.transitions.watcher_transitions import trim
from scripts.engine import Engine

HOUR_MS = 3_600_000
_PATIENCE_SECONDS = 60.0


async def _forget(engine: Engine) -> None:
    """Everything that ended is forgotten, as an hour later."""
    while await send(engine.client, "LLEN", engine.keys.endings):
        last = (await read_log(engine.client, engine.partition, None, 1_000_000))[-1].position
        where = (engine.client, engine.partition)
        await trim(*where, keep_from="0-0", archived=last, ended_keep_ms=0, projected=0)


async def test_a_rerun_held_up_until_the_flow_was_run_again_and_forgotten_follows_from_that(
    own_api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_held, go_on = threading.Event(), threading.Event()
    rerun = matched_maps.rerun

    async def held_up(*where: Any, restored: Any, **more: Any) -> Operated:
        if restored is not None and not is_held.is_set():
            is_held.set()
            await asyncio.to_thread(go_on.wait, _PATIENCE_SECONDS)
        return await rerun(*where, restored=restored, **more)

    monkeypatch.setattr(matched_maps, "rerun", held_up)

    def ask() -> httpx.Response:
        return own_api.client.post(f"/flows/{flow}/rerun", json={"tasks": [1]})

    own_api.define("one", {})
    flow = own_api.register("one")
    async with own_api.engine() as engine:
        try:
            await engine.work_off()
            await own_api.project()
            first = asyncio.create_task(asyncio.to_thread(ask))
            assert await asyncio.to_thread(is_held.wait, _PATIENCE_SECONDS), (
                "no rerun came to where it is held up"
            )
            assert (await asyncio.to_thread(ask)).json()["version"] == 4
            await engine.work_off()
            await own_api.project()
            await _forget(engine)
        finally:
            go_on.set()
        reply = await first
        assert (reply.status_code, reply.json()["version"]) == (200, 7), reply.text
        await engine.work_off()
        state = await engine.flow(flow)
        assert (state.version, state.task(1).attempt, state.status) == (9, 3, Status.FINISH)


async def test_what_a_task_waits_for_is_told_by_the_time_that_it_is_due_in(own_api: RunningApi) -> None:
    own_api.define("one", {})
    async with own_api.engine() as engine:
        await engine.tick()
        await engine.step_clock(HOUR_MS)
        await engine.tick()
        reply = own_api.client.post("/register/one", json={"delaySeconds": 0.01})
        flow = reply.json()["taskFlowId"]
        while not (await engine.fire()).fired:
            pass
        await own_api.project()
        assert own_api.flow(flow)["tasks"][0]["waitReason"]["reason"] != "delayed"
        assert len(await engine.work_off()) == 1
