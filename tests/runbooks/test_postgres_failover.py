"""Postgres is lost, and the one that followed it takes over: nobody is told, as the address names both."""

import os
import signal
from pathlib import Path

import psycopg

from acceptance.running import PATIENT, RunningEngine
from runbooks.postgres_pairs import either, follower_of, promote

_CHAIN = [{"taskSeq": seq, "program": "Noop", "taskPriority": 0} for seq in (1, 2, 3)]
SERVICES = ("projector", "projector-2", "watcher", "worker", "api")


def _ended(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM kr_flow_stat WHERE finished_ts IS NOT NULL").fetchone()
        assert row is not None
        return int(row[0])


def test_services_go_on_with_the_one_that_may_be_written(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, **PATIENT) as engine:
        first = engine.addresses.database_url
        with follower_of(first, tmp_path / "follower") as second:
            engine.set_environment(FLOWER_DATABASE_URL=either(first, second))
            for service in SERVICES:
                engine.start(service)
            engine.wait_until_ready()
            engine.define("chain", _CHAIN)
            engine.register("chain", 100)
            engine.wait_for("the follower to have it", lambda: _ended(second) > 0)
            os.kill(engine.store_pid("postgres"), signal.SIGKILL)
            # What is registered while Postgres is away waits in Redis for it.
            flows = engine.register("chain", 50)
            assert len(flows) == 50
            promote(second)
            engine.wait_for("every flow to end in the new one", lambda: _ended(second) == 150)
            engine.wait_until_ready()
            engine.register("chain", 10)
            engine.wait_for("what is new to end there, too", lambda: _ended(second) == 160)
            done = engine.flower("verify")
            assert (done.returncode, "0 differences" in done.stdout) == (0, True), done.stdout + done.stderr
            assert set(engine.stop_all().values()) == {0}
