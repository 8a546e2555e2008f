"""Streams of changes: of a flow, and of lists; each change once, exactly on from any event, over restarts."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest

from api.serving import PATIENCE_SECONDS, RunningApi, details
from api.test_looking_back import flow_at, positions
from flower_engine.projection.read.views import FlowView
from projection.live_client import LiveClient, assert_shows

NO_FLOW = "018f3c5e-7a10-7000-8000-000000000000"


class Stream:
    """The events of one connection, as they come."""

    def __init__(self, reply: httpx.Response) -> None:
        self._lines = reply.aiter_lines()
        self.last_id: str | None = None

    async def next(self) -> tuple[str, dict[str, Any]]:
        """The next event and its data; comments are passed over."""
        kind = data = ""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                line = await anext(self._lines)
                name, _, value = line.partition(": ")
                if name == "id":
                    self.last_id = value
                elif name == "event":
                    kind = value
                elif name == "data":
                    data = value
                elif not line and kind:
                    return kind, json.loads(data)

    async def show(self, client: LiveClient, version: int) -> None:
        """Gives the client frames until it has the flow as of this version."""
        while client.flow.get("version", 0) < version:
            client.take(*await self.next(), self.last_id)


@asynccontextmanager
async def watching(api: RunningApi, path: str, last_id: str | None = None) -> AsyncGenerator[Stream]:
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    async with (
        httpx.AsyncClient(base_url=api.url, timeout=PATIENCE_SECONDS, verify=False) as client,
        client.stream("GET", path, headers=headers) as reply,
    ):
        assert reply.status_code == 200, await reply.aread()
        assert reply.headers["content-type"].startswith("text/event-stream")
        yield Stream(reply)


def then(api: RunningApi, flow: str, position: str | None) -> FlowView:
    assert position is not None
    return msgspec.json.decode(json.dumps(flow_at(api, flow, position)), type=FlowView, strict=False)


async def fail_second(api: RunningApi, flow: str) -> None:
    """The first task of a row of three finishes, the second fails."""
    async with api.engine() as engine:
        await engine.finish(*await engine.claim())
        await engine.suspend(*await engine.claim())
    await api.project()


async def rerun_and_end(api: RunningApi, flow: str) -> None:
    api.client.post(f"/flows/{flow}/rerun", json={"selection": "failed"}).raise_for_status()
    async with api.engine() as engine:
        while claims := await engine.claim(worker="w2"):
            await engine.finish(*claims, worker="w2")
    await api.project()


async def test_a_flow_is_told_as_it_goes_on_and_is_what_was_then(own_api: RunningApi) -> None:
    own_api.define("etl", {"taskName": "a"}, {"dependsOn": ["a"]}, {"dependsOn": [2]})
    flow = own_api.register("etl")
    client = LiveClient()
    async with watching(own_api, f"/flows/{flow}/changes") as stream:
        await own_api.project()
        await stream.show(client, 1)
        assert_shows(client, then(own_api, flow, stream.last_id))
        await fail_second(own_api, flow)
        await stream.show(client, 5)
        assert client.tasks()[1]["message"] and client.flow["status"] == 2
        assert_shows(client, then(own_api, flow, stream.last_id))
        await rerun_and_end(own_api, flow)
        await stream.show(client, own_api.flow(flow)["version"])
        assert_shows(client, then(own_api, flow, stream.last_id))
        assert client.flow["status"] == 3


async def test_from_the_id_of_any_event_it_goes_on_exactly(own_api: RunningApi) -> None:
    own_api.define("etl", {}, {"dependsOn": [1]}, {"dependsOn": [2]})
    flow = own_api.register("etl")
    await own_api.project()
    await fail_second(own_api, flow)
    await rerun_and_end(own_api, flow)
    told = positions(own_api, flow)
    version = own_api.flow(flow)["version"]
    for position in told[:-1]:
        client = LiveClient()
        before = then(own_api, flow, position)
        async with watching(own_api, f"/flows/{flow}/changes") as stream:
            await stream.show(client, version)
        rows = {row[0]: row for row in client.rows.values()}
        client.rows = {seq: [None] * 18 for seq in rows}
        for seq, task in enumerate(before.tasks, start=1):
            if task.exec_status == rows[seq][1] and task.attempt == rows[seq][3]:
                client.rows[seq] = rows[seq]  # what did not change since may stay unsaid
        async with watching(own_api, f"/flows/{flow}/changes", position) as stream:
            kind, data = await stream.next()
            client.take(kind, data, stream.last_id)
            assert kind == "changes"
        assert_shows(client, then(own_api, flow, told[-1]))
    async with watching(own_api, f"/flows/{flow}/changes", told[-1]) as stream:
        own_api.client.post(f"/flows/{flow}/rerun", json={"selection": "all"}).raise_for_status()
        await own_api.project()
        kind, data = await stream.next()
        assert kind == "changes" and data["flow"]["version"] == version + 1, "nothing is told twice"


@pytest.mark.parametrize("position", ["0-0", "99999999999999-0", "1-1"])
async def test_behind_a_position_that_is_none_of_the_flow_all_of_it_is_told(
    api: RunningApi, position: str
) -> None:
    api.define("etl", {})
    flow = api.register("etl")
    await api.project()
    async with watching(api, f"/flows/{flow}/changes", position) as stream:
        assert (await stream.next())[0] == "table"


async def test_an_api_that_starts_anew_goes_on_where_the_other_stopped(
    start_api: Callable[..., RunningApi],
) -> None:
    first = start_api()
    first.define("etl", {}, {"dependsOn": [1]}, {"dependsOn": [2]})
    flow = first.register("etl")
    await first.project()
    client = LiveClient()
    async with watching(first, f"/flows/{flow}/changes") as stream:
        await stream.show(client, 1)
        last = stream.last_id
    async with watching(first, "/changes") as stream:
        assert (await stream.next())[0] == "start"
        last_of_list = stream.last_id
    first.stop()
    second = start_api()
    await fail_second(second, flow)
    async with watching(second, f"/flows/{flow}/changes", last) as stream:
        kind, data = await stream.next()
        assert kind == "changes"
        client.take(kind, data, stream.last_id)
    assert_shows(client, then(second, flow, stream.last_id))
    async with watching(second, "/changes", last_of_list) as stream:
        kind, data = await stream.next()
        assert (kind, [one["taskFlowId"] for one in data["flows"]]) == ("flows", [flow])
        assert data["flows"][0]["status"] == "Suspend"


async def test_whoever_reads_slowly_gets_the_end_and_not_all_between(own_api: RunningApi) -> None:
    beside: dict[str, Any] = {"dependsOn": []}
    own_api.define("etl", *[beside] * 50)
    flow = own_api.register("etl")
    await own_api.project()
    client = LiveClient()
    async with watching(own_api, f"/flows/{flow}/changes") as stream:
        await stream.show(client, 1)
        async with own_api.engine() as engine:
            for _ in range(10):
                await engine.finish(*await engine.claim(5))
                await own_api.project()
        frames = 0
        while client.flow["finished"] < 50:
            client.take(*await stream.next(), stream.last_id)
            frames += 1
    assert frames <= 20
    assert_shows(client, then(own_api, flow, stream.last_id))


async def test_lists_are_told_which_flows_changed_and_how_they_stand(own_api: RunningApi) -> None:
    own_api.define("etl", {})
    async with watching(own_api, "/changes") as stream:
        assert await stream.next() == ("start", {})
        seen: dict[str, Any] = {}
        flows = [own_api.register("etl") for _ in range(3)]
        await own_api.project()
        while len(seen) < 3:
            kind, data = await stream.next()
            assert kind == "flows"
            seen |= {flow["taskFlowId"]: flow for flow in data["flows"]}
        assert set(seen) == set(flows)
        shown = {flow["taskFlowId"]: flow for flow in own_api.client.get("/flows").json()["flows"]}
        assert seen == shown


async def test_where_too_much_changed_a_list_is_asked_for_anew(own_api: RunningApi) -> None:
    own_api.define("etl", {})
    async with watching(own_api, "/changes") as stream:
        await stream.next()
        begin = stream.last_id
    entries = [{"taskId": "etl"}] * 300
    own_api.client.post("/register", json=entries).raise_for_status()
    await own_api.project()
    for last in (begin, "0:99999999999999-0", "7:1-1"):
        async with watching(own_api, "/changes", last) as stream:
            kind, _ = await stream.next()
            assert kind == "reset"
            assert stream.last_id != last


async def test_a_flow_that_nobody_registered_cannot_be_watched(api: RunningApi) -> None:
    for path in ("changes", "timeline", "layout"):
        assert api.client.get(f"/flows/{NO_FLOW}/{path}").status_code == 404
    for path, last in ((f"/flows/{NO_FLOW}/changes", "x"), ("/changes", "x"), ("/changes", "0:1")):
        reply = api.client.get(path, headers={"Last-Event-ID": last})
        assert reply.status_code == 422
        assert "Last-Event-ID" in details(reply)[0]
    assert api.client.head("/changes").status_code == 200


async def test_a_damaged_history_is_said_and_others_go_on(own_api: RunningApi) -> None:
    own_api.define("etl", {})
    damaged, fine = own_api.register("etl"), own_api.register("etl")
    await own_api.project()
    own_api.sql("UPDATE kr_event SET event = event || '{\"tasks\": 7}' WHERE task_flow_id = %s", damaged)
    async with watching(own_api, f"/flows/{damaged}/changes") as stream:
        kind, data = await stream.next()
        assert kind == "problem" and damaged in data["detail"]
    async with watching(own_api, f"/flows/{fine}/changes") as stream:
        assert (await stream.next())[0] == "table"


async def test_a_timeline_and_a_layout_have_all_tasks(own_api: RunningApi) -> None:
    own_api.define("etl", {}, {"dependsOn": [1]}, {"dependsOn": [1]}, {"dependsOn": [2, 3]})
    flow = own_api.register("etl")
    layout = own_api.client.get(f"/flows/{flow}/layout").json()
    assert (layout["layers"], layout["layer"]) == (3, [0, 1, 1, 2])
    assert layout["edges"] == [1, 2, 1, 3, 2, 4, 3, 4]
    assert layout["row"][0] == layout["row"][3] == 0 and sorted(layout["row"][1:3]) == [-0.5, 0.5]
    async with own_api.engine() as engine:
        await engine.work_off()
    await own_api.project()
    timeline = own_api.client.get(f"/flows/{flow}/timeline").json()
    stages = [
        (task, timeline["stages"][stage])
        for task, stage in zip(timeline["task"], timeline["stage"], strict=True)
    ]
    assert [stage for task, stage in stages if task == 4] == ["dependencies", "ready", "running", "finished"]
    assert set(timeline["positions"]) <= set(positions(own_api, flow))
