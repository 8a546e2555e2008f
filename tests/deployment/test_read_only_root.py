"""Services on a file system that nobody can write, but for one folder: as in a container with read_only."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from acceptance.running import TESTS, RunningEngine
from flower_engine.embedded.processes import tail
from held_port import held_port

SERVICES = ("api", "projector", "watcher", "worker")
_READ_ONLY = 'mount -o remount,bind,ro / && mount -t tmpfs tmpfs "$TMPDIR" && cd / && exec "$@"'


def _can_mount() -> bool:
    """Whether this process may have mounts of its own, as root has where no container forbids it."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    command = ["unshare", "--mount", "sh", "-c", "mount -o remount,bind,ro /"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _wait_until_ended(client: httpx.Client, flow: str) -> None:
    deadline = time.monotonic() + 120
    while client.get(f"/flows/{flow}").json()["status"] != "Finish":
        assert time.monotonic() < deadline, client.get(f"/flows/{flow}").text
        time.sleep(0.1)


@pytest.mark.skipif(not _can_mount(), reason="only root can have a file system that is read-only")
def test_services_need_no_place_to_write_but_for_temporary_files(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with RunningEngine.started(tmp_path) as engine, ExitStack() as stack:
        port = stack.enter_context(held_port())
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "TMPDIR": str(temporary),
            "PYTHONPATH": str(TESTS),
            "FLOWER_REDIS_URL": engine.addresses.redis_url,
            "FLOWER_DATABASE_URL": engine.addresses.database_url,
            "FLOWER_PROGRAMS": "metrics.failing",
            "FLOWER_PORT": str(port),
            "FLOWER_METRICS_PORT": "0",
        }
        found: list[subprocess.Popen[bytes]] = []
        for name in SERVICES:
            log = stack.enter_context((tmp_path / f"{name}.log").open("wb"))
            words = [sys.executable, "-m", "flower_cli", name]
            own = {"FLOWER_DATABASE_URL": ""} if name == "worker" else {}  # it has no use for it
            found.append(
                subprocess.Popen(
                    ["unshare", "--mount", "sh", "-c", _READ_ONLY, "sh", *words],
                    env=environment | own,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
            stack.callback(found[-1].kill)
        client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120))
        engine.wait_for("the API", lambda: _answers(client))
        tasks = [{"taskSeq": 1, "program": "logs"}, {"taskSeq": 2, "program": "logs_in_process"}]
        client.put("/workflows/here", json={"tasks": tasks}).raise_for_status()
        _wait_until_ended(client, client.post("/register/here").json()["taskFlowId"])
        for process in found:
            process.terminate()
        said = {name: tail(tmp_path / f"{name}.log") for name in SERVICES}
        assert [process.wait(120) for process in found] == [0] * len(SERVICES), said
        assert not any("Read-only file system" in text for text in said.values()), said


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False
