"""What asks for another machine is counted, whoever asks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ASKS = """
import contextlib, socket
for family, address in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with contextlib.suppress(OSError), socket.socket(family, kind) as asking:
            asking.connect((address, 9))
"""
STAYS = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname()).close()
"""


def count(tmp_path: Path, code: str) -> int:
    counts = tmp_path / "counts"
    command = [sys.executable, "-m", "loopback_only", str(counts), sys.executable, "-c", code]
    path = str(Path(__file__).parents[1])
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    if "CannotIsolateError" in done.stderr:
        pytest.skip("this system gives nobody a network of his own")
    assert done.returncode == 0, done.stderr
    return int(counts.read_text())


def test_each_way_to_another_machine_is_counted(tmp_path: Path) -> None:
    assert count(tmp_path, ASKS) == 4


def test_what_stays_on_this_machine_is_not(tmp_path: Path) -> None:
    assert count(tmp_path, STAYS) == 0
