"""Failovers that go as badly as they may: to a replica that was behind, without a replica left, and with an
old primary that some services still reach."""

import re
from pathlib import Path
from typing import Any

import httpx

from acceptance.running import RunningEngine
from cluster.engines import ALL, NAPS, PARTITIONS, Load, proved, settings
from cluster.proxied import ProxiedSet
from cluster.servers import ClusterServers, SentinelServers
from flower_engine.model.values.ids import partition_of

REPLICATED = {"FLOWER_DURABILITY": "replicated", "FLOWER_AUTO_RECOVER": "1"}
CAREFUL: dict[str, Any] = {"min_replicas_to_write": 1, "min_replicas_max_lag": 2}


def _is_ready(engine: RunningEngine) -> bool:
    try:
        reply = engine.client.get("/readyz")
    except httpx.HTTPError:
        return False
    return reply.status_code == 200 and reply.json()["status"] == "ready"


def test_a_cluster_that_writes_to_replicas_only_stands_still_without_one_and_loses_nothing(
    tmp_path: Path,
) -> None:
    with (
        ClusterServers.started(tmp_path / "cluster", **CAREFUL) as cluster,
        RunningEngine.started(tmp_path, *ALL, **settings(cluster.url, **REPLICATED)) as engine,
    ):
        engine.define("naps", NAPS)
        with Load.under(engine, "naps") as load:
            load.wait_for(engine, 50)
            killed = cluster.master_of(0)
            killed.kill()
            cluster.wait_for_failover(killed, 0)
            load.wait_for(engine, 50)  # in the partitions of the other masters
            engine.wait_for(
                "it to be said", lambda: "too few of its replicas are there" in engine.logs_whole()
            )
            killed.start()
            engine.wait_for("it to be whole", lambda: _is_ready(engine))
            load.wait_for(engine, 50)
        assert set(load.durabilities) == {"replicated"}, "nothing less was acknowledged"
        engine.wait_until_ended(load.flows)
        proved(engine, load.flows)


def test_a_set_that_writes_to_replicas_only_stands_still_without_one_and_loses_nothing(
    tmp_path: Path,
) -> None:
    with (
        SentinelServers.started(tmp_path / "watched", **CAREFUL) as watched,
        RunningEngine.started(tmp_path, *ALL, **settings(watched.url, **REPLICATED)) as engine,
    ):
        engine.define("naps", NAPS)
        with Load.under(engine, "naps") as load:
            load.wait_for(engine, 50)
            killed = watched.primary()
            killed.kill()
            watched.wait_for_failover(killed)
            engine.wait_for(
                "it to be said", lambda: "too few of its replicas are there" in engine.logs_whole()
            )
            killed.start()
            load.wait_for(engine, 50)
        assert set(load.durabilities) == {"replicated"}, "nothing less was acknowledged"
        engine.wait_until_ended(load.flows)
        proved(engine, load.flows)


def test_registrations_that_a_failover_lost_are_counted_and_named(
    tmp_path: Path, cluster: ClusterServers
) -> None:
    with RunningEngine.started(tmp_path, *ALL, **settings(cluster.url, FLOWER_AUTO_RECOVER="1")) as engine:
        engine.define("naps", NAPS)
        flows = engine.register("naps", 40)
        engine.wait_until_ended(flows)
        engine.kill("projector")  # nothing is archived from here on
        lost = cluster.master_of(0)
        of_lost = cluster.apart(PARTITIONS)[lost]
        replica = cluster.replica_of(lost)
        replica.kill()
        more = engine.register("naps", 60)
        gone = {flow for flow in more if partition_of(flow) in of_lost}
        _wait_until_worked_on(engine, gone)
        lost.kill()
        replica.start()  # with what it had when it was killed
        cluster.wait_for_failover(lost, 0)
        engine.start("projector")
        engine.wait_for("it to be whole", lambda: _is_ready(engine))
        engine.wait_for("all to be named", lambda: _named(engine) == len(gone))
        flows += [flow for flow in more if flow not in gone]
        flows += engine.register("naps", 40)
        engine.wait_until_ended(flows)
        proved(engine, flows)


def _wait_until_worked_on(engine: RunningEngine, flows: set[str]) -> None:
    """Until a worker was answered for some of them: it knows then what Redis should know."""
    some = next(iter(flows))
    engine.wait_for(
        "a task to end", lambda: '"task.finished"' in engine.client.get(f"/flows/{some}/events").text
    )


def _named(engine: RunningEngine) -> int:
    """How many registrations the API says to be lost."""
    said = re.findall(
        r"(\d+) of the last \d+ registrations that this process acknowledged", engine.logs_whole()
    )
    return sum(map(int, said))


def test_an_old_primary_that_services_still_reach_is_fenced_once_the_network_is_whole(tmp_path: Path) -> None:
    """The sentinels and the replica are cut off from the primary, and who connects anew is, too; who is
    connected works on there. So there are two primaries, each with services of its own."""
    with (
        ProxiedSet.started(tmp_path / "watched") as watched,
        RunningEngine.started(
            tmp_path, *ALL, **settings(watched.url, FLOWER_PARTITIONS="1", **REPLICATED)
        ) as engine,
    ):
        engine.define("naps", NAPS)
        with Load.under(engine, "naps") as load:
            load.wait_for(engine, 50)
            old = watched.primary()
            watched.cut()
            watched.wait_for_failover(old)
            load.wait_for(engine, 30)  # with the old one
            for name in ("worker-2", "api"):
                engine.kill(name)
                engine.start(name)
            begun = len(load.flows)
            engine.wait_for(
                "the new one to be worked with",
                lambda: len(load.flows) > begun + 30 or "Redis went back" in engine.logs_whole(),
            )
            assert old.send("INFO", "replication")["role"] == "master", "there are two"
            watched.join()
            watched.wait_until_whole()
            engine.wait_for("it to be whole", lambda: _is_ready(engine))
            load.wait_for(engine, 50)
        kept = [flow for flow, held in load.held.items() if held == "replicated"]
        engine.wait_for("all flows to end", lambda: engine.ended(kept) == len(kept))
        assert all(engine.is_running(name) for name in ALL), "no service ended"
        proved(engine, kept)
