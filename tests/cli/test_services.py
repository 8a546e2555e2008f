"""A service alone ends when asked, when asked twice, and in any case; its errors are one clear line."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.up_process import CANNOT_RUN, stub_services

WAITS = """
import sys

async def serve(settings, stop):
    print("serving", flush=True)
    await stop.wait()
    print("ended", flush=True)
"""
HANGS = """
import asyncio
from flower_engine.runtime import lifecycle

lifecycle._END_SECONDS = 0.0

async def serve(settings, stop):
    print("serving", flush=True)
    await stop.wait()
    print("hanging", flush=True)
    import time
    time.sleep(60)  # not even the event loop answers
"""
STORES = {"FLOWER_REDIS_URL": "redis://x", "FLOWER_DATABASE_URL": "postgresql:///x"}


@contextmanager
def worker(folder: Path, text: str, *flags: str, **variables: str) -> Generator[subprocess.Popen[str]]:
    stubs = stub_services(folder / "stubs", worker=text)
    with subprocess.Popen(
        [sys.executable, "-m", "flower_cli", "worker", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(stubs), **STORES, **variables},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_asks_it_to_end(number: signal.Signals, tmp_path: Path) -> None:
    with worker(tmp_path, WAITS) as process:
        assert read_line(process) == "serving"
        process.send_signal(number)
        printed, log = process.communicate()
        assert process.returncode == 0
    assert printed == "ended\n"
    assert log.endswith(f"INFO    worker: stopping ({number.name})\n")


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with worker(tmp_path, HANGS.replace("time.sleep(60)", "await asyncio.sleep(60)")) as process:
        assert read_line(process) == "serving"
        process.terminate()
        assert read_line(process) == "hanging"
        process.terminate()
        assert process.wait(timeout=30) == 128 + signal.SIGTERM


def test_one_that_hangs_when_asked_is_ended_after_its_grace_time(tmp_path: Path) -> None:
    with worker(tmp_path, HANGS, "--grace-seconds", "0.1") as process:
        assert read_line(process) == "serving"
        process.terminate()
        _, log = process.communicate(timeout=30)
        assert process.returncode == 1
    assert "ending at once: it did not end in time" in log


def test_an_error_of_flower_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    with worker(tmp_path, CANNOT_RUN) as process:
        _, log = process.communicate(timeout=30)
        assert process.returncode == 1
    assert log == "error: Redis went back in time: restore it\n"


def test_wrong_settings_are_one_line_and_exit_code_2(tmp_path: Path) -> None:
    with worker(tmp_path, WAITS, FLOWER_CONCURRENCY="many") as process:
        _, log = process.communicate(timeout=30)
        assert process.returncode == 2
    assert log.startswith("error: settings are wrong: FLOWER_CONCURRENCY = 'many': ")
    assert log.count("\n") == 1


def test_a_misspelt_variable_is_pointed_out(tmp_path: Path) -> None:
    with worker(tmp_path, WAITS, FLOWER_CONCURENCY="5") as process:
        assert read_line(process) == "serving"
        process.terminate()
        _, log = process.communicate(timeout=30)
    assert "FLOWER_CONCURENCY is not a setting and is ignored (is it FLOWER_CONCURRENCY?)" in log


def test_without_stores_it_says_what_to_set(tmp_path: Path) -> None:
    with worker(tmp_path, WAITS, FLOWER_DATABASE_URL="", FLOWER_HOME=str(tmp_path / "home")) as process:
        _, log = process.communicate(timeout=30)
        assert process.returncode == 1
    assert log.startswith(f"error: no engine runs on the data folder {tmp_path / 'home'}: ")
    assert log.endswith("or set FLOWER_DATABASE_URL to the servers to use\n")
