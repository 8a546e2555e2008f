"""Whole engines on a cluster, and on a set that sentinels watch: what is acknowledged ends."""

from pathlib import Path

from acceptance.running import PATIENT, RunningEngine
from cluster.engines import ALL, NAPS, PARTITIONS, proved, settings
from cluster.servers import ClusterServers, SentinelServers


def test_flows_end_on_a_cluster_and_both_stores_agree(tmp_path: Path, cluster: ClusterServers) -> None:
    with RunningEngine.started(tmp_path, *ALL, **settings(cluster.url, **PATIENT)) as engine:
        assert len(cluster.apart(PARTITIONS)) == 3, "each master has a partition"
        engine.define("naps", NAPS)
        flows = engine.register("naps", 200)
        engine.wait_until_ended(flows)
        proved(engine, flows)
        doctor = engine.flower("doctor")
        assert doctor.returncode == 0, doctor.stdout
        assert engine.tracebacks() == []


def test_flows_end_on_a_set_that_sentinels_watch(tmp_path: Path, watched: SentinelServers) -> None:
    with RunningEngine.started(tmp_path, *ALL, **settings(watched.url, **PATIENT)) as engine:
        engine.define("naps", NAPS)
        flows = engine.register("naps", 100)
        engine.wait_until_ended(flows)
        proved(engine, flows)
        assert engine.tracebacks() == []


def test_a_node_of_a_cluster_is_no_single_server(tmp_path: Path, cluster: ClusterServers) -> None:
    """Nothing begins on it, and what to write instead is said."""
    node = cluster.master_of(0)
    with RunningEngine.started(tmp_path, **settings(f"redis://{node.at}/0")) as engine:
        ended = engine.flower("projector")
        assert ended.returncode == 1
        assert "redis+cluster://HOST:PORT" in ended.stdout + ended.stderr
