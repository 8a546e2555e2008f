"""Two versions of a program live: tasks run where their parameters fit; what none takes is suspended."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flower_engine.insight.published_signatures import read_published
from flower_engine.model.events import TaskReturned
from flower_engine.model.status import Status
from flower_engine.transitions.worker_transitions import live_workers
from scripts.engine import Engine
from worker.running import OwnProcess, eventually, row, until_settled

KINDS = ("async", "thread", "process")
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
        workers[version] = spawn_worker(folder, programs=("rolling",), processes=1)

    async def known() -> bool:
        live = await live_workers(engine.client, engine.partition)
        pairs = [(worker.signatures, "load_async") for worker in live]
        said = await read_published(engine.client, engine.partition, pairs)
        return len(said) == 2 and all(one.kind for one in said.values())

    await eventually(known)
    return engine


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
