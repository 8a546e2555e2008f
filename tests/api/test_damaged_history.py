"""A flow whose history is damaged is refused by name, with the reason; whatever needs no history goes on."""

from psycopg.sql import SQL, Literal

from api.serving import RunningApi, details
from recovery.test_damaged_history import DAMAGES, OF_REGISTRATIONS

LATE = "9899-12-31T00:00:00Z"


async def test_whoever_needs_the_history_is_told_what_is_wrong_with_it(own_api: RunningApi) -> None:
    own_api.define("etl", {}, {})
    count = len(DAMAGES) + len(OF_REGISTRATIONS)
    flows = [own_api.register("etl") for _ in range(count + 1)]
    async with own_api.engine() as engine:
        await engine.work_off()
    await own_api.project()
    last = [*DAMAGES, *OF_REGISTRATIONS]
    for index, name in enumerate(last):
        kind, damages = (
            ("task.finished", DAMAGES) if index < len(DAMAGES) else ("flow.registered", OF_REGISTRATIONS)
        )
        statement = SQL(
            "UPDATE kr_event SET {} WHERE (task_flow_id, position_ms, position_seq) = (SELECT task_flow_id,"
            " position_ms, position_seq FROM kr_event WHERE task_flow_id = {} AND type = {} ORDER BY 2, 3"
            " LIMIT 1)"
        )
        own_api.sql(statement.format(SQL(damages[name]), Literal(flows[index]), Literal(kind)).as_string())
    whole, client = flows[-1], own_api.client
    for flow_id in flows[:-1]:
        name = last[flows.index(flow_id)]
        for reply in (
            client.get(f"/flows/{flow_id}", params={"at": LATE}),
            client.get(f"/flows/{flow_id}/tasks/1", params={"at": LATE}),
            client.post(f"/flows/{flow_id}/rerun", json={"tasks": [2]}),
            client.post(f"/flows/{flow_id}/unignore", json={"tasks": [2]}),
            client.post(f"/flows/{flow_id}/fork", json={"fromTasks": [2]}),
            client.post(f"/flows/{flow_id}/resume"),
            client.post(f"/flows/{flow_id}/cancel"),
        ):
            assert reply.status_code == 409, (name, reply.url, reply.text)
            assert reply.json()["type"] == "urn:flower:problem:history-damaged", name
            assert flow_id in details(reply)[0]
        assert client.get(f"/flows/{flow_id}").status_code == 200, name
        events = client.get(f"/flows/{flow_id}/events")
        assert events.status_code == 200, name
        assert len(events.json()["events"]) == 5
    gone = client.get(f"/flows/{flows[0]}/events").json()["events"]
    assert [entry["error"] for entry in gone if entry["event"] is None] == [
        "somebody removed the event from its row"
    ]
    bulk = client.post("/bulk", json={"operation": "resume", "filter": {"taskId": "etl"}})
    assert (bulk.status_code, bulk.text.count("is damaged: event") >= count) == (200, True), bulk.text
    assert client.get(f"/flows/{whole}", params={"at": LATE}).status_code == 200
    assert len(client.get("/flows").json()["flows"]) == count + 1


async def test_an_earlier_moment_is_shown_whatever_came_later(own_api: RunningApi) -> None:
    own_api.define("etl", {}, {})
    flow_id = own_api.register("etl")
    async with own_api.engine() as engine:
        await engine.work_off()
    await own_api.project()
    own_api.sql("UPDATE kr_event SET event = NULL WHERE type = 'task.finished'")
    events = own_api.client.get(f"/flows/{flow_id}/events").json()["events"]
    for at in (events[1]["position"], events[0]["position"]):
        reply = own_api.client.get(f"/flows/{flow_id}", params={"at": at})
        assert reply.status_code == 200, reply.text


async def test_a_time_that_no_calendar_has_is_no_bug(own_api: RunningApi) -> None:
    own_api.define("etl", {}, {})
    flow_id = own_api.register("etl")
    await own_api.project()
    own_api.sql("UPDATE kr_event SET event = jsonb_set(event, '{at}', '999999999999999999')")
    position = own_api.client.get(f"/flows/{flow_id}/events").json()["events"][0]["position"]
    reply = own_api.client.get(f"/flows/{flow_id}", params={"at": position})
    assert reply.status_code == 200, reply.text
    reply = own_api.client.get(f"/flows/{flow_id}", params={"at": "2026-01-01T00:00:00Z"})
    assert (reply.status_code, flow_id in reply.text) == (404, True)
