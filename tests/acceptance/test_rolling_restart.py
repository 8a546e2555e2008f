"""Every service is restarted, one after the other, while flows are registered and run: nobody notices."""

from pathlib import Path

from acceptance.running import RunningEngine
from chaos.people import People
from chaos.running import LIMIT, PROGRAMS, define, has_ended, have_paused, pause_schedules
from flower_engine.model.events.attempt_events import TaskLapsed

SERVICES = ("api", "projector", "watcher", "worker", "worker-2")
ROUNDS = 2
SEED = 5
SCHEDULES = 30  # each overlap with each way to catch up, with and without jitter


def test_a_rolling_restart_under_load_loses_nothing_and_lets_no_lease_lapse(tmp_path: Path) -> None:
    programs = {
        "FLOWER_PROGRAMS": PROGRAMS,
        "FLOWER_CONCURRENCY": "10",
        "FLOWER_LEASE_SECONDS": "20",  # a machine that is busy may stop a worker for a while
        "PYTHONPATH": str(Path(__file__).parent.parent),
    }
    with RunningEngine.started(tmp_path, **programs) as engine:
        engine.set_environment(CHAOS_DATABASE_URL=engine.addresses.database_url)
        for name in SERVICES:
            engine.start(name)
        engine.wait_until_ready()
        define(engine, LIMIT, SCHEDULES)
        people = People(engine.url, SEED, operators=0)
        people.start()
        try:
            for number in range(ROUNDS):
                for name in SERVICES:
                    before = len(people.flows)
                    engine.stop(name)
                    engine.start(name)
                    engine.wait_until_ready()
                    engine.wait_for("more flows", lambda before=before: len(people.flows) > before + 10)
                assert number < ROUNDS
        finally:
            people.stop()
        pause_schedules(engine)
        engine.wait_for("all schedules to rest", lambda: have_paused(engine, SCHEDULES))
        engine.wait_for("all flows to end", lambda: has_ended(engine, list(people.flows.values())))
        verdict = engine.verify()
    assert verdict.problems == people.problems == []
    of_people = {name for name, flow in verdict.flows.items() if not flow.registered.schedule}
    assert of_people == set(people.flows.values())
    assert not [event for event in verdict.events if isinstance(event, TaskLapsed)]
