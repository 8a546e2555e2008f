"""``flower schedules``: what people type about schedules, and what they are shown."""

import json

import pytest

from api.serving import RunningApi
from cli.flower_command import Flower


@pytest.fixture
def flower(flower: Flower, own_api: RunningApi) -> Flower:
    task = {"taskSeq": 1, "program": "A", "parameters": {"day": {"$param": "day"}}}
    schema = {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}
    body = {"tasks": [task], "parametersSchema": schema}
    own_api.client.put("/workflows/etl", json=body).raise_for_status()
    return flower


def test_a_schedule_is_set_changed_shown_and_taken_away(flower: Flower, own_api: RunningApi) -> None:
    assert "no schedule is set" in flower("schedules").stdout
    made = flower(
        *("schedules", "set", "nightly", "--workflow", "etl", "--cron", "0 3 * * *"),
        *(
            "--timezone",
            "Europe/Berlin",
            "--slot-param",
            "day=date",
            "--window",
            "2h",
            "--except",
            "2099-12-25",
        ),
    )
    assert (made.exit_code, "schedule nightly: active, next" in made.stdout) == (0, True), made.output
    listed = flower("schedules", "list").stdout
    assert "nightly" in listed and "0 3 * * * Europe/Berlin" in listed and "active" in listed
    changed = flower("schedules", "set", "nightly", "--every", "15m", "--none", "window", "--json")
    definition = json.loads(changed.stdout)["definition"]
    assert (definition["cron"], definition["everySeconds"], definition["windowSeconds"]) == (None, 900, None)
    assert definition["exceptDates"] == ["2099-12-25"]
    shown = flower("schedules", "nightly").stdout
    assert '{"day":{"$slot":"date"}}' in shown and "by cli" in shown
    assert json.loads(flower("schedules", "show", "nightly", "--json").stdout)["definition"] == definition
    declined = flower("schedules", "delete", "nightly", input="n\n")
    assert declined.exit_code == 1
    assert flower("schedules", "delete", "nightly", "--yes").exit_code == 0
    assert flower("schedules", "show", "nightly").exit_code == 1
    assert own_api.client.get("/schedules").json()["schedules"] == []


def test_what_is_wrong_is_said_with_its_field(flower: Flower) -> None:
    refused = flower(
        "schedules", "set", "x", "--workflow", "etl", "--cron", "0 0 15W * *", "--slot-param", "day=date"
    )
    assert refused.exit_code == 1 and "cron: " in refused.stderr
    assert flower("schedules", "set", "x", "--workflow", "etl").exit_code == 1
    assert flower("schedules", "set", "x").exit_code == 2
    assert flower("schedules", "preview").exit_code == 2
    assert flower("schedules", "set", "x", "--every", "soon").exit_code == 2
    assert flower("schedules", "set", "x", "--none", "colour").exit_code == 2
    unknown = flower("schedules", "pause", "nightli")
    assert unknown.exit_code == 1 and "nightli" in unknown.stderr


def test_a_schedule_is_paused_resumed_and_triggered(flower: Flower, own_api: RunningApi) -> None:
    flower("schedules", "set", "hourly", "--workflow", "etl", "--cron", "@hourly", "--slot-param", "day=date")
    assert "paused" in flower("schedules", "pause", "hourly", "--reason", "the move").stdout
    assert "the move" in flower("schedules").stdout
    assert "active" in flower("schedules", "resume", "hourly").stdout
    again = flower("schedules", "resume", "hourly")
    assert again.exit_code == 1 and "not paused" in again.stderr
    flow = flower("schedules", "trigger", "hourly", "--slot", "2026-02-03T04:00:00Z").stdout.strip()
    assert own_api.flow(flow)["parameters"] == {"day": "2026-02-03"}


def test_a_preview_marks_changes_of_clocks(flower: Flower) -> None:
    flower(
        *("schedules", "set", "early", "--workflow", "etl", "--cron", "30 2 * * *"),
        *("--timezone", "Europe/Berlin", "--slot-param", "day=date"),
    )
    words = ("schedules", "preview", "early", "--after", "2026-03-28T12:00:00Z", "--count", "2")
    said = flower(*words, "--zone", "America/New_York").stdout
    assert "2026-03-29T03:00:00+02:00" in said and "clocks jump" in said and "America/New_York" in said
    assert len(json.loads(flower(*words, "--json").stdout)["slots"]) == 2
    unset = flower("schedules", "preview", "--cron", "@daily", "--timezone", "Asia/Tokyo", "--count", "1")
    assert "T00:00:00+09:00" in unset.stdout


def test_rows_that_sql_wrote_are_shown_with_what_is_wrong(flower: Flower, own_api: RunningApi) -> None:
    own_api.sql("INSERT INTO ms_schedule (name, task_id, cron) VALUES ('bad', 'etl', '99 * * * *')")
    said = flower("schedules")
    assert said.exit_code == 0 and "problem" in said.stdout and "cron: " in said.stdout
    assert "problem" in flower("schedules", "bad").stdout
    assert flower("schedules", "trigger", "bad").exit_code == 1


def test_slots_are_listed_and_explained(flower: Flower, own_api: RunningApi) -> None:
    flower("schedules", "set", "hourly", "--workflow", "etl", "--cron", "@hourly", "--slot-param", "day=date")
    assert "no slot" in flower("schedules", "slots", "hourly").stdout
    ((uid,),) = own_api.sql("SELECT uid::text FROM ms_schedule")
    own_api.sql(
        "INSERT INTO kr_schedule_slot (uid, slot, until, count, state, reason, decided_ts, position_ms)"
        " VALUES (%s, '2026-01-05 00:00Z', '2026-01-05 05:00Z', 6, 'missed', 'unwatched', now(), 1)",
        uid,
    )
    own_api.sql(
        "INSERT INTO kr_schedule_slot (uid, slot, until, state, flow, late_ms, backfill, decided_ts,"
        " position_ms)"
        " SELECT %s::uuid, at, at, 'fired', 'f', late, backfill, now(), 1 FROM (VALUES"
        " ('2025-01-05 01:00Z'::timestamptz, 3723456, ''), ('2025-01-05 02:00Z', 1500, ''),"
        " ('2025-01-05 03:00Z', 27972501234, 'b-1')) AS told (at, late, backfill)",
        uid,
    )
    assert all(word in flower("schedules", "slots", "hourly").stdout for word in ("1h2m3s", "1.5 s", "b-1"))
    assert "2.79" not in flower("schedules", "slots", "hourly").stdout  # a backfill is not late
    said = flower("schedules", "slots", "hourly", "--since", "2026-01-01").stdout
    assert "2026-01-05 05:00:00 (6)" in said and "unwatched" in said
    one = flower("schedules", "slots", "hourly", "2026-01-05T03:00:00Z").stdout
    assert "missed" in one and "no watcher was there in time" in one
    assert len(json.loads(flower("schedules", "slots", "hourly", "--json").stdout)["slots"]) == 4
