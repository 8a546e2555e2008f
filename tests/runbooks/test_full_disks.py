"""The disk of a store is full: nothing that was acknowledged is lost, and all goes on when there is room."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from acceptance.running import PATIENT, RunningEngine
from flower_engine.log.client import connect_blocking, send_blocking

_CHAIN = [{"taskSeq": seq, "program": "Noop", "taskPriority": 0} for seq in (1, 2, 3)]
SERVICES = ("projector", "watcher", "worker", "api")
_MB = 1 << 20


@contextlib.contextmanager
def _small_disk(folder: Path, size_mb: int) -> Generator[Path]:
    """A file system of its own in the folder; the test is skipped where nobody may make one."""
    folder.mkdir(mode=0o700)
    options = f"size={size_mb}m,mode=0700"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small disk takes root, who may mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class _Filler:
    """A file that takes what is left of a disk."""

    def __init__(self, disk: Path) -> None:
        self._file = disk / "filler"
        self._disk = disk

    def fill(self) -> None:
        with self._file.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * min(_MB, max(1, shutil.disk_usage(self._disk).free)))

    def remove(self) -> None:
        self._file.unlink()


def _registered(engine: RunningEngine, flows: list[str]) -> bool:
    """Tries to register some flows, and adds those that were acknowledged; whether all were."""
    try:
        reply = engine.client.post("/register", json=[{"taskId": "chain"}] * 20, timeout=60)
    except httpx.TransportError:
        return False
    if reply.status_code != 200:
        assert reply.status_code in (429, 503), reply.text
        return False
    entries: list[dict[str, Any]] = reply.json()
    assert {entry["code"] for entry in entries} <= {200, 429, 503}, entries
    acknowledged = [entry["taskFlowId"] for entry in entries if entry["code"] == 200]
    flows += acknowledged
    return len(acknowledged) == len(entries)


def _proved(engine: RunningEngine, flows: list[str]) -> None:
    engine.wait_until_ended(flows)
    done = engine.flower("verify")
    assert (done.returncode, "0 differences" in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.parametrize("syncs", ["always", "everysec"])
def test_that_of_redis(syncs: str, database_url: str, tmp_path: Path) -> None:
    with (
        _small_disk(tmp_path / "home", 64) as disk,
        RunningEngine.started(
            tmp_path, FLOWER_HOME=str(disk), FLOWER_DATABASE_URL=database_url, **PATIENT
        ) as engine,
        engine.stores_looked_after(),
    ):
        with connect_blocking(engine.addresses.redis_url) as redis:
            send_blocking(redis, "CONFIG", "SET", "appendfsync", syncs)
        for service in SERVICES:
            engine.start(service)
        engine.wait_until_ready()
        engine.define("chain", _CHAIN)
        flows = engine.register("chain", 100)
        filler = _Filler(disk)
        filler.fill()
        # It takes no more. With appendfsync always it even ends, and is started again and again.
        engine.wait_for("Redis to take no more", lambda: not _registered(engine, flows))
        engine.wait_for("that to be said", lambda: engine.client.get("/readyz").status_code == 503)
        filler.remove()
        engine.wait_for("Redis to take flows again", lambda: _registered(engine, flows))
        _proved(engine, flows)
        assert set(engine.stop_all().values()) == {0}


def test_the_memory_of_redis(database_url: str, tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *SERVICES, FLOWER_DATABASE_URL=database_url, **PATIENT) as engine:
        engine.define("chain", _CHAIN)
        flows = engine.register("chain", 100)
        with connect_blocking(engine.addresses.redis_url) as redis:
            send_blocking(redis, "CONFIG", "SET", "maxmemory", "1mb")
            assert not _registered(engine, flows)
            engine.wait_until_ended(flows)  # what is there ends, as outcomes are taken beyond the bound
            done = engine.flower("doctor")
            assert "redis.memory" in done.stdout
            send_blocking(redis, "CONFIG", "SET", "maxmemory", "0")
        engine.wait_for("Redis to take flows again", lambda: _registered(engine, flows))
        _proved(engine, flows)


def test_that_of_postgres(redis_url: str, tmp_path: Path) -> None:
    with (
        _small_disk(tmp_path / "home", 160) as disk,
        RunningEngine.started(
            tmp_path, *SERVICES, FLOWER_HOME=str(disk), FLOWER_REDIS_URL=redis_url, **PATIENT
        ) as engine,
        engine.stores_looked_after(),
    ):
        engine.define("chain", _CHAIN)
        flows = engine.register("chain", 100)
        engine.wait_until_ended(flows)
        filler = _Filler(disk)
        filler.fill()

        def is_behind() -> bool:
            """Postgres cannot take what is registered; Redis does."""
            assert _registered(engine, flows)
            with contextlib.suppress(psycopg.Error), psycopg.connect(engine.addresses.database_url) as there:
                row = there.execute("SELECT count(*) FROM kr_flow_stat").fetchone()
                return row is not None and row[0] + 500 < len(flows)
            return True

        engine.wait_for("Postgres to be behind", is_behind)
        filler.remove()
        _proved(engine, flows)
        assert set(engine.stop_all().values()) == {0}
