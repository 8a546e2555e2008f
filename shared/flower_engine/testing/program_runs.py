"""Runs the program of a claimed task, or its stub, in the process of the test."""

import asyncio
import inspect
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from itertools import product
from typing import Any

import msgspec

from flower_engine.blobs.blob import access, take_returned
from flower_engine.errors import ProgramError
from flower_engine.model.definitions.task_message import TaskMessage
from flower_engine.model.folding.kept_results import LEAST_BLOB_BYTES
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.values.result_json import MAX_RESULT_BYTES, MAX_STORED_RESULT_BYTES, begin_result
from flower_engine.programs.attempt_outcomes import Done, Running, context_of, finished, refused
from flower_engine.programs.context import Context, Progress, context_at_work
from flower_engine.programs.parameter_binding import Provenance
from flower_engine.programs.registry import RegisteredProgram, Registry
from flower_engine.programs.rounds import raised
from flower_engine.testing.faults import FlowerTestError
from flower_engine.testing.memory_blobs import MemoryBlobs
from flower_engine.testing.stubs import For, Hangs, Stub
from flower_engine.testing.written_lines import RunLine, WrittenLines
from flower_engine.transitions.worker_transitions import Claim, Outcome

SLOW_SECONDS = 5.0
WORKER = "flower-test"
Call = Callable[[], Any]
_encode = msgspec.json.Encoder().encode


class Work(msgspec.Struct, frozen=True):
    """A claimed task with its parameters resolved, and where they come from; ``fault``: why they cannot be.
    ``is_full``: its result is not to be kept in Redis. ``map_name``: the name of its map, of an item."""

    claim: Claim
    message: TaskMessage
    provenance: dict[str, Provenance] = {}
    fault: Exception | None = None
    is_full: bool = False
    map_name: str = ""

    @property
    def name(self) -> str:
        return self.message.task_name or self.map_name or str(self.message.task_seq)


class Attempts:
    """Runs attempts one after another. Blocking programs run on the thread of the test, async ones on an
    event loop of its own; where the test itself is on an event loop, both run beside it."""

    def __init__(self, programs: Registry, stubs: Mapping[For, Stub], blobs: MemoryBlobs) -> None:
        self._programs = programs
        self._stubs = stubs
        self._blobs = blobs
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._beside = ThreadPoolExecutor(1, "flower-test-programs")
        self.loop_of_test: asyncio.AbstractEventLoop | None = None
        """Where async programs run instead, while the test awaits them."""
        self._lines: dict[str, list[RunLine]] = {}

    def lines_of(self, flow: str) -> list[RunLine]:
        """What the flow's tasks have written, in the order in which their attempts ran."""
        return self._lines.get(flow, [])

    def run(self, work: Work) -> Outcome | None:
        """The outcome of an attempt; None: it hangs.

        Raises:
            FlowerTestError: a stub is wrong.
        """
        if work.fault is not None:
            return _outcome(work, refused(work.fault), b"")
        told: list[Progress] = []
        program = self._programs.get(work.message.program)
        context = _context_of(work, told)
        try:
            with _at_work(context, self._blobs):
                arguments, made = _arguments(program, work, context)
        except ProgramError as error:
            return _outcome(work, refused(error), b"")
        stub = self._stub_of(work)
        take_returned()  # what another made and did not return
        written = WrittenLines(work.name, work.claim.attempt)
        try:
            with _named_if_slow(work), _at_work(context, self._blobs), written.taken():
                done = self._done(stub, program, arguments, made)
        except (FlowerTestError, KeyboardInterrupt):
            raise
        except BaseException as error:
            if type(error).__module__.startswith("_pytest."):  # pytest.fail, skip and exit
                raise
            with _at_work(context, self._blobs):
                done = raised(error, work.message)
            is_over = not told or done.kind.is_again
            return _outcome(work, done, b"" if is_over else _encode(told[-1]))
        finally:
            self._lines.setdefault(work.claim.flow, []).extend(written.lines)
        return None if done is None else _outcome(work, self._stored(work, done), b"")

    def _stored(self, work: Work, done: Done) -> Done:
        """The outcome to hand in, now that what it names, or is too large for it, is stored."""
        for blob in done.blobs:
            self._blobs.put_blob(blob)
        if len(done.payload) <= (LEAST_BLOB_BYTES if work.is_full else MAX_RESULT_BYTES):
            return done
        return Done(OutcomeKind.STORED, _encode(self._blobs.put(done.payload)))

    def close(self) -> None:
        self._runner.close()
        self._beside.shutdown()

    def _stub_of(self, work: Work) -> Stub | None:
        message = work.message
        keys = (message.item_key, None) if message.item_key else (None,)
        for key, task in product(keys, (work.name, str(message.task_seq), None)):
            stub = self._stubs.get((message.program, task, key))
            if stub is not None:
                return stub
        return None

    def _done(
        self,
        stub: Stub | None,
        program: RegisteredProgram | None,
        arguments: dict[str, Any],
        context: dict[str, Any],
    ) -> Done | None:
        if stub is None:
            assert program is not None  # else nothing claims it
            result = self._called(lambda: program.function(**arguments, **context))
        else:
            does: Any = stub.next(arguments)
            if isinstance(does, Hangs):
                return None
            if _is_error(does):
                raise does
            result = self._called(lambda: does(**arguments)) if callable(does) else does
            stub.check(result)
        return finished(result, begin_result(result), MAX_STORED_RESULT_BYTES)

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


def _context_of(work: Work, told: list[Progress]) -> Context:
    claim = work.claim
    running = Running(claim.flow, claim.task, claim.attempt, WORKER, claim.progress, told.append)
    return context_of(work.message, running)


def _arguments(
    program: RegisteredProgram | None, work: Work, context: Context
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keyword arguments, and that of the context. Of a program that is not known here, the parameters as
    they are."""
    if program is None:
        return dict(work.message.parameters), {}
    name = program.binder.context_parameter
    arguments = program.binder.bind(work.message.parameters, work.provenance)
    return arguments, {} if name is None else {name: context}


@contextmanager
def _at_work(context: Context, blobs: MemoryBlobs) -> Generator[None]:
    tokens = context_at_work.set(lambda: context), access.set(blobs)
    try:
        yield
    finally:
        context_at_work.reset(tokens[0])
        access.reset(tokens[1])


@contextmanager
def _named_if_slow(work: Work) -> Generator[None]:
    """Says which program keeps the test waiting: time stands still while one runs."""
    stream = sys.stderr  # it is no line of the task

    def say() -> None:
        stream.write(
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


def _outcome(work: Work, done: Done, progress: bytes) -> Outcome:
    return Outcome(work.claim, done.kind, done.payload, done.number, progress)
