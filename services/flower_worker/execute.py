"""Runs claims: each program where its kind says, and whatever comes of it becomes an outcome."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from flower_engine.log.task_fields import TaskMessage
from flower_engine.log.working import Outcome, OutcomeKind
from flower_engine.model.events import TaskError
from flower_engine.model.sanitise import encode_error, encode_result
from flower_engine.programs.registry import Kind, Program, Registry
from flower_worker.attempts import Attempt, Told
from flower_worker.calling import Done, call_blocking, decode_message, make_arguments
from flower_worker.child_messages import Job
from flower_worker.processes import Processes
from flower_worker.threads import Threads

_log = logging.getLogger(__name__)


class Executor:
    """Runs attempts; each ends with a call of its home's ``finish`` on the event loop."""

    def __init__(self, registry: Registry, worker: str, threads: Threads, processes: Processes) -> None:
        """To be made where the event loop runs."""
        self._registry = registry
        self._worker = worker
        self._threads = threads
        self._processes = processes
        self._loop = asyncio.get_running_loop()

    def start(self, attempt: Attempt) -> None:
        """Begins to run a claim. What is wrong with the claim itself is its outcome at once."""
        claim = attempt.claim
        try:
            message = decode_message(claim.message)
            program = self._registry.get(message.program)
            if program is None:
                self._hand_back_unknown(attempt, message.program)
            elif program.kind is Kind.PROCESS:
                attempt.heavy = True
                attempt.task = self._loop.create_task(self._run_process(attempt))
            elif program.kind is Kind.ASYNC:
                arguments = self._arguments(attempt, program, message)
                attempt.task = self._loop.create_task(self._run_async(attempt, program.function, arguments))
            else:
                arguments = self._arguments(attempt, program, message)
                self._threads.submit(self._thread_job(attempt, program, arguments))
        except Exception as error:  # noqa: BLE001 # a claim that breaks must not break the worker, or all of them
            self._finish(attempt, (OutcomeKind.SUSPENDED, encode_error(error)))

    def stop(self, attempt: Attempt, told: Told) -> bool:
        """Tells a running attempt to stop; False for one on a thread, which cannot be stopped."""
        attempt.told = told
        if attempt.task is None:
            return False
        attempt.task.cancel()
        return True

    async def close(self) -> None:
        """Ends the idle child processes."""
        await self._processes.close()

    async def _run_async(
        self, attempt: Attempt, function: Callable[..., Any], arguments: dict[str, Any]
    ) -> None:
        try:
            payload = encode_result(await function(**arguments))
        except BaseException as error:  # noqa: BLE001 # SystemExit of a program must not end the worker
            self._failed(attempt, error)
        else:
            attempt.home.finish(attempt, Outcome(attempt.claim, OutcomeKind.FINISHED, payload))

    async def _run_process(self, attempt: Attempt) -> None:
        claim = attempt.claim
        job = Job(claim.flow, claim.task, claim.attempt, self._worker, claim.message)
        try:
            self._finish(attempt, await self._processes.run(job))
        except BaseException as error:  # noqa: BLE001 # cancelled, or no process could be made
            self._failed(attempt, error)

    def _thread_job(
        self, attempt: Attempt, program: Program, arguments: dict[str, Any]
    ) -> Callable[[], None]:
        def job() -> None:
            done = call_blocking(program, arguments)
            try:
                self._loop.call_soon_threadsafe(self._finish, attempt, done)
            except RuntimeError:
                _log.warning("%s ended on its thread after the worker had stopped; its lease lapses", attempt)

        return job

    def _arguments(self, attempt: Attempt, program: Program, message: TaskMessage) -> dict[str, Any]:
        binder = program.binder
        if binder.context_parameter is None:
            return binder.bind(message.parameters)
        claim = attempt.claim
        return make_arguments(
            program,
            message,
            flow=claim.flow,
            task=claim.task,
            attempt=claim.attempt,
            worker=self._worker,
        )

    def _failed(self, attempt: Attempt, error: BaseException) -> None:
        """An attempt that was told to stop and ends with an error did as it was told."""
        if attempt.told is Told.STOPPING:
            attempt.home.finish(attempt, Outcome(attempt.claim, OutcomeKind.RETURNED))
        elif attempt.told is Told.LOST:
            attempt.home.finish(attempt, None)
        else:
            self._finish(attempt, (OutcomeKind.SUSPENDED, encode_error(error)))

    def _finish(self, attempt: Attempt, done: Done) -> None:
        kind, payload = done
        if kind is OutcomeKind.SUSPENDED:
            error = msgspec.json.decode(payload, type=TaskError)
            _log.warning("%s is suspended: %s: %.500s", attempt, error.type, error.message)
        attempt.home.finish(attempt, Outcome(attempt.claim, kind, payload))

    def _hand_back_unknown(self, attempt: Attempt, name: str) -> None:
        _log.error("%s is handed back: this worker has no program %r", attempt, name)
        attempt.home.finish(attempt, Outcome(attempt.claim, OutcomeKind.RETURNED))
