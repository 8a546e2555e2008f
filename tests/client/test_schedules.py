"""``client.schedules``, and schedules that come with a deploy of workflows in Python."""

from datetime import UTC, date, datetime

import pytest

from api.serving import RunningApi
from flower_engine import program, slot, workflow
from flower_engine.client import AsyncClient, Client
from flower_engine.errors import RefusedError, ScheduleError, UnknownScheduleError
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
        assert await client.schedules.delete("client-daily")


def teardown_module() -> None:
    registry.forget("client-schedules-show")
