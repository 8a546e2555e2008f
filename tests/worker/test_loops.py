"""Programs that ask for another round of their task, of every kind, on workers that are killed meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest

from flower_engine.model.events.attempt_events import TaskAgain, TaskProgressed
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.runtime.asyncio_tasks import cancel_all
from flower_watcher.lapse import LapseLoop
from flower_watcher.timers import TimerLoop
from scripts.engine import Engine, task
from worker.conftest import MakeSettings
from worker.running import InProcess, OwnProcess, row, until, until_settled

StartWorker = Callable[..., InProcess]
SpawnWorker = Callable[..., OwnProcess]
MOST_LOST = (
    1_000  # nothing here is poison, however often a worker is killed, or stands still for a lease time
)
pytestmark = pytest.mark.usefixtures("watching")


@pytest.fixture
async def watching(engine: Engine, make_settings: MakeSettings) -> AsyncIterator[None]:
    settings = make_settings(max_lost=MOST_LOST)
    loops = [kind(engine.client, engine.partition, settings) for kind in (LapseLoop, TimerLoop)]
    tasks = [asyncio.create_task(loop.run()) for loop in loops]
    yield
    await cancel_all(tasks)


@pytest.mark.parametrize("program", ["turn_async", "turn_thread", "turn_process"])
async def test_a_program_of_every_kind_goes_round_with_what_it_gave(
    engine: Engine, start_worker: StartWorker, program: str
) -> None:
    flow = await engine.register(row(1, program, left=3, size=10))
    start_worker()
    (ended,) = await until_settled(engine, flow)
    assert json.loads(ended.task(1).result or b"") == [0, 10, 20, 3, 4]
    assert (ended.status, ended.rounds) == (Status.FINISH, 3)
    events = await engine.events()
    assert [event.round for event in events if isinstance(event, TaskAgain)] == [1, 2, 3]
    rounds = 0
    for event in events:
        match event:
            case TaskAgain():
                rounds = event.round
            case TaskProgressed():  # seldom: each round is over before the worker looks at what it told
                assert event.note == f"round {rounds}", "a round is told of while it runs, and not later"
            case _:
                pass
    await engine.check()


async def test_a_program_goes_round_with_what_it_reads(engine: Engine, start_worker: StartWorker) -> None:
    size = {"$from": "size"}
    flow = await engine.register(
        task(1, program="add", task_name="size", parameters={"a": 4, "b": 3}),
        task(2, 1, program="turn_process", parameters={"left": 2, "size": size}),
        task(3, 1, program="turn_async", parameters={"left": 2, "size": size}),
    )
    start_worker()
    (ended,) = await until_settled(engine, flow)
    assert [json.loads(ended.task(seq).result or b"") for seq in (2, 3)] == [[0, 7, 2, 3]] * 2
    await engine.check()


async def test_a_group_of_errors_asks_for_a_round_if_that_is_all_it_holds(
    engine: Engine, start_worker: StartWorker
) -> None:
    asked = await engine.register(row(1, "turn_in_a_group"))
    failed = await engine.register(row(1, "turn_and_fail"))
    start_worker()
    one, other = await until_settled(engine, asked, failed)
    assert (one.status, one.task(1).result) == (Status.FINISH, b'"one was asked for"')
    assert (other.task(1).status, other.rounds) == (Status.SUSPEND, 0)


async def test_a_round_with_parameters_that_its_program_has_not_is_suspended(
    engine: Engine, start_worker: StartWorker
) -> None:
    flow = await engine.register(row(1, "turn_to_nobody", retry=RetryPolicy(max_attempts=5)))
    start_worker()
    (ended,) = await until_settled(engine, flow)
    assert (ended.task(1).status, ended.task(1).round) == (Status.SUSPEND, 1)
    assert "has no parameter 'shap'" in str(ended.task(1).error)


async def test_a_killed_worker_loses_no_round(
    engine: Engine, spawn_worker: SpawnWorker, make_settings: MakeSettings
) -> None:
    flows = await engine.register_many(10, row(1, "turn_async", left=40, size=1))
    killed = 0
    for least in (20, 120, 250):
        worker = spawn_worker(lease_seconds=1.0)
        await until(engine, lambda known, least=least: sum(flow.rounds for flow in known.values()) >= least)
        worker.kill()
        killed += 1
    short = LapseLoop(engine.client, engine.partition, make_settings(lease_seconds=1.0, max_lost=MOST_LOST))
    looking = asyncio.create_task(short.run())
    spawn_worker()
    ended = await until_settled(engine, *flows)
    await cancel_all([looking])
    assert killed == 3
    for flow in ended:
        found = json.loads(flow.task(1).result or b"")
        assert found[:-1] == [*range(40), 40], "each round once, and in its order"
    await engine.check()
