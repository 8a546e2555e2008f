"""``client.schedules``, and schedules that come with a deploy of workflows in Python."""

from datetime import UTC, date, datetime

import pytest

from api.serving import RunningApi
from flower_engine import program, slot, workflow
from flower_engine.client import AsyncClient, BackfillTimeoutError, Client
from flower_engine.errors import RefusedError, ScheduleError, UnknownBackfillError, UnknownScheduleError
from flower_engine.programs.registry import registry


@program("client-schedules-show")
def show(day: date) -> str:
    return str(day)


@workflow("client-scheduled")
def scheduled(day: date) -> str:
    return show.step(day)


daily = scheduled.schedule("client-daily", cron="@daily").given(day=slot.date)


def test_schedules_are_deployed_shown_paused_and_triggered(api: RunningApi, client: Client) -> None:
    plan = client.workflows.deploy("client", scheduled, check=True)
    assert [one.action for one in plan.schedules] == ["new"]
    client.workflows.deploy(
        "client", scheduled, expected=plan.expected, expected_schedules=plan.expected_schedules
    )
    again = client.workflows.deploy("client", scheduled, prune=True, check=True)
    assert [one.action for one in again.schedules] == ["unchanged"]
    assert [one.schedule for one in client.schedules] == ["client-daily"]
    assert client.schedules.pause("client-daily", reason="x").state == "paused"
    assert client.schedules.resume("client-daily").state == "active"
    with pytest.raises(RefusedError):
        client.schedules.resume("client-daily")
    flow = client.schedules.trigger("client-daily", slot=datetime(2026, 2, 3, tzinfo=UTC))
    assert api.flow(flow)["parameters"] == {"day": "2026-02-03"}
    assert list(client.schedules.slots("client-daily", since=datetime(2026, 1, 1, tzinfo=UTC))) == []
    assert client.schedules.put(daily).definition["cron"] == "@daily"
    with pytest.raises(ScheduleError, match="cron"):
        client.schedules.put({**daily.document(), "cron": "x"})
    assert client.schedules.delete("client-daily") and not client.schedules.delete("client-daily")
    with pytest.raises(UnknownScheduleError):
        client.schedules.get("client-daily")


async def test_the_same_with_asyncio(api: RunningApi) -> None:
    async with AsyncClient(api.url) as client:
        await client.workflows.deploy("client-async", scheduled)
        assert "client-daily" in [one.schedule async for one in client.schedules]
        assert (await client.schedules.pause("client-daily")).is_paused
        assert [one async for one in client.schedules.slots("client-daily")] == []
        assert len(await client.schedules.preview("client-daily", count=3)) == 3
        assert (await client.schedules.slot("client-daily", "2026-01-05T00:00:00Z")).state == "none"
        made = await client.schedules.backfill("client-daily", "2026-01-05", "2026-01-06")
        assert (await client.schedules.backfills("client-daily"))[0].id == made.id
        assert len([one async for one in client.backfills.slots(made.id)]) == 2
        assert (await client.backfills.cancel(made.id)).is_over
        assert (await client.backfills.wait(made.id, timeout=60)).state == "cancelled"
        assert await client.schedules.delete("client-daily")


def test_slots_are_previewed_and_backfilled(api: RunningApi, client: Client) -> None:
    client.workflows.deploy("client-backfills", scheduled)
    after = datetime(2026, 3, 28, tzinfo=UTC)
    document = {**daily.document(), "cron": "30 2 * * *", "timezone": "Europe/Berlin"}
    for asked in ("client-daily", daily):
        found = client.schedules.preview(asked, count=2, after=after)
        assert [one.slot.day for one in found] == [29, 30]
    jumped = client.schedules.preview(document, count=2, after=after, other_zone="Asia/Tokyo")[1]
    assert "clocks jump" in (jumped.shift or "") and jumped.other.endswith("+09:00")
    told = client.schedules.slot("client-daily", datetime(2026, 1, 5, tzinfo=UTC))
    assert told.state == "none" and "before the schedule" in told.said
    days = datetime(2026, 1, 5, tzinfo=UTC), "2026-01-07T00:00:00Z"
    dry = client.schedules.backfill("client-daily", *days, dry_run=True)
    assert (dry.id, [one.slot.day for one in dry.slots]) == ("", [5, 6, 7])
    made = client.schedules.backfill("client-daily", *days, most_at_once=2, reason="x")
    assert client.schedules.backfills("client-daily")[0].id == made.id
    assert client.backfills.get(made.id).total == 3
    assert [one.action for one in client.backfills.slots(made.id)] == ["fire"] * 3
    assert client.backfills.pause(made.id).state == "paused"
    assert client.backfills.resume(made.id).state == "open"
    with pytest.raises(BackfillTimeoutError, match="3 wait"):
        client.backfills.wait(made.id, timeout=0)
    assert client.backfills.cancel(made.id).is_over
    assert client.backfills.wait(made.id).state == "cancelled"
    assert client.schedules.delete("client-daily")
    with pytest.raises(UnknownBackfillError):
        client.backfills.get("00000000-0000-4000-8000-000000000000")
    with pytest.raises(ScheduleError, match="to"):
        client.schedules.put(daily)
        client.schedules.backfill("client-daily", days[1], days[0])


def test_a_backfill_that_is_sent_again_is_made_once(api: RunningApi, client: Client) -> None:
    client.workflows.deploy("client-again", scheduled)
    body = {
        "id": "11111111-2222-4333-8444-555555555555",
        "from": "2026-01-05T00:00:00Z",
        "to": "2026-01-07T00:00:00Z",
    }
    path = "/schedules/client-daily/backfills"
    first, second = (api.client.post(path, json=body) for _ in range(2))
    assert first.status_code == second.status_code == 201 and first.json() == second.json()
    listed = api.client.get(path).json()["backfills"]
    assert [one["id"] for one in listed].count(body["id"]) == 1
    client.schedules.put({**daily.document(), "schedule": "client-other"})
    reply = api.client.post("/schedules/client-other/backfills", json=body)
    assert (reply.status_code, reply.json()["type"].rpartition(":")[2]) == (409, "taken")


def teardown_module() -> None:
    registry.forget("client-schedules-show")
