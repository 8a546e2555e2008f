"""Faults of services: those that are gone, stand still, or are behind."""

import os
import signal
from collections.abc import Generator

from acceptance.running import RunningEngine
from doctor.faults import OWN, Given, ended, fault, redis, second_worker, sql
from flower_engine.doctor.subject import Bounds
from flower_engine.log.keys import Keys


@fault("problem", "watchers", "nobody has watched partition 0", "flower watcher")
def no_watcher(engine: RunningEngine, given: Given) -> Generator[None]:
    engine.stop("watcher")
    given.bounds = Bounds(silence_seconds=1.0)
    try:
        yield
    finally:
        engine.start("watcher")


@fault("problem", "projectors", "no projector is at work on partition 0", "flower projector")
def no_projector(engine: RunningEngine, given: Given) -> Generator[None]:
    engine.stop("projector")
    try:
        yield
    finally:
        engine.start("projector")


@fault("problem", "lag.projection", "are not in Postgres yet, the oldest for", "see that a projector runs")
def a_projector_that_stands_still(engine: RunningEngine, given: Given) -> Generator[None]:
    engine.define("quick", [{"taskSeq": 1, "program": "Noop"}])
    os.kill(engine.service_pid("projector"), signal.SIGSTOP)
    given.bounds = Bounds(lag_seconds=(0.5, 1.0))
    engine.register("quick", 1)
    try:
        yield
    finally:
        os.kill(engine.service_pid("projector"), signal.SIGCONT)
        engine.ask("DELETE", "/workflows/quick")


@fault("problem", "lag.projection", "so nothing is registered", "see that a projector runs")
def a_backlog_beyond_its_bound(engine: RunningEngine, given: Given) -> Generator[None]:
    engine.define("quick", [{"taskSeq": 1, "program": "Noop"}])
    os.kill(engine.service_pid("projector"), signal.SIGSTOP)
    given.settings["max_unprojected_events"] = 1
    engine.register("quick", 1)
    try:
        yield
    finally:
        os.kill(engine.service_pid("projector"), signal.SIGCONT)
        engine.ask("DELETE", "/workflows/quick")


@fault("warning", "lag.followers", "traces are behind the archive by", "take their rows out of kr_follower")
def a_follower_that_nobody_runs(engine: RunningEngine, given: Given) -> Generator[None]:
    given.bounds = Bounds(follower_seconds=0.0)
    sql(
        engine,
        "INSERT INTO kr_follower (name, partition, position_ms, position_seq) VALUES ('traces', 0, 0, 0)",
    )
    try:
        yield
    finally:
        sql(engine, "DELETE FROM kr_follower")


@fault("warning", "lag.task_logs", "what tasks wrote has waited for", "a projector runs")
def lines_that_nobody_stores(engine: RunningEngine, given: Given) -> Generator[None]:
    given.bounds = Bounds(task_log_seconds=0.0)
    os.kill(engine.service_pid("projector"), signal.SIGSTOP)
    key = Keys(0).tasklog
    try:
        redis(engine, "XADD", key, "*", "c", "[]")
        yield
    finally:
        os.kill(engine.service_pid("projector"), signal.SIGCONT)


@fault("problem", "api", "no API answers at", "flower api")
def no_api(engine: RunningEngine, given: Given) -> Generator[None]:
    given.settings["url"] = "http://127.0.0.1:1"
    yield


@fault("warning", "api", "answers 404", "names an API of Flower")
def an_api_of_others(engine: RunningEngine, given: Given) -> Generator[None]:
    given.settings["url"] = f"{engine.url}/elsewhere"
    yield


@fault("warning", "workers", "no worker is alive", "flower worker")
def no_worker(engine: RunningEngine, given: Given) -> Generator[None]:
    engine.stop("worker")
    try:
        yield
    finally:
        engine.start("worker")


@fault("warning", "workers.stuck", "has 1 stuck slots: flow", "restart the worker")
def a_slot_that_is_stuck(engine: RunningEngine, given: Given) -> Generator[None]:
    folder = given.folder
    engine.define("stuck", [{"taskSeq": 1, "program": "wait_thread", "parameters": {"folder": str(folder)}}])
    (flow,) = engine.register("stuck", 1)
    engine.wait_for("the attempt", (folder / "began-1-1").exists)
    engine.ask("POST", f"/flows/{flow}/cancel")
    try:
        yield
    finally:
        (folder / "go").touch()
        engine.ask("DELETE", "/workflows/stuck")


@fault("warning", "workers.outdated", "runs code from before", "restart it")
def a_module_that_was_changed(engine: RunningEngine, given: Given) -> Generator[None]:
    with second_worker(engine, given, "def own() -> int:\n    return 1\n"):
        (given.folder / "doctors_own.py").write_text(OWN + "def own() -> int:\n    return 2\n")
        yield


@fault("problem", "workers.unable", "cannot start program own", "mend what it says")
def a_program_that_cannot_be_started(engine: RunningEngine, given: Given) -> Generator[None]:
    (given.folder / "read.py").write_text("")
    text = "exec(Path(__file__).with_name('read.py').read_text())\n"
    text += "@program(kind='process')\ndef own() -> int:\n    return 1\n"
    with second_worker(engine, given, text, broken="1 / 0"):
        engine.define("own", [{"taskSeq": 1, "program": "own", "queue": "own"}])
        with ended(engine, "own"):
            yield
