"""What a worker runs and a join needs no more, as it went on with another one."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from flower_engine.model.events.events import OutcomeRefused
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.worker_transitions import live_workers
from scripts.engine import Engine
from worker.running import InProcess, eventually, row, until_settled


async def test_what_a_join_cancels_hears_of_it_and_what_comes_of_it_all_the_same_changes_nothing(
    engine: Engine, start_worker: Callable[..., InProcess], tmp_path: Path
) -> None:
    first, others = tmp_path / "first", tmp_path / "others"
    first.mkdir()
    others.mkdir()
    flow = await engine.register(
        row(1, "wait_async", FOLDER=str(first)),
        row(2, "wait_async", FOLDER=str(others)),
        row(3, "wait_thread", FOLDER=str(others)),  # nobody can stop a thread
        msgspec.structs.replace(row(4, "Noop", 1, 2, 3), rule="any:cancel"),
    )
    start_worker()
    for began in (first / "began-1-1", others / "began-2-1", others / "began-3-1"):
        await eventually(began.exists)
    (first / "go").touch()
    (ended,) = await until_settled(engine, flow)
    assert _stand(ended) == [("Finish", ""), ("Ignore", "u"), ("Ignore", "u"), ("Finish", "")]
    await eventually((others / "cancelled-2-1").exists)

    async def running() -> list[str]:
        (worker,) = await live_workers(engine.client, engine.partition)
        return [f"{worker.running} run", *worker.stuck]

    async def is_stuck() -> bool:
        return await running() == ["0 run", f"flow {flow} task 3 attempt 1"]

    async def is_over() -> bool:
        return await running() == ["0 run"]

    await eventually(is_stuck)
    (others / "go").touch()
    await eventually(is_over)

    async def is_refused() -> bool:
        events = await engine.events()
        return [event.task for event in events if isinstance(event, OutcomeRefused)] == [3]

    await eventually(is_refused)
    assert await engine.flow(flow) == ended


def _stand(flow: FlowState) -> list[tuple[str, str]]:
    return [(Status(task.status).word, task.ended_as) for task in flow.tasks]
