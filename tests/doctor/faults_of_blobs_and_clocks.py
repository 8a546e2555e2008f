"""Faults of stores of blobs, and of clocks."""

import os
import signal
import socket
import time
from collections.abc import Generator
from tempfile import TemporaryDirectory

from acceptance.running import RunningEngine
from doctor.faults import Given, fault, redis
from flower_engine.doctor import of_clocks
from flower_engine.log.keys import Keys


@fault("problem", "blobs", "/dev/null is no folder", "FLOWER_BLOBS")
def blobs_in_no_folder(engine: RunningEngine, given: Given) -> Generator[None]:
    given.settings["blobs"] = "file:///dev/null/blobs"
    yield


@fault("warning", "blobs", "there is no store of blobs at", "mounted")
def a_store_of_blobs_whose_folder_is_empty(engine: RunningEngine, given: Given) -> Generator[None]:
    with TemporaryDirectory() as folder:
        given.settings["blobs"] = f"file://{folder}"
        yield


@fault("problem", "blobs", "cannot be used", "credentials")
def a_store_of_blobs_that_is_away(engine: RunningEngine, given: Given) -> Generator[None]:
    given.settings["blobs"] = "ftp://127.0.0.1:1/blobs"
    yield


@fault("problem", "blobs", "did not answer within", "credentials")
def a_store_of_blobs_that_stands_still(engine: RunningEngine, given: Given) -> Generator[None]:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        given.settings["blobs"] = f"ftp://127.0.0.1:{silent.getsockname()[1]}/blobs"
        yield


@fault("problem", "clocks", "the clock of Redis is -60.0 s from this machine's", "NTP")
def a_clock_of_this_machine_that_is_ahead(engine: RunningEngine, given: Given) -> Generator[None]:
    right = of_clocks.time
    of_clocks.time = _Ahead()  # type: ignore[assignment]
    try:
        yield
    finally:
        of_clocks.time = right


class _Ahead:
    def time(self) -> float:
        return time.time() + 60


@fault("warning", "clocks", "Redis' clock went back", "it comes back by itself")
def a_clock_of_redis_that_went_back(engine: RunningEngine, given: Given) -> Generator[None]:
    meta = Keys(0).meta
    os.kill(engine.service_pid("watcher"), signal.SIGSTOP)  # its next look would tell more of it
    tick = int(redis(engine, "HGET", meta, "tick"))
    redis(engine, "HSET", meta, "tick", tick + 60_000, "skew", 60_000)
    try:
        yield
    finally:
        redis(engine, "HSET", meta, "tick", tick, "skew", 0)
        os.kill(engine.service_pid("watcher"), signal.SIGCONT)
