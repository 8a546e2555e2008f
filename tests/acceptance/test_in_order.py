"""Real processes run real DAGs in order, on as many workers and partitions as there are."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from acceptance.running import PATIENT, WAITING, RunningEngine
from flower_engine.model.tasks.status import Status
from flower_engine.model.values.ids import partition_of
from shapes.loading import load_shape

ALL = ("api", "projector", "watcher", "worker")
LINE = [{"taskSeq": seq, "program": "Noop", "taskPriority": 0} for seq in (1, 2, 3)]


def _body(shape: str) -> list[dict[str, object]]:
    return [
        {
            "taskSeq": task.task_seq,
            "program": task.program,
            "taskPriority": task.priority,
            "dependsOn": list(task.depends_on or ()),
        }
        for task in load_shape(shape).tasks
    ]


@pytest.mark.parametrize(("shape", "tasks"), [("montage-58", 58), ("montage-310", 310)])
def test_no_task_of_a_real_dag_starts_before_its_dependencies_finished(
    tmp_path: Path, shape: str, tasks: int
) -> None:
    with RunningEngine.started(tmp_path, *ALL, **PATIENT) as engine:
        engine.define(shape, _body(shape))
        flows = engine.register(shape, 5)
        engine.wait_until_ended(flows)
        verdict = engine.verify()
    assert verdict.problems == []  # the fold refuses a log in which a task starts before its dependencies
    assert [len(verdict.flows[flow].tasks) for flow in flows] == [tasks] * 5
    assert {verdict.flows[flow].status for flow in flows} == {Status.FINISH}
    assert len(verdict.starts) == 5 * tasks


def test_two_workers_share_the_load(tmp_path: Path) -> None:
    programs = {**WAITING, "FLOWER_PROGRAMS": "worker.data_programs"}
    with RunningEngine.started(tmp_path, *ALL, "worker-2", **programs, **PATIENT) as engine:
        engine.define(
            "naps",
            [
                {"taskSeq": seq, "program": "wait_for_file", "taskPriority": 0, "dependsOn": [],
                 "parameters": {"file": str(tmp_path / "go")}}
                for seq in range(1, 151)
            ],
        )  # fmt: skip
        flows = engine.register("naps", 2)  # 300 tasks at once, 200 slots
        engine.wait_for("all slots to be taken", lambda: _running(engine) == 200)
        (tmp_path / "go").touch()
        engine.wait_until_ended(flows)
        verdict = engine.verify()
    assert verdict.problems == []
    shares = Counter(event.worker for event in verdict.starts)
    assert len(shares) == 2
    assert min(shares.values()) >= 100


def _running(engine: RunningEngine) -> int:
    workers: list[dict[str, Any]] = engine.client.get("/workers").json()["workers"]
    return sum(worker["running"] for worker in workers)


def test_flows_are_spread_over_two_partitions(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL, FLOWER_PARTITIONS="2", **PATIENT) as engine:
        engine.define("line", LINE)
        flows = engine.register("line", 300)
        engine.wait_until_ended(flows)
        verdict = engine.verify()
    assert verdict.problems == []
    assert set(verdict.flows) == set(flows)
    assert set(Counter(partition_of(flow) for flow in flows)) == {0, 1}
