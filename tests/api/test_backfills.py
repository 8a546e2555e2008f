"""Backfills: slots of the past get their flow after all, each once, or have it rerun; step by step."""

import itertools
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.serving import RunningApi
from api.test_schedules import version_in_use
from flower_engine.flows import backfill_steps
from flower_engine.flows.backfill_steps import step
from flower_engine.flows.installed_stores import open_stores
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.projection.database import connect
from flower_engine.schedules.slot_ids import slot_flow_id
from flower_watcher.schedule_sync import ScheduleSyncLoop
from flower_watcher.scheduled_workflows import Shared

_workers = itertools.count(1)
BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
Json = dict[str, Any]


def at(hours: float) -> str:
    return (BEGIN + timedelta(hours=hours)).isoformat().replace("+00:00", "Z")


def make(api: RunningApi, **more: Any) -> Json:
    body = {"from": at(0), "to": at(4), **more}
    reply = api.client.post("/schedules/hourly/backfills", json=body)
    assert reply.status_code in (200, 201), reply.text
    return reply.json()


def shown(api: RunningApi, backfill: str) -> Json:
    return api.client.get(f"/backfills/{backfill}").json()


def slots(api: RunningApi, backfill: str) -> list[Json]:
    return api.client.get(f"/backfills/{backfill}/slots").json()["slots"]


@pytest.fixture
async def stores(own_api: RunningApi) -> AsyncGenerator[PostgresStores]:
    """Those of a watcher; a schedule with a slot at every hour, of which nothing has become yet."""
    await set_hourly(own_api)
    async with open_stores(own_api.settings) as stores:
        yield stores


@pytest.fixture(scope="module")
async def refusing(api: RunningApi) -> RunningApi:
    """One with that schedule, for all tests in which nothing becomes of a slot."""
    await set_hourly(api)
    api.sql("UPDATE kr_schedule SET pruned_to = '2010-01-01'")
    return api


async def set_hourly(api: RunningApi) -> None:
    api.define("etl", {"parameters": {"hour": ""}})
    said = {
        "taskId": "etl",
        "everySeconds": 3600,
        "anchor": at(0),
        "parameters": {"hour": {"$slot": "utc"}},
    }
    api.client.put("/schedules/hourly", json=said).raise_for_status()
    await bring(api)


async def bring(api: RunningApi) -> None:
    """What a watcher does when somebody changed a schedule."""
    async with api.engine() as engine, await connect(api.settings.database_url or "", "test") as connection:
        loop = ScheduleSyncLoop(engine.client, [engine.partition], api.settings.database_url or "", Shared())
        await loop.run_once(connection)
    await api.project()


async def take_steps(api: RunningApi, stores: PostgresStores, backfill: str) -> None:
    await api.project()
    while await step(stores, backfill):
        pass


async def work_off(api: RunningApi, *, fail: bool = False) -> int:
    """What a worker does with all that is ready; how many tasks that were."""
    async with api.engine() as engine:
        worker = f"w{next(_workers)}"
        claims = await engine.claim(worker=worker)
        await (engine.suspend if fail else engine.finish)(*claims, worker=worker)
    await api.project()
    return len(claims)


async def test_each_slot_of_a_backfill_fixes_the_versions_of_all_below_as_they_stand_when_it_begins(
    own_api: RunningApi, stores: PostgresStores
) -> None:
    """An edit between two slots changes nothing of the flow that has begun."""
    own_api.define("leaf", {})
    own_api.define("limb", {"program": "@flow", "parameters": {"workflow": "leaf"}})
    own_api.define("etl", {"program": "@flow", "parameters": {"workflow": "limb"}})
    said = {"taskId": "etl", "everySeconds": 3600, "anchor": at(0)}
    own_api.client.put("/schedules/hourly", json=said).raise_for_status()
    await bring(own_api)

    def expected() -> Json:
        limb, leaf = (version_in_use(own_api, name) for name in ("limb", "leaf"))
        return {"workflow": "limb", "version": limb, "versions": {"leaf": leaf}}

    made, before = make(own_api, to=at(1), mostAtOnce=1), expected()
    await take_steps(own_api, stores, made["id"])
    own_api.define("leaf", {"parameters": {"other": 1}})
    (first, second) = slots(own_api, made["id"])
    assert second["flow"] == ""
    own_api.client.post(f"/flows/{first['flow']}/cancel", json={}).raise_for_status()
    await take_steps(own_api, stores, made["id"])
    flows = [one["flow"] for one in slots(own_api, made["id"])]
    await own_api.project()
    found = [own_api.flow(flow)["tasks"][0]["parameters"] for flow in flows]
    assert found == [before, expected()]
    assert before != expected()


async def test_slots_of_the_past_are_fired_in_order_and_so_many_at_once(
    own_api: RunningApi, stores: PostgresStores
) -> None:
    listed = make(own_api, dryRun=True)
    assert [(one["slot"], one["action"]) for one in listed["slots"]] == [(at(n), "fire") for n in range(5)]
    assert own_api.client.get("/schedules/hourly/backfills").json()["backfills"] == []
    made = make(own_api, mostAtOnce=2)
    assert (made["state"], made["total"], made["priority"]) == ("open", 5, 19)
    for begun in (2, 2, 1):
        await take_steps(own_api, stores, made["id"])
        assert shown(own_api, made["id"])["running"] == begun
        assert await work_off(own_api) == begun
    await take_steps(own_api, stores, made["id"])
    done = shown(own_api, made["id"])
    assert (done["state"], done["ended"], done["waiting"]) == ("finished", 5, 0)
    flows = [one["flow"] for one in slots(own_api, made["id"])]
    uid = own_api.client.get("/schedules/hourly").json()["uid"]
    wanted = [slot_flow_id(uid, round((BEGIN.timestamp() + 3600 * n) * 1000), 0) for n in range(5)]
    assert flows == wanted
    flow = own_api.flow(flows[3])
    assert flow["tasks"][0]["parameters"] == {"hour": at(3)}
    assert flow["tasks"][0]["taskPriority"] == 19
    told = own_api.client.get(f"/schedules/hourly/slots/{at(3)}").json()
    assert told["state"] == "fired" and made["id"] in told["said"]
    assert make(own_api, dryRun=True)["total"] == 0  # each has its flow


async def test_what_failed_is_rerun_in_its_flow(own_api: RunningApi, stores: PostgresStores) -> None:
    first = make(own_api, mostAtOnce=5, newestFirst=True)
    await take_steps(own_api, stores, first["id"])
    await work_off(own_api, fail=True)
    await take_steps(own_api, stores, first["id"])
    assert shown(own_api, first["id"])["failed"] == 5
    flows = {one["slot"]: one["flow"] for one in slots(own_api, first["id"])}
    again = make(own_api, which="failed", to=at(2), mostAtOnce=5)
    await take_steps(own_api, stores, again["id"])
    assert await work_off(own_api) == 3
    await take_steps(own_api, stores, again["id"])
    done = shown(own_api, again["id"])
    assert (done["state"], done["ended"], done["total"]) == ("finished", 3, 3)
    assert all(flows[one["slot"]] == one["flow"] for one in slots(own_api, again["id"]))
    every = make(own_api, which="all", mostAtOnce=5)
    assert {one["action"] for one in slots(own_api, every["id"])} == {"rerun"}
    await take_steps(own_api, stores, every["id"])
    assert await work_off(own_api) == 5
    await take_steps(own_api, stores, every["id"])
    assert shown(own_api, every["id"])["ended"] == 5
    assert {own_api.flow(flow)["status"] for flow in flows.values()} == {"Finish"}


@pytest.mark.parametrize("which", ["backfill.sent", "backfill.fired"])
@pytest.mark.parametrize("action", ["fire", "rerun"])
async def test_a_watcher_that_dies_at_any_point_leaves_nothing_undone_or_done_twice(
    own_api: RunningApi,
    stores: PostgresStores,
    monkeypatch: pytest.MonkeyPatch,
    which: str,
    action: str,
) -> None:
    made = make(own_api, to=at(1), mostAtOnce=2)
    if action == "rerun":
        await take_steps(own_api, stores, made["id"])
        await work_off(own_api)
        await take_steps(own_api, stores, made["id"])
        made = make(own_api, to=at(1), which="all", mostAtOnce=2)
    deaths = 0

    def die(point: str) -> None:
        nonlocal deaths
        if point == which and deaths < 3:
            deaths += 1
            raise RuntimeError

    monkeypatch.setattr(backfill_steps, "crash_point", die)
    for _ in range(6):
        try:
            await take_steps(own_api, stores, made["id"])
        except RuntimeError:
            await work_off(own_api)  # its flow may even have ended before the next watcher looks
    await work_off(own_api)
    await take_steps(own_api, stores, made["id"])
    done = shown(own_api, made["id"])
    assert (done["state"], done["ended"]) == ("finished", 2), done
    for one in slots(own_api, made["id"]):
        events = own_api.client.get(f"/flows/{one['flow']}/events").json()["events"]
        kinds = [event["event"]["type"] for event in events]
        assert kinds.count("flow.registered") == 1
        assert kinds.count("task.finished") == (2 if action == "rerun" else 1), kinds


async def test_it_is_paused_resumed_and_cancelled(own_api: RunningApi, stores: PostgresStores) -> None:
    made = make(own_api)["id"]
    call = own_api.client.post
    assert call(f"/backfills/{made}/pause", json={"reason": "later"}).json()["state"] == "paused"
    await take_steps(own_api, stores, made)
    assert shown(own_api, made)["waiting"] == 5
    assert call(f"/backfills/{made}/resume").json()["state"] == "open"
    assert call(f"/backfills/{made}/resume").status_code == 409
    await take_steps(own_api, stores, made)
    assert (shown(own_api, made)["waiting"], shown(own_api, made)["running"]) == (4, 1)
    assert call(f"/backfills/{made}/cancel").json()["state"] == "cancelled"
    await take_steps(own_api, stores, made)
    assert await work_off(own_api) == 1
    assert shown(own_api, made)["waiting"] == 4
    assert call(f"/backfills/{made}/pause").status_code == 409
    for verb in ("pause", "resume", "cancel"):
        assert call(f"/backfills/nobody/{verb}").status_code == 404
    assert own_api.client.get("/backfills/nobody").status_code == 404
    listed = own_api.client.get("/schedules/hourly/backfills").json()["backfills"]
    assert [(one["id"], one["state"]) for one in listed] == [(made, "cancelled")]


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"from": at(5)}, "#/to"),
        ({"from": "2026-02-30"}, "#/from"),
        ({"to": "tomorrow"}, "#/to"),
        ({"which": "some"}, "#/which"),
        ({"mostAtOnce": 0}, "#/mostAtOnce"),
        ({"mostAtOnce": 10**6}, "#/mostAtOnce"),
        ({"priority": 20}, "#/priority"),
        ({"from": at(-24 * 365 * 50)}, "#/from"),
        ({"from": at(-24 * 365 * 10), "to": at(0)}, "#/to"),
        ({"newestFirst": "yes"}, "#/newestFirst"),
        ({"other": 1}, "#/other"),
    ],
)
def test_what_makes_no_sense_is_refused(refusing: RunningApi, wrong: Json, pointer: str) -> None:
    reply = refusing.client.post("/schedules/hourly/backfills", json={"from": at(0), "to": at(4), **wrong})
    assert reply.status_code == 422, reply.text
    assert pointer in {one.get("pointer") for one in reply.json()["problems"]}
    unknown = refusing.client.post("/schedules/no/backfills", json={"from": at(0), "to": at(1)})
    assert unknown.status_code == 404


async def test_two_watchers_take_turns(own_api: RunningApi, stores: PostgresStores) -> None:
    made = make(own_api, mostAtOnce=3)["id"]

    @asynccontextmanager
    async def locked() -> AsyncGenerator[None]:
        async with stores.postgres() as connection, connection.transaction():
            await connection.execute("SELECT FROM ms_backfill FOR UPDATE")
            yield

    async with locked():
        assert not await step(stores, made)
        assert shown(own_api, made)["waiting"] == 5
    await take_steps(own_api, stores, made)
    assert shown(own_api, made)["running"] == 3
