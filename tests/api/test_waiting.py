"""Reads that wait: for a version that an operation led to, and for the end of a flow."""

import asyncio
import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pytest

from api.serving import PATIENCE_SECONDS, RunningApi, details
from flower_api.routes import flows as routes_of_flows
from flower_engine.client import Client
from flower_engine.flows import flow_waits
from flower_engine.flows.flow_waits import FlowWaits
from flower_engine.projection.database import Connection
from worker.running import eventually


def paused(api: RunningApi, flow: str) -> int:
    """Pauses it; the version that this led to."""
    reply = api.client.post(f"/flows/{flow}/pause")
    assert reply.status_code == 200, reply.text
    return reply.json()["version"]


async def read(api: RunningApi, flow: str, **query: Any) -> dict[str, Any]:
    reply = await asyncio.to_thread(api.client.get, f"/flows/{flow}", params=query)
    assert reply.status_code == 200, reply.text
    return reply.json()


async def test_a_read_waits_for_the_version_that_an_operation_led_to(own_api: RunningApi) -> None:
    own_api.define("w", {})
    flow = own_api.register("w")
    await own_api.project()
    version = paused(own_api, flow)
    assert own_api.flow(flow)["pausedTs"] is None  # Postgres lags
    reading = asyncio.create_task(read(own_api, flow, atLeast=version, wait=30, until="version"))
    await own_api.project()
    told = await reading
    assert told["pausedTs"] is not None
    assert (told["version"], told["isBehind"]) == (version, False)


async def test_a_read_that_waited_in_vain_says_that_it_is_behind(own_api: RunningApi) -> None:
    own_api.define("w", {})
    flow = own_api.register("w")
    await own_api.project()
    version = paused(own_api, flow)
    for query in ({"wait": 0}, {"wait": 0.2}, {}):
        told = await read(own_api, flow, atLeast=version, **query)
        assert (told["version"], told["isBehind"]) == (version - 1, True)


async def test_a_read_waits_for_the_end(own_api: RunningApi) -> None:
    own_api.define("w", {}, {})
    ended, failed, later = (own_api.register("w") for _ in range(3))
    await own_api.project()
    readings = [asyncio.create_task(read(own_api, flow, wait=30)) for flow in (ended, failed)]
    async with own_api.engine() as engine:
        claims = {claim.flow: claim for claim in await engine.claim(wanted=3)}
        await own_api.project()
        await engine.suspend(claims[failed])
        await engine.finish(claims[ended])
        await own_api.project()
        (second,) = [claim for claim in await engine.claim() if claim.flow == ended]
        await engine.finish(second)
    await own_api.project()
    assert [(await reading)["status"] for reading in readings] == ["Finish", "Suspend"]
    assert (await read(own_api, ended, wait=30))["status"] == "Finish"  # it had ended before
    assert (await read(own_api, later, wait=0.1))["status"] == "Running"


async def test_an_end_before_the_version_does_not_count(own_api: RunningApi) -> None:
    own_api.define("w", {})
    flow = own_api.register("w")
    async with own_api.engine() as engine:
        await engine.work_off()
        await own_api.project()
        again = own_api.client.post(f"/flows/{flow}/rerun", json={"selection": "all"}).json()["version"]
        reading = asyncio.create_task(read(own_api, flow, atLeast=again, wait=30))
        await own_api.project()
        await engine.work_off()
        await own_api.project()
    told = await reading
    assert (told["status"], told["version"] > again) == ("Finish", True)


async def test_a_flow_that_is_not_projected_yet_is_waited_for(own_api: RunningApi) -> None:
    own_api.define("w", {})
    flow = own_api.register("w")
    reading = asyncio.create_task(read(own_api, flow, wait=30))
    async with own_api.engine() as engine:
        await engine.work_off()
    assert (await reading)["status"] == "Finish"  # of the log alone


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of how many flows each query of those who wait asked."""
    numbers: list[int] = []
    looked = flow_waits.read_standings

    async def counted(connection: Connection, flows: Sequence[str]) -> Any:
        numbers.append(len(flows))
        return await looked(connection, flows)

    monkeypatch.setattr(flow_waits, "read_standings", counted)
    return numbers


async def test_all_that_wait_are_looked_for_in_one_query(
    own_api: RunningApi, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    all_wait, come = threading.Event(), itertools.count(1)
    wait, look = FlowWaits._wait, flow_waits.read_standings  # pyright: ignore[reportPrivateUsage]

    async def counted(*what: Any) -> None:
        if next(come) == 40:
            all_wait.set()
        await wait(*what)

    async def held_up(*what: Any) -> Any:
        found = await look(*what)
        await asyncio.to_thread(all_wait.wait, PATIENCE_SECONDS)
        return found

    monkeypatch.setattr(FlowWaits, "_wait", counted)
    monkeypatch.setattr(flow_waits, "read_standings", held_up)
    own_api.define("w", {})
    flows = [own_api.register("w") for _ in range(40)]
    await own_api.project()
    limits = httpx.Limits(max_connections=40)
    async with httpx.AsyncClient(
        base_url=own_api.url, timeout=PATIENCE_SECONDS, limits=limits, verify=False
    ) as client:
        waiting = [asyncio.create_task(client.get(f"/flows/{flow}", params={"wait": 30})) for flow in flows]
        await eventually(lambda: sum(asked) >= 40)
        assert sum(asked) == 40  # each once: Postgres did not move
        assert len(asked) <= 2  # those who came before the first look, and those who came during it
        async with own_api.engine() as engine:
            await engine.work_off()
        await own_api.project()
        replies = await asyncio.gather(*waiting)
    assert {reply.json()["status"] for reply in replies} == {"Finish"}


async def test_an_api_that_stops_keeps_nobody_waiting(
    start_api: Callable[..., RunningApi], asked: list[int]
) -> None:
    api = start_api()
    api.define("w", {})
    flow = api.register("w")
    await api.project()
    async with httpx.AsyncClient(base_url=api.url, timeout=PATIENCE_SECONDS, verify=False) as client:
        waiting = asyncio.create_task(client.get(f"/flows/{flow}", params={"wait": 30}))
        await eventually(lambda: bool(asked))
        await asyncio.to_thread(api.stop)
        assert (await waiting).json()["status"] == "Wait"


async def test_more_than_may_wait_are_answered_at_once(start_api: Callable[..., RunningApi]) -> None:
    api = start_api(max_connections="1")
    api.define("w", {})
    flow = api.register("w")
    await api.project()
    assert (await read(api, flow, wait=30))["status"] == "Wait"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"wait": 31}, "wait"),
        ({"wait": "nan"}, "wait"),
        ({"atLeast": -1}, "atLeast"),
        ({"until": "later"}, "until"),
        ({"wait": 1, "at": "1-1"}, "give at, or wait"),
    ],
)
def test_a_wait_that_cannot_be_is_refused(api: RunningApi, query: dict[str, Any], said: str) -> None:
    reply = api.client.get(f"/flows/{'0' * 8}-0000-7000-8000-{'0' * 12}", params=query)
    assert reply.status_code == 422, reply.text
    assert said in details(reply)[0]


def test_a_flow_that_nobody_knows_is_not_waited_for(own_api: RunningApi) -> None:
    reply = own_api.client.get(f"/flows/{'0' * 8}-0000-7000-8000-{'0' * 12}", params={"wait": 30})
    assert reply.status_code == 404


@pytest.mark.parametrize("flow", ["0", "no-id", "01a222ae-5eea-7fff-8840-8151471e1fe9"])
async def test_who_waits_for_what_can_be_no_flow_ends_nobody_elses_wait(
    own_api: RunningApi, flow: str
) -> None:
    own_api.define("w", {})
    other = own_api.register("w")
    reading = asyncio.create_task(read(own_api, other, wait=30, atLeast=2, until="version"))
    for _ in range(3):
        for path in (f"/flows/{flow}", f"/flows/{flow}/tasks/1"):
            reply = await asyncio.to_thread(own_api.client.get, path, params={"wait": 0.5, "atLeast": 7})
            assert reply.status_code in (404, 422), reply.text
    paused(own_api, other)
    await own_api.project()
    assert (await reading)["pausedTs"] is not None


async def test_a_client_reads_what_it_wrote(own_api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> None:
    own_api.define("w", {})
    with Client(own_api.url) as client:
        flow = client.register("w")
        await own_api.project()
        flow.pause()
        with monkeypatch.context() as patience:
            patience.setattr(routes_of_flows, "VERSION_SECONDS", PATIENCE_SECONDS)
            showing = asyncio.create_task(asyncio.to_thread(flow.show))
            await own_api.project()
            shown = await showing
        assert (shown.paused_ts is not None, shown.is_behind) == (True, False)
        flow.cancel()
        assert (await asyncio.to_thread(flow.show)).is_behind
        await own_api.project()
        assert flow.status() == "Cancelled"
