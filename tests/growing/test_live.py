"""An engine grows while it works: services take new partitions up by themselves, and nothing that runs is
interrupted."""

import json
from pathlib import Path
from typing import Any

from acceptance.running import PATIENT, RunningEngine
from cluster.engines import NAPS, Load, proved
from flower_engine.model.ids import partition_of

ALL = ("api", "projector", "watcher", "worker")


def standings(engine: RunningEngine) -> list[dict[str, Any]]:
    command = engine.flower("partitions", "--json")
    assert command.returncode == 0, command.stdout + command.stderr
    found: list[dict[str, Any]] = json.loads(command.stdout)
    return found


def test_an_engine_under_load_grows_and_no_attempt_is_interrupted(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL, **PATIENT) as engine:
        engine.define("naps", NAPS)
        engine.define("slow", [{**NAPS[0], "parameters": {"SLEEP_TIME_SECOND": "8"}}])
        keyed = {"taskId": "naps", "key": "the-one"}
        [known] = engine.client.post("/register", json=[keyed]).json()
        slow = engine.register("slow", 1)
        with Load.under(engine, "naps") as load:
            load.wait_for(engine, 20)
            command = engine.flower("partitions", "--add", "2")
            assert command.returncode == 0, command.stdout + command.stderr
            engine.wait_for(
                "flows in all partitions", lambda: {partition_of(one) for one in load.flows} == {0, 1, 2}
            )
            load.wait_for(engine, 30)
        [again] = engine.client.post("/register", json=[keyed]).json()
        assert again["taskFlowId"] == known["taskFlowId"]
        flows = [known["taskFlowId"], *slow, *load.flows]
        engine.wait_until_ended(flows)
        [task] = engine.client.get(f"/flows/{slow[0]}").json()["tasks"]
        assert task["attempt"] == 1
        assert load.refused == 0
        assert [one["partition"] for one in standings(engine)] == [0, 1, 2]
        engine.partitions = 3
        proved(engine, flows)


def test_services_that_begin_later_work_on_all_partitions_whatever_they_are_told(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, "api", "projector", "watcher", **PATIENT) as engine:
        engine.define_ahead("naps", NAPS)
        assert engine.flower("partitions", "--add", "1").returncode == 0
        flows: list[str] = []

        def is_spread() -> bool:
            flows.extend(engine.register("naps", 2))
            return {partition_of(one) for one in flows} == {0, 1}

        engine.wait_for("flows in both", is_spread)
        engine.start("worker")
        engine.start("worker-2", FLOWER_PARTITIONS="2")
        engine.wait_until_ended(flows)
        engine.partitions = 2
        proved(engine, flows)
