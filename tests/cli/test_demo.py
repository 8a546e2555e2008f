"""``flower demo`` shows a workflow from its definition to its rows, and leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import loopback_only
from cli.up_process import CANNOT_RUN, stub_services
from forked_flower import flower


def demo(folder: Path, counts: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the demo as a person does, with its throwaway folder inside ``folder``, and without a network where
    the system can do that: how often another machine was asked for stands in ``counts`` then."""
    command = [sys.executable, "-m", "flower_cli", "demo"]
    isolated = [sys.executable, str(Path(loopback_only.__file__)), str(counts)]
    return subprocess.run(
        [*isolated, *command] if can_isolate() else command,
        env={**os.environ, "TMPDIR": str(folder), **variables},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def can_isolate() -> bool:
    probe = "import loopback_only; loopback_only.isolate()"
    path = str(Path(loopback_only.__file__).parent)
    asked = [sys.executable, "-c", probe]
    return subprocess.run(asked, env={**os.environ, "PYTHONPATH": path}, check=False).returncode == 0


def test_the_example_runs_from_its_definition_to_its_rows_and_sends_nothing_home(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # What is set for a real engine is not for this one.
    counts = tmp_path_factory.mktemp("network") / "counts"
    ended = demo(tmp_path, counts, FLOWER_REDIS_URL="redis://elsewhere.example", FLOWER_PORT="1")
    assert ended.returncode == 0, ended.stderr
    for number, program in enumerate(
        ("EchoRandomTimeSleep", "EchoParamTimeSleep", "HTTPPostRequest"), start=1
    ):
        assert f"task {number} {program}: Finish" in ended.stdout
    assert "total = add_up.step([north, south], at_least)" in ended.stdout
    assert 'the flow of sales day=2026-01-05 at_least=10 returned {"pens": 30}' in ended.stdout
    assert "kr_task_stat" in ended.stdout
    assert '{"SLEEP_TIME_SECOND": "3"}' in ended.stdout
    assert "make run" in ended.stdout
    assert not can_isolate() or counts.read_text() == "0"
    assert_nothing_left(tmp_path)


def test_an_engine_that_does_not_start_is_a_clear_error(tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    stubs = stub_services(tmp_path / "stubs", api=CANNOT_RUN)
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(stubs)}
    ended = flower("demo", environment=environment, timeout=600)
    assert ended.returncode == 1
    assert "error: the engine ended while it was starting" in ended.stderr
    assert "api cannot run (3 attempts): Redis went back in time: restore it" in ended.stderr
    assert_nothing_left(folder)


def assert_nothing_left(folder: Path) -> None:
    assert list(folder.iterdir()) == []
    running = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert [command for command in running if str(folder) in command] == []
