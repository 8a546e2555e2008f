"""An operator and real processes: what fails is found, told, and made to go on, by the command line alone."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from acceptance.running import PATIENT, WAITING, RunningEngine
from flower_engine.model.events.attempt_events import TaskStarted
from flower_engine.model.events.events import OutcomeRefused
from flower_engine.model.tasks.status import Status
from shapes.loading import load_shape

ALL = ("api", "projector", "watcher", "worker")
PROGRAMS = {
    **WAITING,
    "FLOWER_LEASE_SECONDS": "20",  # a machine that is busy may stop a worker for a while
    "FLOWER_HEARTBEAT_SECONDS": "0.2",
    "FLOWER_MAX_LOST": "2",
}
LEASE_SECONDS = 3.0
SHORT_LEASES = {**PROGRAMS, "FLOWER_LEASE_SECONDS": f"{LEASE_SECONDS}"}
"""For tests that wait until leases have passed."""


def row(seq: int, program: str, *depends_on: int, **more: Any) -> dict[str, Any]:
    parameters = more.pop("parameters", {})
    return {"taskSeq": seq, "program": program, "dependsOn": depends_on, "parameters": parameters, **more}


def shown(engine: RunningEngine, flow: str) -> dict[str, Any]:
    return json.loads(engine.flower("show", flow, "--json").stdout)


def test_what_goes_wrong_is_retried_found_corrected_and_ends(tmp_path: Path) -> None:
    retry = {"maxAttempts": 3, "delaySeconds": 0.05}
    with RunningEngine.started(tmp_path, *ALL, **PROGRAMS) as engine:
        engine.define(
            "diamond",
            [
                row(1, "Noop"),
                row(2, "fail_until", 1, parameters={"attempt": 3}, retry=retry),
                *(row(3, "Noop", 1), row(4, "Noop", 2, 3), row(5, "Noop", 4)),
            ],
        )
        engine.define_ahead(
            "wrong", [row(1, "Noop"), row(2, "add", 1, parameters={"a": "seven"}), row(3, "Noop", 2)]
        )
        engine.define("raises", [row(1, "fail_thread", parameters={"message": "no such table"})])
        engine.define("crashes", [row(1, "end_process", parameters={"signal_number": 11})])
        engine.define(
            "hangs", [row(1, "wait_async", parameters={"folder": str(tmp_path)}, timeoutSeconds=0.5)]
        )

        done = engine.flower("register", "diamond", "--wait")
        assert done.returncode == 0, done.stderr
        assert "fail_until Finish attempt 3" in done.stdout

        bad = engine.flower("register", "wrong", "--wait")
        assert bad.returncode == 1
        assert "task 2 add failed" in bad.stdout and "ParameterError" in bad.stdout
        for workflow in ("raises", "crashes", "hangs"):
            assert engine.flower("register", workflow, "--wait").returncode == 1

        engine.wait_for(
            "four failed tasks",
            lambda: len(json.loads(engine.flower("errors", "--json").stdout)["tasks"]) == 4,
        )
        found = {
            task["taskId"]: task for task in json.loads(engine.flower("errors", "--json").stdout)["tasks"]
        }
        assert {name: task["error"]["type"] for name, task in found.items()} == {
            "wrong": "ParameterError",
            "raises": "LookupError",
            "crashes": "ProcessLost",
            "hangs": "AttemptTimeout",
        }
        assert "2 workers or processes were lost" in found["crashes"]["error"]["message"]
        assert "SIGSEGV" in found["crashes"]["error"]["message"]
        listed = engine.flower("errors", "--match", "NO SUCH TABLE")
        assert "raises" in listed.stdout and "wrong" not in listed.stdout

        flow = found["wrong"]["taskFlowId"]
        waiting = [task["status"] for task in shown(engine, flow)["tasks"]]
        assert waiting == ["Finish", "Suspend", "Wait"], "as in the seed, later tasks wait"
        assert "waits for 2" in engine.flower("show", flow).stdout
        again = engine.flower("rerun", flow, "--task", "2", "--param", "a=7")
        assert again.returncode == 0, again.stderr
        engine.wait_until_ended([flow])
        ended = shown(engine, flow)
        assert (ended["status"], ended["tasks"][1]["result"], ended["tasks"][1]["attempt"]) == (
            "Finish",
            8,
            2,
        )
        attempts = engine.flower("show", flow, "--task", "2").stdout
        assert "failed" in attempts and "finished" in attempts

        for workflow in ("raises", "crashes", "hangs"):
            answer = engine.flower("cancel", found[workflow]["taskFlowId"], "--reason", "seen")
            assert answer.returncode == 0, answer.stderr
        refused = engine.flower("cancel", flow)
        assert refused.returncode == 1 and "it has ended (Finish)" in refused.stderr
        verdict = engine.verify()
    assert verdict.problems == []
    assert verdict.flows[flow].task(2).planned.parameters == {"a": 7}
    assert Counter(flow.status for flow in verdict.flows.values()) == {Status.FINISH: 2, Status.IGNORE: 3}


def test_a_program_that_blocks_its_worker_for_three_leases_runs_once(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL, **SHORT_LEASES) as engine:
        engine.define("blocks", [row(1, "block_loop", parameters={"folder": str(tmp_path)})])
        flows = engine.register("blocks", 1)
        engine.wait_for("the attempt", (tmp_path / "began-1-1").exists)
        time.sleep(3 * LEASE_SECONDS)
        (tmp_path / "go").touch()
        engine.wait_until_ended(flows)
        verdict = engine.verify()
    assert verdict.problems == []
    assert len(verdict.starts) == 1


def test_a_cancelled_flow_stops_what_runs_and_a_thread_that_cannot_be_stopped_is_shown(
    tmp_path: Path,
) -> None:
    with RunningEngine.started(tmp_path, *ALL, **PROGRAMS) as engine:
        programs = ("wait_async", "wait_process", "wait_thread")
        engine.define(
            "waits",
            [row(seq, name, parameters={"folder": str(tmp_path)}) for seq, name in enumerate(programs, 1)],
        )
        flow = engine.flower("register", "waits").stdout.strip()
        for seq in (1, 2, 3):
            engine.wait_for(f"task {seq}", (tmp_path / f"began-{seq}-1").exists)
        assert engine.flower("cancel", flow).returncode == 0
        engine.wait_for("the cancellation", (tmp_path / "cancelled-1-1").exists)
        engine.wait_for(
            "a stuck slot", lambda: "task 3 attempt 1" in engine.flower("workers", "--json").stdout
        )
        (tmp_path / "go").touch()
        engine.wait_for("a free slot", lambda: '"stuck":[]' in engine.flower("workers", "--json").stdout)
        verdict = engine.verify()
    assert verdict.problems == []
    assert [event.task for event in verdict.events if isinstance(event, OutcomeRefused)] == [3]


@pytest.mark.parametrize("again", [100])
def test_a_rerun_of_a_finished_flow_of_310_tasks_runs_just_that_task_and_what_is_behind_it(
    tmp_path: Path, again: int
) -> None:
    shape = load_shape("montage-310")
    behind = {again}
    for task in shape.tasks:  # in an order in which dependencies come first
        if behind.intersection(task.depends_on or ()):
            behind.add(task.task_seq)
    with RunningEngine.started(tmp_path, *ALL, **PATIENT) as engine:
        engine.define(
            "montage", [row(task.task_seq, task.program, *(task.depends_on or ())) for task in shape.tasks]
        )
        (flow,) = engine.register("montage", 1)
        engine.wait_until_ended([flow])
        refused = engine.flower("rerun", flow, "--task", str(again))
        assert refused.returncode == 1 and "--" not in refused.stdout
        answer = engine.flower("rerun", flow, "--task", str(again), "--dependents", "--json")
        assert answer.returncode == 0, answer.stderr
        assert set(json.loads(answer.stdout)["tasks"]) == behind
        engine.wait_for("the second end", lambda: shown(engine, flow)["status"] == "Finish")
        tree = engine.flower("show", flow).stdout
        assert len(tree.splitlines()) >= 310
        verdict = engine.verify()
    assert verdict.problems == []
    runs = Counter(event.task for event in verdict.events if isinstance(event, TaskStarted))
    assert {task for task, count in runs.items() if count == 2} == behind
    assert len(behind) > 3
    assert sum(runs.values()) == 310 + len(behind)
