"""Services that begin, and go on, with the partitions that are there."""

import re
from pathlib import Path
from typing import Any

import httpx

from acceptance.running import RunningEngine
from cluster.engines import ALL, NAPS, PARTITIONS, Load, proved, settings
from cluster.servers import ClusterServers
from flower_engine.log.client import connect_blocking, send_blocking
from flower_engine.log.keys import Keys
from flower_engine.model.values.ids import partition_of
from metrics.scraping import TOLD_AT

SERVICES = ("projector", "watcher", "worker")


def _says(engine: RunningEngine, service: str) -> tuple[str, list[int]] | None:
    """What ``/readyz`` of a service says: its status, and the partitions that are missing."""
    told = re.findall(TOLD_AT, (engine.folder / f"{service}.log").read_text())
    if not told:
        return None
    try:
        said: dict[str, Any] = httpx.get(f"{told[-1].removesuffix('/metrics')}/readyz", timeout=60).json()
    except httpx.HTTPError:  # it begins, or has ended
        return None
    return said["status"], said["missing"]


def test_services_that_begin_while_a_node_is_away_work_on_the_others_and_take_its_partitions_up(
    tmp_path: Path, cluster: ClusterServers
) -> None:
    own = settings(cluster.url, FLOWER_METRICS_PORT="0")
    with RunningEngine.started(tmp_path, "api", *SERVICES, **own) as engine:
        engine.define("naps", NAPS)
        first = engine.register("naps", 40)
        engine.wait_until_ended(first)
        away = cluster.master_of(0)
        gone = sorted(cluster.apart(PARTITIONS)[away])
        cluster.replica_of(away).kill()
        away.kill()
        for name in ("api", *SERVICES):
            engine.kill(name)
            engine.start(name)
        for name in SERVICES:
            engine.wait_for(f"{name} to say it", lambda one=name: _says(engine, one) == ("degraded", gone))
        with Load.under(engine, "naps") as load:
            load.wait_for(engine, 50)
        engine.wait_until_ended(load.flows)
        for command, word in (("doctor", "away"), ("verify", "cannot be compared"), ("recover", "away")):
            ended = engine.flower(command)
            assert ended.returncode == 1, ended.stdout + ended.stderr
            said = " ".join(ended.stdout.split())
            for number in gone:
                assert re.search(rf"partition {number}\b[^.]*{word}", said), said
        away.start()
        for name in SERVICES:
            engine.wait_for(f"{name} to be whole", lambda one=name: _says(engine, one) == ("ready", []))
        flows = [*first, *load.flows, *engine.register("naps", 40)]
        engine.wait_until_ended(flows)
        assert "which is waited for" in engine.logs_whole()
        proved(engine, flows)


def test_a_partition_that_is_lost_interrupts_no_task_of_another(
    tmp_path: Path, cluster: ClusterServers
) -> None:
    own = settings(cluster.url, FLOWER_LEASE_SECONDS="20", FLOWER_AUTO_RECOVER="1")
    with RunningEngine.started(tmp_path, *ALL, **own) as engine:
        engine.define("naps", NAPS)
        engine.define("slow", [{**NAPS[0], "parameters": {"SLEEP_TIME_SECOND": "6"}}])
        flows = engine.register("naps", 40)
        engine.wait_until_ended(flows)
        slow = engine.register("slow", 12)
        engine.wait_until_projected(slow)
        running = "all of them to run"
        engine.wait_for(running, lambda: all(_task(engine, flow)["status"] == "Running" for flow in slow))
        with connect_blocking(cluster.url) as client:
            send_blocking(client, "HDEL", Keys(0).meta, "generation")  # as after a loss
        engine.wait_until_ended(slow)
        attempts = {flow: _task(engine, flow)["attempt"] for flow in slow}
        again = {flow for flow, attempt in attempts.items() if attempt > 1}
        assert again == {flow for flow in slow if partition_of(flow) == 0}
        flows += [*slow, *engine.register("naps", 40)]
        engine.wait_until_ended(flows)
        proved(engine, flows)


def _task(engine: RunningEngine, flow: str) -> dict[str, Any]:
    [task] = engine.client.get(f"/flows/{flow}").json()["tasks"]
    return task
