"""Servers that are killed under load, on a cluster and behind sentinels: nothing acknowledged is lost."""

from pathlib import Path

import httpx

from acceptance.running import RunningEngine
from cluster.engines import ALL, NAPS, PARTITIONS, Load, proved, settings
from cluster.servers import ClusterServers, SentinelServers
from flower_engine.log.client import connect_blocking, send_blocking
from flower_engine.log.keys import Keys

# A write that no replica has is none, so a failover loses nothing that was acknowledged.
REPLICATED = {"FLOWER_DURABILITY": "replicated"}


def test_a_master_of_a_cluster_that_is_killed_under_load_loses_nothing_that_was_replicated(
    tmp_path: Path, cluster: ClusterServers
) -> None:
    with RunningEngine.started(tmp_path, *ALL, **settings(cluster.url, **REPLICATED)) as engine:
        engine.define("naps", NAPS)
        with Load.under(engine, "naps") as load:
            load.wait_for(engine, 100)
            killed = cluster.master_of(0)
            killed.kill()
            cluster.wait_for_failover(killed, 0)
            load.wait_for(engine, 100)
            killed.start()  # as a replica of the one that took its place
            load.wait_for(engine, 100)
        engine.wait_until_ready()
        engine.wait_until_ended(load.flows)
        assert all(engine.is_running(name) for name in ALL), "no service ended"
        proved(engine, load.flows)


def test_services_that_are_killed_on_a_cluster_lose_nothing(tmp_path: Path, cluster: ClusterServers) -> None:
    with RunningEngine.started(tmp_path, *ALL, **settings(cluster.url)) as engine:
        engine.define("naps", NAPS)
        flows: list[str] = []
        for name in ("worker", "watcher", "projector", "api"):
            flows += engine.register("naps", 60)
            engine.kill(name)
            engine.start(name)
            engine.wait_until_ready()
        engine.wait_until_ended(flows)
        proved(engine, flows)


def test_a_primary_and_a_sentinel_that_are_killed_under_load_lose_nothing_that_was_replicated(
    tmp_path: Path, watched: SentinelServers
) -> None:
    with RunningEngine.started(tmp_path, *ALL, **settings(watched.url, **REPLICATED)) as engine:
        engine.define("naps", NAPS)
        with Load.under(engine, "naps") as load:
            load.wait_for(engine, 100)
            watched.sentinels[0].kill()
            load.wait_for(engine, 50)
            killed = watched.primary()
            killed.kill()
            watched.wait_for_failover(killed)
            load.wait_for(engine, 20)
            killed.start()
            load.wait_for(engine, 50)
        engine.wait_until_ready()
        engine.wait_until_ended(load.flows)
        assert all(engine.is_running(name) for name in ALL), "no service ended"
        proved(engine, load.flows)


def test_a_node_that_is_away_stops_its_partitions_and_no_others(
    tmp_path: Path, cluster: ClusterServers
) -> None:
    with RunningEngine.started(tmp_path, *ALL, **settings(cluster.url)) as engine:
        engine.define("naps", NAPS)
        first = engine.register("naps", 40)
        engine.wait_until_ended(first)
        away = cluster.master_of(0)
        gone = sorted(cluster.apart(PARTITIONS)[away])
        replica = cluster.replica_of(away)
        replica.kill()
        away.freeze()  # its connections stand, and nothing comes over them
        engine.wait_for("the API to say it", lambda: _readiness(engine) == ("degraded", gone))
        with Load.under(engine, "naps") as load:
            load.wait_for(engine, 50)
        engine.wait_until_ended(load.flows)
        engine.kill("api")  # the next one begins without that node
        engine.start("api")
        engine.wait_for("the API to be there", lambda: _readiness(engine) == ("degraded", gone))
        more = engine.register("naps", 20)
        engine.wait_until_ended(more)
        top = engine.client.get("/top").json()
        assert top["missingPartitions"] == gone
        assert "stand still" in engine.flower("top", "--once").stdout
        away.thaw()
        engine.wait_for("it to be whole", lambda: _readiness(engine) == ("ready", []))
        replica.start()
        flows = [*first, *load.flows, *more, *engine.register("naps", 40)]
        engine.wait_until_ended(flows)
        proved(engine, flows)


def _readiness(engine: RunningEngine) -> tuple[str, list[int]] | None:
    try:
        reply = engine.client.get("/readyz")
    except httpx.HTTPError:  # it begins
        return None
    if reply.status_code != 200:
        return None
    said = reply.json()
    redis = next(one for one in said["dependencies"] if one["name"] == "Redis")
    return said["status"], redis["missing"]


def test_what_a_failover_to_an_old_replica_lost_is_found_and_recovered_in_its_partitions_alone(
    tmp_path: Path, cluster: ClusterServers
) -> None:
    with RunningEngine.started(tmp_path, *ALL, **settings(cluster.url, FLOWER_AUTO_RECOVER="1")) as engine:
        engine.define("naps", NAPS)
        flows = engine.register("naps", 60)
        engine.wait_until_ended(flows)
        lost = cluster.master_of(0)
        of_lost = cluster.apart(PARTITIONS)[lost]
        replica = cluster.replica_of(lost)
        replica.kill()
        flows += engine.register("naps", 60)
        engine.wait_until_projected(flows)
        lost.kill()
        replica.start()  # with what it had when it was killed
        cluster.wait_for_failover(lost, 0)
        engine.wait_until_ended(flows)
        engine.wait_for("it to be whole", lambda: _readiness(engine) == ("ready", []))
        flows += engine.register("naps", 60)
        engine.wait_until_ended(flows)
        proved(engine, flows)
        with connect_blocking(cluster.url) as client:
            generations = {
                number: int(send_blocking(client, "HGET", Keys(number).meta, "generation"))
                for number in range(PARTITIONS)
            }
    assert {number for number, generation in generations.items() if generation > 1} == set(of_lost)
