"""The finish-and-claim loop, one call at a time."""

import asyncio
from pathlib import Path

import pytest

from flower_engine.blobs.blob_stores import BlobStores
from flower_engine.model.events.attempt_events import TaskReturned, TaskStarted
from flower_engine.model.tasks.status import Status
from flower_engine.programs.program_modules import load_programs
from flower_engine.runtime.settings_loading import load_settings
from flower_engine.transitions.worker_transitions import MOST_KEPT_BYTES, attend, program_args
from flower_worker.ability import Ability
from flower_worker.child_process import Origin
from flower_worker.child_processes import Processes
from flower_worker.exchange import ExchangeLoop
from flower_worker.execution import Executor
from flower_worker.other_versions import OwnVersion
from flower_worker.queues import Queues
from flower_worker.slots import AskKind, Slots
from flower_worker.threads import Threads
from flower_worker.worker import make_data
from scripts.engine import Engine
from worker.running import PROGRAMS, eventually, row

SLOTS = 3


@pytest.fixture
async def exchange(engine: Engine) -> ExchangeLoop:
    """A loop with three slots that runs only when the test says so."""
    registry = load_programs([PROGRAMS])
    programs = tuple(program.name for program in registry if program.kind != "process")
    await attend(engine.client, engine.partition, ["default"])
    return ExchangeLoop(
        engine.client,
        engine.partition,
        "w1",
        queues=Queues(["default"]),
        programs=dict.fromkeys(AskKind, program_args(programs)),
        slots=Slots(SLOTS, 0),
        executor=Executor(
            *(registry, "w1", Threads(SLOTS), Processes(Origin.now([]), Ability(()))),
            make_data(load_settings(), BlobStores([], "http://127.0.0.1:1", None)),
            max_lost=3,
        ),
        most_kept=MOST_KEPT_BYTES,
        own_version=OwnVersion(""),
    )


async def started(engine: Engine) -> int:
    return sum(isinstance(event, TaskStarted) for event in await engine.events())


async def test_a_full_worker_does_not_call(engine: Engine, exchange: ExchangeLoop, tmp_path: Path) -> None:
    await engine.register_many(SLOTS + 1, row(1, "wait_async", FOLDER=str(tmp_path)))
    assert await exchange.run_once()
    assert not await exchange.run_once()
    (tmp_path / "go").touch()
    await eventually(lambda: not exchange.running())


async def test_a_worker_that_found_too_little_does_not_call_again_by_itself(
    engine: Engine, exchange: ExchangeLoop, tmp_path: Path
) -> None:
    await engine.register(row(1, "wait_async", FOLDER=str(tmp_path)))
    assert await exchange.run_once()
    assert not await exchange.run_once()
    (tmp_path / "go").touch()
    await eventually(lambda: not exchange.running())
    assert exchange.unanswered() == 1


async def test_what_is_finished_and_what_follows_it_take_one_call(
    engine: Engine, exchange: ExchangeLoop
) -> None:
    flows = await engine.register_many(2, row(1, "Noop"), row(2, "Noop", 1), row(3, "Noop", 2))
    for task in (1, 2, 3):
        assert await exchange.run_once()
        assert await started(engine) == task * len(flows)
        await eventually(lambda: exchange.unanswered() == len(flows))
    assert await exchange.run_once()
    found = await engine.flows()
    assert all(found[flow].ended_ms for flow in flows)
    assert exchange.quiet.is_set()


async def test_claims_that_come_when_the_worker_stops_are_handed_back(
    engine: Engine, exchange: ExchangeLoop
) -> None:
    flows = await engine.register_many(2, row(1, "Noop"))
    calling = asyncio.create_task(exchange.run_once())
    await asyncio.sleep(0)  # the call is under way
    exchange.stop_claiming()
    await calling
    assert not exchange.quiet.is_set()
    assert await exchange.run_once()
    assert exchange.quiet.is_set()
    assert sum(isinstance(event, TaskReturned) for event in await engine.events()) == len(flows)
    assert not await exchange.run_once()
    for flow in flows:
        assert (await engine.flow(flow)).task(1).status is Status.WAIT


async def test_a_task_whose_program_is_gone_is_handed_back(engine: Engine, exchange: ExchangeLoop) -> None:
    registry = load_programs([PROGRAMS])
    known = registry.get("add")
    assert known is not None
    await engine.register(row(1, "add", a=1))
    registry.forget("add")
    try:
        assert await exchange.run_once()
        exchange.stop_claiming()
        assert await exchange.run_once()
    finally:
        registry.add(known.function, "add", None)
    assert any(isinstance(event, TaskReturned) for event in await engine.events())
