"""Clusters and sentinels that speak TLS alone, on Redis as Debian has it: the embedded Valkey has no TLS."""

from pathlib import Path

import pytest

from acceptance.running import RunningEngine
from cluster.engines import ALL, NAPS, Load, proved, settings
from cluster.servers import ClusterServers, SentinelServers, Tls

REPLICATED = {"FLOWER_DURABILITY": "replicated"}


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    try:
        return Tls(tmp_path / "tls")
    except LookupError as error:
        pytest.skip(f"TLS was not tried: {error}")


def test_a_master_of_a_cluster_with_tls_that_is_killed_loses_nothing_that_was_replicated(
    tmp_path: Path, tls: Tls
) -> None:
    with (
        ClusterServers.started(tmp_path / "cluster", tls=tls) as cluster,
        RunningEngine.started(tmp_path, *ALL, **settings(cluster.url, **REPLICATED)) as engine,
    ):
        assert cluster.url.startswith("rediss+cluster://")
        engine.define("naps", NAPS)
        with Load.under(engine, "naps") as load:
            load.wait_for(engine, 50)
            killed = cluster.master_of(0)
            killed.kill()
            cluster.wait_for_failover(killed, 0)
            load.wait_for(engine, 50)
        engine.wait_until_ready()
        engine.wait_until_ended(load.flows)
        proved(engine, load.flows)
        assert engine.flower("doctor").returncode in {0, 1}
        pinged = engine.flower("redis-cli", "PING")
        assert pinged.returncode == 0, pinged.stdout + pinged.stderr


def test_a_primary_with_tls_that_is_killed_loses_nothing_that_was_replicated(
    tmp_path: Path, tls: Tls
) -> None:
    with (
        SentinelServers.started(tmp_path / "watched", tls=tls) as watched,
        RunningEngine.started(tmp_path, *ALL, **settings(watched.url, **REPLICATED)) as engine,
    ):
        assert watched.url.startswith("rediss+sentinel://")
        engine.define("naps", NAPS)
        with Load.under(engine, "naps") as load:
            load.wait_for(engine, 50)
            killed = watched.primary()
            killed.kill()
            watched.wait_for_failover(killed)
            load.wait_for(engine, 50)
        engine.wait_until_ready()
        engine.wait_until_ended(load.flows)
        proved(engine, load.flows)
