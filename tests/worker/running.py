"""Workers for tests: in this process, or as processes of their own."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import forked_flower
from flower_engine.log.client import send
from flower_engine.log.reader import wait_for_log
from flower_engine.model.definitions.definition import TaskDefinition
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.runtime.settings import Settings
from flower_engine.transitions.worker_transitions import WorkerInfo, live_workers
from flower_worker.service import serve
from scripts.engine import Engine

PATIENCE_SECONDS = 120.0
PROGRAMS = "worker.sample_programs"
_RUNNER = """
from flower_engine.runtime.lifecycle import run
from flower_engine.runtime.settings_loading import load_settings
from flower_engine.runtime.telemetry import configure_logging
from flower_worker.service import WorkerService
from flower_worker.task_logs import task_logs
task_logs._SEND_SECONDS = 60.0  # what a worker had to say is there when it has ended
configure_logging("worker")
service = WorkerService()
run(service.serve, load_settings(), last=service.hand_back)
"""

Condition = Callable[[], bool | Awaitable[bool]]


def row(
    seq: int,
    program: str,
    *depends_on: int,
    queue: str = "default",
    retry: RetryPolicy | None = None,
    timeout_ms: int | None = None,
    **parameters: Any,
) -> TaskDefinition:
    """A task definition of a program with parameters."""
    return TaskDefinition(
        task_seq=seq,
        program=program,
        depends_on=depends_on,
        queue=queue,
        retry=retry,
        timeout_ms=timeout_ms,
        parameters=parameters,
    )


async def eventually(condition: Condition) -> None:
    """Waits until the condition holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.01)


async def until(engine: Engine, condition: Callable[[dict[str, FlowState]], bool]) -> dict[str, FlowState]:
    """The flows, as soon as the log makes the condition true of them."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            newest = await send(engine.client, "XREVRANGE", engine.keys.log, "+", "-", "COUNT", 1)
            flows = await engine.flows()
            if condition(flows):
                return flows
            await wait_for_log(engine.client, engine.partition, newest[0][0].decode(), 1_000)


async def until_settled(engine: Engine, *names: str) -> list[FlowState]:
    """These flows, once each has ended or is suspended with nothing else to run."""

    def settled(flow: FlowState) -> bool:
        return flow.ended_ms is not None or flow.suspended > 0

    flows = await until(engine, lambda flows: all(settled(flows[name]) for name in names))
    return [flows[name] for name in names]


class InProcess:
    """A worker in the test's own process and event loop."""

    def __init__(self, settings: Settings) -> None:
        self._stop = asyncio.Event()
        self.task = asyncio.create_task(serve(settings, self._stop))

    async def stop(self) -> None:
        """Asks it to stop and waits for its end; raises what it raised."""
        self._stop.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.task

    async def kill(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await self.task


class OwnProcess:
    """A worker as a process of its own, with its log in a file."""

    def __init__(self, settings: Settings, output: Path, folder: Path | None = None) -> None:
        self.output = output
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FLOWER_")}
        environment["PYTHONPATH"] = str(Path(__file__).parents[1])
        with output.open("ab") as written:
            self._process = forked_flower.start(
                *("-c", _RUNNER),
                environment=environment | settings.as_environment(),
                output=written,
                folder=folder,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Its exit code, once it has ended by itself."""
        await eventually(lambda: self._process.poll() is not None)
        return self._process.wait()

    async def stop(self) -> int:
        """SIGTERM; its exit code."""
        self.send(signal.SIGTERM)
        return await self.ended()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def log(self) -> str:
        return self.output.read_text()


async def the_worker(engine: Engine) -> WorkerInfo:
    """The one worker that lives, as soon as it is known."""

    found: list[WorkerInfo] = []

    async def known() -> bool:
        found[:] = await live_workers(engine.client, engine.partition)
        return len(found) == 1

    await eventually(known)
    return found[0]
