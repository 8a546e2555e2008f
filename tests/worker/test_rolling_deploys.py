"""Two versions of a program live: tasks run where their parameters fit; what none takes is suspended."""

import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from flower_engine.insight.published_signatures import read_published
from flower_engine.log.client import send
from flower_engine.model.events.attempt_events import TaskReturned
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.worker_transitions import live_workers
from scripts.engine import Engine
from worker.running import OwnProcess, eventually, row, until, until_settled

KINDS = ("async", "thread", "process")
A_LONG_LEASE_SECONDS = 600.0  # one that stands still lives to the end of its test, however slow that is
PROGRAMS = """
from flower_engine import program

@program
async def load_async({parameters}) -> str:
    return "{version}"

@program
def load_thread({parameters}) -> str:
    return "{version}"

@program(kind="process")
def load_process({parameters}) -> str:
    return "{version}"
"""


@pytest.fixture
def workers() -> dict[str, OwnProcess]:
    """By what they have of the programs."""
    return {}


@pytest.fixture
async def both(
    engine: Engine, spawn_worker: Callable[..., OwnProcess], tmp_path: Path, workers: dict[str, OwnProcess]
) -> Engine:
    """A worker of before and one of after live, and have said all that they take."""
    for version, parameters in (("old", "a: int"), ("new", "a: int, b: list[int]")):
        folder = tmp_path / version
        folder.mkdir()
        (folder / "rolling.py").write_text(PROGRAMS.format(version=version, parameters=parameters))
        workers[version] = spawn_worker(
            folder, programs=("rolling",), processes=1, lease_seconds=A_LONG_LEASE_SECONDS
        )

    async def known() -> bool:
        live = await live_workers(engine.client, engine.partition)
        pairs = [(worker.signatures, "load_async") for worker in live]
        said = await read_published(engine.client, engine.partition, pairs)
        return len(said) == 2 and all(one.kind for one in said.values())

    await eventually(known)
    return engine


async def stand_still(engine: Engine, worker: OwnProcess) -> None:
    """Stops the worker; nothing that it had asked Redis for is still to be answered."""
    worker.send(signal.SIGSTOP)
    await eventually(lambda: psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED)
    for _ in range(2):  # behind what came before it, whichever connection Redis looks at first
        await send(engine.client, "PING")


async def die(engine: Engine, worker: OwnProcess) -> None:
    """Kills the worker, and lets the time go by for which it is remembered."""
    worker.kill()
    (known,) = [one for one in await live_workers(engine.client, engine.partition) if one.pid == worker.pid]
    await send(engine.client, "DEL", engine.keys.worker(known.worker))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_task_runs_where_its_parameters_fit(both: Engine, kind: str) -> None:
    program = f"load_{kind}"
    new = await both.register_many(12, row(1, program, a=1, b=[2]))
    old = await both.register_many(12, row(1, program, a=1))
    for flow in await until_settled(both, *new, *old):
        task = flow.task(1)
        assert task.status is Status.FINISH, task.error
        assert task.result == (b'"new"' if flow.flow in new else b'"old"')
        assert task.failures == 0  # nobody was charged
    returned = [event for event in await both.events() if isinstance(event, TaskReturned)]
    for event in returned:
        assert event.unfit and event.error is not None
        assert event.error.type == "ParameterError" and "'b'" in event.error.message


async def test_what_waits_for_a_version_that_goes_is_suspended(
    both: Engine, workers: dict[str, OwnProcess]
) -> None:
    await stand_still(both, workers["old"])  # it lives, as far as others know, and takes nothing
    (flow,) = await both.register_many(1, row(1, "load_async", a=1))
    await until(both, lambda flows: flows[flow].task(1).attempt == 1 and not flows[flow].suspended)
    await die(both, workers["old"])
    (settled,) = await until_settled(both, flow)
    task = settled.task(1)
    assert task.status is Status.SUSPEND and task.error is not None
    assert "needs 'b'" in task.error.message


async def test_what_no_version_takes_is_suspended_with_what_each_takes(both: Engine) -> None:
    flows = await both.register_many(4, row(1, "load_async", a=1, c="hidden"))
    for flow in await until_settled(both, *flows):
        task = flow.task(1)
        assert task.status is Status.SUSPEND and task.error is not None
        assert (task.attempt, task.error.type) == (1, "ParameterError")  # at once
        said = task.error.message
        assert "program 'load_async' has no parameter 'c'; it takes a" in said
        assert ". No other live version takes it: that of worker " in said
        assert "it has no parameter 'c'" in said
        assert ("takes 'b' too (required)" in said) or ("has no 'b'" in said)
        assert "hidden" not in said
