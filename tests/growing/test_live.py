"""An engine grows while it works: services take new partitions up by themselves, and nothing that runs is
interrupted."""

import json
from pathlib import Path
from typing import Any

from acceptance.running import PATIENT, RunningEngine
from cluster.engines import NAPS, Load, proved
from flower_engine.model.values.ids import partition_of

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


def shown_state(engine: RunningEngine, number: int) -> str:
    shown: list[dict[str, Any]] = engine.client.get("/partitions").json()["partitions"]
    return str(shown[number]["state"])


def test_a_partition_is_retired_under_load_and_nothing_is_refused_or_interrupted(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL, **PATIENT) as engine:
        engine.define("naps", NAPS)
        engine.define("slow", [{**NAPS[0], "parameters": {"SLEEP_TIME_SECOND": "20"}}])
        assert engine.flower("partitions", "--add", "2").returncode == 0
        with Load.under(engine, "naps", every_seconds=0.2) as load:  # for as long as the slow ones take
            engine.wait_for(
                "flows in all partitions", lambda: {partition_of(one) for one in load.flows} == {0, 1, 2}
            )
            command = engine.flower("partitions", "--retire", "1")
            assert command.returncode == 0, command.stdout + command.stderr
            slow = engine.register("slow", 2)
            engine.wait_for("it is taken away", lambda: shown_state(engine, 1) == "retired")
            known = len(load.flows)
            load.wait_for(engine, 30)
        assert load.refused == 0
        assert {partition_of(one) for one in load.flows[known:]} == {0, 2}
        assert [one["state"] for one in standings(engine)] == ["", "retired", ""]
        [one, *_] = [flow for flow in load.flows if partition_of(flow) == 1]
        shown = engine.client.get(f"/flows/{one}").json()
        assert (shown["execStatus"], shown["tasks"][0]["attempt"]) == (3, 1)
        assert engine.client.get(f"/flows/{one}/events").status_code == 200
        refused = engine.client.post(f"/flows/{one}/rerun", json={"selection": "all"})
        assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (409, "retired")
        forked = engine.client.post(f"/flows/{one}/fork", json={"fromTasks": [2]})
        assert forked.status_code == 200, forked.text
        flows = [*slow, *load.flows, forked.json()["taskFlowId"]]
        engine.wait_until_ended(flows)
        for flow in slow:
            assert engine.client.get(f"/flows/{flow}").json()["tasks"][0]["attempt"] == 1
        assert engine.client.get("/readyz").json()["status"] == "ready"
        engine.start("worker-2")
        engine.wait_until_ended(engine.register("naps", 4))
        verified = engine.flower("verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr


def test_one_that_is_kept_gets_flows_again(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL, **PATIENT) as engine:
        engine.define("naps", NAPS)
        assert engine.flower("partitions", "--add", "1").returncode == 0
        engine.wait_for(
            "the API knows it", lambda: len(engine.client.get("/partitions").json()["partitions"]) == 2
        )
        assert engine.client.post("/partitions/0/retire").status_code == 409
        assert engine.client.post("/partitions/7/retire").status_code == 404
        engine.define("slow", [{**NAPS[0], "parameters": {"SLEEP_TIME_SECOND": "20"}}])
        flows: list[str] = []

        def is_spread() -> bool:
            flows.extend(engine.register("slow", 1))
            return {partition_of(one) for one in flows} == {0, 1}

        engine.wait_for("a flow in it", is_spread)
        reply = engine.client.post("/partitions/1/retire")
        assert [one["state"] for one in reply.json()["partitions"]] == ["", "retiring"]
        engine.wait_for(
            "the API heard", lambda: engine.client.get("/top").json()["retiringPartitions"] == [1]
        )
        assert {partition_of(one) for one in engine.register("naps", 6)} == {0}
        assert engine.client.post("/partitions/1/keep").status_code == 200
        engine.wait_for("flows in it again", lambda: partition_of(engine.register("naps", 1)[0]) == 1)
        for flow in flows:
            engine.ask("POST", f"/flows/{flow}/cancel")
