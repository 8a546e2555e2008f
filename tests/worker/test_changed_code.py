"""One worker runs one version of the code: that which it began with, and it says what was changed."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from flower_engine.model.tasks.status import Status
from process_commands import command_of
from scripts.engine import Engine
from worker.running import OwnProcess, eventually, row, the_worker, until_settled

PROGRAMS = """
from flower_engine import program
from versioned_inner import VERSION

@program
async def version_async() -> list[str]:
    return ["first", VERSION]

@program
def version_thread() -> list[str]:
    return ["first", VERSION]

@program(kind="process")
def version_process() -> list[str]:
    return ["first", VERSION]

@program(kind="process")
def late_process() -> str:
    import versioned_late
    return versioned_late.VERSION

@program
def late_thread() -> str:
    import versioned_late
    return versioned_late.VERSION
"""
INNER = 'VERSION = "first"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "modules"
    made.mkdir()
    (made / "versioned_programs.py").write_text(PROGRAMS)
    for name in ("versioned_inner", "versioned_late"):
        (made / f"{name}.py").write_text(INNER)
    return made


async def result(engine: Engine, program: str) -> Any:
    (ended,) = await until_settled(engine, await engine.register(row(1, program)))
    task = ended.task(1)
    assert task.status is Status.FINISH and task.result is not None, task.error
    return msgspec.json.decode(task.result)


async def lose_children(worker: OwnProcess) -> None:
    children = [
        one for one in psutil.Process(worker.pid).children() if "flower_worker.child" in command_of(one)
    ]
    assert children
    for child in children:
        os.kill(child.pid, signal.SIGKILL)
        await eventually(lambda child=child: not child.is_running())


@pytest.mark.parametrize("edited", ["edited", "broken", "gone"])
async def test_a_replaced_child_runs_what_the_worker_began_with(
    engine: Engine, spawn_worker: Callable[..., OwnProcess], folder: Path, edited: str
) -> None:
    worker = spawn_worker(folder, programs=("versioned_programs",), processes=1)
    kinds = ("async", "thread", "process")
    for kind in kinds:
        assert await result(engine, f"version_{kind}") == ["first", "first"]
    files = (folder / "versioned_programs.py", folder / "versioned_inner.py")
    for file in files:
        match edited:
            case "edited":
                file.write_text(file.read_text().replace('"first"', '"second"'))
            case "broken":
                file.write_text("def")
            case _:
                file.unlink()
    await lose_children(worker)
    for kind in kinds:
        assert await result(engine, f"version_{kind}") == ["first", "first"]

    async def is_told() -> bool:
        known = await the_worker(engine)
        return known.outdated == tuple(sorted(map(str, files)))

    await eventually(is_told)
    said = [line for line in worker.log().splitlines() if "changed since this worker began: " in line]
    assert [" ".join(said).count(str(file)) for file in files] == [1, 1]


@pytest.mark.parametrize("kind", ["thread", "process"])
async def test_what_is_imported_late_from_a_changed_file_is_said(
    engine: Engine, spawn_worker: Callable[..., OwnProcess], folder: Path, kind: str
) -> None:
    worker = spawn_worker(folder, programs=("versioned_programs",), processes=1)
    await result(engine, "version_process")
    (folder / "versioned_late.py").write_text(INNER.replace("first", "second"))
    assert await result(engine, f"late_{kind}") == "second"
    await eventually(lambda: "versioned_late is imported for the first time now" in worker.log())
