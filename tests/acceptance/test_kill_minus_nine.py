"""kill -9 of any process in the middle of the work: nothing acknowledged is lost, nothing counts twice."""

import json
from pathlib import Path

import httpx

from acceptance.running import WAITING, RunningEngine
from flower_engine.model.events.attempt_events import TaskLapsed
from flower_engine.model.tasks.status import Status

ALL = ("api", "projector", "watcher", "worker")
FLOWS = 1_000


def _nap(seq: int, seconds: float) -> dict[str, object]:
    return {
        "taskSeq": seq,
        "program": "EchoParamTimeSleep",
        "taskPriority": 0,
        "parameters": {"SLEEP_TIME_SECOND": str(seconds)},
    }


NAPS = [_nap(seq, 0.02) for seq in (1, 2, 3)]


def test_a_killed_workers_tasks_run_again_elsewhere_and_count_once(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL, **WAITING) as engine:
        waits = {"taskSeq": 1, "program": "wait_async", "parameters": {"folder": str(tmp_path)}}
        engine.define("long", [waits, _nap(2, 0.0)])
        flows = engine.register("long", 50)
        engine.wait_for("the worker to hold tasks", (tmp_path / "began-1-1").exists)
        engine.kill("worker")
        engine.start("worker-2")
        (tmp_path / "go").touch()
        engine.wait_until_ended(flows)
        verdict = engine.verify()
    assert verdict.problems == []
    assert {verdict.flows[flow].status for flow in flows} == {Status.FINISH}
    lapsed = [event for event in verdict.events if isinstance(event, TaskLapsed)]
    assert lapsed, "the killed worker held tasks"
    assert len(verdict.starts) == 2 * len(flows) + len(lapsed)


def test_a_killed_projector_projects_everything_once(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL) as engine:
        engine.define("naps", NAPS)
        flows = engine.register("naps", FLOWS)
        for count in (FLOWS // 8, FLOWS // 4):
            engine.wait_until_some_ended(flows, count)
            engine.kill("projector")
            engine.start("projector")
        engine.wait_until_ended(flows)
        verdict = engine.verify()
    assert verdict.problems == []
    assert set(verdict.flows) == set(flows)


def test_registrations_acknowledged_by_a_killed_api_are_kept(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL) as engine:
        engine.define("naps", NAPS)
        acknowledged: list[str] = []
        for _ in range(3):
            acknowledged += engine.register("naps", 300)
            engine.kill("api")
            engine.start("api")
            engine.wait_until_ready()
        engine.wait_until_ended(acknowledged)
        verdict = engine.verify()
    assert verdict.problems == []
    assert set(acknowledged) <= set(verdict.flows)


def test_a_killed_valkey_loses_nothing_acknowledged(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL) as engine:
        engine.define("naps", NAPS)
        acknowledged = engine.register("naps", FLOWS)
        for count in (FLOWS // 8, FLOWS // 4):
            engine.wait_until_some_ended(acknowledged, count)
            engine.kill_valkey()
            engine.restart_stores()
            acknowledged += _register_until_it_works(engine)
        engine.wait_until_ended(acknowledged)
        verdict = engine.verify()
        assert all(engine.is_running(name) for name in ALL), "every service came back by itself"
    assert verdict.problems == []
    assert set(acknowledged) <= set(verdict.flows)


def test_loops_lose_no_round_whatever_is_killed(tmp_path: Path) -> None:
    """Between a round and the next, and anywhere else."""
    with RunningEngine.started(tmp_path, *ALL, **WAITING) as engine:
        loop = {"taskSeq": 1, "program": "turn_async", "parameters": {"left": 30, "size": 1}}
        later = {
            "taskSeq": 2,
            "program": "turn_thread",
            "parameters": {"left": 3, "size": 2},
            "dependsOn": [1],
        }
        engine.define("loops", [loop, later])
        flows = engine.register("loops", 60)
        for count, name in (
            (2, "worker"),
            (10, "projector"),
            (20, "valkey"),
            (30, "watcher"),
            (40, "worker"),
        ):
            engine.wait_until_some_ended(flows, count)
            if name == "valkey":
                engine.kill_valkey()
                engine.restart_stores()
            else:
                engine.kill(name)
                engine.start(name)
        engine.wait_until_ended(flows)
        verdict = engine.verify()
    assert verdict.problems == []
    assert {verdict.flows[flow].status for flow in flows} == {Status.FINISH}
    for flow in flows:
        first, second = (json.loads(task.result or b"") for task in verdict.flows[flow].tasks)
        assert first[:-1] == [*range(30), 30] and second[:-1] == [0, 2, 4, 3], "each round once"


def test_trees_of_flows_lose_nothing_whatever_is_killed(tmp_path: Path) -> None:
    """Between a child's end and its parent's next step, and anywhere else."""
    with RunningEngine.started(tmp_path, *ALL) as engine:
        engine.define("leaf", [_nap(1, 0.02)])
        engine.define("middle", [_child(1, "leaf"), _nap(2, 0.02)])
        engine.define("top", [_child(1, "middle"), _child(2, "leaf"), _nap(3, 0.02)])
        flows = engine.register("top", 60)
        for count, name in ((5, "watcher"), (20, "worker"), (30, "valkey"), (40, "projector")):
            engine.wait_until_some_ended(flows, count)
            if name == "valkey":
                engine.kill_valkey()
                engine.restart_stores()
            else:
                engine.kill(name)
                engine.start(name)
        engine.wait_until_ended(flows)
        verdict = engine.verify()
    assert verdict.problems == []
    assert {flow.status for flow in verdict.flows.values()} == {Status.FINISH}
    assert len(verdict.flows) == 4 * len(flows), "each has a middle one, the leaf of that, and a leaf"


def _child(seq: int, workflow: str) -> dict[str, object]:
    return {"taskSeq": seq, "program": "@flow", "taskPriority": 0, "parameters": {"workflow": workflow}}


def _register_until_it_works(engine: RunningEngine) -> list[str]:
    flows: list[str] = []

    def registered() -> bool:
        try:
            flows.extend(engine.register("naps", 10))
        except httpx.HTTPError:
            return False
        return True

    engine.wait_for("registration to work again", registered)
    return flows
