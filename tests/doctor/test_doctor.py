"""`flower doctor` on a whole engine: all is well; and each fault that it knows, brought about for real."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from acceptance.running import PATIENT, RunningEngine
from doctor.all_faults import FAULTS
from doctor.faults import Expected, Fault, Given, redis, sql
from flower_engine.doctor.examination import examine
from flower_engine.doctor.findings import Finding
from flower_engine.doctor.subject import Subject
from flower_engine.log.client import connect_blocking, send_blocking
from flower_engine.runtime.settings_loading import load_settings

ALL = ("api", "projector", "watcher", "worker")
PROGRAMS = {
    "FLOWER_PROGRAMS": "worker.sample_programs,worker.data_programs",
    "PYTHONPATH": str(Path(__file__).parents[1]),
    "FLOWER_HEARTBEAT_SECONDS": "0.4",
    **PATIENT,
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """One for all tests here: each puts right again what it did."""
    with RunningEngine.started(tmp_path_factory.mktemp("doctor"), *ALL, **PROGRAMS) as running:
        yield running


def found_in(engine: RunningEngine, given: Given) -> list[Finding]:
    """What an examination in this process finds."""
    stores = {"redis_url": engine.addresses.redis_url, "database_url": engine.addresses.database_url}
    settings = load_settings(**{**stores, "url": engine.url, **given.settings})
    subject = Subject(settings, given.environment, given.env_file_said, given.bounds)
    return asyncio.run(examine(subject))


def is_told(findings: list[Finding], expected: Expected) -> bool:
    return any(
        (one.state, one.check) == (expected.state, expected.check)
        and expected.says in one.detail
        and expected.advises in one.advice
        for one in findings
    )


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.bring.__name__)
def test_each_fault_is_found_and_what_to_do_is_said(
    engine: RunningEngine, tmp_path: Path, fault: Fault
) -> None:
    engine.wait_until_ready()
    given, found = Given(tmp_path), list[Finding]()

    def is_found() -> bool:
        found[:] = found_in(engine, given)
        told = is_told(found, fault.expected)
        time.sleep(0 if told else 0.3)  # to look costs more than the pause of wait_for
        return told

    with fault.bring(engine, given):
        try:
            engine.wait_for(str(fault.expected), is_found)
        except AssertionError as error:
            raise AssertionError(f"{[one for one in found if one.state != 'ok']}\n{error}") from None
    assert all(one.advice for one in found if one.state != "ok")
    assert not any("fault of flower doctor" in one.advice for one in found)


def examined(engine: RunningEngine, *words: str, **environment: str) -> tuple[int, dict[str, Any]]:
    """The exit code of the command, and what it printed."""
    done = engine.flower("doctor", "--json", *words, **environment)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def wait_until_sound(engine: RunningEngine, folder: Path) -> None:
    found: list[Finding] = []

    def is_sound() -> bool:
        found[:] = [one for one in found_in(engine, Given(folder)) if one.state != "ok"]
        return not found

    try:
        engine.wait_for("a sound engine", is_sound)
    except AssertionError as error:
        raise AssertionError(f"{found}\n{error}") from None


def test_an_engine_of_which_all_was_put_right_has_nothing_but_ok(
    engine: RunningEngine, tmp_path: Path
) -> None:
    wait_until_sound(engine, tmp_path)
    code, report = examined(engine, "--strict")
    assert [one for one in report["findings"] if one["state"] != "ok"] == []
    assert (code, report["status"]) == (0, "ok")


def test_the_stores_of_flower_up_are_found_by_their_folder(engine: RunningEngine) -> None:
    done = engine.flower("doctor", FLOWER_REDIS_URL="", FLOWER_DATABASE_URL="")
    assert done.returncode == 0, done.stdout
    assert re.search(r"^ok +redis +Valkey [\d.]+ answers", done.stdout, re.MULTILINE)
    assert re.search(r"^0 problems, 0 warnings, \d+ ok$", done.stdout, re.MULTILINE)


def test_a_warning_is_no_failure_unless_that_is_asked_for(engine: RunningEngine) -> None:
    mistyped = {"FLOWER_QUEUE": "a"}
    done = engine.flower("doctor", **mistyped)
    assert done.returncode == 0
    assert re.search(r"^warning +settings +FLOWER_QUEUE is not a setting", done.stdout, re.MULTILINE)
    assert "-> set the name that is meant" in done.stdout
    assert examined(engine, "--strict", **mistyped)[0] == 1


def test_a_problem_is_a_failure_and_a_password_is_not_shown(engine: RunningEngine) -> None:
    code, report = examined(engine, FLOWER_REDIS_URL="redis://me:geheim99@127.0.0.1:1")
    assert (code, report["status"]) == (1, "problem")
    assert "geheim99" not in json.dumps(report)
    (left_out,) = [one for one in report["findings"] if one["check"] == "left out"]
    assert (
        "Redis does not answer, so this was not looked at: redis server, redis permissions"
        in left_out["detail"]
    )
    assert any(one["check"] == "postgres.schema" and one["state"] == "ok" for one in report["findings"])


def test_settings_that_are_wrong_are_said_and_nothing_else_can_be(engine: RunningEngine) -> None:
    code, report = examined(engine, FLOWER_LEASE_SECONDS="soon", FLOWER_PORT="-1")
    assert code == 1
    (only,) = report["findings"]
    assert only["check"] == "settings"
    assert "FLOWER_LEASE_SECONDS" in only["detail"] and "FLOWER_PORT" in only["detail"]


def test_without_an_engine_on_the_folder_the_rest_is_looked_at(engine: RunningEngine, tmp_path: Path) -> None:
    nothing = {"FLOWER_REDIS_URL": "", "FLOWER_DATABASE_URL": "", "FLOWER_HOME": str(tmp_path)}
    code, report = examined(engine, **nothing)
    assert code == 1
    found = {one["check"]: one for one in report["findings"]}
    assert "no engine runs on the data folder" in found["stores"]["detail"]
    assert "flower up" in found["stores"]["advice"]
    assert found["blobs"]["state"] == "ok"


def test_an_examination_changes_nothing(engine: RunningEngine) -> None:
    """Whoever changed a key or row would be the examination: all services stand still meanwhile."""
    processes = [psutil.Process(engine.service_pid(name)) for name in ALL]
    for process in processes:
        process.suspend()
    try:
        engine.wait_for("all to stand still", lambda: all(map(_stands_still, processes)))
        for _ in range(2):  # behind what was on its way, whichever connection is looked at first
            redis(engine, "PING")
        engine.wait_for("Postgres to be at rest", lambda: not sql(engine, _BUSY))
        before = _all_that_is_stored(engine)
        examined(engine)
        assert _all_that_is_stored(engine) == before
    finally:
        for process in processes:
            process.resume()


_BUSY = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'"
    " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


def _stands_still(process: psutil.Process) -> bool:
    return process.status() == psutil.STATUS_STOPPED


def _all_that_is_stored(engine: RunningEngine) -> tuple[Any, Any]:
    with connect_blocking(engine.addresses.redis_url) as client:
        keys = {key: send_blocking(client, "DUMP", key) for key in send_blocking(client, "KEYS", "*")}
    tables = sql(engine, "SELECT relname FROM pg_stat_user_tables ORDER BY relname")
    counts = " UNION ALL ".join(
        f"SELECT '{name}', count(*), max(xmin::text::bigint) FROM {name}"  # noqa: S608
        for (name,) in tables
    )
    rows = sql(engine, f"{counts} ORDER BY 1")
    return keys, rows
