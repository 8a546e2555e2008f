"""Runs the program of a claimed task, or its stub, in the process of the test."""

import asyncio
import inspect
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

import msgspec

from flower_engine.errors import ProgramError
from flower_engine.model.outcome_kinds import OutcomeKind
from flower_engine.model.raised_errors import encode_error, members
from flower_engine.model.result_json import encode_result
from flower_engine.model.task_message import TaskMessage
from flower_engine.model.type_names import names_of
from flower_engine.programs.context import Context, Progress, context_at_work
from flower_engine.programs.outcomes import Fatal, Retry, after_ms_of
from flower_engine.programs.registry import Program, Registry
from flower_engine.testing.faults import FlowerTestError
from flower_engine.testing.stubs import Hangs, Stub
from flower_engine.transitions.worker_transitions import Claim, Outcome

SLOW_SECONDS = 5.0
WORKER = "flower-test"
Call = Callable[[], Any]
_encode = msgspec.json.Encoder().encode
_decode_progress = msgspec.json.Decoder(Progress).decode


class Work(msgspec.Struct, frozen=True):
    """A claimed task with its parameters resolved; ``fault``: why they cannot be."""

    claim: Claim
    message: TaskMessage
    fault: Exception | None = None

    @property
    def name(self) -> str:
        return self.message.task_name or str(self.message.task_seq)


class Attempts:
    """Runs attempts one after another. Blocking programs run on the thread of the test, async ones on an
    event loop of its own; where the test itself is on an event loop, both run beside it."""

    def __init__(self, programs: Registry, stubs: Mapping[tuple[str, str | None], Stub]) -> None:
        self._programs = programs
        self._stubs = stubs
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._beside = ThreadPoolExecutor(1, "flower-test-programs")
        self.loop_of_test: asyncio.AbstractEventLoop | None = None
        """Where async programs run instead, while the test awaits them."""

    def run(self, work: Work) -> Outcome | None:
        """The outcome of an attempt; None: it hangs.

        Raises:
            FlowerTestError: a stub is wrong.
        """
        if work.fault is not None:
            return Outcome(work.claim, OutcomeKind.SUSPENDED, encode_error(work.fault))
        told: list[Progress] = []
        program = self._programs.get(work.message.program)
        context = _context_of(work).telling(told.append)
        try:
            arguments, made = _arguments(program, work.message, context)
        except ProgramError as error:
            return Outcome(work.claim, OutcomeKind.SUSPENDED, encode_error(error))
        stub = self._stub_of(work)
        try:
            with _named_if_slow(work), _at_work(context):
                payload = self._payload(stub, program, arguments, made)
        except (FlowerTestError, KeyboardInterrupt):
            raise
        except BaseException as error:
            if type(error).__module__.startswith("_pytest."):  # pytest.fail, skip and exit
                raise
            progress = _encode(told[-1]) if told else b""
            return _failed(work, error, progress)
        return None if payload is None else Outcome(work.claim, OutcomeKind.FINISHED, payload)

    def close(self) -> None:
        self._runner.close()
        self._beside.shutdown()

    def _stub_of(self, work: Work) -> Stub | None:
        program = work.message.program
        for task in (work.message.task_name, str(work.message.task_seq), None):
            stub = self._stubs.get((program, task))
            if stub is not None:
                return stub
        return None

    def _payload(
        self, stub: Stub | None, program: Program | None, arguments: dict[str, Any], context: dict[str, Any]
    ) -> bytes | None:
        if stub is None:
            assert program is not None  # else nothing claims it
            return encode_result(self._called(lambda: program.function(**arguments, **context)))
        does: Any = stub.next(arguments)
        if isinstance(does, Hangs):
            return None
        if _is_error(does):
            raise does
        return stub.checked(self._called(lambda: does(**arguments)) if callable(does) else does)

    def _called(self, call: Call) -> Any:
        """What the call returns, or what comes of awaiting that."""
        if self.loop_of_test is not None:
            found = call()
            if not inspect.isawaitable(found):
                return found
            return asyncio.run_coroutine_threadsafe(_awaited(found), self.loop_of_test).result()
        if _is_on_a_loop():
            return self._beside.submit(copy_context().run, self._called_here, call).result()
        return self._called_here(call)

    def _called_here(self, call: Call) -> Any:
        found = call()
        if not inspect.isawaitable(found):
            return found
        return self._runner.run(_awaited(found), context=copy_context())


def _is_error(value: object) -> bool:
    return isinstance(value, BaseException) or (isinstance(value, type) and issubclass(value, BaseException))


async def _awaited(found: Any) -> Any:
    return await found


def _is_on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _context_of(work: Work) -> Context:
    claim, message = work.claim, work.message
    return Context(
        flow=claim.flow,
        task=claim.task,
        attempt=claim.attempt,
        workflow=message.workflow,
        task_seq=message.task_seq,
        program=message.program,
        worker=WORKER,
        last_progress=_decode_progress(claim.progress) if claim.progress else None,
    )


def _arguments(
    program: Program | None, message: TaskMessage, context: Context
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keyword arguments, and that of the context. Of a program that is not known here, the parameters as
    they are."""
    if program is None:
        return dict(message.parameters), {}
    name = program.binder.context_parameter
    return program.binder.bind(message.parameters), {} if name is None else {name: context}


@contextmanager
def _at_work(context: Context) -> Generator[None]:
    token = context_at_work.set(lambda: context)
    try:
        yield
    finally:
        context_at_work.reset(token)


@contextmanager
def _named_if_slow(work: Work) -> Generator[None]:
    """Says which program keeps the test waiting: time stands still while one runs."""

    def say() -> None:
        sys.stderr.write(
            f"flower: program {work.message.program!r} (task {work.name}) has run for {SLOW_SECONDS:g} s of"
            " real time, and time stands still for the flow meanwhile; stub it if it waits for something\n"
        )

    timer = threading.Timer(SLOW_SECONDS, say)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _failed(work: Work, error: BaseException, progress: bytes) -> Outcome:
    payload, kinds = encode_error(error), [type(one) for one in members(error)]
    no_retry_on = work.message.no_retry_on
    if any(
        issubclass(kind, Fatal | ProgramError) or any(name in no_retry_on for name in names_of(kind))
        for kind in kinds
    ):
        return Outcome(work.claim, OutcomeKind.SUSPENDED, payload, progress=progress)
    for one in members(error):
        if isinstance(one, Retry):
            return Outcome(work.claim, OutcomeKind.RETRY, payload, after_ms_of(one), progress)
    return Outcome(work.claim, OutcomeKind.FAILED, payload, progress=progress)
