"""Operators and a prune at the same flow: it is rerun and stays whole, or goes and is refused."""

import asyncio
import time
from collections.abc import Sequence

import httpx
import pytest

import forked_flower
from api.serving import RunningApi
from flower_engine.log.client import connect as connect_redis
from flower_engine.projection.archive.archive_days import DAY_MS
from flower_engine.projection.database import connect
from flower_engine.projection.maintain.pruning import prune
from flower_engine.runtime.retention import RedisFence
from flower_engine.runtime.settings import Settings
from scripts.engine import Engine


async def prune_apart(settings: Settings, crash_at: str = "") -> int:
    """Prunes in a process of its own; its exit code."""
    return await forked_flower.run_of_tests("recovery.pruner", settings, crash_at)


async def _ended(api: RunningApi, engine: Engine | None = None) -> str:
    if engine is None:
        async with api.engine() as own:
            return await _ended(api, own)
    api.define("etl", {}, {})
    flow_id = api.register("etl")
    await engine.work_off()
    await api.project()
    return flow_id


def _rerun(api: RunningApi, flow_id: str) -> httpx.Response:
    return api.client.post(f"/flows/{flow_id}/rerun", json={"selection": "all"})


@pytest.mark.parametrize("point", ["prune.begun", "prune.done"])
async def test_a_pruner_that_is_killed_before_it_is_done_stands_in_nobodys_way(
    own_api: RunningApi, point: str
) -> None:
    flow_id = await _ended(own_api)
    assert await prune_apart(own_api.settings, point) == -9
    reply = _rerun(own_api, flow_id)
    assert (reply.status_code, reply.json()["version"]) == (200, 6), reply.text
    assert await prune_apart(own_api.settings) == 0
    await own_api.project()
    events = own_api.client.get(f"/flows/{flow_id}/events").json()["events"]
    assert [entry["event"]["v"] for entry in events] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("point", ["prune.committed", "prune.told", ""])
async def test_what_has_gone_is_unknown_also_where_the_pruner_was_killed_right_after(
    own_api: RunningApi, point: str
) -> None:
    async with own_api.engine() as engine:
        flow_id = await _ended(own_api, engine)
        assert await prune_apart(own_api.settings, point) == (-9 if point else 0)
        for reply in (_rerun(own_api, flow_id), own_api.client.get(f"/flows/{flow_id}")):
            assert (reply.status_code, flow_id in reply.text) == (404, True), reply.text
        again = await _ended(own_api, engine)
        assert _rerun(own_api, again).status_code == 200


async def test_an_operation_in_the_middle_of_a_prune_is_told_so(own_api: RunningApi) -> None:
    flow_id = await _ended(own_api)
    replies: list[httpx.Response] = []

    class Watched(RedisFence):
        async def put_back(self, partition: int, flows: Sequence[tuple[str, int]]) -> set[str]:
            stay = await super().put_back(partition, flows)
            replies.append(await asyncio.to_thread(_rerun, own_api, flow_id))
            return stay

    async with (
        connect_redis(own_api.settings.redis_url or "") as client,
        await connect(own_api.settings.database_url or "", "prune") as connection,
    ):
        before_ms = int(time.time() * 1000) + 2 * DAY_MS
        pruned = await prune(connection, before_ms=before_ms, fence=Watched(client))
    assert pruned is not None
    assert pruned.flows == 1
    (reply,) = replies
    assert (reply.status_code, reply.json()["type"]) == (409, "urn:flower:problem:pruning"), reply.text


async def test_flows_of_a_postgres_from_before_a_prune_can_be_rerun(own_api: RunningApi) -> None:
    flow_id = await _ended(own_api)
    tables = ("kr_event", "kr_flow_stat", "kr_task_stat")
    for table in tables:
        own_api.sql(f"CREATE TABLE backup_{table} AS TABLE {table}")
    assert await prune_apart(own_api.settings) == 0
    for table in tables:
        own_api.sql(f"INSERT INTO {table} TABLE backup_{table} ON CONFLICT DO NOTHING")
    reply = _rerun(own_api, flow_id)
    assert (reply.status_code, reply.json()["version"]) == (200, 6), reply.text


async def test_what_people_did_goes_with_the_events_of_that_time(own_api: RunningApi) -> None:
    flow_id = await _ended(own_api)
    own_api.client.put("/limits/queue/q", json={"maxRunning": 3}).raise_for_status()
    own_api.sql("UPDATE kr_audit SET at_ms = at_ms + 4 * 86400000 WHERE act = 'limit.added'")
    told = own_api.client.get("/audit").json()["acts"]
    assert [one["act"] for one in told] == ["limit.added", "flow.registered", "workflow.added"]
    assert told[1]["taskFlowId"] == flow_id
    assert await prune_apart(own_api.settings) == 0
    left = own_api.client.get("/audit").json()["acts"]
    assert [one["act"] for one in left] == ["limit.added"]
