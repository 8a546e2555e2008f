"""A worker runs each program where its kind says, with typed parameters, and hands in what came of it."""

import os
import signal
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from flower_engine.errors import ProgramError
from flower_engine.log.client import send
from flower_engine.model.events.attempt_events import TaskFinished
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.worker_transitions import live_workers
from scripts.engine import Engine
from worker.running import InProcess, eventually, row, the_worker, until, until_settled

StartWorker = Callable[..., InProcess]


async def results(engine: Engine, flow: str) -> dict[int, Any]:
    """What each task of a flow returned."""
    return {
        event.task: msgspec.json.decode(event.result)
        for event in await engine.events()
        if isinstance(event, TaskFinished) and event.flow == flow
    }


def the_error(flow: FlowState, task: int = 1) -> Any:
    error = flow.task(task).error
    assert flow.task(task).status is Status.SUSPEND
    assert error is not None
    return error


async def test_a_chain_with_every_kind_of_program_runs_to_its_end(
    engine: Engine, start_worker: StartWorker
) -> None:
    flow = await engine.register(
        row(1, "where_async"), row(2, "where_thread", 1), row(3, "where_process", 2), row(4, "Noop", 3)
    )
    start_worker()
    (ended,) = await until_settled(engine, flow)
    assert ended.ended_ms is not None
    got = await results(engine, flow)
    assert got[1] == [os.getpid(), True]
    assert got[2] == [os.getpid(), False]
    assert got[3][0] != os.getpid() and got[3][1] is True
    assert got[4] is None


async def test_parameters_of_the_table_arrive_typed(engine: Engine, start_worker: StartWorker) -> None:
    flow = await engine.register(row(1, "add", A="40", B="2"), row(2, "add", a=1))
    start_worker()
    await until_settled(engine, flow)
    assert await results(engine, flow) == {1: 42, 2: 2}


@pytest.mark.parametrize("parameters", [{"A": "forty"}, {}, {"A": "1", "C": "2"}])
async def test_parameters_that_do_not_fit_suspend_the_task(
    engine: Engine, start_worker: StartWorker, parameters: dict[str, str]
) -> None:
    flow = await engine.register(row(1, "add", **dict[str, Any](parameters)))
    start_worker()
    (suspended,) = await until_settled(engine, flow)
    error = the_error(suspended)
    assert error.type == "ParameterError" and "'add'" in error.message and not error.traceback


@pytest.mark.parametrize("kind", ["async", "thread", "process"])
@pytest.mark.parametrize("asks", ["who", "helped"])
async def test_a_program_and_its_helpers_are_told_what_they_run_for(
    engine: Engine, start_worker: StartWorker, kind: str, asks: str
) -> None:
    flow = await engine.register(row(7, f"{asks}_{kind}"), workflow="nightly")
    start_worker()
    await until_settled(engine, flow)
    assert (await results(engine, flow))[1] == {
        "flow": flow,
        "task": 1,
        "attempt": 1,
        "round": 0,
        "workflow": "nightly",
        "task_seq": 7,
        "program": f"{asks}_{kind}",
        "worker": (await the_worker(engine)).worker,
        "last_progress": None,
        "slot": None,
        "previous_slot": None,
        "next_slot": None,
    }


@pytest.mark.parametrize("kind", ["async", "thread", "process"])
async def test_an_exception_suspends_the_task_and_is_kept(
    engine: Engine, start_worker: StartWorker, kind: str
) -> None:
    flow = await engine.register(row(1, f"fail_{kind}", MESSAGE="no such\0book"), row(2, "Noop", 1))
    start_worker()
    (suspended,) = await until_settled(engine, flow)
    error = the_error(suspended)
    assert (error.type, error.message) == ("LookupError", "no such\ufffdbook")
    assert f"in fail_{kind}" in error.traceback and "flower_worker" not in error.traceback
    assert suspended.task(2).status is Status.WAIT


@pytest.mark.parametrize(
    ("program", "type_name"),
    [
        ("exit_async", "SystemExit"),
        ("exit_thread", "SystemExit"),
        ("exit_process", "SystemExit"),
        ("interrupt", "KeyboardInterrupt"),
        ("cancel_itself", "asyncio.exceptions.CancelledError"),
        ("return_object", "ProgramError"),
    ],
)
async def test_what_would_end_the_worker_suspends_only_the_task(
    engine: Engine, start_worker: StartWorker, program: str, type_name: str
) -> None:
    flow = await engine.register(row(1, program))
    start_worker()
    (suspended,) = await until_settled(engine, flow)
    assert the_error(suspended).type == type_name
    later = await engine.register(row(1, "Noop"))
    (ended,) = await until_settled(engine, later)
    assert ended.ended_ms is not None


@pytest.mark.parametrize(
    ("number", "says"),
    [(0, "exit code 0"), (signal.SIGSEGV, "SIGSEGV"), (signal.SIGKILL, "SIGKILL")],
)
async def test_a_process_that_dies_fails_only_its_own_attempt(
    engine: Engine, start_worker: StartWorker, number: int, says: str
) -> None:
    dies = await engine.register(row(1, "end_process", SIGNAL_NUMBER=str(int(number))))
    others = await engine.register_many(3, row(1, "where_process"))
    start_worker()
    suspended, *ended = await until_settled(engine, dies, *others)
    error = the_error(suspended)
    assert error.type == "ProcessLost" and says in error.message
    assert all(flow.ended_ms is not None for flow in ended)


@pytest.mark.parametrize("program", ["add", "wait_process"])
async def test_parameters_nested_too_deep_to_read_suspend_the_task(
    engine: Engine, start_worker: StartWorker, program: str
) -> None:
    flow = await engine.register(row(1, program))
    message = b'{"workflow":"etl","task_seq":1,"program":"%s","parameters":{"a":%s}}' % (
        program.encode(),
        b"[" * 20_000 + b"]" * 20_000,
    )
    await send(engine.client, "HSET", engine.keys.flow(flow), "m1", message)
    start_worker()
    (suspended,) = await until_settled(engine, flow)
    assert the_error(suspended).type == "RecursionError"


async def test_the_worker_is_known_with_what_it_serves(engine: Engine, start_worker: StartWorker) -> None:
    worker = start_worker(queues=("default", "slow"), concurrency=7)
    info = await the_worker(engine)
    assert (info.pid, info.slots, info.queues) == (os.getpid(), 7, ("default", "slow"))
    assert {"Noop", "add", "where_process"} <= set(info.programs)
    assert set(info.worker) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    await worker.stop()
    assert await live_workers(engine.client, engine.partition) == []


async def test_a_task_that_nobody_serves_waits(engine: Engine, start_worker: StartWorker) -> None:
    unserved = await engine.register(row(1, "no such program"))
    elsewhere = await engine.register(row(1, "Noop", queue="elsewhere"))
    start_worker()
    await until_settled(engine, await engine.register(row(1, "Noop")))
    for flow in (unserved, elsewhere):
        assert (await engine.flow(flow)).task(1).status is Status.WAIT
    start_worker(queues=("elsewhere",))
    await until_settled(engine, elsewhere)


async def test_a_module_that_does_not_import_ends_the_service(start_worker: StartWorker) -> None:
    worker = start_worker(programs=("no.such.module",))
    with pytest.raises(ProgramError, match=r"no\.such\.module"):
        await worker.task


async def test_a_task_registered_while_the_worker_waits_is_run(
    engine: Engine, start_worker: StartWorker
) -> None:
    start_worker()
    await the_worker(engine)

    async def waits_for_a_bell() -> bool:
        clients: list[dict[str, str]] = await engine.client.client_list()  # pyright: ignore[reportUnknownMemberType]
        return any(client["cmd"] == "blpop" for client in clients)

    await eventually(waits_for_a_bell)
    (ended,) = await until_settled(engine, await engine.register(row(1, "Noop")))
    assert ended.ended_ms is not None


@pytest.mark.parametrize("kind", ["async", "thread", "process"])
async def test_wrong_parameters_are_said_without_a_word_of_what_is_inside(
    engine: Engine, start_worker: StartWorker, kind: str
) -> None:
    flow = await engine.register(row(1, f"fail_{kind}"), row(2, f"fail_{kind}", message=[7]))
    start_worker()
    await until(engine, lambda flows: flows[flow].suspended == 2)
    ended = await engine.flow(flow)
    for task in (1, 2):
        error = the_error(ended, task)
        assert (error.type, error.traceback) == ("ParameterError", "")
    assert the_error(ended, 2).message.startswith(
        f"program 'fail_{kind}': parameter 'message' has the value [7]"
    )


@pytest.mark.parametrize("kind", ["async", "thread", "process"])
async def test_a_traceback_begins_with_the_program(
    engine: Engine, start_worker: StartWorker, kind: str
) -> None:
    flow = await engine.register(row(1, f"fail_{kind}", message="no"))
    start_worker()
    (ended,) = await until_settled(engine, flow)
    lines = the_error(ended).traceback.splitlines()
    assert lines[0] == "Traceback (most recent call last):" and lines[1].endswith(f"in fail_{kind}")
