"""A session of pytest as a person has it: the plug-in by its entry point, tests beside each other."""

import subprocess
import sys
from pathlib import Path

_FLOWS = """
from datetime import timedelta

from flower_engine import RetryPolicy, program, workflow


@program
def load(day: str) -> int:
    raise ConnectionError("no network in tests")


@workflow("nightly")
def nightly(day: str) -> int:
    return load.having(retry=RetryPolicy(2, delay="2h")).step(day)
"""
_TESTS = """
import time

import pytest
from flows import load, nightly

FLOWS = []

@pytest.mark.parametrize("rows", [1, 2])
def test_nightly(flower, rows):
    flower.stub(load, ConnectionError("away"), rows)
    run = flower.run(nightly, day="2026-01-05")
    assert run.result == rows
    assert run.skipped.total_seconds() == 7200
    assert list(run.tasks) == ["load"]

def test_beside_each_other(flower, tmp_path_factory, worker_id):
    here = tmp_path_factory.getbasetemp().parent

    def meet(day):  # both run at this moment, each in a process of its own, with the same key
        (here / worker_id).touch()
        until = time.monotonic() + 60
        while time.monotonic() < until and not ((here / "gw0").exists() and (here / "gw1").exists()):
            time.sleep(0.01)
        return len(list(here.glob("gw?")))

    flower.stub(load, meet)
    assert flower.run(nightly.having(key="same"), day="2026-01-05").result == 2

def test_a_message(flower):
    flower.run(nightly, day="2026-01-05")
"""
_BEFORE = """
import sys

def pytest_collection():
    assert "pytest_flower" in sys.modules
    assert not [name for name in sys.modules if name.split(".")[0] == "flower_engine"]
"""
_OTHER_PLUGINS = ("valkey", "cacheprovider", "asyncio", "anyio", "schemathesis", "hypothesispytest")


def test_tests_of_workflows_run_beside_each_other(tmp_path: Path) -> None:
    """And the plug-in imports nothing before the first of them."""
    for name, text in (("flows", _FLOWS), ("test_flows", _TESTS), ("conftest", _BEFORE)):
        (tmp_path / f"{name}.py").write_text(text)

    words = [word for plugin in _OTHER_PLUGINS for word in ("-p", f"no:{plugin}")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", "--dist", "each", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    said = done.stdout + done.stderr
    assert "2 failed, 6 passed" in said, said
    assert "StuckError: flow" in said
    assert "load: suspended in attempt 2: ConnectionError: no network in tests" in said
