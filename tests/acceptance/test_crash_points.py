"""A process that dies at the worst moment, wherever that is: all flows end, and every invariant holds."""

import signal
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from acceptance.running import WAITING, RunningEngine
from chaos.verdict import wrong_slots
from flower_engine.crash_points import VARIABLE

ALL = ("api", "projector", "watcher", "worker")

# Service and point; the number is the time that it is passed.
POINTS = {
    "api": ("register.before:2", "register.after", "register.after:3"),
    "projector": ("project.moved:3", "project.written:2", "project.committed:2", "trim.before", "trim.after"),
    "watcher": ("lapse.before:3", "lapse.after", "fire.after"),
    "worker": ("exchange.before:4", "exchange.claimed", "exchange.handed-in", "exchange.handed-in:3"),
}
RECOVERY = (
    "recovery.generation",
    "recovery.fenced",
    "recovery.forked",
    "recovery.wiped",
    "recovery.reopened",
    "recovery.some-put-back",
    "recovery.put-back",
    "recovery.slots",
    "recovery.sealed",
)


def _task(seq: int, *depends_on: int, **more: Any) -> dict[str, Any]:
    parameters = {"SLEEP_TIME_SECOND": "0.05"}
    return {
        "taskSeq": seq,
        "program": "EchoParamTimeSleep",
        "dependsOn": list(depends_on),
        "parameters": parameters,
        **more,
    }


def _define(engine: RunningEngine) -> None:
    # The timeout gives the watcher a timer that comes due, and the worker that is killed one that lapses.
    engine.define("diamond", [_task(1), _task(2, 1), _task(3, 1, timeoutSeconds=30), _task(4, 2, 3)])
    engine.define("late", [_task(1)])


class Client:
    """Registers with idempotency keys, and again until it is told that it worked."""

    def __init__(self, engine: RunningEngine) -> None:
        self._engine = engine
        self._keys: list[str] = []
        self.flows: dict[str, str] = {}

    def send(self, more: int = 5) -> None:
        """Sends what is not acknowledged yet, or so many new ones; what fails, fails."""
        if len(self.flows) == len(self._keys):
            self._keys += [f"key-{len(self._keys) + number}" for number in range(more)]
        keys = [key for key in self._keys if key not in self.flows]
        entries: list[dict[str, Any]] = [
            {"taskId": "diamond", "key": key, **({"delaySeconds": 0.2} if key.endswith("7") else {})}
            for key in keys
        ]
        try:
            reply = self._engine.client.post("/register", json=entries)
        except httpx.HTTPError:
            return
        if reply.status_code == 200:
            for key, entry in zip(keys, reply.json(), strict=True):
                if entry["code"] == 200:
                    self.flows[key] = entry["taskFlowId"]

    def has_sent(self) -> bool:
        """Sends again what is not acknowledged; True when nothing is left."""
        self.send(0)
        return len(self.flows) == len(self._keys)


@pytest.mark.parametrize("service", POINTS)
def test_a_service_that_dies_at_any_of_its_points_loses_nothing(tmp_path: Path, service: str) -> None:
    with RunningEngine.started(tmp_path, *ALL, **WAITING) as engine:
        _define(engine)
        waits = {"taskSeq": 1, "program": "wait_async", "parameters": {"folder": str(tmp_path)}}
        engine.define("held", [waits])
        client, held = Client(engine), list[str]()
        for point in POINTS[service]:
            engine.kill(service)
            engine.start(service, **{VARIABLE: point})
            if point == "lapse.after":  # somebody must be lost for that
                held = engine.register("held", 1)
                engine.wait_for("a task to run", (tmp_path / "began-1-1").exists)
                engine.kill("worker")
                engine.start("worker")

            def is_dead() -> bool:
                client.send()
                return not engine.is_running(service)

            engine.wait_for(f"{service} to reach {point}", is_dead)
            engine.wait_until_killed(service)
            engine.start(service)
            engine.wait_until_ready()
            engine.wait_for("every registration to be acknowledged", client.has_sent)
        (tmp_path / "go").touch()
        engine.wait_until_ended([*client.flows.values(), *held])
        verdict = engine.verify()
    assert verdict.problems == []
    assert set(verdict.flows) == {*client.flows.values(), *held}, "each registration exists once"


def test_a_watcher_that_dies_at_any_point_of_firing_fires_each_slot_once(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL, "watcher-2") as engine:
        engine.define("ticking", [_task(1)])
        with psycopg.connect(engine.addresses.database_url, autocommit=True) as tables:
            tables.execute(
                "INSERT INTO ms_schedule (name, task_id, every_seconds, overlap)"
                " SELECT 'tick-' || n, 'ticking', 1, (ARRAY['skip', 'queue', 'allow'])[n]"
                " FROM generate_series(1, 3) AS n"
            )
            for point in ("schedules.defined", "slots.before:3", "slots.fired", "slots.fired:4"):
                for service in ("watcher", "watcher-2"):
                    engine.kill(service)
                    engine.start(service, **{VARIABLE: point})
                engine.wait_for(
                    f"a watcher to reach {point}",
                    lambda: not (engine.is_running("watcher") and engine.is_running("watcher-2")),
                )
                for service in ("watcher", "watcher-2"):
                    if engine.is_running(service):
                        engine.kill(service)
                    engine.start(service)
                engine.wait_until_ready()
                fired = tables.execute("SELECT sum(fired) FROM kr_schedule").fetchone()
                engine.wait_for(
                    "slots to fire again",
                    lambda fired=fired: (
                        tables.execute("SELECT sum(fired) FROM kr_schedule").fetchone() != fired
                    ),
                )
            tables.execute("UPDATE ms_schedule SET is_paused = true")
            engine.wait_for(
                "schedules to rest",
                lambda: (
                    tables.execute("SELECT count(*) FROM kr_schedule WHERE state = 'paused'").fetchone()
                    == (3,)
                ),
            )
            engine.wait_for(
                "flows to end",
                lambda: (
                    tables.execute("SELECT count(*) FROM kr_flow_stat WHERE finished_ts IS NULL").fetchone()
                    == (0,)
                ),
            )
        verdict = engine.verify()
    assert verdict.problems == []
    assert wrong_slots(verdict, 3) == []


def test_a_recovery_that_dies_at_each_of_its_points_is_begun_again(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, *ALL, FLOWER_AUTO_RECOVER="1") as engine:
        _define(engine)
        client = Client(engine)
        # What stays open whatever the machine is at: a recovery puts something back.
        engine.define("paused", [_task(1)])
        engine.ask("PUT", "/limits/workflow/paused", {"isPaused": True})
        paused = engine.register("paused", 5)
        client.send(200)
        engine.wait_until_projected([*client.flows.values(), *paused])
        engine.kill("projector")
        engine.wipe_redis()
        for point in RECOVERY:
            engine.start("projector", **{VARIABLE: point})
            engine.wait_until_killed("projector")
        engine.start("projector")
        engine.wait_until_ended(list(client.flows.values()))
        engine.ask("DELETE", "/limits/workflow/paused")
        engine.wait_until_ended(paused)
        verdict = engine.verify()
    assert verdict.problems == []
    assert set(verdict.flows) == {*client.flows.values(), *paused}


@pytest.mark.parametrize("point", ["replay.merged", "replay.committed"])
def test_a_replay_that_dies_there_leaves_tables_that_are_whole(tmp_path: Path, point: str) -> None:
    with RunningEngine.started(tmp_path, *ALL) as engine:
        _define(engine)
        client = Client(engine)
        client.send(100)
        dead = engine.flower("replay", **{VARIABLE: point})
        assert dead.returncode == -signal.SIGKILL, dead.stderr
        engine.wait_until_ended(list(client.flows.values()))
        assert engine.flower("verify").returncode == 0
        verdict = engine.verify()
    assert verdict.problems == []
