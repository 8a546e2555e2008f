"""From the version before to this one under load, service by service; and back, which is refused in words."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest

from acceptance.running import TESTS
from chaos.people import OPERATIONS, People, known_before
from chaos.running import LIMIT, PROGRAMS, define, has_ended, have_paused, pause_schedules
from flower_engine.embedded.processes import spawn
from flower_engine.model.events.attempt_events import TaskLapsed
from flower_schema import migrations
from upgrade.both_versions import PYTHON_BEFORE, TwoVersions, environment_of, spawn_before

SERVICES = ("projector", "projector-2", "api", "watcher", "watcher-2", "worker", "worker-2")
"""In the order in which docs/operations.md says to upgrade them."""
SEED = 24
NEWER = "INSERT INTO flower_migration (name, sha256) VALUES ('0999_later', 'x')"
SETTINGS = {
    "FLOWER_PROGRAMS": PROGRAMS,
    "FLOWER_CONCURRENCY": "8",
    "FLOWER_LEASE_SECONDS": "60",  # a machine that is busy may stop a worker for a while
    "PYTHONPATH": str(TESTS),
}
PATIENCE_SECONDS = 180.0

pytestmark = pytest.mark.skipif(
    not PYTHON_BEFORE.is_file(), reason="make test-upgrade builds the version before, and says where it is"
)


def test_an_upgrade_under_load_loses_nothing(tmp_path: Path) -> None:
    with TwoVersions.started_through(
        lambda of: of, tmp_path, anew=True, with_tables=False, **SETTINGS
    ) as engine:
        engine.set_environment(CHAOS_DATABASE_URL=engine.addresses.database_url)
        for name in SERVICES:
            engine.start_before(name)
        engine.wait_until_ready()
        assert applied(engine) < {one.name for one in migrations()}, "the version before is an older one"
        define(engine, LIMIT)
        people = People(engine.url, SEED, operators=1, operations=[*filter(known_before, OPERATIONS)])
        people.start()
        try:
            for name in SERVICES:
                more_flows(engine, people)
                engine.upgrade(name)
                engine.wait_until_ready()
            more_flows(engine, people)
        finally:
            people.stop()
        assert applied(engine) == {one.name for one in migrations()}
        pause_schedules(engine)
        engine.wait_for("all schedules to rest", lambda: have_paused(engine))
        engine.wait_for("all flows to end", lambda: has_ended(engine, list(people.flows.values())))
        verified = engine.flower("verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr
        verdict = engine.verify()
        assert verdict.problems == people.problems == engine.tracebacks() == []
        asked = {name: flow.registered for name, flow in verdict.flows.items()}
        of_people = {name for name, one in asked.items() if not one.schedule and not one.forked_from}
        assert of_people == set(people.flows.values())
        assert not [event for event in verdict.events if isinstance(event, TaskLapsed)]
        goes_back_in_words(engine)


def goes_back_in_words(engine: TwoVersions) -> None:
    """Each service of the version before that needs the tables ends, names what it met and what to do;
    commands that work on whole tables, too; nothing is changed by it."""
    with psycopg.connect(engine.addresses.database_url, autocommit=True) as connection:
        connection.execute(NEWER)  # so that there is a newer one also where this version has none
        newest = connection.execute("SELECT max(name) FROM flower_migration").fetchone()
        before = contents(connection)
        for words in (["projector"], ["api", "--port", "0"], ["verify"], ["replay"]):
            said = engine.before(*words)
            assert said.returncode != 0, f"flower {words}: {said.stdout}"
            assert "Traceback" not in said.stdout, said.stdout
            assert newest is not None
            for part in (newest[0], "pgrade this service", "to go back"):
                assert part in said.stdout, said.stdout
        assert contents(connection) == before
        connection.execute("DELETE FROM flower_migration WHERE name = '0999_later'")


def contents(connection: psycopg.Connection) -> list[object]:
    """What may not change: rows of every flow and task, and how many events there are."""
    return [
        *connection.execute("SELECT to_jsonb(f) FROM kr_flow_stat f ORDER BY task_flow_id").fetchall(),
        *connection.execute("SELECT to_jsonb(t) FROM kr_task_stat t ORDER BY 1").fetchall(),
        connection.execute("SELECT count(*) FROM kr_event").fetchone(),
        connection.execute("SELECT count(*), max(name) FROM flower_migration").fetchone(),
    ]


def applied(engine: TwoVersions) -> set[str]:
    with psycopg.connect(engine.addresses.database_url, autocommit=True) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM flower_migration")}


def more_flows(engine: TwoVersions, people: People) -> None:
    before = len(people.flows)
    engine.wait_for("more flows", lambda: len(people.flows) > before + 30)


def test_a_data_folder_of_the_version_before_is_opened_after_a_crash(tmp_path: Path) -> None:
    given = {"FLOWER_HOME": str(tmp_path / "home"), "FLOWER_PROGRAMS": "upgrade.programs"}
    settings = environment_of(**{**SETTINGS, **given})
    log = tmp_path / "up.log"
    with log.open("ab") as output:
        before = spawn_before(["up", "--port", "0"], tmp_path, output, settings)
        try:
            url = address(settings, log)
            httpx.put(
                f"{url}/workflows/slow",
                json={"tasks": [task(1), task(2), task(3)]},
                timeout=PATIENCE_SECONDS,
            ).raise_for_status()
            reply = httpx.post(f"{url}/register", json=[{"taskId": "slow"}] * 200, timeout=PATIENCE_SECONDS)
            flows = [one["taskFlowId"] for one in reply.raise_for_status().json()]
            until(log, "some to have ended", lambda: len(ended(url, flows)) >= 20)
            done = len(ended(url, flows))
        finally:
            before.send_signal(signal.SIGKILL)
            before.wait()
        assert done < len(flows) == 200, "the crash was to find some under way"
        until(log, "its processes to be gone", lambda: not is_up(settings))
        now = spawn(
            [sys.executable, "-P", "-m", "flower_cli", "up", "--port", "0"],
            folder=tmp_path,
            output=output,
            dies_by=signal.SIGKILL,
            environment=settings,
        )
        try:
            url = address(settings, log)
            until(log, "all to end", lambda: len(ended(url, flows)) == len(flows))
            command = [sys.executable, "-P", "-m", "flower_cli", "verify"]
            verified = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
            assert verified.returncode == 0, verified.stdout + verified.stderr
        finally:
            now.send_signal(signal.SIGTERM)
            assert now.wait(PATIENCE_SECONDS) == 0, log.read_text(errors="replace")[-3000:]
        log = tmp_path / "back.log"
        with log.open("ab") as said:
            back = spawn_before(["up", "--port", "0"], tmp_path, said, settings)
        try:
            until(log, "it to say how to go back", lambda: "to go back" in log.read_text(errors="replace"))
        finally:
            back.send_signal(signal.SIGTERM)
            back.wait(PATIENCE_SECONDS)
        text = log.read_text(errors="replace")
        assert migrations()[-1].name in text and "Traceback" not in text, text


def task(seq: int) -> dict[str, object]:
    return {"taskSeq": seq, "program": "step"}


def address(settings: dict[str, str], log: Path) -> str:
    """Of the API of the engine that runs on the data folder, when it is ready."""
    found: list[str] = []

    def is_ready() -> bool:
        urls = json.loads(urls_of(settings) or "{}")
        if "api_url" not in urls:
            return False
        try:
            answered = httpx.get(urls["api_url"] + "/readyz", timeout=PATIENCE_SECONDS).status_code == 200
        except httpx.TransportError:
            return False
        found.append(urls["api_url"])
        return answered

    until(log, "the API to be ready", is_ready)
    return found[-1]


def urls_of(settings: dict[str, str]) -> str:
    command = [sys.executable, "-P", "-m", "flower_cli", "urls", "--json"]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def is_up(settings: dict[str, str]) -> bool:
    return bool(urls_of(settings))


def ended(url: str, flows: list[str]) -> list[str]:
    """Which of these flows have ended well."""
    listed: list[dict[str, object]] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"status": "Finish", "limit": "100", **({"cursor": cursor} if cursor else {})}
        page = httpx.get(f"{url}/flows", params=query, timeout=PATIENCE_SECONDS).raise_for_status().json()
        listed += page["flows"]
        cursor = page.get("next")
    return [str(one["taskFlowId"]) for one in listed if one["taskFlowId"] in flows]


def until(log: Path, what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited in vain for {what}\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.1)
