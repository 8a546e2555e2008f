"""Child processes: made as needed, used again, killed on cancellation, gone with their worker."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import psutil
import pytest

from flower_engine.model.definitions.task_message import TaskMessage
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.programs.context import Progress
from flower_worker.ability import Ability, CannotStartError
from flower_worker.child_messages import Job, frame
from flower_worker.child_process import Origin
from flower_worker.child_processes import Processes
from process_commands import command_of
from scripts.engine import Engine
from worker.running import PROGRAMS, OwnProcess, eventually, row


def job(program: str, **parameters: object) -> Job:
    message = TaskMessage(workflow="w", task_seq=1, program=program, parameters=parameters)
    return Job("flow", 1, 1, "worker", program, msgspec.json.encode(message))


def ignore(_progress: Progress) -> None:
    """For jobs that tell nothing."""


@pytest.fixture
async def processes() -> AsyncIterator[Processes]:
    made = Processes(Origin.now([PROGRAMS]), Ability(()))
    yield made
    await made.close()


async def pid_of_child(processes: Processes) -> int:
    kind, payload, *_ = await processes.run(job("where_process"), ignore)
    assert kind is OutcomeKind.FINISHED
    return msgspec.json.decode(payload)[0]


async def test_a_child_is_used_again(processes: Processes) -> None:
    assert await pid_of_child(processes) == await pid_of_child(processes)


def children() -> set[int]:
    """The child processes for CPU-bound programs that live now."""
    return {child.pid for child in psutil.Process().children() if "flower_worker.child" in command_of(child)}


async def test_a_child_may_be_made_ahead_of_the_first_job(processes: Processes) -> None:
    await processes.warm()
    (warm,) = children()
    assert await pid_of_child(processes) == warm


async def test_a_child_that_is_just_being_made_ends_with_the_others() -> None:
    made = Processes(Origin.now([PROGRAMS]), Ability(()))
    made.warm()
    await eventually(lambda: bool(children()))
    await made.close()
    assert children() == set()


async def test_tries_for_a_program_that_no_process_registers_leave_no_children_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flower_worker.child_processes._FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("flower_worker.child_processes._LONGEST_PAUSE_SECONDS", 0.01)
    made, seen = Processes(Origin.now([PROGRAMS]), Ability(("nobody_registers_it",))), set[int]()

    def has_tried_often() -> bool:
        seen.update(children())
        return len(seen) >= 4

    try:
        await made.warm()
        await eventually(has_tried_often)
        assert len(children()) <= 2  # the last one, and the one that takes its place
    finally:
        await made.close()
    assert children() == set()


async def test_what_is_closed_while_a_child_is_made_tries_no_more() -> None:
    made = Processes(Origin.now([PROGRAMS]), Ability(("nobody_registers_it",)))
    made.warm()
    await made.close()
    assert children() == set()
    assert not [task for task in asyncio.all_tasks() if "_until_able" in repr(task)]


async def test_an_idle_child_that_died_fails_nothing(processes: Processes) -> None:
    first = await pid_of_child(processes)
    os.kill(first, signal.SIGKILL)
    assert await pid_of_child(processes) != first


async def test_a_cancelled_job_kills_its_child(processes: Processes, tmp_path: Path) -> None:
    running = asyncio.create_task(processes.run(job("wait_process", folder=str(tmp_path)), ignore))
    await eventually((tmp_path / "began-1-1").exists)
    child = int((tmp_path / "began-1-1").read_text())
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not psutil.pid_exists(child)


async def test_jobs_run_beside_each_other(processes: Processes, tmp_path: Path) -> None:
    first = asyncio.create_task(processes.run(job("wait_process", folder=str(tmp_path)), ignore))
    await eventually((tmp_path / "began-1-1").exists)
    await pid_of_child(processes)
    (tmp_path / "go").touch()
    assert (await first)[:3] == (OutcomeKind.FINISHED, b'"worker"', 0)


async def test_a_job_that_no_child_can_take_up_has_not_run() -> None:
    made = Processes(Origin.now(["no.such.module"]), Ability(["where_process"]))
    with pytest.raises(CannotStartError):
        await made.run(job("where_process"), ignore)
    assert (
        "module 'no.such.module' of FLOWER_PROGRAMS does not import" in made.ability.unable["where_process"]
    )
    await made.close()


async def test_a_signal_to_the_group_is_left_to_the_worker(processes: Processes, tmp_path: Path) -> None:
    running = asyncio.create_task(processes.run(job("wait_process", folder=str(tmp_path)), ignore))
    await eventually((tmp_path / "began-1-1").exists)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(int((tmp_path / "began-1-1").read_text()), number)
    (tmp_path / "go").touch()
    assert (await running)[0] is OutcomeKind.FINISHED


@pytest.mark.parametrize("sent", [b"", frame(Origin.now([PROGRAMS]).hello)], ids=["first", "greeted"])
def test_a_child_whose_worker_is_gone_before_it_is_ready_ends_without_a_word(sent: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-m", "flower_worker.child", str(theirs.fileno())]
        with subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE) as child:
            theirs.close()
            ours.sendall(sent)
            ours.close()
            _, said = child.communicate()
    assert (child.returncode, said.decode()) == (1, "")


async def test_children_end_with_a_worker_that_is_killed(
    engine: Engine, spawn_worker: Callable[..., OwnProcess], tmp_path: Path
) -> None:
    await engine.register(row(1, "wait_process", FOLDER=str(tmp_path)))
    worker = spawn_worker()
    await eventually((tmp_path / "began-1-1").exists)
    worker.kill()
    child = int((tmp_path / "began-1-1").read_text())
    await eventually(lambda: not psutil.pid_exists(child))
