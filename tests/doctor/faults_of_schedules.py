"""Faults of schedules and hooks."""

from collections.abc import Generator
from typing import Any

from acceptance.running import RunningEngine
from doctor.faults import Given, fault, sql
from flower_engine.doctor.subject import Bounds


def schedule(engine: RunningEngine, **more: Any) -> None:
    row = {"name": "often", "task_id": "scheduled", "every_seconds": 3600, **more}
    names = ", ".join(row)
    places = ", ".join(["%s"] * len(row))
    sql(engine, f"INSERT INTO ms_schedule ({names}) VALUES ({places})", *row.values())  # noqa: S608


@fault("problem", "schedules", "schedule often does not fire: ", "flower schedules show often")
def a_schedule_of_nothing(engine: RunningEngine, given: Given) -> Generator[None]:
    schedule(engine)
    try:
        yield
    finally:
        sql(engine, "DELETE FROM ms_schedule")


@fault("warning", "schedules", "is paused: its flows failed", "flower schedules resume often")
def a_schedule_that_its_failures_paused(engine: RunningEngine, given: Given) -> Generator[None]:
    engine.define("scheduled", [{"taskSeq": 1, "program": "fail_async", "parameters": {"message": "no"}}])
    schedule(engine, every_seconds=1, pause_after_failures=1, overlap="allow")
    try:
        yield
    finally:
        sql(engine, "DELETE FROM ms_schedule")
        cancel_all(engine, "scheduled")


@fault("warning", "schedules", "has waited for", "flower schedules slots often")
def a_slot_that_is_held(engine: RunningEngine, given: Given) -> Generator[None]:
    wait = {"taskSeq": 1, "program": "wait_async", "parameters": {"folder": str(given.folder)}}
    engine.define("scheduled", [wait])
    given.bounds = Bounds(held_slot_seconds=0.0)
    schedule(engine, every_seconds=1, overlap="queue_one")
    try:
        yield
    finally:
        sql(engine, "DELETE FROM ms_schedule")
        cancel_all(engine, "scheduled")


@fault("warning", "schedules", "slots of schedule often were missed", "flower schedules backfill")
def slots_that_were_missed(engine: RunningEngine, given: Given) -> Generator[None]:
    engine.define("scheduled", [{"taskSeq": 1, "program": "Noop"}])
    schedule(engine, every_seconds=1)
    # As a watcher decides who comes back after the window of a slot.
    missed = (
        "UPDATE kr_schedule_slot SET state = 'missed' WHERE state = 'fired'"
        " AND uid = (SELECT uid FROM ms_schedule) RETURNING 1"
    )
    engine.wait_for("a slot", lambda: bool(sql(engine, missed)))
    try:
        yield
    finally:
        sql(engine, "DELETE FROM ms_schedule")
        cancel_all(engine, "scheduled")


HOOK = "INSERT INTO ms_hook (name, occasions, kind, target) VALUES ('ops', %s, 'command', 'page')"


@fault("problem", "hooks", "hook ops tells nothing: occasions", "flower hooks show ops")
def a_hook_that_makes_no_sense(engine: RunningEngine, given: Given) -> Generator[None]:
    sql(engine, HOOK, ["flow.begun"])
    try:
        yield
    finally:
        sql(engine, "DELETE FROM ms_hook")


@fault(
    "warning", "hooks", "1 wait and 0 are given up: command page is not allowed", "flower hooks deliveries"
)
def a_hook_that_does_not_work(engine: RunningEngine, given: Given) -> Generator[None]:
    sql(engine, HOOK, ["slot.missed"])  # which nothing tells meanwhile: the test alone is delivered
    try:
        engine.ask("POST", "/hooks/ops/test")
        yield
    finally:
        sql(engine, "DELETE FROM ms_hook")


_SCHEDULES_LEFT = "SELECT 1 FROM kr_schedule WHERE state <> 'deleted'"


def cancel_all(engine: RunningEngine, workflow: str) -> None:
    """Until none is open, though slots fire for a moment after their schedule is gone."""
    engine.ask("DELETE", f"/workflows/{workflow}")
    engine.wait_for("the schedules to be gone", lambda: not sql(engine, _SCHEDULES_LEFT))

    def are_over() -> bool:
        flows = engine.client.get("/flows", params={"taskId": workflow}).json()["flows"]
        left = [flow["taskFlowId"] for flow in flows if flow["finishedTs"] is None]
        for flow in left:
            engine.client.post(f"/flows/{flow}/cancel")  # it may have ended meanwhile
        return not left

    engine.wait_for(f"the flows of {workflow} to be over", are_over)
