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
    time.sleep(600)  # not even the event loop answers
"""
SHORT_END = """
import asyncio
from flower_engine.runtime import lifecycle

lifecycle._END_SECONDS = 0.5

async def swallow():
    while True:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            pass
"""
RETURNS_BESIDE_A_TASK_THAT_STAYS = (
    SHORT_END
    + """
async def serve(settings, stop):
    task = asyncio.create_task(swallow())
    print("serving", flush=True)
    await stop.wait()
"""
)
FAILS_BESIDE_A_TASK_THAT_STAYS = (
    SHORT_END
    + """
from flower_engine.errors import LostError

async def serve(settings, stop):
    task = asyncio.create_task(swallow())
    print("serving", flush=True)
    await asyncio.sleep(0)
    raise LostError("Redis went back in time:\\nrestore it")
"""
)
HAS_A_BUG_BESIDE_A_TASK_THAT_STAYS = FAILS_BESIDE_A_TASK_THAT_STAYS.replace("LostError(", "KeyError(")
BLOCKS_THE_LOOP = (
    SHORT_END
    + """
import time

async def serve(settings, stop):
    print("serving", flush=True)
    time.sleep(600)
"""
)
NEVER_RETURNS_FROM_C = (
    SHORT_END
    + """
import hashlib

async def serve(settings, stop):
    print("serving", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"x", b"y", 2_000_000_000)
"""
)
LEAVES_A_THREAD = (
    SHORT_END
    + """
import threading, time

async def serve(settings, stop):
    threading.Thread(target=time.sleep, args=(600,)).start()
    print("serving", flush=True)
    await stop.wait()
"""
)
HOLDS_THE_LOG = BLOCKS_THE_LOOP.replace(
    "    time.sleep",
    """    import logging
    logging.root.handlers[0].acquire()
    time.sleep""",
)
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
    assert log.endswith(f": stopping ({number.name})\n") and " INFO    worker " in log


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with worker(tmp_path, HANGS.replace("time.sleep(600)", "await asyncio.sleep(600)")) as process:
        assert read_line(process) == "serving"
        process.terminate()
        assert read_line(process) == "hanging"
        process.terminate()
        assert process.wait(timeout=120) == 128 + signal.SIGTERM


def test_one_that_hangs_when_asked_is_ended_after_its_grace_time(tmp_path: Path) -> None:
    with worker(tmp_path, HANGS, "--grace-seconds", "0.1") as process:
        assert read_line(process) == "serving"
        process.terminate()
        _, log = process.communicate(timeout=120)
        assert process.returncode == 1
    assert "ending at once: it did not end in time" in log


@pytest.mark.parametrize(
    "text", [RETURNS_BESIDE_A_TASK_THAT_STAYS, BLOCKS_THE_LOOP, LEAVES_A_THREAD, HOLDS_THE_LOG]
)
def test_whatever_a_program_leaves_behind_it_ends_when_its_time_is_up(text: str, tmp_path: Path) -> None:
    with worker(tmp_path, text, "--grace-seconds", "0.1") as process:
        assert read_line(process) == "serving"
        process.terminate()
        _, log = process.communicate(timeout=120)
        assert process.returncode == 1
    assert "ending at once: it did not end in time" in log or text is HOLDS_THE_LOG


@pytest.mark.parametrize("text", [BLOCKS_THE_LOOP, NEVER_RETURNS_FROM_C], ids=["sleep", "a call into C"])
def test_a_second_signal_ends_it_at_once_even_where_its_loop_is_blocked(tmp_path: Path, text: str) -> None:
    with worker(tmp_path, text, "--grace-seconds", "1000") as process:
        assert read_line(process) == "serving"
        process.terminate()
        assert process.stderr is not None
        assert "stopping (SIGTERM)" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=120) == 128 + signal.SIGINT


def test_an_error_is_said_before_what_a_program_leaves_behind_is_waited_for(tmp_path: Path) -> None:
    with worker(tmp_path, FAILS_BESIDE_A_TASK_THAT_STAYS) as process:
        _, log = process.communicate(timeout=120)
        assert process.returncode == 1
    said, forced = log.splitlines()
    assert said == "error: Redis went back in time: restore it"
    assert "ending at once: it did not end in time" in forced


def test_a_bug_of_a_service_is_told_with_its_traceback_and_exit_code_1(tmp_path: Path) -> None:
    with worker(tmp_path, HAS_A_BUG_BESIDE_A_TASK_THAT_STAYS) as process:
        _, log = process.communicate(timeout=120)
        assert process.returncode == 1
    assert log.count("Traceback") == 1
    assert "KeyError: " in log


def test_an_error_of_flower_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    with worker(tmp_path, CANNOT_RUN) as process:
        _, log = process.communicate(timeout=120)
        assert process.returncode == 1
    assert log == "error: Redis went back in time: restore it\n"


def test_wrong_settings_are_one_line_and_exit_code_2(tmp_path: Path) -> None:
    with worker(tmp_path, WAITS, FLOWER_CONCURRENCY="many") as process:
        _, log = process.communicate(timeout=120)
        assert process.returncode == 2
    assert log.startswith("error: settings are wrong: FLOWER_CONCURRENCY = 'many': ")
    assert log.count("\n") == 1


def test_a_misspelt_variable_is_pointed_out(tmp_path: Path) -> None:
    with worker(tmp_path, WAITS, FLOWER_CONCURENCY="5") as process:
        assert read_line(process) == "serving"
        process.terminate()
        _, log = process.communicate(timeout=120)
    assert "FLOWER_CONCURENCY is not a setting and is ignored (is it FLOWER_CONCURRENCY?)" in log


def test_without_stores_it_says_what_to_set(tmp_path: Path) -> None:
    """A worker needs no Postgres."""
    with worker(
        tmp_path, WAITS, FLOWER_REDIS_URL="", FLOWER_DATABASE_URL="", FLOWER_HOME=str(tmp_path / "home")
    ) as process:
        _, log = process.communicate(timeout=120)
        assert process.returncode == 1
    assert log.startswith(f"error: no engine runs on the data folder {tmp_path / 'home'}: ")
    assert log.endswith("or set FLOWER_REDIS_URL to the servers to use\n")
