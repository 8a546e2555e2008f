"""Servers of a test's own."""

from collections.abc import Generator
from pathlib import Path

import pytest

from cluster.servers import ClusterServers, SentinelServers


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
