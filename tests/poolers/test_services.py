"""All services as processes behind pgbouncer in transaction mode: killed, cut off, and edited around."""

import contextlib
from pathlib import Path

import psycopg
import pytest

from acceptance.running import RunningEngine
from flower_engine.embedded.embedded_stores import Addresses
from poolers.pgbouncer import PROGRAM, pgbouncer

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed")

_CHAIN = [{"taskSeq": seq, "program": "Noop", "taskPriority": 0} for seq in (1, 2, 3)]
SERVICES = ("projector", "projector-2", "watcher", "worker", "api")
_SHARES = (
    "SELECT cardinality(partitions) FROM kr_projector_member WHERE seen_ts > now() - interval '10 seconds'"
    " ORDER BY 1"
)
_CUT_OFF = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


def _shares(engine: RunningEngine) -> list[int]:
    with psycopg.connect(engine.addresses.database_url) as connection:
        return [row[0] for row in connection.execute(_SHARES)]


def test_all_of_them_go_on_whatever_becomes_of_sessions(tmp_path: Path) -> None:
    folder = tmp_path / "pgbouncer"
    folder.mkdir()
    with contextlib.ExitStack() as stack:

        def through(addresses: Addresses) -> Addresses:
            url = stack.enter_context(pgbouncer(addresses.database_url, folder, "transaction"))
            return Addresses(addresses.redis_url, url)

        engine = stack.enter_context(
            RunningEngine.started_through(
                through,
                tmp_path,
                *SERVICES,
                with_tables=True,
                FLOWER_PARTITIONS="4",
                FLOWER_LEASE_SECONDS="60",
            )
        )
        engine.define("chain", _CHAIN)
        engine.wait_for("projectors to share", lambda: _shares(engine) == [2, 2])
        flows = engine.register("chain", 100)
        engine.wait_until_ended(flows)
        # One that is killed is followed when its leases have run out.
        engine.kill("projector-2")
        flows += engine.register("chain", 100)
        engine.wait_until_ended(flows)
        engine.start("projector-2")
        engine.wait_for("projectors to share again", lambda: _shares(engine) == [2, 2])
        # Sessions end under load, as when Postgres or the pooler is started anew.
        for _ in range(3):
            with psycopg.connect(engine.addresses.database_url, autocommit=True) as admin:
                admin.execute(_CUT_OFF)
            engine.wait_until_ready()
            flows += engine.register("chain", 50)
        engine.wait_until_ended(flows)
        # A schedule fires, which the watcher reads from tables.
        schedule = {"taskId": "chain", "everySeconds": 1}
        engine.ask("PUT", "/schedules/often", schedule)
        listed = "/flows?schedule=often"
        engine.wait_for("the schedule to fire", lambda: len(engine.client.get(listed).json()["flows"]) > 1)
        engine.ask("DELETE", "/schedules/often")
        # What SQL edits is heard, though nobody listens.
        with psycopg.connect(engine.addresses.database_url, autocommit=True) as psql:
            psql.execute("UPDATE ms_task_definition SET program = 'Clock' WHERE task_id = 'chain'")

        def is_heard() -> bool:
            (flow,) = engine.register("chain", 1)
            tasks = engine.client.get(f"/flows/{flow}").json()["tasks"]
            return tasks[0]["program"] == "Clock"

        engine.wait_for("the edit to be heard", is_heard)
        done = engine.flower("verify")
        assert (done.returncode, "0 differences" in done.stdout) == (0, True), done.stdout + done.stderr
        doctor = engine.flower("doctor").stdout
        assert "through a pooler" in doctor, doctor
        assert "prepared statement" not in engine.logs_whole()
        assert set(engine.stop_all().values()) == {0}
        engine.client.close()
