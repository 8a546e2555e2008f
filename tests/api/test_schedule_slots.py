"""``/schedules/{schedule}/slots``: each slot with its fate, and why."""

from datetime import UTC, datetime, timedelta
from typing import Any

from api.serving import RunningApi

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)


def at(hours: float) -> str:
    return (BEGIN + timedelta(hours=hours)).isoformat()


def made(api: RunningApi, name: str) -> str:
    api.define("etl", {})
    said = {"taskId": "etl", "everySeconds": 3600, "anchor": at(0)}
    return api.client.put(f"/schedules/{name}", json=said).raise_for_status().json()["uid"]


def told(api: RunningApi, uid: str, name: str, cursor: float = 100) -> None:
    """As the projector writes it."""
    api.sql(
        "INSERT INTO kr_schedule (uid, partition, name, version, cursor, fired, skipped, missed, pruned_to)"
        " VALUES (%s, 0, %s, 1, %s, 3, 2, 9, %s)",
        *(uid, name, at(cursor), at(-5)),
    )


def fate(api: RunningApi, uid: str, hours: float, state: str, **more: Any) -> None:
    values = {"until": at(hours), "decided_ts": at(hours), "position_ms": 1, **more}
    names = ", ".join(values)
    api.sql(
        f"INSERT INTO kr_schedule_slot (uid, slot, state, {names})"  # noqa: S608
        f" VALUES (%s, %s, %s{', %s' * len(values)})",
        *(uid, at(hours), state, *values.values()),
    )


def story(api: RunningApi, name: str, hours: float) -> tuple[str, str]:
    reply = api.client.get(f"/schedules/{name}/slots/{at(hours).replace('+00:00', 'Z')}")
    assert reply.status_code == 200, reply.text
    return reply.json()["state"], reply.json()["said"]


def test_what_became_of_a_slot_is_said_with_its_reason(own_api: RunningApi) -> None:
    uid = made(own_api, "hourly")
    told(own_api, uid, "hourly")
    fate(own_api, uid, 0, "fired", flow="f-0", late_ms=1_500)
    fate(own_api, uid, 1, "skipped", reason="overlap", flow="f-0")
    fate(own_api, uid, 2, "missed", reason="unwatched", until=at(9), count=8)
    fate(own_api, uid, 3, "fired", backfill="b-1", flow="f-3", reason="b-1")
    assert story(own_api, "hourly", 0) == ("fired", "it was fired as flow f-0, 1.5 s after its time")
    state, said = story(own_api, "hourly", 1)
    assert state == "skipped" and "a flow of the schedule was under way (flow f-0)" in said
    state, said = story(own_api, "hourly", 3)
    assert state == "missed" and "with 7 others" in said and "backfill b-1 fired it as flow f-3" in said
    assert story(own_api, "hourly", 2.5)[0] == "missed"
    assert story(own_api, "hourly", 10.5)[0] == "none"
    assert story(own_api, "hourly", -6)[0] == "unknown"
    assert story(own_api, "hourly", 24 * 365 * 100)[0] == "coming"
    shown = own_api.client.get("/schedules/hourly").json()
    assert (shown["fired"], shown["skipped"], shown["missed"]) == (3, 2, 9)
    assert own_api.client.get("/schedules/other/slots").status_code == 404
    assert own_api.client.get("/schedules/hourly/slots/yesterday").status_code == 422


def test_slots_are_listed_newest_first_and_go_on_where_they_ended(own_api: RunningApi) -> None:
    uid = made(own_api, "many")
    told(own_api, uid, "many")
    for hours in range(25):
        fate(own_api, uid, hours, "fired" if hours % 5 else "missed", flow=f"f-{hours}")
    found: list[Any] = []
    query: dict[str, Any] = {"limit": 10}
    while True:
        page = own_api.client.get("/schedules/many/slots", params=query).json()
        found += page["slots"]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert [one["flow"] for one in found] == [f"f-{hours}" for hours in reversed(range(25))]
    query = {"state": "missed", "since": at(6), "until": at(20)}
    missed = own_api.client.get("/schedules/many/slots", params=query).json()["slots"]
    assert [one["flow"] for one in missed] == ["f-15", "f-10"]
    assert own_api.client.get("/schedules/many/slots", params={"cursor": "x"}).status_code == 422
    own_api.client.delete("/schedules/many").raise_for_status()
    left = own_api.client.get("/schedules/many/slots").json()["slots"]  # what was, is known for as long
    assert len(left) == 25 and story(own_api, "many", 1)[0] == "fired"


def test_what_came_in_a_pause_is_said_to_be_skipped_before_it_is(own_api: RunningApi) -> None:
    uid = made(own_api, "hourly")
    told(own_api, uid, "hourly", cursor=0)
    own_api.client.post("/schedules/hourly/pause", json={}).raise_for_status()
    own_api.sql("ALTER TABLE ms_schedule DISABLE TRIGGER USER")
    own_api.sql("UPDATE ms_schedule SET changed_ts = %s", at(0))
    own_api.sql("ALTER TABLE ms_schedule ENABLE TRIGGER USER")
    assert story(own_api, "hourly", 1) == (
        "due",
        "its time has come; it is skipped, as the schedule is paused",
    )
    own_api.sql("UPDATE kr_schedule SET problem = 'no such zone'")
    assert "something is wrong: no such zone" in story(own_api, "hourly", 1)[1]
