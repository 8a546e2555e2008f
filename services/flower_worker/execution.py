"""Runs claims: each program where its kind says, and whatever comes of it becomes an outcome."""

import asyncio
import contextvars
import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from flower_engine.errors import ParameterError
from flower_engine.model.definitions.task_message import TaskMessage, parameters_in_round
from flower_engine.model.folding.kept_results import LEAST_BLOB_BYTES
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.model.values.result_json import MAX_MESSAGE_CHARACTERS, begin_result, clean_text
from flower_engine.programs.attempt_outcomes import Done, Running, context_of, finished, refused
from flower_engine.programs.context import Context, context_at_work
from flower_engine.programs.parameter_binding import Provenance
from flower_engine.programs.registry import Kind, RegisteredProgram, Registry
from flower_engine.programs.rounds import provenance_in_round, raised
from flower_engine.runtime.process_forks import end_copy, forks
from flower_engine.runtime.telemetry import attempt_at_work
from flower_engine.traces.user_context import begin_attempt
from flower_engine.transitions.worker_transitions import Outcome
from flower_worker.ability import CannotStartError
from flower_worker.child_messages import Job
from flower_worker.child_processes import Processes
from flower_worker.inputs import Inputs, LeaseGoneError
from flower_worker.program_call import call_blocking, decode_message
from flower_worker.running_attempts import Attempt, Told
from flower_worker.storing import Storing
from flower_worker.task_logs.attempt_log import log_at_work
from flower_worker.task_logs.task_logs import TaskLogs
from flower_worker.threads import Threads
from flower_worker.transfers import Transfers

_log = logging.getLogger(__name__)

_SAID = {
    OutcomeKind.FAILED: "failed",
    OutcomeKind.SUSPENDED: "failed for good",
    OutcomeKind.RETRY: "asks for another attempt",
    OutcomeKind.CRASHED: "lost its process",
}
_MUCH_BYTES = 256 * 1024  # of a result: more is checked on a thread
_OWN: Mapping[str, Provenance] = {}
_encode = msgspec.json.Encoder().encode


class Data(NamedTuple):
    """What brings values to programs and takes results away where they do not travel in messages."""

    transfers: Transfers
    inputs: Inputs
    storing: Storing


class Executor:
    """Runs attempts; each ends with a call of its origin's ``finish`` on the event loop."""

    def __init__(
        self,
        registry: Registry,
        worker: str,
        threads: Threads,
        processes: Processes,
        data: Data,
        *,
        max_lost: int,
        logs: TaskLogs | None = None,
    ) -> None:
        """To be made where the event loop runs; ``max_lost`` processes lost on a task make it poison."""
        self._registry = registry
        self._max_lost = max_lost
        self._worker = worker
        self._threads = threads
        self._processes = processes
        self._data = data
        self._logs = logs
        self._most_bytes = data.storing.most_bytes
        self._loop = asyncio.get_running_loop()

    def start(self, attempt: Attempt) -> None:
        """Begins to run a claim. What is wrong with the claim itself is its outcome at once."""
        claim = attempt.claim
        try:
            ready = None if attempt.kept is None else self._data.inputs.as_planned(attempt)
            message = decode_message(claim.message) if ready is None else ready.message
            program = self._registry.get(message.program)
            if program is None:
                self._hand_back_unknown(attempt, message.program)
                return
            attempt.heavy = program.kind is Kind.PROCESS
            if not message.refs:
                attempt.kept = None  # what came was for others
                self._begin(attempt, program, message, message.parameters, _OWN)
            elif ready is not None or (ready := self._data.inputs.at_once(attempt, message)) is not None:
                self._begin(attempt, program, *ready)
            else:
                attempt.task = self._loop.create_task(self._make_ready(attempt, program, message))
        except BaseException as error:  # noqa: BLE001 # converting parameters runs people's code: SystemExit may come
            self._finish(attempt, refused(error))

    async def _make_ready(self, attempt: Attempt, program: RegisteredProgram, message: TaskMessage) -> None:
        """Resolves the references of a task, which may take long, and begins it then."""
        try:
            ready = await self._data.inputs.ready(attempt, message)
            attempt.task = None
            self._begin(attempt, program, *ready)
        except LeaseGoneError:
            attempt.origin.finish(attempt, None)
        except BaseException as error:  # noqa: BLE001 # cancelled, or as above
            if attempt.told is Told.NOTHING:
                self._finish(attempt, refused(error))
            else:
                self._failed(attempt, message, error)

    def _begin(
        self,
        attempt: Attempt,
        program: RegisteredProgram,
        message: TaskMessage,
        parameters: dict[str, Any],
        provenance: Mapping[str, Provenance],
    ) -> None:
        if self._logs is not None:
            attempt.log = self._logs.open(attempt.claim, attempt.mask.values if attempt.mask else ())
        parameters = parameters_in_round(message, parameters)
        provenance = provenance_in_round(message, provenance)
        if program.kind is Kind.PROCESS:
            encoded = attempt.claim.message
            if message.refs or message.round:
                message = _as_resolved(message, parameters)
                encoded = _encode(message)
            attempt.task = self._loop.create_task(self._run_process(attempt, message, encoded, provenance))
            return
        try:
            arguments = program.binder.bind(parameters, provenance)
        except ParameterError as error:
            message = _as_resolved(message, parameters)
            passing = self._pass_on(attempt, program, message, refused(error))
            attempt.task = self._loop.create_task(passing)
            return
        if program.binder.context_parameter is not None:
            arguments[program.binder.context_parameter] = self._context(attempt, message)
        if program.kind is Kind.ASYNC:
            attempt.task = self._loop.create_task(
                self._run_async(attempt, program.function, message, arguments)
            )
        else:
            self._threads.submit(self._thread_job(attempt, program, message, arguments))

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
        self,
        attempt: Attempt,
        function: Callable[..., Any],
        message: TaskMessage,
        arguments: dict[str, Any],
    ) -> None:
        before = forks()
        claim = attempt.claim
        attempt_at_work.set(claim)  # a task of asyncio has a context of its own
        begin_attempt(claim.flow, claim.task, claim.attempt)
        log_at_work.set(attempt.log)
        context_at_work.set(functools.partial(self._context, attempt, message))
        try:
            result = await function(**arguments)
            end_copy(before)
            done = None
            if result is not None:
                begun = begin_result(result)
                if len(begun) > _MUCH_BYTES:
                    finish = functools.partial(finished, result, begun, self._most_bytes)
                    done = await self._data.transfers.on_thread(finish)
                else:
                    done = finished(result, begun, self._most_bytes)
        except BaseException as error:  # noqa: BLE001 # SystemExit of a program must not end the worker
            end_copy(before, error)
            self._failed(attempt, message, error)
        else:
            if done is None:  # most tasks have no result: they pay for none
                attempt.origin.finish(attempt, Outcome(attempt.claim, OutcomeKind.FINISHED))
            else:
                self._finish(attempt, done)
        finally:
            context_at_work.set(None)  # the attempt holds this task, and so its context

    async def _run_process(
        self, attempt: Attempt, message: TaskMessage, encoded: bytes, provenance: Mapping[str, Provenance]
    ) -> None:
        claim = attempt.claim
        job = Job(
            *(claim.flow, claim.task, claim.attempt, self._worker),
            *(message.program, encoded, claim.progress),
            provenance=dict(provenance),
            secrets=attempt.mask.values if attempt.mask else (),
        )
        try:
            done = await self._processes.run(job, attempt.tell, attempt.say_transfer, attempt.log)
        except CannotStartError:  # its reason is said once, for all
            if attempt.told is Told.GONE:
                attempt.origin.finish(attempt, None)
            else:
                self._finish(attempt, Done(OutcomeKind.RETURNED, b"null"))
        except BaseException as error:  # noqa: BLE001 # cancelled, or what nobody thought of
            self._failed(attempt, message, error)
        else:
            program = self._registry.get(message.program)
            if program is not None and _is_refused(program, message, done):
                await self._pass_on(attempt, program, message, done)
                return
            crashed = done.kind is OutcomeKind.CRASHED
            self._finish(attempt, done._replace(number=self._max_lost) if crashed else done)

    async def _pass_on(
        self, attempt: Attempt, program: RegisteredProgram, message: TaskMessage, done: Done
    ) -> None:
        """Hands a task whose parameters this version of the program refuses back, for another live version
        that may take them; where there is none it is suspended, with what the others take."""
        try:
            own = program.binder.signature
            fit = await attempt.origin.fit(attempt.claim, program.name, own, message.parameters)
        except BaseException as error:  # noqa: BLE001 # cancelled, or what nobody thought of
            if attempt.told is Told.NOTHING:
                self._finish(attempt, done)
            else:
                self._failed(attempt, message, error)
            return
        if fit.said:
            error = msgspec.json.decode(done.payload, type=TaskError)
            text = clean_text(error.message + fit.said, MAX_MESSAGE_CHARACTERS)
            done = done._replace(payload=_encode(msgspec.structs.replace(error, message=text)))
        if not fit.others:
            self._finish(attempt, done)
            return
        payload = done.payload if attempt.mask is None else attempt.mask.json(done.payload)
        _log.warning("%s is handed back for another version of program %r", attempt, program.name)
        passed = Outcome(attempt.claim, OutcomeKind.UNFIT, payload, unfit=fit.unfit, others=fit.others)
        attempt.origin.finish(attempt, passed)

    def _thread_job(
        self, attempt: Attempt, program: RegisteredProgram, message: TaskMessage, arguments: dict[str, Any]
    ) -> Callable[[], None]:
        context = contextvars.copy_context()  # the worker's own: what an attempt sets ends with it
        claim = attempt.claim
        context.run(attempt_at_work.set, claim)
        context.run(begin_attempt, claim.flow, claim.task, claim.attempt)
        context.run(log_at_work.set, attempt.log)
        context.run(context_at_work.set, functools.partial(self._context, attempt, message))

        def job() -> None:
            done = context.run(call_blocking, program, message, arguments, self._most_bytes)
            try:
                self._loop.call_soon_threadsafe(self._finish, attempt, done)
            except RuntimeError:
                _log.warning("%s ended on its thread after the worker had stopped; its lease lapses", attempt)

        return job

    def _running(self, attempt: Attempt) -> Running:
        claim = attempt.claim
        return Running(claim.flow, claim.task, claim.attempt, self._worker, claim.progress, attempt.tell)

    def _context(self, attempt: Attempt, message: TaskMessage) -> Context:
        return context_of(message, self._running(attempt))

    def _failed(self, attempt: Attempt, message: TaskMessage, error: BaseException) -> None:
        """An attempt that was told to stop and ends with an error did as it was told."""
        if attempt.told is Told.STOPPING:
            self._finish(attempt, Done(OutcomeKind.RETURNED, b"null"))
        elif attempt.told is Told.GONE:
            attempt.origin.finish(attempt, None)
        else:
            self._finish(attempt, raised(error, message))

    def _finish(self, attempt: Attempt, done: Done) -> None:
        kind, payload, number, blobs = done
        if attempt.mask is not None:
            payload = attempt.mask.json(payload)
            done = done._replace(payload=payload)
        if kind is OutcomeKind.FINISHED:
            is_large = len(payload) > LEAST_BLOB_BYTES or blobs
            if is_large and attempt.told is not Told.GONE and self._data.storing.is_needed(attempt, done):
                attempt.task = self._loop.create_task(self._store(attempt, done))
            else:
                attempt.origin.finish(attempt, Outcome(attempt.claim, kind, payload))
            return
        if kind.is_again:  # what it told of its progress was of this one
            attempt.origin.finish(attempt, Outcome(attempt.claim, kind, payload, number))
            return
        if kind is not OutcomeKind.RETURNED:
            if self._logs is not None:
                self._logs.put_back_log(attempt.log)
            error = msgspec.json.decode(payload, type=TaskError)
            _log.warning("%s %s: %s: %.500s", attempt, _SAID[kind], error.type, error.message)
        progress = attempt.take_untold()
        attempt.origin.finish(attempt, Outcome(attempt.claim, kind, payload, number, progress))

    async def _store(self, attempt: Attempt, done: Done) -> None:
        """Stores what is too large to be handed in, and hands in the outcome then."""
        try:
            kind, payload, *_ = await self._data.storing.stored(attempt, done)
        except BaseException as error:  # noqa: BLE001 # cancelled, or the store never takes it
            self._failed(attempt, decode_message(attempt.claim.message), error)
        else:
            attempt.origin.finish(attempt, Outcome(attempt.claim, kind, payload))

    def _hand_back_unknown(self, attempt: Attempt, name: str) -> None:
        _log.error("%s is handed back: this worker has no program %r", attempt, name)
        attempt.origin.finish(attempt, Outcome(attempt.claim, OutcomeKind.RETURNED))


def _is_refused(program: RegisteredProgram, message: TaskMessage, done: Done) -> bool:
    """Whether a child process refused the task's parameters, as this process would; not what a program that
    ran raised."""
    if done.kind is not OutcomeKind.SUSPENDED:
        return False
    try:
        program.binder.bind(message.parameters)
    except ParameterError:
        return True
    except BaseException:  # noqa: BLE001 # types are people's code: SystemExit may come
        return False
    return False


def _as_resolved(message: TaskMessage, parameters: dict[str, Any]) -> TaskMessage:
    """The message of a task whose references are resolved to these parameters."""
    return msgspec.structs.replace(message, parameters=parameters, reads={}, refs=False)
