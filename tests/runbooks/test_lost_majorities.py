"""A majority is lost, of masters or of sentinels: what was acknowledged is there when they are back."""

from collections.abc import Generator
from pathlib import Path

import pytest

from acceptance.running import PATIENT, RunningEngine
from cluster.engines import ALL, NAPS, Load, proved, settings
from cluster.servers import ClusterServers, SentinelServers

REPLICATED = {"FLOWER_DURABILITY": "replicated", **PATIENT}


@pytest.fixture
def cluster(tmp_path: Path) -> Generator[ClusterServers]:
    """Three masters, each with a replica."""
    with ClusterServers.started(tmp_path / "cluster") as servers:
        yield servers


@pytest.fixture
def watched(tmp_path: Path) -> Generator[SentinelServers]:
    """A primary, a replica and three sentinels."""
    with SentinelServers.started(tmp_path / "watched") as servers:
        yield servers


def test_two_of_three_masters_of_a_cluster(tmp_path: Path, cluster: ClusterServers) -> None:
    with RunningEngine.started(tmp_path, *ALL, **settings(cluster.url, **REPLICATED)) as engine:
        engine.define("naps", NAPS)
        with Load.under(engine, "naps") as load:
            load.wait_for(engine, 50)
            killed = list(cluster.apart(4))[:2]
            for server in killed:
                server.kill()
            # No replica takes a place: masters elect it, and one of three is no majority. So all stand still.
            engine.wait_for("that to be said", lambda: engine.client.get("/readyz").status_code == 503)
            for server in killed:
                server.start()
            load.wait_for(engine, 50)
        engine.wait_until_ready()
        engine.wait_until_ended(load.flows)
        assert all(engine.is_running(name) for name in ALL), "no service ended"
        proved(engine, load.flows)


def test_masters_that_are_gone_for_good(tmp_path: Path, cluster: ClusterServers) -> None:
    with RunningEngine.started(tmp_path, *ALL, **settings(cluster.url, **REPLICATED)) as engine:
        engine.define("naps", NAPS)
        with Load.under(engine, "naps") as load:
            load.wait_for(engine, 50)
            killed = {master: cluster.replica_of(master) for master in list(cluster.apart(4))[:2]}
            for server in killed:
                server.kill()
            engine.wait_for("that to be said", lambda: engine.client.get("/readyz").status_code == 503)
            for replica in killed.values():
                replica.send("CLUSTER", "FAILOVER", "TAKEOVER")
            load.wait_for(engine, 50)
        engine.wait_until_ready()
        engine.wait_until_ended(load.flows)
        replicated = [flow for flow, held in load.held.items() if held == "replicated"]
        assert len(replicated) >= 50
        proved(engine, load.flows)


def test_two_of_three_sentinels_and_then_the_primary(tmp_path: Path, watched: SentinelServers) -> None:
    with RunningEngine.started(tmp_path, *ALL, **settings(watched.url, **REPLICATED)) as engine:
        engine.define("naps", NAPS)
        with Load.under(engine, "naps") as load:
            load.wait_for(engine, 50)
            lost = watched.sentinels[:2]
            for sentinel in lost:
                sentinel.kill()
            load.wait_for(engine, 50)  # as long as the primary lives nobody needs them
            primary = watched.primary()
            primary.kill()
            engine.wait_for("that to be said", lambda: engine.client.get("/readyz").status_code == 503)
            for sentinel in lost:  # now they can agree on another one
                sentinel.start()
            watched.wait_for_failover(primary)
            primary.start()
            load.wait_for(engine, 50)
        engine.wait_until_ready()
        engine.wait_until_ended(load.flows)
        assert all(engine.is_running(name) for name in ALL), "no service ended"
        proved(engine, load.flows)
