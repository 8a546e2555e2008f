"""What an attempt leaves on its thread or in its process is not seen by the next; its lines name it."""

import gc
import json
import threading
from collections.abc import Callable, Iterator

import pytest

from flower_worker.running_attempts import Attempt
from flower_worker.threads import Threads
from scripts.engine import Engine
from worker.running import InProcess, OwnProcess, eventually, row, until_settled


@pytest.mark.parametrize("kind", ["async", "thread", "process"])
async def test_context_variables_of_an_attempt_end_with_it(
    engine: Engine, spawn_worker: Callable[..., OwnProcess], kind: str
) -> None:
    flow = await engine.register(*(row(seq, f"see_{kind}", what=f"task {seq}") for seq in (1, 2, 3)))
    spawn_worker(concurrency=1, processes=1)
    (ended,) = await until_settled(engine, flow)
    for task in ended.tasks:
        assert task.result is not None
        assert json.loads(task.result) == ["nothing", "set at import"]


@pytest.mark.parametrize("kind", ["async", "thread", "process"])
async def test_a_line_that_a_program_logs_names_its_attempt_and_logger_and_stays_in_lines(
    engine: Engine, spawn_worker: Callable[..., OwnProcess], kind: str
) -> None:
    flow = await engine.register(row(1, f"see_{kind}", what="two lines"))
    worker = spawn_worker()
    await until_settled(engine, flow)
    line = f"WARNING worker people.code: flow {flow} task 1 attempt 1: sees\ntwo lines\n"
    await eventually(lambda: line in worker.log())


@pytest.fixture
def no_collector() -> Iterator[None]:
    """The garbage collector does nothing by itself."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("kind", ["async", "thread", "process"])
async def test_an_attempt_that_ended_leaves_nothing_to_the_garbage_collector(
    engine: Engine, start_worker: Callable[..., InProcess], kind: str
) -> None:
    flow = await engine.register(*(row(seq, f"see_{kind}", what="it") for seq in (1, 2, 3)))
    start_worker()
    await until_settled(engine, flow)
    await eventually(lambda: not any(type(one) is Attempt for one in gc.get_objects()))


async def test_a_program_waits_for_a_thread_where_none_can_be_made(
    engine: Engine, start_worker: Callable[..., InProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = threading.Thread.start
    refused: list[str] = []

    def start(thread: threading.Thread) -> None:
        if thread.name.startswith("program-") and len(refused) < 2:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        whole(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.setattr("flower_worker.threads._AGAIN_SECONDS", 0.05)
    flow = await engine.register(row(1, "where_thread"))
    start_worker()
    (ended,) = await until_settled(engine, flow)
    assert ended.task(1).result is not None and ended.task(1).attempt == 1
    assert len(refused) == 2


async def test_threads_are_used_again_and_no_more_are_made_than_may_be() -> None:
    threads, names, gate = Threads(3), set[str](), threading.Event()
    done = threading.Semaphore(0)

    def job() -> None:
        names.add(threading.current_thread().name)
        gate.wait()
        done.release()

    for _ in range(10):
        threads.submit(job)
    await eventually(lambda: len(names) == 3)
    gate.set()
    await eventually(lambda: done._value == 10)  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    for _ in range(20):
        threads.submit(job)
        done.acquire()
    assert len(names) == 3
