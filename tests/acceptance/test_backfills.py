"""A backfill on real processes, whose watchers are killed again and again: each slot gets one flow."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from acceptance.running import RunningEngine
from flower_engine.crash_points import VARIABLE

ALL = ("api", "projector", "watcher", "worker")


def test_a_backfill_survives_every_death_of_its_watcher(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL) as engine:
        parameters = {"SLEEP_TIME_SECOND": "0.02"}
        engine.define(
            "old",
            [{"taskSeq": 1, "program": "EchoParamTimeSleep", "dependsOn": [], "parameters": parameters}],
        )
        # Half an hour ago there was a slot: the next one, which no backfill brings, is as far away.
        first = datetime.now(UTC).replace(microsecond=0) - timedelta(days=200, minutes=30)
        said = {"taskId": "old", "everySeconds": 3600, "anchor": first.isoformat()}
        engine.ask("PUT", "/schedules/hourly", said)
        to = first + timedelta(hours=11)
        body = {"from": first.isoformat(), "to": to.isoformat(), "mostAtOnce": 2}
        reply = engine.client.post("/schedules/hourly/backfills", json=body)
        assert reply.status_code == 201, reply.text
        backfill = reply.json()["id"]

        def state() -> str:
            try:
                return str(engine.client.get(f"/backfills/{backfill}").json()["state"])
            except httpx.HTTPError:
                return "unknown"

        for point in ("backfill.sent:2", "backfill.fired", "backfill.fired:3"):
            engine.kill("watcher")
            engine.start("watcher", **{VARIABLE: point})
            engine.wait_for(f"the watcher to reach {point}", lambda: not engine.is_running("watcher"))
            engine.wait_until_killed("watcher")
            engine.start("watcher")
            engine.kill("watcher")  # wherever it is
            engine.start("watcher")
        engine.wait_for("the backfill to end", lambda: state() == "finished")
        done = engine.client.get(f"/backfills/{backfill}").json()
        slots = engine.client.get(f"/backfills/{backfill}/slots").json()["slots"]
        flows = [slot["flow"] for slot in slots]
        verdict = engine.verify()
    assert (done["ended"], done["total"]) == (12, 12), done
    assert verdict.problems == []
    assert set(verdict.flows) == set(flows) and len(set(flows)) == 12
