"""``/schedules``: set, changed, paused, previewed and taken away over HTTP, and rows that SQL wrote."""

from typing import Any

import pytest

from api.serving import RunningApi, details

Json = dict[str, Any]
SCHEMA = {
    "type": "object",
    "properties": {"day": {"type": "string", "format": "date"}, "n": {"type": "integer", "default": 1}},
    "required": ["day"],
    "additionalProperties": False,
}


def define(api: RunningApi, workflow: str, **more: Any) -> None:
    tasks = [{"taskSeq": 1, "program": "A", "parameters": {"day": {"$param": "day"}}}]
    body = {"tasks": tasks, "parametersSchema": SCHEMA, **more}
    api.client.put(f"/workflows/{workflow}", json=body).raise_for_status()


def body(workflow: str, **more: Any) -> Json:
    return {"taskId": workflow, "cron": "0 3 * * *", "parameters": {"day": {"$slot": "date"}}, **more}


def put(api: RunningApi, name: str, said: Json) -> Json:
    reply = api.client.put(f"/schedules/{name}", json=said)
    assert reply.status_code in (200, 201), reply.text
    return reply.json()


def refused(api: RunningApi, said: Json, name: str = "wrong") -> dict[str, str]:
    """What is wrong with it, by pointer."""
    reply = api.client.put(f"/schedules/{name}", json=said)
    assert reply.status_code == 422, reply.text
    assert details(reply)
    return {fault.get("pointer", ""): fault["detail"] for fault in reply.json()["problems"]}


def test_a_schedule_is_set_shown_replaced_and_taken_away(api: RunningApi) -> None:
    define(api, "crud")
    said = body(
        "crud", timezone="Europe/Berlin", overlap="queue_one", catchUp="all", exceptDates=["2099-12-25"]
    )
    said |= {"jitterSeconds": 5, "windowSeconds": 600.5, "pauseAfterFailures": 3, "priority": -5}
    assert api.client.put("/schedules/crud-1", json=said).status_code == 201
    shown = api.client.get("/schedules/crud-1").json()
    assert (shown["schedule"], shown["state"], shown["changedBy"]) == ("crud-1", "active", "api")
    assert {name: shown["definition"][name] for name in said} == said
    assert len(shown["next"]) == 5
    again = put(api, "crud-1", shown["definition"])  # what is shown may be sent back
    assert again["definition"] == shown["definition"] and again["version"] > shown["version"]
    assert again["uid"] == shown["uid"] and again["changedTs"] == shown["changedTs"]
    listed = api.client.get("/schedules", params={"taskId": "crud"}).json()["schedules"]
    assert [one["schedule"] for one in listed] == ["crud-1"]
    assert api.client.delete("/schedules/crud-1").status_code == 204
    for call in ("get", "delete"):
        gone = getattr(api.client, call)("/schedules/crud-1")
        assert (gone.status_code, gone.json()["type"]) == (404, "urn:flower:problem:unknown-schedule")


def test_a_name_is_taken_once(api: RunningApi) -> None:
    define(api, "taken")
    said = body("taken", schedule="taken-1")
    assert api.client.post("/schedules", json=said).status_code == 201
    reply = api.client.post("/schedules", json=said)
    assert (reply.status_code, reply.json()["type"]) == (409, "urn:flower:problem:taken")
    reply = api.client.put("/schedules/taken-2", json=said)
    assert reply.status_code == 422 and "taken-1" in reply.text


def test_what_has_changed_since_is_not_overwritten(api: RunningApi) -> None:
    define(api, "moved")
    seen = put(api, "moved-1", body("moved"))["version"]
    api.sql("UPDATE ms_schedule SET overlap = 'allow' WHERE name = 'moved-1'")
    for send in (
        lambda: api.client.put("/schedules/moved-1", json=body("moved", version=seen)),
        lambda: api.client.delete("/schedules/moved-1", params={"version": seen}),
        lambda: api.client.post("/schedules/moved-1/pause", json={"version": seen}),
    ):
        reply = send()
        assert (reply.status_code, reply.json()["type"]) == (409, "urn:flower:problem:moved"), reply.text
    now = reply.json()["version"]
    assert put(api, "moved-1", body("moved", version=now))["version"] > now
    missing = api.client.put("/schedules/moved-none", json=body("moved", version=1))
    assert missing.status_code == 404


def test_a_pause_stays_through_edits_until_it_is_lifted(api: RunningApi) -> None:
    define(api, "held")
    put(api, "held-1", body("held"))
    paused = api.client.post("/schedules/held-1/pause", json={"reason": "move"}).json()
    assert (paused["state"], paused["reason"]) == ("paused", "move")
    edited = put(api, "held-1", body("held", cron="0 4 * * *"))
    assert (edited["isPaused"], edited["reason"]) == (True, "move")
    assert api.client.post("/schedules/held-1/resume").json()["state"] == "active"
    again = api.client.post("/schedules/held-1/resume")
    assert (again.status_code, again.json()["type"]) == (409, "urn:flower:problem:not-paused")
    assert put(api, "held-1", body("held", isPaused=True))["state"] == "paused"
    assert api.client.post("/schedules/held-none/pause").status_code == 404


WRONG: dict[str, list[Any]] = {
    "cron": ["", "* * *", "61 * * * *", "0 0 15W * *", "@sometimes", 5, None, ["* * * * *"]],
    "everySeconds": [0, -1, 0.5, 1e12, "60", True],
    "at": ["tomorrow", "2026-02-30", "9999-01-01", 5],
    "anchor": ["x", "2026-01-01T00:00:00Z"],  # only everySeconds has one
    "timezone": ["", "Europe/Nowhere", "../../etc/passwd", 5, None, "UTC+1"],
    "starts": ["x", "1969-01-01"],
    "ends": ["x", "2026-13-01"],
    "parameters": [[], "x", {"day": 5}, {}, {"day": "2026-01-01", "other": 1}, {"day": {"$slot": "year"}}],
    "overlap": ["sometimes", 5, None],
    "catchUp": ["most", 5],
    "windowSeconds": [-1, "x", 1e12],
    "maxCatchUp": [0, -1, 1.5, "x", 10**9],
    "jitterSeconds": [-1, "x", 1e12],
    "exceptDates": ["2026-12-25", ["25.12.2026"], ["2026-02-30"], [5]],
    "calendar": ["", 5, "x" * 300],
    "pauseAfterFailures": [0, -1, 1.5, "x"],
    "priority": [20, -21, 1.5, "x"],
    "taskId": ["", 5, None, "nobody-defined-it"],
    "isPaused": ["yes", 1],
    "reason": [5, "x" * 2_000],
    "version": [-1, "x"],
    "cronn": ["* * * * *"],
}


@pytest.mark.parametrize(
    ("field", "value"),
    [(field, value) for field, values in WRONG.items() for value in values],
    ids=lambda value: repr(value)[:40],
)
def test_every_field_wrong_in_every_way_is_named(api: RunningApi, field: str, value: Any) -> None:
    define(api, "wrong")
    said = body("wrong") | {field: value}
    if field in ("everySeconds", "at"):
        del said["cron"]
    faults = refused(api, said)
    assert any(pointer.split("/")[1:2] == [field] for pointer in faults), faults
    assert api.client.get("/schedules/wrong").status_code == 404


def test_all_that_is_wrong_is_said_at_once(api: RunningApi) -> None:
    define(api, "all")
    faults = refused(
        api, body("all", cron="x", timezone="Nowhere", maxCatchUp=0, starts="2026-02-30", priority=99)
    )
    assert set(faults) == {"#/cron", "#/timezone", "#/maxCatchUp", "#/starts", "#/priority"}
    faults = refused(api, body("all", everySeconds=5, at="2026-01-01"))
    assert len(faults) == 1 and "everySeconds" in str(faults) and "cron" in str(faults)
    near = refused(api, body("al"))
    assert "nearest" in near["#/taskId"]


@pytest.mark.parametrize("name", ["a/b", "a\nb", "x" * 300, "%00"])
def test_a_name_that_no_path_could_hold_is_refused(api: RunningApi, name: str) -> None:
    define(api, "names")
    path = name.replace("/", "%2F").replace("\n", "%0A")
    assert api.client.put(f"/schedules/{path}", json=body("names")).status_code in (404, 422)
    reply = api.client.post("/schedules", json=body("names", schedule=name))
    assert reply.status_code == (422 if name != "%00" else 201)


def test_rows_that_make_no_sense_are_told_and_stand_in_nobodys_way(own_api: RunningApi) -> None:
    define(own_api, "etl")
    put(own_api, "good", body("etl"))
    rows = {
        "cron": "'61 * * * *'",
        "timezone": "'Europe/Nowhere'",
        "every_seconds": "'NaN'",
        "at": "'infinity'",
        "parameters": "'[1]'",
        "overlap": "'x'",
        "max_catch_up": "-5",
        "except_dates": "'{}'",
        "priority": "1000",
        "task_id": "'nowhere'",
    }
    for column, value in rows.items():
        own_api.sql(f"INSERT INTO ms_schedule (name, task_id, cron) VALUES ('bad {column}', 'etl', '@daily')")  # noqa: S608
        own_api.sql(f"UPDATE ms_schedule SET {column} = {value} WHERE name = 'bad {column}'")  # noqa: S608
    own_api.sql("INSERT INTO ms_schedule (name, task_id, cron) VALUES ('bad fit', 'etl', '@daily')")
    listed = own_api.client.get("/schedules").json()["schedules"]
    assert {one["schedule"] for one in listed if one["state"] == "problem"} == {
        "bad fit",
        *(f"bad {column}" for column in rows),
    }
    assert [one["schedule"] for one in listed if one["state"] == "active"] == ["good"]
    assert all(
        one["problems"][0]["detail"] and one["problems"][0]["pointer"]
        for one in listed
        if "bad" in one["schedule"]
    )
    for one in listed:
        shown = own_api.client.get(f"/schedules/{one['schedule']}").json()
        assert shown["problems" if one["state"] == "problem" else "next"]
    reply = own_api.client.post("/schedules/bad fit/trigger")
    assert reply.status_code == 422 and "day" in reply.text


def test_lists_go_on_where_they_ended(own_api: RunningApi) -> None:
    define(own_api, "etl")
    own_api.sql(
        "INSERT INTO ms_schedule (name, task_id, cron) SELECT 's' || lpad(n::text, 3, '0'), 'etl', '@daily'"
        " FROM generate_series(1, 25) AS n"
    )
    found: list[str] = []
    cursor = None
    while True:
        query = {"limit": 10} | ({} if cursor is None else {"cursor": cursor})
        page = own_api.client.get("/schedules", params=query).json()
        found += [one["schedule"] for one in page["schedules"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == [f"s{n:03}" for n in range(1, 26)]


def test_a_preview_has_both_clocks_and_what_changes_of_clocks_do(api: RunningApi) -> None:
    said = body("any", cron="30 2 * * *", timezone="Europe/Berlin")
    query = {"after": "2026-03-28T00:00:00Z", "count": 3, "otherTimezone": "America/New_York"}
    reply = api.client.post("/schedule-preview", json=said, params=query)
    assert reply.status_code == 200, reply.text
    slots = reply.json()["slots"]
    assert [one["local"] for one in slots] == [
        "2026-03-28T02:30:00+01:00",
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]
    assert "jump" in slots[1]["shift"]
    assert slots[0]["other"] == "2026-03-27T21:30:00-04:00"
    wrong = api.client.post("/schedule-preview", json=said, params={"otherTimezone": "Nowhere"})
    assert wrong.status_code == 422
    define(api, "seen")
    put(api, "seen-1", body("seen", cron="@hourly"))
    shown = api.client.get("/schedules/seen-1/preview", params={"count": 2}).json()
    assert len(shown["slots"]) == 2
    assert api.client.get("/schedules/seen-none/preview").status_code == 404


def test_a_triggered_flow_has_the_parameters_of_its_moment(api: RunningApi) -> None:
    define(api, "now")
    put(api, "now-1", body("now", isPaused=True, priority=-3))
    reply = api.client.post("/schedules/now-1/trigger", json={"slot": "2026-02-03T12:00:00Z"})
    assert reply.status_code == 200, reply.text
    flow = api.flow(reply.json()["taskFlowId"])
    assert flow["parameters"] == {"day": "2026-02-03", "n": 1}
    assert [task["taskPriority"] for task in flow["tasks"]] == [-3]
    twice = {
        api.client.post("/schedules/now-1/trigger", headers={"Idempotency-Key": "k"}).json()["taskFlowId"]
        for _ in range(2)
    }
    assert len(twice) == 1
    assert api.client.post("/schedules/now-none/trigger").status_code == 404
    assert api.client.post("/schedules/now-1/trigger", json={"slot": "2026-02-30"}).status_code == 422


def test_a_triggered_flow_fixes_the_versions_of_all_below_it_as_they_stand_then(api: RunningApi) -> None:
    api.define("now.leaf", {})
    api.define("now.limb", {"program": "@flow", "parameters": {"workflow": "now.leaf"}})
    api.define("now.tree", {"program": "@flow", "parameters": {"workflow": "now.limb"}})
    put(api, "now.trees", {"taskId": "now.tree", "cron": "0 3 * * *", "isPaused": True})

    def triggered() -> tuple[str, Json]:
        reply = api.client.post("/schedules/now.trees/trigger")
        assert reply.status_code == 200, reply.text
        flow = reply.json()["taskFlowId"]
        return flow, api.flow(flow)["tasks"][0]["parameters"]

    def expected() -> Json:
        limb, leaf = (version_in_use(api, name) for name in ("now.limb", "now.leaf"))
        return {"workflow": "now.limb", "version": limb, "versions": {"now.leaf": leaf}}

    (flow, first), before = triggered(), expected()
    assert first == before
    api.define("now.leaf", {"parameters": {"other": 1}})
    assert triggered()[1] == expected() != before
    assert api.flow(flow)["tasks"][0]["parameters"] == before


def version_in_use(api: RunningApi, workflow: str) -> str:
    return api.client.get(f"/workflows/{workflow}/versions").json()["versions"][0]["hash"]


def test_what_may_be_meant_otherwise_is_a_warning(api: RunningApi) -> None:
    define(api, "warned")
    shown = put(api, "warned-1", body("warned", calendar="nobody", ends="2000-01-01"))
    assert len(shown["warnings"]) == 2 and shown["state"] == "finished"
    api.sql("INSERT INTO ms_calendar VALUES ('somebody', '2099-12-25')")
    assert "warnings" not in put(api, "warned-1", body("warned", calendar="somebody"))


def test_names_with_nul_are_refused_and_no_store_is_blamed(api: RunningApi) -> None:
    for path in ("", "/slots", "/slots/2026-01-01", "/preview", "/backfills"):
        reply = api.client.get(f"/schedules/a%00b{path}")
        assert reply.status_code == 422, (path, reply.text)
    for path in ("pause", "resume", "trigger"):
        assert api.client.post(f"/schedules/a%00b/{path}", json={}).status_code == 422
    assert api.client.get("/flows?schedule=a%00b").status_code == 422


def test_what_comes_every_few_years_is_previewed_for_a_hundred(api: RunningApi) -> None:
    said = {"taskId": "-", "cron": "0 0 29 2 *", "jitterSeconds": 60}
    reply = api.client.post("/schedule-preview?count=1000&after=2026-01-01", json=said)
    slots = reply.raise_for_status().json()["slots"]
    assert (slots[0]["slot"][:10], len(slots)) == ("2028-02-29", 25)
    at = {"taskId": "-", "at": "3000-01-01T00:00:00Z"}
    assert len(api.client.post("/schedule-preview", json=at).json()["slots"]) == 1
