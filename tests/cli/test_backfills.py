"""``flower schedules backfill`` and ``flower backfill``."""

import json

from api.serving import RunningApi
from cli.flower_command import Flower


def made(flower: Flower, own_api: RunningApi) -> tuple[str, ...]:
    own_api.define("etl", {})
    flower("schedules", "set", "hourly", "--workflow", "etl", "--cron", "@hourly")
    span = ("--from", "2026-01-05T00:00:00Z", "--to", "2026-01-05T03:00:00Z")
    return ("schedules", "backfill", "hourly", *span)


def test_a_backfill_is_listed_made_paused_and_cancelled(flower: Flower, own_api: RunningApi) -> None:
    words = made(flower, own_api)
    listed = flower(*words, "--dry-run")
    assert "fire   2026-01-05 03:00:00 UTC" in listed.stdout and "4 slots" in listed.stdout, listed.output
    assert flower(*words, input="n\n").exit_code == 1
    assert "no backfill" in flower("schedules", "backfills", "hourly").stdout
    backfill = flower(*words, "--yes", "--detach", "--at-once", "2").stdout.strip().splitlines()[-1]
    assert "4 waiting" in flower("backfill", backfill, "--once").stdout
    assert "paused" in flower("backfill", backfill, "--pause", "--reason", "later").stdout
    assert "later" in flower("schedules", "backfills", "hourly").stdout
    assert "open" in flower("backfill", backfill, "--resume").stdout
    assert flower("backfill", backfill, "--pause", "--cancel").exit_code == 2
    assert "cancelled" in flower("backfill", backfill, "--cancel").stdout
    followed = flower("backfill", backfill, "--json")  # it has ended, so nothing is waited for
    assert followed.exit_code == 1 and json.loads(followed.stdout)["state"] == "cancelled"
    assert flower("backfill", "nobody").exit_code == 1


def test_the_progress_of_one_that_ends_is_shown(flower: Flower, own_api: RunningApi) -> None:
    words = made(flower, own_api)
    backfill = json.loads(flower(*words, "--yes", "--detach", "--json").stdout)["id"]
    own_api.sql("UPDATE kr_backfill_slot SET state = 'ended'")
    own_api.sql("UPDATE kr_backfill SET state = 'finished', ended_ts = now()")
    done = flower("backfill", backfill)
    assert done.exit_code == 0 and "finished, 4 ended" in done.stdout
    assert "4 of 4" in done.stderr
    refused = flower("schedules", "backfill", "hourly", "--from", "2026-01-05", "--to", "2025-01-05")
    assert refused.exit_code == 1 and "before from" in refused.stderr
