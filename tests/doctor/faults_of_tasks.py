"""Faults by which tasks wait."""

from collections.abc import Generator
from typing import Any

from acceptance.running import RunningEngine
from doctor.faults import Given, ended, fault, second_worker, sql
from flower_engine.doctor.subject import Bounds


@fault("problem", "tasks.unserved", "1 ready tasks wait for program Noop of queue nobody", "--queue nobody")
def a_task_that_nobody_serves(engine: RunningEngine, given: Given) -> Generator[None]:
    engine.define("unserved", [{"taskSeq": 1, "program": "Noop", "queue": "nobody"}])
    with ended(engine, "unserved"):
        yield


@fault("warning", "programs.defined", "no live worker has: Nope", "start workers")
def a_program_that_nobody_has(engine: RunningEngine, given: Given) -> Generator[None]:
    engine.define_ahead("unknown", [{"taskSeq": 1, "program": "Nope"}])
    try:
        yield
    finally:
        engine.ask("DELETE", "/workflows/unknown")


@fault("warning", "programs.versions", "program add has 2 live versions", "restart the older workers")
def two_versions_of_a_program(engine: RunningEngine, given: Given) -> Generator[None]:
    with second_worker(engine, given, "async def add(a: int, c: int = 1) -> int:\n    return a + c\n"):
        yield


@fault("warning", "tasks.oldest", "has been ready for", "flower why")
def a_task_that_waits_for_long(engine: RunningEngine, given: Given) -> Generator[None]:
    folder, parameters = given.folder, {"folder": str(given.folder)}
    engine.start("worker-2", FLOWER_QUEUES="small", FLOWER_CONCURRENCY="1")
    wait = {"program": "wait_async", "queue": "small", "parameters": parameters}
    engine.define_ahead("small", [{"taskSeq": seq, "dependsOn": [], **wait} for seq in (1, 2)])
    given.bounds = Bounds(oldest_ready_seconds=0.5)
    (flow,) = engine.register("small", 1)
    engine.wait_for("an attempt", lambda: bool(list(folder.glob("began-*"))))
    try:
        yield
    finally:
        (folder / "go").touch()
        engine.wait_until_ended([flow])
        engine.ask("DELETE", "/workflows/small")
        engine.stop("worker-2")


@fault(
    "warning", "held", "queue narrow is paused by operator (night): nothing", "flower release queue narrow"
)
def a_queue_that_is_paused(engine: RunningEngine, given: Given) -> Generator[None]:
    sql(
        engine,
        "INSERT INTO ms_flow_control (scope, name, is_paused, reason, changed_by)"
        " VALUES ('queue', 'narrow', true, 'night', 'operator')",
    )
    try:
        yield
    finally:
        sql(engine, "DELETE FROM ms_flow_control")


@fault("warning", "kept results", "of results for tasks to come, of 1 MB", "FLOWER_MAX_KEPT_MB")
def results_that_wait_for_their_readers(engine: RunningEngine, given: Given) -> Generator[None]:
    given_on = {"value": {"$from": "large"}}
    rows: list[dict[str, Any]] = [
        {"taskSeq": 1, "taskName": "large", "program": "give_thread", "parameters": {"size": 900_000}},
        {"taskSeq": 2, "program": "give", "queue": "nobody", "dependsOn": ["large"], "parameters": given_on},
    ]
    engine.define("keeps", rows)
    given.settings["max_kept_mb"] = 1
    with ended(engine, "keeps"):
        yield
