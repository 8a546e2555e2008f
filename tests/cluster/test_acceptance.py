"""Whole engines on a cluster, and on a set that sentinels watch: what is acknowledged ends."""

from collections.abc import Generator
from pathlib import Path

import pytest

from acceptance.running import PATIENT, RunningEngine
from cluster.servers import ClusterServers, SentinelServers

ALL = ("api", "projector", "watcher", "worker", "worker-2")
PARTITIONS = 4  # on all three masters


def _nap(seq: int) -> dict[str, object]:
    return {"taskSeq": seq, "program": "EchoParamTimeSleep", "parameters": {"SLEEP_TIME_SECOND": "0.02"}}


NAPS = [_nap(1), _nap(2), _nap(3)]


@pytest.fixture
def cluster(tmp_path: Path) -> Generator[ClusterServers]:
    with ClusterServers.started(tmp_path / "cluster") as servers:
        yield servers


@pytest.fixture
def watched(tmp_path: Path) -> Generator[SentinelServers]:
    with SentinelServers.started(tmp_path / "watched") as servers:
        yield servers


def _settings(url: str) -> dict[str, str]:
    return {"FLOWER_REDIS_URL": url, "FLOWER_PARTITIONS": str(PARTITIONS), "FLOWER_CONCURRENCY": "20"}


def _proved(engine: RunningEngine, flows: list[str]) -> None:
    """All of them ended, every invariant holds over all partitions, and `flower verify` finds nothing."""
    assert {int(flow[14:18], 16) & 0xFFF for flow in flows}, "flow ids"
    verdict = engine.verify()
    assert verdict.problems == []
    assert set(flows) <= set(verdict.flows)
    command = engine.flower("verify")
    assert command.returncode == 0, command.stdout + command.stderr


def test_flows_end_on_a_cluster_and_both_stores_agree(tmp_path: Path, cluster: ClusterServers) -> None:
    with RunningEngine.started(tmp_path, *ALL, **_settings(cluster.url), **PATIENT) as engine:
        assert len(cluster.apart(PARTITIONS)) == 3, "each master has a partition"
        engine.define("naps", NAPS)
        flows = engine.register("naps", 200)
        engine.wait_until_ended(flows)
        _proved(engine, flows)
        doctor = engine.flower("doctor")
        assert doctor.returncode == 0, doctor.stdout
        assert engine.tracebacks() == []


def test_flows_end_on_a_set_that_sentinels_watch(tmp_path: Path, watched: SentinelServers) -> None:
    with RunningEngine.started(tmp_path, *ALL, **_settings(watched.url), **PATIENT) as engine:
        engine.define("naps", NAPS)
        flows = engine.register("naps", 100)
        engine.wait_until_ended(flows)
        _proved(engine, flows)
        assert engine.tracebacks() == []
