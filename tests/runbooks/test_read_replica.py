"""The API reads from a Postgres that follows the one that is written to, and nobody sees less than he saw."""

import contextlib
import os
import signal
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from acceptance.running import PATIENT, RunningEngine
from flower_engine.client import Client
from flower_engine.embedded.postgres import EmbeddedPostgres
from flower_engine.model.values.seen_position import HEADER, SeenPosition
from poolers.pgbouncer import PROGRAM, pgbouncer
from runbooks.postgres_pairs import promote, running_follower

_CHAIN = [{"taskSeq": seq, "program": "Noop", "taskPriority": 0} for seq in (1, 2, 3)]


class Pair:
    """An engine whose API reads from a replica, and both databases."""

    def __init__(self, engine: RunningEngine, primary: str, replica: str, server: EmbeddedPostgres) -> None:
        self.server = server
        self.engine = engine
        self.client = engine.client
        self._primary, self.replica = primary, replica

    def pause(self) -> None:
        """The replica takes what comes, and shows nothing of it."""
        self._run(self.replica, "SELECT pg_wal_replay_pause()")

        def is_paused() -> bool:
            return self._run(self.replica, "SELECT pg_get_wal_replay_pause_state()") == "paused"

        self.engine.wait_for("the replica to stand still", is_paused)

    def resume(self) -> None:
        self._run(self.replica, "SELECT pg_wal_replay_resume()")

    def catch_up(self) -> None:
        """Returns when the replica shows all that the primary has now."""
        at = self._run(self._primary, "SELECT pg_current_wal_insert_lsn()::text")
        self.engine.wait_for(
            "the replica to follow",
            lambda: self._run(self.replica, f"SELECT pg_last_wal_replay_lsn() >= '{at}'::pg_lsn") is True,
        )

    def follower_pid(self) -> int:
        """The main process of the replica."""
        folder = self._run(self.replica, "SHOW data_directory")
        return int((Path(folder) / "postmaster.pid").read_text().split()[0])

    def reads(self) -> dict[str, float]:
        """How many reads went where."""
        page = self.client.get("/metrics").text
        found = {"replica": 0.0, "primary": 0.0}
        for line in page.splitlines():
            if line.startswith("flower_replica_reads_total{"):
                found[line.partition('server="')[2].partition('"')[0]] = float(line.rpartition(" ")[2])
        return found

    def went(self, path: str, seen: str | None = None) -> tuple[str, httpx.Response]:
        """Who answered a read, and the answer."""
        before = self.reads()
        reply = self.client.get(path, headers={HEADER: seen} if seen else {})
        after = self.reads()
        (server,) = [one for one in after if after[one] > before[one]] or ["nobody"]
        return server, reply

    @staticmethod
    def _run(url: str, statement: str) -> Any:
        with psycopg.connect(url, autocommit=True) as connection:
            row = connection.execute(statement.encode()).fetchone()
            return row[0] if row else None


@contextlib.contextmanager
def _pair(folder: Path, *, is_pooled: bool = False) -> Generator[Pair]:
    with RunningEngine.started(folder, **PATIENT) as engine:
        primary = engine.addresses.database_url
        with running_follower(primary, folder / "follower") as (server, replica), ExitStack() as stack:
            read = replica
            if is_pooled:
                (folder / "pgbouncer").mkdir()
                read = stack.enter_context(pgbouncer(replica, folder / "pgbouncer", "transaction"))
            engine.set_environment(FLOWER_DATABASE_READ_URL=read)
            for service in ("projector", "watcher", "worker", "api"):
                engine.start(service)
            engine.wait_until_ready()
            pair = Pair(engine, primary, replica, server)
            engine.wait_for("the replica to answer", lambda: _is_used(engine))
            engine.define("chain", _CHAIN)
            yield pair
            assert set(engine.stop_all().values()) == {0}


def _is_used(engine: RunningEngine) -> bool:
    return engine.client.get("/readyz").json().get("status") == "ready"


def _is_up(engine: RunningEngine) -> str:
    page = engine.client.get("/metrics").text
    return page.partition('flower_store_up{store="replica"} ')[2].partition("\n")[0]


def test_reads_go_to_the_replica_and_nobody_sees_less_than_he_saw(tmp_path: Path) -> None:
    with _pair(tmp_path) as pair:
        engine = pair.engine
        flows = engine.register("chain", 20)
        engine.wait_until_ended(flows)
        pair.catch_up()
        server, reply = pair.went("/flows?limit=100")
        assert (server, len(reply.json()["flows"])) == ("replica", 20)
        assert SeenPosition.read(reply.headers[HEADER]) is not None
        # Whoever changes something reads it, however late the replica is.
        pair.pause()
        done = engine.client.post("/register/chain")
        written = done.headers[HEADER]
        flow = done.json()["taskFlowId"]
        engine.wait_until_ended([flow])
        server, reply = pair.went("/flows?limit=100", written)
        assert (server, len(reply.json()["flows"])) == ("primary", 21)
        # From then on he has seen it. Somebody else may be told the past, though never by turns.
        seen = reply.headers[HEADER]
        assert pair.went("/flows?limit=100", seen)[0] == "primary"
        server, reply = pair.went("/flows?limit=100")
        assert (server, len(reply.json()["flows"])) == ("replica", 20)
        # What the replica does not know is asked of the primary before anybody is told that there is none.
        server, reply = pair.went(f"/flows/{flow}")
        assert (reply.status_code, reply.json()["status"]) == (200, "Finish")
        pair.resume()
        pair.catch_up()
        server, reply = pair.went("/flows?limit=100", seen)
        assert (server, len(reply.json()["flows"])) == ("replica", 21)
        server, reply = pair.went("/flows?limit=100", written)
        assert (server, len(reply.json()["flows"])) == ("replica", 21)


def test_commands_and_the_client_never_see_less_than_they_changed(tmp_path: Path) -> None:
    with _pair(tmp_path) as pair:
        engine = pair.engine
        pair.catch_up()
        pair.pause()
        cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
        done = engine.flower("register", "chain", "--wait", **cache)
        assert done.returncode == 0, done.stderr
        listed = engine.flower("flows", **cache)
        assert "chain" in listed.stdout
        assert "chain" not in engine.flower("flows", XDG_CACHE_HOME=str(tmp_path / "another")).stdout
        with Client(engine.url) as client:
            client.workflows.put({"taskId": "other", "tasks": [{"taskSeq": 1, "program": "Noop"}]})
            flows = [client.register("other") for _ in range(5)]
            for flow in flows:
                flow.wait()
            assert len(list(client.flows(workflow="other"))) == 5
        with Client(engine.url) as stranger:
            assert list(stranger.flows(workflow="other")) == []
        pair.resume()


def test_a_replica_that_is_away_is_said_and_passed_by(tmp_path: Path) -> None:
    with _pair(tmp_path) as pair:
        engine = pair.engine
        flows = engine.register("chain", 5)
        engine.wait_until_ended(flows)
        pair.catch_up()
        assert pair.went("/flows")[0] == "replica"
        os.kill(pair.follower_pid(), signal.SIGKILL)
        server, reply = pair.went("/flows")
        assert (server, len(reply.json()["flows"])) == ("primary", 5)
        engine.wait_for("that to be said", lambda: not _is_used(engine))
        ready = engine.client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        (problem,) = [one["problem"] for one in ready.json()["dependencies"] if one["problem"]]
        assert problem
        engine.wait_for("metrics to say it", lambda: _is_up(engine) == "0.0")
        assert "postgres.replica" in engine.flower("doctor").stdout
        assert "the replica of Postgres answers nobody" in engine.logs_whole()
        # It comes back, and is used again.
        more = engine.register("chain", 5)
        engine.wait_until_ended(more)
        pair.server.start()
        engine.wait_for("the replica to answer again", lambda: _is_used(engine))
        pair.catch_up()
        server, reply = pair.went("/flows")
        assert (server, len(reply.json()["flows"])) == ("replica", 10)
        engine.wait_for("metrics to say that", lambda: _is_up(engine) == "1.0")


def test_a_replica_that_was_promoted_is_not_read_from(tmp_path: Path) -> None:
    with _pair(tmp_path) as pair:
        engine = pair.engine
        promote(pair.replica)
        engine.wait_for("that to be noticed", lambda: not _is_used(engine))
        flows = engine.register("chain", 5)
        engine.wait_until_ended(flows)
        server, reply = pair.went("/flows")
        assert (server, len(reply.json()["flows"])) == ("primary", 5)
        done = engine.flower("doctor")
        assert (done.returncode, "follows nobody" in done.stdout) == (1, True), done.stdout


def test_every_read_can_be_answered_by_a_replica(tmp_path: Path) -> None:
    with _pair(tmp_path) as pair:
        engine = pair.engine
        (flow,) = engine.register("chain", 1)
        engine.wait_until_ended([flow])
        day = {"cron": "0 3 * * *"}
        engine.client.put("/schedules/daily", json={"taskId": "chain", **day}).raise_for_status()
        pair.catch_up()
        names = {
            "task_flow_id": flow,
            "task": "1",
            "task_id": "chain",
            "schedule": "daily",
            "name": "last",
            "program": "Noop",
            "queue": "default",
        }
        document = engine.client.get("/openapi.json").json()
        asked: dict[str, int] = {}
        for path, methods in document["paths"].items():
            if "get" not in methods or path.endswith("/changes"):
                continue
            known = path
            for name, value in names.items():
                known = known.replace(f"{{{name}}}", value).replace(f"{{{name}:rest}}", value)
            if "{" not in known:
                asked[known] = engine.client.get(known).status_code
        assert len(asked) > 25
        assert {path: status for path, status in asked.items() if status >= 500} == {}
        assert "read-only transaction" not in engine.logs_whole()
        assert pair.reads()["replica"] > 10


@pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed")
def test_a_replica_behind_a_pooler_of_transactions_answers_as_well(tmp_path: Path) -> None:
    with _pair(tmp_path, is_pooled=True) as pair:
        engine = pair.engine
        flows = engine.register("chain", 5)
        engine.wait_until_ended(flows)
        pair.catch_up()
        server, reply = pair.went("/flows")
        assert (server, len(reply.json()["flows"])) == ("replica", 5)
        pair.pause()
        done = engine.client.post("/register/chain")
        engine.wait_until_ended([done.json()["taskFlowId"]])
        assert pair.went("/flows", done.headers[HEADER])[0] == "primary"
        assert pair.went("/flows")[0] == "replica"
        pair.resume()
