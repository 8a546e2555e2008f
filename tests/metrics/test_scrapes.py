"""What every service tells Prometheus, and that the numbers are right: real processes, two workers, a
projector that is restarted."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from acceptance.running import PATIENT, RunningEngine
from flower_engine.runtime.metrics.catalogue import METRICS
from metrics.scraping import Page, scrape, told_at

SERVICES = ("api", "projector", "watcher", "worker", "worker-2")
_CHAIN = [{"taskSeq": seq, "program": "Noop", "taskPriority": 0} for seq in (1, 2, 3)]
_LOGS = [
    {"taskSeq": 1, "program": "logs", "taskPriority": 0},
    {"taskSeq": 2, "program": "logs_in_process", "taskPriority": 0},
]
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-")
BEFORE, AFTER = 40, 29
LOGGED = 2  # tasks, of one more flow
FAILED = 2


class Seen(NamedTuple):
    """``before``: as the projector was asked to stop; ``after``: at the end, by service. ``logs`` of all."""

    before: Page
    after: dict[str, Page]
    api: Page
    logs: dict[str, str]
    logging: str


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    folder = tmp_path_factory.mktemp("metrics")
    programs = {"FLOWER_PROGRAMS": "metrics.failing", "PYTHONPATH": str(Path(__file__).parents[1])}
    with RunningEngine.started(
        folder, *SERVICES, FLOWER_METRICS_PORT="0", FLOWER_LOG_FORMAT="json", **programs, **PATIENT
    ) as engine:
        engine.wait_for("both workers", lambda: engine.client.get("/workers").text.count('"pid"') == 2)
        engine.define("metrics-chain", _CHAIN)
        engine.define("metrics-fails", [{"taskSeq": 1, "program": "fails", "taskPriority": 0}])
        engine.wait_until_ended(engine.register("metrics-chain", BEFORE))
        before = _page(engine, folder, "projector", lambda page: _counted(page) == (BEFORE, 0))
        engine.stop("projector")
        (folder / "projector.log").rename(folder / "projector-before.log")
        engine.start("projector")
        engine.register("metrics-fails", FAILED)
        engine.wait_until_ended(engine.register("metrics-chain", AFTER))
        engine.wait_for(
            "the failures",
            lambda: engine.client.get("/metrics").text.find(f"flower_suspended_tasks {FAILED}.0") > 0,
        )
        engine.define("metrics-logs", _LOGS)
        [logging] = engine.register("metrics-logs", 1)
        engine.wait_until_ended([logging])
        # Each service knows a little later than the tables what it did.
        done: dict[str, Callable[[Page], bool]] = {
            "projector": lambda page: _counted(page) == (AFTER + 1, FAILED),
            "api": _is_at_rest,
            "watcher": lambda page: _calls(page, "watcher/lapse") > 0,
            "worker": _is_idle,
            "worker-2": _is_idle,
        }
        after = {name: _page(engine, folder, name, done.get(name)) for name in SERVICES}
        api = scrape(engine.url)
    logs = {file.stem: file.read_text() for file in folder.glob("*.log")}
    return Seen(before, after, api, logs, logging)


def _page(engine: RunningEngine, folder: Path, service: str, holds: Callable[[Page], bool] | None) -> Page:
    """What the service tells, as soon as that holds of it."""
    found: list[Page] = []

    def is_there() -> bool:
        found[:] = [scrape(_url(engine, folder, service))]
        return holds is None or holds(found[0])

    engine.wait_for(f"{service} to tell what it did", is_there)
    return found[0]


def _counted(page: Page) -> tuple[float, float]:
    """Flows that have ended, and tasks that failed for good."""
    return page.value("flower_flows_total", event="ended"), page.value(
        "flower_tasks_total", event="suspended"
    )


def _calls(page: Page, script: str) -> float:
    return page.value("flower_transition_seconds_count", script=script)


def _is_at_rest(page: Page) -> bool:
    """An engine in which only what failed is open, as the API sees it: it looks anew once a second."""
    tasks = [page.value(f"flower_{kind}_tasks", queue="default") for kind in ("ready", "running")]
    return page.value("flower_open_flows") == FAILED and tasks == [0, 0]


def _is_idle(page: Page) -> bool:
    """A worker that has asked for tasks and runs none."""
    return (
        _calls(page, "worker/finish_and_claim") > 0 and page.value("flower_worker_slots", state="busy") == 0
    )


def _url(engine: RunningEngine, folder: Path, service: str) -> str:
    log = folder / f"{service}.log"
    engine.wait_for(f"{service} to tell where it tells of itself", lambda: told_at(log) is not None)
    url = told_at(log)
    assert url is not None
    return url


def test_each_service_tells_what_the_catalogue_says_of_it_and_nothing_else(seen: Seen) -> None:
    for name, page in seen.after.items():
        service = name.partition("-")[0]
        wanted = {metric: METRICS[metric].kind for metric in METRICS if service in METRICS[metric].services}
        told = {
            metric: family.type for metric, family in page.families.items() if metric.startswith("flower_")
        }
        assert told == wanted, name


def test_labels_are_those_of_the_catalogue(seen: Seen) -> None:
    for page in (*seen.after.values(), seen.api):
        for metric, family in page.families.items():
            if metric in METRICS:
                labels = {label for sample in family.samples for label in sample.labels} - {"le"}
                assert labels <= set(METRICS[metric].labels), metric
                assert family.documentation == METRICS[metric].means


def test_no_label_names_a_flow(seen: Seen) -> None:
    for page in (*seen.after.values(), seen.api, seen.before):
        assert {value for value in page.label_values() if _ID.search(value)} == set()


def test_every_process_tells_of_its_memory_and_cpu(seen: Seen) -> None:
    for page in seen.after.values():
        assert page.value("process_resident_memory_bytes") > 1e6
        assert page.value("process_cpu_seconds_total") > 0


def test_tasks_and_flows_are_counted_right_across_a_restart_of_the_projector(seen: Seen) -> None:
    first, second = seen.before, seen.after["projector"]
    for page, chains, logged, failed in ((first, BEFORE, 0, 0), (second, AFTER, LOGGED, FAILED)):
        finished, flows = 3 * chains + logged, chains + bool(logged)
        for event, tasks in (
            ("registered", finished + failed),
            ("started", finished + failed),
            ("finished", finished),
            ("suspended", failed),
        ):
            assert page.value("flower_tasks_total", event=event) == tasks, event
        assert page.value("flower_flows_total", event="registered") == flows + failed
        assert page.value("flower_flows_total", event="ended") == flows
        assert page.value("flower_task_run_seconds_count") == finished + failed
        assert page.value("flower_task_wait_seconds_count", reason="queue") == finished + failed
        assert page.value("flower_task_wait_seconds_count", reason="dependencies") == finished - flows
        assert page.value("flower_projector_batch_seconds_count") > 0
        assert page.value("flower_projector_partitions") == 1
        # What all events are that this load makes, and no other.
        assert page.value("flower_projector_events_total") >= 2 * finished + flows + 3 * failed


def test_the_slots_of_each_worker_are_free_again(seen: Seen) -> None:
    for name in ("worker", "worker-2"):
        page = seen.after[name]
        states = {
            state: page.value("flower_worker_slots", state=state) for state in ("busy", "free", "stuck")
        }
        assert states == {"busy": 0, "free": 100, "stuck": 0}
        assert page.value("flower_transition_seconds_count", script="worker/finish_and_claim") > 0
        assert page.value("flower_outcomes_refused_total", why="stale") == 0
        assert 0 <= page.value("flower_worker_heartbeat_age_seconds") < 120


def test_the_api_tells_how_the_engine_stands(seen: Seen) -> None:
    for page in (seen.api, seen.after["api"]):
        assert page.value("flower_store_up", store="redis") == 1
        assert page.value("flower_store_up", store="postgres") == 1
        assert page.value("flower_workers") == 2
        assert page.value("flower_queue_workers", queue="default") == 2
        assert page.value("flower_ready_tasks", queue="default") == 0
        assert page.value("flower_running_tasks", queue="default") == 0
        assert page.value("flower_suspended_tasks") == FAILED
        assert page.value("flower_open_flows") == FAILED
        assert page.value("flower_log_bytes") > 1_000
        assert page.value("flower_redis_memory_bytes") > 1e6
        assert page.value("flower_postgres_bytes") > 1e6
        assert page.value("flower_http_requests_total", method="PUT", status="201") == 3
        assert page.value("flower_http_request_seconds_count", route="/register") == 4
        assert page.value("flower_transition_seconds_count", script="register/register") > 0


def test_the_watcher_tells_how_long_its_transitions_take(seen: Seen) -> None:
    assert seen.after["watcher"].value("flower_transition_seconds_count", script="watcher/lapse") > 0


def test_each_service_logs_one_object_a_line(seen: Seen) -> None:
    assert set(seen.logs) == {*SERVICES, "projector-before"}
    for name, log in seen.logs.items():
        lines = [json.loads(line) for line in log.splitlines()]
        assert lines, name
        for line in lines:
            assert {"time", "level", "service", "logger", "message"} <= line.keys()
            assert line["service"] == name.partition("-")[0]
            assert "traceback" not in line  # nothing happened that nobody expects


def test_what_programs_log_has_flow_task_and_attempt(seen: Seen) -> None:
    lines = [json.loads(line) for name in ("worker", "worker-2") for line in seen.logs[name].splitlines()]
    told = [
        (line["logger"], line["message"], line.get("task"))
        for line in lines
        if line.get("flow") == seen.logging and line["attempt"] == 1
    ]
    assert ("people", "odd\nin two lines", 1) in told
    assert ("people", "odd in a process", 2) in told
