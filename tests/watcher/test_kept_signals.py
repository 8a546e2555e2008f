"""Signals that are kept reach flows that come to await them: each once, of the first one flow at all."""

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from api.conftest import own_api, start_api
from api.serving import RunningApi
from api.test_backfills import stores
from flower_engine.flows.kept_signals import awaited, bring, let_go
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.projection.database import connect
from flower_engine.projection.definitions.signal_rows import (
    KeptSignal,
    forget_signals,
    is_still_kept,
    open_signals,
)
from flower_watcher.kept_signals import KeptSignalsLoop

__all__ = ["own_api", "start_api", "stores"]

PAID: dict[str, Any] = {"program": "@event", "dependsOn": [], "parameters": {"name": "paid", "key": "7"}}
NUMBERS = {"$literal": {"type": "integer"}}


def send(api: RunningApi, body: dict[str, Any], status: int = 200) -> Any:
    reply = api.client.post("/signals", json={"name": "paid", "key": "7", "keepSeconds": 3600, **body})
    assert reply.status_code == status, reply.text
    return reply.json()


async def opened(api: RunningApi) -> list[KeptSignal]:
    async with await connect(api.settings.database_url or "", "test") as connection:
        return await open_signals(connection)


async def bring_all(api: RunningApi, stores: PostgresStores) -> int:
    return await KeptSignalsLoop(api.settings).run_once(stores, await opened(api))


def is_over(api: RunningApi, flow: str) -> bool:
    return api.flow(flow)["status"] == "Finish"


async def test_a_signal_that_is_kept_reaches_each_flow_that_awaits_it_once(
    own_api: RunningApi, stores: PostgresStores
) -> None:
    own_api.define("orders", PAID)
    own_api.define("two", PAID, {**PAID, "dependsOn": [1]})
    own_api.define("typed", {**PAID, "parameters": {**PAID["parameters"], "type": NUMBERS}})
    first = own_api.register("orders")
    reply = send(own_api, {"id": "one", "payload": "x"})
    assert (reply["taken"], reply["keptUntil"] is not None) == (1, True)
    assert is_over(own_api, first)
    assert send(own_api, {"id": "one", "payload": "x"})["taken"] == 0  # its reply may have been lost
    assert send(own_api, {"id": "one", "payload": "y"}, 409)["type"].endswith("other-signal")
    later, twice, typed = (own_api.register(name) for name in ("orders", "two", "typed"))
    assert await bring_all(own_api, stores) == 2
    assert is_over(own_api, later)
    assert await bring_all(own_api, stores) == 0
    assert [task["status"] for task in own_api.flow(twice)["tasks"]] == ["Finish", "Wait"]
    assert not is_over(own_api, typed)  # it takes no text
    send(own_api, {"id": "two", "payload": 7})
    assert is_over(own_api, typed)
    listed = own_api.client.get("/signals", params={"limit": 1}).json()
    assert [(one["id"], one["taken"]) for one in listed["signals"]] == [("one", 3)]
    rest = own_api.client.get("/signals", params={"cursor": listed["next"]}).json()
    assert ([one["id"] for one in rest["signals"]], rest["next"]) == (["two"], None)


async def test_of_a_signal_for_the_first_one_flow_gets_it_however_often_it_is_brought(
    own_api: RunningApi, stores: PostgresStores
) -> None:
    own_api.define("orders", PAID)
    reply = send(own_api, {"id": "one", "first": True})
    assert (reply["taken"], reply["isKnown"]) == (0, False)
    (kept,) = await opened(own_api)
    assert await awaited(stores, [kept]) == []
    flows = [own_api.register("orders") for _ in range(3)]
    assert await awaited(stores, [kept]) == [kept]
    assert len((await bring(stores, kept)).taken) == 1
    own_api.sql("UPDATE kr_signal SET is_over = false, taken = 0")  # killed before it could note that
    for _ in range(2):
        assert (await bring(stores, kept)).is_known
    assert sum(is_over(own_api, flow) for flow in flows) == 1
    assert send(own_api, {"id": "one", "first": True})["isKnown"]
    assert await opened(own_api) == []


@pytest.mark.parametrize("column", ["until_ts = now() - interval '2 days'", "is_over = true"])
async def test_what_is_over_is_brought_no_more(
    own_api: RunningApi, stores: PostgresStores, column: str
) -> None:
    own_api.define("orders", PAID)
    send(own_api, {"id": "one"})
    own_api.sql(f"UPDATE kr_signal SET {column}")  # noqa: S608
    flow = own_api.register("orders")
    assert await bring_all(own_api, stores) == 0
    assert not is_over(own_api, flow)
    async with await connect(own_api.settings.database_url or "", "test") as connection:
        await forget_signals(connection)
    assert own_api.sql("SELECT count(*) FROM kr_signal") == [(0 if "until" in column else 1,)]


async def test_no_more_than_a_thousand_are_kept(own_api: RunningApi) -> None:
    own_api.sql(
        """INSERT INTO kr_signal (id, name, key, payload, sent_by, until_ts, is_first)
        SELECT n::text, 'x', '', '1', 'shop', now() + interval '1 hour', false
        FROM generate_series(1, 1000) AS n"""
    )
    assert send(own_api, {"id": "one"}, 429)["type"].endswith("too-many-signals")
    own_api.sql("UPDATE kr_signal SET is_over = true WHERE id = '1'")
    send(own_api, {"id": "one"})


async def test_a_kept_signal_that_is_deleted_reaches_nobody_else_and_is_not_kept_anew(
    own_api: RunningApi, stores: PostgresStores
) -> None:
    own_api.define("orders", PAID)
    first = own_api.register("orders")
    identity = "shop/17 ä"
    path = f"/signals/{quote(identity, safe='')}"
    assert send(own_api, {"id": identity})["taken"] == 1
    assert own_api.client.delete(path).status_code == 204
    assert own_api.client.get("/signals").json()["signals"] == []
    later = own_api.register("orders")
    assert await bring_all(own_api, stores) == 0
    again = send(own_api, {"id": identity})  # its reply was lost, before somebody deleted it
    assert (again["taken"], again["isKnown"], again["keptUntil"]) == (0, True, None)
    assert (is_over(own_api, first), is_over(own_api, later)) == (True, False)
    reply = own_api.client.delete(path)
    assert (reply.status_code, reply.json()["type"]) == (404, "urn:flower:problem:unknown-signal")
    assert identity in reply.json()["detail"]
    (noted,) = own_api.client.get("/audit", params={"what": "signal.deleted"}).json()["acts"]
    assert (noted["name"], noted["details"]) == ("paid", {"id": identity, "key": "7"})


async def test_a_signal_that_is_being_brought_is_deleted_after_that(
    own_api: RunningApi, stores: PostgresStores
) -> None:
    send(own_api, {"id": "one"})
    async with await connect(own_api.settings.database_url or "", "test") as connection:
        async with connection.transaction():
            assert await is_still_kept(connection, "one")
            deleting = asyncio.create_task(let_go(stores, "one", "ann"))
            while not await waits_for_a_lock(own_api):
                assert not deleting.done()
                await asyncio.sleep(0.01)
        await deleting
        assert not await is_still_kept(connection, "one")


async def waits_for_a_lock(api: RunningApi) -> bool:
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%kr_signal%'"
    )
    async with await connect(api.settings.database_url or "", "looks") as connection:
        ((count,),) = await (await connection.execute(waiting)).fetchall()
    return count > 0


def test_an_id_that_no_signal_can_have_is_refused(own_api: RunningApi) -> None:
    for identity in ("x" * 256, "a%00b", "a%0Ab"):
        assert own_api.client.delete(f"/signals/{identity}").status_code == 422
