"""Child processes that do not start: no task is charged, everything else goes on, and people are told why."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from flower_engine.log.client import send
from flower_engine.log.partition import Partition
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.installation_transitions import halt
from flower_engine.transitions.worker_transitions import live_workers
from process_commands import command_of
from scripts.engine import Engine
from worker.running import OwnProcess, eventually, row, the_worker, until, until_settled

SpawnWorker = Callable[..., OwnProcess]
GOOD = """
import os, resource, time
from pathlib import Path
from flower_engine import program

@program(kind="process")
def good() -> int:
    return os.getpid()

@program
def move() -> None:
    os.chdir("/")

@program
def upset() -> None:
    os.environ["PYTHONHOME"] = "/nowhere"
    os.environ["LD_PRELOAD"] = "/nowhere.so"

@program
def allow_files(count: int) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (count or os.dup(2) + 3, most))

@program(kind="process")
def hold(folder: Path) -> None:
    while not (folder / "go").exists():
        time.sleep(0.01)
"""
READS = """
from pathlib import Path
exec(Path(__file__).with_name("fragile.txt").read_text())
"""
FRAGILE = """
from flower_engine import program

@program(kind="process")
def fragile() -> int:
    return 1
"""
ENDS = "import os\nos._exit(3)\n"


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """A folder with two modules of programs; what one of them reads when it is imported changes. (Its code
    may be edited: that is not run before the worker begins anew.)"""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "good_programs.py").write_text(GOOD)
    (folder / "fragile_programs.py").write_text(READS)
    (folder / "fragile.txt").write_text(FRAGILE)
    return folder


@pytest.fixture
def start(spawn_worker: SpawnWorker, modules: Path) -> Callable[..., OwnProcess]:
    def start(**given: Any) -> OwnProcess:
        programs = ("fragile_programs", "good_programs")
        return spawn_worker(modules, **{"programs": programs, "processes": 1, **given})

    return start


async def lose_child(worker: OwnProcess) -> None:
    """The worker's idle child is gone, once there is one."""
    await eventually(lambda: bool(_children(worker)))
    for child in _children(worker):
        os.kill(child.pid, signal.SIGKILL)
        await eventually(lambda child=child: not child.is_running())


def _children(worker: OwnProcess) -> list[psutil.Process]:
    found = psutil.Process(worker.pid).children()
    return [one for one in found if "flower_worker.child" in command_of(one)]


async def finished(engine: Engine, program: str, **parameters: Any) -> FlowState:
    (flow,) = await until_settled(engine, await engine.register(row(1, program, **parameters)))
    assert flow.status is Status.FINISH, flow.task(1).error
    return flow


async def unable(engine: Engine) -> dict[str, str]:
    workers = await live_workers(engine.client, engine.partition)
    return {name: why for worker in workers for name, why in worker.unable.items()}


@pytest.mark.parametrize("text", ["def", "import no_such_module\n", "1 / 0\n", ENDS, "", GOOD])
async def test_a_module_that_does_not_import_any_more_harms_no_other(
    engine: Engine, start: Callable[..., OwnProcess], modules: Path, text: str
) -> None:
    worker = start()
    await finished(engine, "good")
    (modules / "fragile.txt").write_text(text)
    await lose_child(worker)
    flow = await engine.register(row(1, "fragile"))
    for _ in range(3):
        await finished(engine, "good")
        await finished(engine, "Noop")

    async def is_told() -> bool:
        return "fragile" in await unable(engine)

    await eventually(is_told)
    waiting = (await engine.flow(flow)).task(1)
    assert (waiting.status, waiting.lost) == (Status.WAIT, 0)
    assert waiting.attempt <= 1, "what cannot be started is not claimed again and again"
    assert len(_reasons(worker)) == 1
    (modules / "fragile.txt").write_text(FRAGILE)
    (ended,) = await until_settled(engine, flow)
    assert (ended.status, ended.task(1).lost) == (Status.FINISH, 0)
    await eventually(lambda: "can start fragile again" in worker.log())


async def test_why_a_program_cannot_start_is_told_once_however_often_that_is_tried(
    engine: Engine, start: Callable[..., OwnProcess], modules: Path
) -> None:
    worker = start()
    await finished(engine, "good")
    tries = modules / "tries.txt"
    counted = f"with open({str(tries)!r}, 'a') as file:\n    file.write('.')\n{ENDS}"
    (modules / "fragile.txt").write_text(counted)
    await lose_child(worker)
    await engine.register(row(1, "fragile"))
    await eventually(lambda: tries.exists() and len(tries.read_text()) > 2)
    assert len(_reasons(worker)) == 1


def _reasons(worker: OwnProcess) -> list[str]:
    """Why the worker said that it cannot start ``fragile``, but for a child that lose_child met while it
    imported."""
    said = [line for line in worker.log().splitlines() if "cannot start fragile" in line]
    return [line for line in said if "SIGKILL" not in line]


@pytest.mark.parametrize("what", ["move", "upset"])
async def test_children_start_from_where_the_worker_began_whatever_programs_do(
    engine: Engine, start: Callable[..., OwnProcess], what: str
) -> None:
    worker = start()
    await finished(engine, "good")
    await finished(engine, what)
    await lose_child(worker)
    assert (await finished(engine, "good")).task(1).attempt == 1


async def test_so_they_do_when_the_worker_began_anew_because_redis_was_lost(
    engine: Engine, start: Callable[..., OwnProcess]
) -> None:
    start()
    await finished(engine, "move")
    before = await the_worker(engine)
    await halt(engine.client, engine.partition, "a test")
    await send(engine.client, "HDEL", engine.keys.meta, "halted_why")
    await send(engine.client, "HSET", engine.keys.meta, "generation", "2")
    engine.partition = Partition(0, engine.partition.installation, "2")

    async def is_another() -> bool:
        workers = await live_workers(engine.client, engine.partition)
        return any(info.worker != before.worker for info in workers)

    await eventually(is_another)
    assert (await finished(engine, "good")).task(1).attempt == 1


async def test_a_worker_that_can_make_no_process_hands_back_and_tries_again(
    engine: Engine, start: Callable[..., OwnProcess]
) -> None:
    worker = start()
    await the_worker(engine)
    await finished(engine, "good")
    await finished(engine, "allow_files", count=0)
    await lose_child(worker)
    flow = await engine.register(row(1, "good"))
    flows = await until(engine, lambda flows: flows[flow].task(1).attempt == 1)
    await finished(engine, "Noop")

    async def is_told() -> bool:
        return "no process can be made" in (await unable(engine)).get("good", "")

    await eventually(is_told)
    await finished(engine, "allow_files", count=1024)
    flows = await until(engine, lambda flows: flows[flow].status is Status.FINISH)
    assert flows[flow].task(1).lost == 0


async def test_a_worker_that_can_make_no_more_processes_goes_on_with_those_it_has(
    engine: Engine, start: Callable[..., OwnProcess], tmp_path: Path
) -> None:
    worker = start(processes=8)
    await finished(engine, "good")
    await finished(engine, "allow_files", count=0)
    flows = await engine.register_many(8, row(1, "hold", FOLDER=str(tmp_path)))
    await eventually(lambda: "no more than " in worker.log())
    (tmp_path / "go").touch()
    ended = await until_settled(engine, *flows)
    assert [(flow.status, flow.task(1).lost) for flow in ended] == [(Status.FINISH, 0)] * 8
    assert await unable(engine) == {}
    await finished(engine, "allow_files", count=1024)
    await eventually(lambda: "more processes for programs can be had again" in worker.log())
