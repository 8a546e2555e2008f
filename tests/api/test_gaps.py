"""What lies in a gap is said, and refused: a flow that ended there, or that is known by an older end only."""

import httpx

from api.serving import RunningApi, details
from flower_engine.insight.known_flows import remembered_ends
from flower_engine.log.client import send
from flower_engine.runtime.gap_bridge import bridge_gaps
from scripts.engine import Engine

TABLES = ("kr_event", "kr_flow_stat", "kr_task_stat", "kr_projection")


async def _lose(api: RunningApi, engine: Engine, again: str) -> str:
    """Reruns a flow, ends it and another, new one; then Postgres goes back to where it was, and the log
    no longer has what lies between; that is bridged. The new one."""
    await api.project()
    for table in TABLES:
        api.sql(f"CREATE TABLE backup_{table} AS TABLE {table}")
    api.client.post(f"/flows/{again}/rerun", json={"selection": "all"}).raise_for_status()
    unseen = api.register("etl")
    await engine.work_off()
    api.register("etl")
    await api.project()
    ((position,),) = api.sql("SELECT position FROM kr_projection")
    await send(engine.client, "HSET", engine.keys.meta, "projected_to", position)
    await send(engine.client, "XTRIM", engine.keys.log, "MAXLEN", 1)
    for table in TABLES:
        api.sql(f"TRUNCATE {table}")
        api.sql(f"INSERT INTO {table} TABLE backup_{table}")
    await bridge_gaps(engine.client, api.settings.database_url or "", lambda _what, _done, _total: None)
    await api.project()
    return unseen


async def _forget(engine: Engine) -> None:
    """As trimming does, when a flow ended long ago."""
    for flow in await remembered_ends(engine.client, engine.partition):
        await send(engine.client, "DEL", engine.keys.ended(flow))
    await send(engine.client, "DEL", engine.keys.endings)


def _operations(api: RunningApi, flow_id: str) -> dict[str, httpx.Response]:
    bodies = {
        "rerun": {"selection": "all"},
        "fork": {"fromTasks": [1]},
        "ignore": {"tasks": [1]},
        "unignore": {"tasks": [1]},
        "priority": {"priority": 3},
    }
    return {
        name: api.client.post(f"/flows/{flow_id}/{name}", json=bodies.get(name))
        for name in ("rerun", "fork", "ignore", "unignore", "priority", "cancel", "pause", "resume")
    }


def _refused(reply: httpx.Response, flow_id: str, *said: str) -> None:
    assert reply.status_code == 409, (reply.url, reply.text)
    assert reply.json()["type"] == "urn:flower:problem:history-lost"
    (detail,) = details(reply)
    assert all(text in detail for text in (flow_id, *said)), detail


async def test_what_ended_in_a_gap_is_said_to_have_and_refused(own_api: RunningApi) -> None:
    own_api.define("etl", {}, {})
    again = own_api.register("etl")
    async with own_api.engine() as engine:
        await engine.work_off()
        unseen = await _lose(own_api, engine, again)
        for _ in range(2):
            for path in ("", "/events", "/tasks/1", "?at=9899-12-31T00:00:00Z"):
                _refused(own_api.client.get(f"/flows/{unseen}{path}"), unseen, "ended as version 5 at 20")
            for reply in _operations(own_api, unseen).values():
                _refused(reply, unseen, "ended as version 5 at 20", "nothing else is known of it")
            await _forget(engine)


async def test_nothing_follows_from_an_older_end_whatever_redis_remembers(own_api: RunningApi) -> None:
    own_api.define("etl", {}, {})
    again = own_api.register("etl")
    async with own_api.engine() as engine:
        await engine.work_off()
        await _lose(own_api, engine, again)
        for _ in range(2):
            view = own_api.flow(again)
            assert (view["version"], view["lostVersion"]) == (5, 10)
            for reply in _operations(own_api, again).values():
                _refused(reply, again, "known up to version 5 only", "ended as version 10 at 20")
            await _forget(engine)
        assert again not in {claim.flow for claim in await engine.claim(100)}
