"""`flower doctor` on a whole engine: all is well; and each fault that it knows, brought about for real."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acceptance.running import PATIENT, RunningEngine
from doctor.faults import FAULTS, Expected, Fault, Given
from flower_engine.doctor.examination import examine
from flower_engine.doctor.findings import Finding
from flower_engine.doctor.subject import Subject
from flower_engine.runtime.settings import load_settings

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
        return is_told(found, fault.expected)

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
