"""Leases on real processes: a stall of Redis reruns nothing, tasks of a dead worker run again elsewhere."""

from pathlib import Path

from acceptance.running import RunningEngine
from acceptance.test_operator import ALL, LEASE_SECONDS, SHORT_LEASES, row
from flower_engine.model.events.attempt_events import TaskLapsed


def test_a_stall_of_redis_for_two_lease_times_reruns_nothing(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL, **SHORT_LEASES) as engine:
        programs = ("wait_async", "wait_thread", "wait_process")
        engine.define(
            "waits",
            [
                row(seq, name, parameters={"folder": str(tmp_path)}, timeoutSeconds=60)
                for seq, name in enumerate(programs, 1)
            ],
        )
        (flow,) = engine.register("waits", 1)
        for seq in (1, 2, 3):
            engine.wait_for(f"task {seq}", (tmp_path / f"began-{seq}-1").exists)
        for _ in range(2):
            engine.stall_valkey(2 * LEASE_SECONDS)
        (tmp_path / "go").touch()
        engine.wait_until_ended([flow])
        verdict = engine.verify()
    assert verdict.problems == []
    assert [event.attempt for event in verdict.starts] == [1, 1, 1]


def test_the_tasks_of_a_killed_worker_run_again_elsewhere(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL, **SHORT_LEASES) as engine:
        engine.define("waits", [row(1, "wait_async", parameters={"folder": str(tmp_path)})])
        (flow,) = engine.register("waits", 1)
        engine.wait_for("the first attempt", (tmp_path / "began-1-1").exists)
        engine.start("worker-2")
        engine.wait_for("two workers", lambda: engine.client.get("/workers").text.count('"pid"') == 2)
        engine.kill("worker")
        engine.wait_for("the second attempt", (tmp_path / "began-1-2").exists)
        (tmp_path / "go").touch()
        engine.wait_until_ended([flow])
        verdict = engine.verify()
    assert verdict.problems == []
    assert [event.lost for event in verdict.events if isinstance(event, TaskLapsed)] == [1]
