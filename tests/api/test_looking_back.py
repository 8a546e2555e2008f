"""A flow is shown as it was at any earlier moment, from its history."""

from typing import Any

import pytest

from api.serving import RunningApi

AT = "2026-01-02T03:04:05Z"


def statuses(flow: dict[str, Any]) -> list[str]:
    return [task["status"] for task in flow["tasks"]]


def flow_at(api: RunningApi, flow_id: str, at: str) -> dict[str, Any]:
    reply = api.client.get(f"/flows/{flow_id}", params={"at": at})
    assert reply.status_code == 200, reply.text
    return reply.json()


def positions(api: RunningApi, flow_id: str) -> list[str]:
    return [entry["position"] for entry in api.client.get(f"/flows/{flow_id}/events").json()["events"]]


async def worked_off(api: RunningApi) -> str:
    """A flow of three tasks in a row; the second fails, is rerun by hand and then ends like the others."""
    api.define("etl", {}, {}, {})
    flow_id = api.register("etl")
    async with api.engine() as engine:
        await engine.finish(*await engine.claim())
        await engine.suspend(*await engine.claim(), payload=b'{"type":"E","message":"no"}')
        api.client.post(f"/flows/{flow_id}/rerun", json={"selection": "failed"}).raise_for_status()
        await engine.work_off()
    return flow_id


@pytest.mark.parametrize("is_projected", [False, True])
async def test_at_each_position_the_flow_is_what_its_events_until_then_made_it(
    own_api: RunningApi, is_projected: bool
) -> None:
    flow_id = await worked_off(own_api)
    if is_projected:
        await own_api.project()
    seen = [statuses(flow_at(own_api, flow_id, position)) for position in positions(own_api, flow_id)]
    assert (
        seen
        == [
            ["Wait", "Wait", "Wait"],
            ["Running", "Wait", "Wait"],
            ["Finish", "Wait", "Wait"],
            ["Finish", "Running", "Wait"],
            ["Finish", "Suspend", "Wait"],
            ["Finish", "Wait", "Wait"],
            ["Finish", "Running", "Wait"],
            ["Finish", "Finish", "Wait"],
            ["Finish", "Finish", "Running"],
            ["Finish", "Finish", "Finish"],
            ["Finish", "Finish", "Finish"],
        ][: len(seen)]
    )
    assert len(seen) >= 10


async def test_a_failed_task_shows_the_attempts_until_then(own_api: RunningApi) -> None:
    flow_id = await worked_off(own_api)
    failed = next(
        position
        for position in positions(own_api, flow_id)
        if statuses(flow_at(own_api, flow_id, position))[1] == "Suspend"
    )
    (task,) = flow_at(own_api, flow_id, failed)["failedTasks"]
    assert (task["taskExecSeq"], [attempt["how"] for attempt in task["attempts"]]) == (2, ["failed"])
    reply = own_api.client.get(f"/flows/{flow_id}/tasks/2", params={"at": failed})
    assert (reply.json()["status"], len(reply.json()["attempts"])) == ("Suspend", 1)
    assert len(own_api.client.get(f"/flows/{flow_id}/tasks/2").json()["attempts"]) == 2
    assert own_api.client.get(f"/flows/{flow_id}/tasks/4", params={"at": failed}).status_code == 404


async def test_why_a_task_waited_is_told_as_far_as_it_is_known(own_api: RunningApi) -> None:
    flow_id = await worked_off(own_api)
    first, *_ = positions(own_api, flow_id)
    ready, behind, _ = (task["waitReason"] for task in flow_at(own_api, flow_id, first)["tasks"])
    assert (ready["reason"], behind) == ("unknown", {"reason": "dependencies", "dependsOn": [1]})
    assert "is not kept" in ready["detail"]


async def test_a_time_means_the_same_as_the_last_position_before_it(own_api: RunningApi) -> None:
    flow_id = await worked_off(own_api)
    now = own_api.flow(flow_id)
    assert flow_at(own_api, flow_id, "2999-01-01") == now
    assert flow_at(own_api, flow_id, now["registeredTs"])["tasks"][2]["status"] in ("Wait", "Finish")
    assert flow_at(own_api, flow_id, now["finishedTs"])["status"] == "Finish"


async def test_before_its_registration_a_flow_was_not_there(own_api: RunningApi) -> None:
    flow_id = await worked_off(own_api)
    for at in (AT, "1-0", "2026-01", "1970-01-02T00:00+23:59"):
        reply = own_api.client.get(f"/flows/{flow_id}", params={"at": at})
        assert reply.status_code == 404
        assert "was registered at" in reply.json()["detail"]
        assert at in reply.json()["detail"]


@pytest.mark.parametrize("at", ["", "yesterday", "2026-02-30", "1-2-3", "9" * 16 + "-0", "12", "-"])
def test_what_is_no_moment_is_refused(api: RunningApi, at: str) -> None:
    api.define("any", {})
    reply = api.client.get(f"/flows/{api.register('any')}", params={"at": at})
    assert reply.status_code == 422
    assert reply.json()["problems"][0]["parameter"] == "at"


def test_a_position_that_no_clock_reaches_is_after_everything(api: RunningApi) -> None:
    api.define("any", {})
    flow_id = api.register("any")
    assert flow_at(api, flow_id, "9" * 15 + "-0")["tasks"][0]["waitReason"]["reason"] == "unknown"
