"""Backups that were made while the engine worked are restored: of Redis, of Postgres, of both."""

from pathlib import Path

import httpx
import pytest

from acceptance.running import PATIENT, RunningEngine
from flower_engine.embedded.home import Home
from runbooks.postgres_pairs import back_up, move_into

_CHAIN = [{"taskSeq": seq, "program": "Noop", "taskPriority": 0} for seq in (1, 2, 3)]
SERVICES = ("projector", "watcher", "worker", "api")


def _restore_postgres(engine: RunningEngine, copy: Path) -> None:
    engine.kill_store("postgres")
    move_into(copy, Home(engine.home))
    engine.restart_stores()


def _register_at_last(engine: RunningEngine, count: int) -> list[str]:
    """As clients do: a Redis that went back looks whole until it is noticed, and answers 503 while it is
    recovered."""
    flows: list[str] = []

    def is_registered() -> bool:
        try:
            flows.extend(engine.register("chain", count))
        except httpx.HTTPStatusError as error:
            assert error.response.status_code == 503, error.response.text
        return bool(flows)

    engine.wait_for("flows to be registered", is_registered)
    return flows


@pytest.mark.parametrize("what", ["redis", "postgres", "both"])
def test_what_was_acknowledged_before_the_backup_is_there_and_work_goes_on(what: str, tmp_path: Path) -> None:
    has_redis, has_postgres = what in ("redis", "both"), what in ("postgres", "both")
    with RunningEngine.started(tmp_path, *SERVICES, **PATIENT, FLOWER_AUTO_RECOVER="true") as engine:
        engine.define("chain", _CHAIN)
        before = engine.register("chain", 100)
        engine.wait_until_ended(before[:50])  # the others may be anywhere
        if has_postgres:
            back_up(engine.addresses.database_url, tmp_path / "postgres")
        redis = engine.copy_redis() if has_redis else None
        after = engine.register("chain", 50)
        engine.wait_until_ended([*before, *after])
        assert set(engine.stop_all().values()) == {0}

        if redis is not None:
            engine.set_redis_back(redis)
        if has_postgres:
            _restore_postgres(engine, tmp_path / "postgres")
        for service in SERVICES:
            engine.start(service)
        engine.wait_until_ready()
        # The one store has what the other one lacks; of both, what came later is gone, as with any backup.
        kept = before if what == "both" else [*before, *after]
        engine.wait_until_ended(kept)
        if what == "both":
            assert {engine.client.get(f"/flows/{flow}").status_code for flow in after} == {404}
        engine.wait_until_ended(_register_at_last(engine, 10))
        done = engine.flower("verify")
        assert (done.returncode, "0 differences" in done.stdout) == (0, True), done.stdout + done.stderr
