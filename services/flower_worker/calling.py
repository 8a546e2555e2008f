"""Calls a program with a task's parameters, and makes what came of it into an outcome's kind and JSON."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, cast

import msgspec

from flower_engine.errors import ProgramError
from flower_engine.log.task_fields import TaskMessage
from flower_engine.log.working import OutcomeKind
from flower_engine.model.sanitise import encode_error, encode_result
from flower_engine.programs.context import Context, Progress
from flower_engine.programs.outcomes import Fatal, Retry
from flower_engine.programs.registry import Program
from flower_engine.runtime.forks import end_copy, forks

decode_message = msgspec.json.Decoder(TaskMessage).decode
_decode_progress = msgspec.json.Decoder(Progress).decode

Tell = Callable[[Progress], None]


class Done(NamedTuple):
    """The kind of an outcome, its payload and its number (see ``Outcome``)."""

    kind: OutcomeKind
    payload: bytes
    number: int = 0


class Running(NamedTuple):
    """Whose context a program gets: the attempt, and where to tell its progress.

    ``progress`` is the JSON of what an earlier attempt told last, or b"".
    """

    flow: str
    task: int
    attempt: int
    worker: str
    progress: bytes
    tell: Tell


def make_arguments(program: Program, message: TaskMessage, running: Running) -> dict[str, Any]:
    """The keyword arguments for a program that wants its context.

    Raises:
        ParameterError: the task's parameters do not fit the program.
    """
    arguments = program.binder.bind(message.parameters)
    name = program.binder.context_parameter
    if name is not None:
        arguments[name] = Context(
            flow=running.flow,
            task=running.task,
            attempt=running.attempt,
            workflow=message.workflow,
            task_seq=message.task_seq,
            program=program.name,
            worker=running.worker,
            last_progress=_decode_progress(running.progress) if running.progress else None,
        ).telling(running.tell)
    return arguments


def call_blocking(program: Program, message: TaskMessage, arguments: dict[str, Any]) -> Done:
    """Runs a program that is no coroutine, to its end; never raises. What it forks off does not return."""
    before = forks()
    try:
        result = program.function(**arguments)
        end_copy(before)
        return Done(OutcomeKind.FINISHED, encode_result(result))
    except BaseException as error:  # noqa: BLE001 # SystemExit of a program must not end the worker
        end_copy(before, error)
        return failed(error, message.no_retry_on)


def failed(error: BaseException, no_retry_on: Sequence[str]) -> Done:
    """What follows from what a program raised: its policy decides, unless the error says otherwise.

    Of a group of errors (as ``asyncio.TaskGroup`` raises it) each one may say so.

    What Flower itself finds wrong (parameters, results, a missing program) is the same at every attempt, so
    it is not retried.
    """
    payload = encode_error(error)
    errors = list(_single(error))
    if any(isinstance(one, Fatal | ProgramError) or _is_one_of(type(one), no_retry_on) for one in errors):
        return Done(OutcomeKind.SUSPENDED, payload)
    for one in errors:
        if isinstance(one, Retry):
            return Done(OutcomeKind.RETRY, payload, one.after_ms)
    return Done(OutcomeKind.FAILED, payload)


def unknown_program(name: str) -> ProgramError:
    """For a task whose program is not registered here, though the claim named those that are."""
    return ProgramError(f"program {name!r} is not registered in this worker; it names what it serves")


def _single(error: BaseException) -> Iterator[BaseException]:
    """The error, or those of a group, without the groups."""
    left = [error]
    while left:
        one = left.pop()
        if isinstance(one, BaseExceptionGroup):
            left += cast("BaseExceptionGroup[BaseException]", one).exceptions
        else:
            yield one


def _is_one_of(kind: type[BaseException], names: Sequence[str]) -> bool:
    """Whether it or a class that it derives from has one of these names, plain or with its module."""
    return bool(names) and any(
        base.__name__ in names or f"{base.__module__}.{base.__qualname__}" in names for base in kind.__mro__
    )
