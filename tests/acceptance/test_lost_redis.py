"""Redis is lost in the middle of the work, or goes back in time: everything acknowledged ends anyway."""

from pathlib import Path
from typing import Any

import psycopg
import pytest

from acceptance.running import PATIENT, RunningEngine
from flower_engine.log.client import connect_blocking, send_blocking
from flower_engine.log.keys import Keys
from flower_engine.model.events.attempt_events import TaskLapsed, TaskStarted
from flower_engine.model.events.events import LogOpened
from shapes.loading import load_shape

ALL = ("api", "projector", "watcher", "worker", "worker-2")
SHAPES = {"line": 1_400, "diamond": 500, "fan": 80, "montage": 20}
NAP = "EchoParamTimeSleep"


def _task(seq: int, *depends_on: int) -> dict[str, Any]:
    parameters = {"SLEEP_TIME_SECOND": "0.02"}
    return {"taskSeq": seq, "program": NAP, "dependsOn": list(depends_on), "parameters": parameters}


def _define(engine: RunningEngine) -> None:
    engine.define("line", [_task(1), _task(2, 1), _task(3, 2)])
    engine.define("diamond", [_task(1), _task(2, 1), _task(3, 1), _task(4, 2, 3)])
    engine.define("fan", [_task(1), *(_task(seq, 1) for seq in range(2, 22)), _task(22, *range(2, 22))])
    montage = load_shape("montage-58")
    engine.define("montage", [_task(row.task_seq, *row.depends_on or ()) for row in montage.tasks])


def _register(engine: RunningEngine) -> list[str]:
    _define(engine)
    flows = [flow for name, count in SHAPES.items() for flow in engine.register(name, count)]
    engine.wait_until_projected(flows)
    return flows


def test_a_redis_that_is_wiped_in_the_middle_of_2000_flows_is_recovered_and_all_of_them_end(
    tmp_path: Path,
) -> None:
    settings = {"FLOWER_AUTO_RECOVER": "1", "FLOWER_CONCURRENCY": "20", **PATIENT}
    with RunningEngine.started(tmp_path, *ALL, **settings) as engine:
        flows = _register(engine)
        engine.wait_until_some_ended(flows, 200)
        engine.wipe_redis()
        engine.wait_until_some_ended(flows, 800)
        engine.wipe_redis()
        engine.wait_until_ended(flows)
        engine.wait_until_ready()
        assert all(engine.is_running(name) for name in ALL), "no service ended"
        verdict = engine.verify()
    assert verdict.problems == []
    assert set(verdict.flows) == set(flows)
    generations = [event.generation for event in verdict.events if isinstance(event, LogOpened)]
    assert generations[0] == 1 < len(generations), "and another one for each recovery that came to its end"
    assert generations == sorted(set(generations))
    assert {event.lost for event in verdict.events if isinstance(event, TaskLapsed)} == {0}


def test_a_redis_that_goes_back_by_a_hundred_ends_is_recovered_and_all_flows_end(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL, FLOWER_AUTO_RECOVER="1", FLOWER_CONCURRENCY="20") as engine:
        flows = _register(engine)
        engine.wait_until_some_ended(flows, 100)
        copied = engine.copy_redis()
        engine.wait_until_some_ended(flows, engine.ended(flows) + 100)
        engine.set_redis_back(copied)
        engine.wait_until_ended(flows)
        verdict = engine.verify()
    assert verdict.problems == []
    assert set(verdict.flows) == set(flows)
    assert [event.generation for event in verdict.events if isinstance(event, LogOpened)] == [1, 2]


@pytest.mark.parametrize("loss", ["wiped", "set back"])
def test_without_leave_to_recover_everybody_waits_says_so_and_goes_on_after_flower_recover(
    tmp_path: Path, loss: str
) -> None:
    with RunningEngine.started(tmp_path, *ALL) as engine:
        _define(engine)
        copied = engine.copy_redis()
        flows = engine.register("line", 300)
        engine.wait_until_projected(flows)
        if loss == "wiped":
            engine.wipe_redis()
        else:
            engine.set_redis_back(copied)
        engine.wait_for("the API to say it", lambda: engine.client.get("/readyz").status_code == 503)
        engine.wait_for(
            "registration to be refused",
            lambda: engine.client.post("/register/line").status_code == 503,
        )
        assert "flower recover" in engine.client.get("/readyz").text
        engine.wait_for("the log to say it", lambda: "waiting for Redis to be recovered" in engine.logs())
        recovered = engine.flower("recover")
        assert recovered.returncode == 0, recovered.stderr
        assert "recovered as generation 2" in recovered.stdout
        engine.wait_until_ended(flows)
        engine.wait_until_ready()
        again = engine.flower("recover")
        assert "nothing to recover" in again.stdout
        assert all(engine.is_running(name) for name in ALL)
        verdict = engine.verify()
    assert verdict.problems == []


def test_a_redis_that_goes_back_while_nothing_is_projected_is_noticed_by_the_workers(tmp_path: Path) -> None:
    """What it still has goes on where it was, finished tasks stay so, and what is lost is said."""
    services = tuple(name for name in ALL if name != "projector")
    settings = {"FLOWER_AUTO_RECOVER": "1", "FLOWER_CONCURRENCY": "20"}
    with RunningEngine.started(tmp_path, *services, **settings) as engine:
        _define(engine)
        nap = {"taskSeq": 1, "program": NAP, "parameters": {"SLEEP_TIME_SECOND": "0.3"}}
        engine.define("nap", [nap])
        kept = engine.register("line", 200)
        engine.wait_for("some ends", lambda: _ends_in_redis(engine) >= 100)
        copied = engine.copy_redis()
        engine.register("nap", 2_000)
        engine.wait_for("those after it to run", lambda: _ends_in_redis(engine) >= 250)
        engine.set_redis_back(copied)
        engine.wait_for(
            "the API to say it", lambda: "Redis went back in time" in engine.client.get("/readyz").text
        )
        assert "cannot be brought back" in engine.client.get("/readyz").text
        engine.start("projector")
        engine.wait_until_ended(kept)
        engine.wait_for("a worker to say it", lambda: "are in no store any more" in engine.logs())
        assert engine.flower("verify").returncode == 0
        verdict = engine.verify()
    assert verdict.problems == []
    assert set(verdict.flows) == set(kept)
    started = [(event.flow, event.task) for event in verdict.events if isinstance(event, TaskStarted)]
    lapsed = [(event.flow, event.task) for event in verdict.events if isinstance(event, TaskLapsed)]
    assert len(started) == 600 + len(lapsed), "nothing that had finished ran again"


def test_tables_that_are_dropped_in_the_middle_of_the_work_are_rebuilt(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL, FLOWER_CONCURRENCY="20") as engine:
        flows = _register(engine)
        engine.wait_until_some_ended(flows, 100)
        _drop_tables(engine)
        before = _newest_event(engine)
        engine.wait_for("work to go on, and wait to be projected", lambda: _newest_event(engine) != before)
        replayed = engine.flower("replay")
        assert replayed.returncode == 0, replayed.stderr
        engine.wait_until_ended(flows)
        assert all(engine.is_running(name) for name in ALL), "no service ended"
        verified = engine.flower("verify")
        verdict = engine.verify()
    assert verified.returncode == 0, verified.stdout
    assert verdict.problems == []
    assert set(verdict.flows) == set(flows)


def test_both_at_once_tables_dropped_and_redis_a_hundred_ends_back(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL, FLOWER_AUTO_RECOVER="1", FLOWER_CONCURRENCY="20") as engine:
        flows = _register(engine)
        engine.wait_until_some_ended(flows, 100)
        copied = engine.copy_redis()
        engine.wait_until_some_ended(flows, engine.ended(flows) + 100)
        _drop_tables(engine)
        engine.set_redis_back(copied)
        # A recovery that finds no tables begins again and again; a replay has to come between.
        engine.wait_for("a replay", lambda: engine.flower("replay").returncode == 0)
        engine.wait_until_ended(flows)
        verified = engine.flower("verify")
        verdict = engine.verify()
    assert verified.returncode == 0, verified.stdout
    assert verdict.problems == []
    assert set(verdict.flows) == set(flows)


def _ends_in_redis(engine: RunningEngine) -> int:
    with connect_blocking(engine.addresses.redis_url) as client:
        return send_blocking(client, "LLEN", Keys(0).endings)


def _newest_event(engine: RunningEngine) -> bytes:
    with connect_blocking(engine.addresses.redis_url) as client:
        ((position, _),) = send_blocking(client, "XREVRANGE", Keys(0).log, "+", "-", "COUNT", 1)
        return position


def _drop_tables(engine: RunningEngine) -> None:
    with psycopg.connect(engine.addresses.database_url, autocommit=True) as connection:
        connection.execute("DROP TABLE kr_task_stat, kr_flow_stat")
