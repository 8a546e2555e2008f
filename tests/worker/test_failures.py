"""What follows a failure: retries, suspension, poison; attempts that are told to stop; progress."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from flower_engine.model.events.attempt_events import TaskProgressed, TaskStarted
from flower_engine.model.events.events import OutcomeRefused
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.runtime.asyncio_tasks import cancel_all
from flower_engine.transitions import operator_transitions
from flower_engine.transitions.worker_transitions import live_workers
from flower_watcher.lapse import LapseLoop
from flower_watcher.timers import TimerLoop
from scripts.engine import Engine
from worker.conftest import MakeSettings
from worker.running import InProcess, OwnProcess, eventually, row, until, until_settled
from worker.test_leases import is_kept, make_silent

StartWorker = Callable[..., InProcess]
SpawnWorker = Callable[..., OwnProcess]
AT_ONCE = RetryPolicy(max_attempts=3, delay_ms=0)
pytestmark = pytest.mark.usefixtures("watching")


@pytest.fixture
async def watching(
    engine: Engine, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    """A watcher, but for forgetting workers, that has watched before, and sees no stall, however long this
    machine stands still: else nothing takes too long for one lease time."""
    monkeypatch.setattr("flower_watcher.lapse._INTERVALS_TO_A_STALL", 1_000)
    settings = make_settings(lease_seconds=30.0)
    loops = [kind(engine.client, engine.partition, settings) for kind in (LapseLoop, TimerLoop)]
    await engine.tick()
    tasks = [asyncio.create_task(loop.run()) for loop in loops]
    yield
    await cancel_all(tasks)


async def test_a_task_that_fails_twice_succeeds_on_its_third_attempt(
    engine: Engine, start_worker: StartWorker
) -> None:
    flow = await engine.register(row(1, "fail_until", retry=AT_ONCE, attempt=3), row(2, "Noop", 1))
    start_worker()
    (ended,) = await until_settled(engine, flow)
    assert (ended.status, ended.task(1).attempt, ended.task(1).result) == (Status.FINISH, 3, b"3")
    assert ended.task(1).error is None  # that of attempt 2 is in the list of attempts


@pytest.mark.parametrize(
    ("program", "policy"),
    [
        ("fail_fatally", AT_ONCE),
        ("fail_in_a_group", AT_ONCE),
        ("fail_with_subclass", RetryPolicy(max_attempts=3, delay_ms=0, no_retry_on=("LookupError",))),
        (
            "fail_with_subclass",
            RetryPolicy(max_attempts=3, no_retry_on=("worker.sample_programs.NoSuchCustomerError",)),
        ),
        ("ask_again", RetryPolicy(max_attempts=3, no_retry_on=("flower_engine.Retry",))),
        ("ask_again", RetryPolicy(max_attempts=3, no_retry_on=("Retry",))),
    ],
    ids=["Fatal", "in a group", "a base class", "a whole name", "a public name", "a plain name"],
)
async def test_what_is_not_to_be_retried_is_suspended_at_once(
    engine: Engine, start_worker: StartWorker, program: str, policy: RetryPolicy
) -> None:
    flow = await engine.register(row(1, program, retry=policy))
    start_worker()
    (ended,) = await until_settled(engine, flow)
    assert (ended.task(1).status, ended.task(1).attempt) == (Status.SUSPEND, 1)


async def test_wrong_parameters_are_not_retried(engine: Engine, start_worker: StartWorker) -> None:
    flow = await engine.register(row(1, "add", retry=AT_ONCE, a="seven"))
    start_worker()
    (ended,) = await until_settled(engine, flow)
    assert (ended.task(1).status, ended.task(1).attempt) == (Status.SUSPEND, 1)


async def test_a_program_may_ask_for_another_attempt(engine: Engine, start_worker: StartWorker) -> None:
    flow = await engine.register(row(1, "ask_again"))
    start_worker()
    (ended,) = await until_settled(engine, flow)
    assert (ended.status, ended.task(1).result) == (Status.FINISH, b"3")


async def test_a_program_that_ends_its_process_is_poison_after_so_many(
    engine: Engine, start_worker: StartWorker
) -> None:
    flow = await engine.register(row(1, "end_process", signal_number=11))
    start_worker(max_lost=2)
    (ended,) = await until_settled(engine, flow)
    poison = ended.task(1)
    assert (poison.status, poison.lost, poison.attempt) == (Status.SUSPEND, 2, 2)
    assert poison.error is not None
    assert "SIGSEGV" in poison.error.message


@pytest.mark.parametrize("kind", ["async", "thread", "process"])
async def test_the_last_progress_of_a_failed_attempt_is_there_for_the_next(
    engine: Engine, start_worker: StartWorker, kind: str
) -> None:
    flow = await engine.register(row(1, f"tell_{kind}", retry=AT_ONCE))
    start_worker(heartbeat_seconds=0.4)
    (ended,) = await until_settled(engine, flow)
    assert ended.task(1).result == '"1.0 row 10\N{REPLACEMENT CHARACTER}"'.encode()


async def test_progress_is_told_with_heartbeats(
    engine: Engine, start_worker: StartWorker, tmp_path: Path
) -> None:
    flow = await engine.register(row(1, "tell_and_wait", FOLDER=str(tmp_path)))
    start_worker()
    flows = await until(engine, lambda flows: flows[flow].task(1).progress is not None)
    progress = flows[flow].task(1).progress
    assert progress is not None
    assert (progress.fraction, progress.note) == (0.4, "rows")
    (tmp_path / "go").touch()
    await until_settled(engine, flow)
    assert len([e for e in await engine.events() if isinstance(e, TaskProgressed)]) == 1


async def test_progress_told_again_at_once_by_a_process_is_not_lost(
    engine: Engine, start_worker: StartWorker, tmp_path: Path
) -> None:
    flow = await engine.register(row(1, "tell_twice_and_wait", FOLDER=str(tmp_path)))
    start_worker()

    def is_told(flows: dict[str, FlowState]) -> bool:
        progress = flows[flow].task(1).progress
        return progress is not None and progress.note == "at once"

    await until(engine, is_told)
    (tmp_path / "go").touch()
    await until_settled(engine, flow)


async def test_a_blocked_event_loop_shows_its_attempt_as_stuck(
    engine: Engine, spawn_worker: SpawnWorker, tmp_path: Path
) -> None:
    flow = await engine.register(row(1, "block_loop", FOLDER=str(tmp_path), timeout_ms=200))
    spawn_worker()

    async def stuck() -> bool:
        workers = await live_workers(engine.client, engine.partition)
        return [worker.stuck for worker in workers] == [(f"flow {flow} task 1 attempt 1",)]

    await eventually(stuck)


async def test_progress_that_is_no_share_fails_with_a_clear_error(
    engine: Engine, start_worker: StartWorker
) -> None:
    flow = await engine.register(row(1, "tell_nonsense"))
    start_worker()
    (ended,) = await until_settled(engine, flow)
    error = ended.task(1).error
    assert error is not None
    assert "give a share between 0 and 1" in error.message


@pytest.mark.parametrize("program", ["wait_async", "wait_process"])
async def test_an_attempt_of_a_cancelled_flow_is_stopped(
    engine: Engine, start_worker: StartWorker, tmp_path: Path, program: str
) -> None:
    flow = await engine.register(row(1, program, FOLDER=str(tmp_path)))
    start_worker()
    await eventually((tmp_path / "began-1-1").exists)
    await operator_transitions.cancel(engine.client, engine.partition, flow, by="test")
    free = await engine.register(*[row(1, "Noop")])
    await until_settled(engine, free)

    async def nothing_runs() -> bool:
        workers = await live_workers(engine.client, engine.partition)
        return all(worker.running == 0 and not worker.stuck for worker in workers)

    await eventually(nothing_runs)
    if program == "wait_async":
        await eventually((tmp_path / "cancelled-1-1").exists)
    assert (await engine.flow(flow)).status is Status.IGNORE


@pytest.mark.parametrize("program", ["wait_thread", "ignore_cancellation"])
async def test_an_attempt_that_cannot_be_stopped_is_shown_as_stuck_and_its_outcome_refused(
    engine: Engine, start_worker: StartWorker, tmp_path: Path, program: str
) -> None:
    flow = await engine.register(row(1, program, FOLDER=str(tmp_path), timeout_ms=200))
    start_worker()

    async def stuck() -> bool:
        workers = await live_workers(engine.client, engine.partition)
        return [worker.stuck for worker in workers] == [(f"flow {flow} task 1 attempt 1",)]

    await eventually(stuck)
    (suspended,) = await until_settled(engine, flow)
    error = suspended.task(1).error
    assert error is not None and error.type == "AttemptTimeout"
    (tmp_path / "go").touch()

    async def refused() -> bool:
        return any(isinstance(event, OutcomeRefused) for event in await engine.events())

    async def not_stuck() -> bool:
        return not await stuck()

    await eventually(refused)
    await eventually(not_stuck)


async def test_a_program_that_blocks_the_event_loop_for_three_leases_runs_once(
    engine: Engine, spawn_worker: SpawnWorker, tmp_path: Path
) -> None:
    """A watcher looks all the while; each time half of its lease is over when the next heartbeat comes."""
    flow = await engine.register(row(1, "block_loop", FOLDER=str(tmp_path)))
    spawn_worker()
    await eventually((tmp_path / "began-1-1").exists)
    for _ in range(3):
        assert await make_silent(engine, 15_000) == 1
        await eventually(lambda: is_kept(engine, 10_000))
    (tmp_path / "go").touch()
    (ended,) = await until_settled(engine, flow)
    assert ended.status is Status.FINISH
    assert len([e for e in await engine.events() if isinstance(e, TaskStarted)]) == 1


async def test_a_blocked_event_loop_does_not_keep_a_timeout_from_being_enforced(
    engine: Engine, spawn_worker: SpawnWorker, tmp_path: Path
) -> None:
    flow = await engine.register(row(1, "block_loop", FOLDER=str(tmp_path), timeout_ms=200))
    spawn_worker()
    (ended,) = await until_settled(engine, flow)
    error = ended.task(1).error
    assert error is not None and error.type == "AttemptTimeout"
