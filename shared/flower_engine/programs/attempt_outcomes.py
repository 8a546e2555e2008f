"""What becomes of an attempt: the context that its program gets, and the outcome's kind and JSON of what it
returned or raised. The same for workers and for tests of workflows."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from flower_engine.blobs.blob import Blob, take_returned
from flower_engine.errors import ProgramError
from flower_engine.model.definitions.task_message import TaskMessage
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.tasks.raised_errors import encode_error, members
from flower_engine.model.values.result_json import finish_result
from flower_engine.model.values.times import nearest
from flower_engine.model.values.type_names import names_of
from flower_engine.programs.context import Context, Progress
from flower_engine.programs.outcomes import Fatal, Retry, after_ms_of
from flower_engine.programs.parameter_binding import Provenance
from flower_engine.programs.registry import RegisteredProgram

_decode_progress = msgspec.json.Decoder(Progress).decode

Tell = Callable[[Progress], None]
_OWN: Mapping[str, Provenance] = {}
_NO_SLOTS = (None, None, None)
_BLOB = b'"$blob"'


class Done(NamedTuple):
    """The kind of an outcome, its payload and its number (see ``Outcome``); ``blobs`` are those of its result
    that are to be stored before it is handed in."""

    kind: OutcomeKind
    payload: bytes
    number: int = 0
    blobs: tuple[Blob, ...] = ()


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


def make_arguments(
    program: RegisteredProgram,
    message: TaskMessage,
    running: Running,
    provenance: Mapping[str, Provenance] = _OWN,
) -> dict[str, Any]:
    """The keyword arguments for a program that wants its context; ``provenance`` as for ``Binder.bind``.

    Raises:
        ParameterError: the task's parameters do not fit the program.
    """
    arguments = program.binder.bind(message.parameters, provenance)
    name = program.binder.context_parameter
    if name is not None:
        arguments[name] = context_of(message, running)
    return arguments


def context_of(message: TaskMessage, running: Running) -> Context:
    """What a program, or a helper of it, may know of its attempt."""
    slot, previous, following = map(_moment, message.slots) if message.slots else _NO_SLOTS
    return Context(
        flow=running.flow,
        task=running.task,
        attempt=running.attempt,
        workflow=message.workflow,
        task_seq=message.task_seq,
        program=message.program,
        worker=running.worker,
        last_progress=_decode_progress(running.progress) if running.progress else None,
        round=message.round,
        slot=slot,
        previous_slot=previous,
        next_slot=following,
    ).telling(running.tell)


def _moment(ms: int) -> datetime | None:
    return datetime.fromtimestamp(nearest(ms) / 1000, UTC) if ms else None


def finished(result: object, begun: bytes, most_bytes: int) -> Done:
    """The outcome of a program that returned; ``begun`` is the result's JSON by ``begin_result``, in the same
    context.

    Raises:
        ProgramError: it has no JSON form, or is larger than ``most_bytes``.
    """
    payload = finish_result(result, begun, most_bytes)
    if _BLOB in payload:
        return Done(OutcomeKind.FINISHED, payload, blobs=take_returned())
    return Done(OutcomeKind.FINISHED, payload)


def failed(error: BaseException, no_retry_on: Sequence[str]) -> Done:
    """What follows from what a program raised: its policy decides, unless the error says otherwise.

    It never raises. Of a group of errors (as ``asyncio.TaskGroup`` raises it) each one may say so.

    What Flower itself finds wrong (parameters, results, a missing program) is the same at every attempt, so
    it is not retried.
    """
    payload = encode_error(error)
    try:
        return _by_policy(list(members(error)), no_retry_on, payload)
    except BaseException:  # noqa: BLE001 # memory is at its end: it failed, all the same
        return Done(OutcomeKind.FAILED, payload)


def refused(error: BaseException) -> Done:
    """For a task that could not even be begun: it would be the same at every attempt. Never raises."""
    return Done(OutcomeKind.SUSPENDED, encode_error(error))


def _by_policy(errors: Sequence[BaseException], no_retry_on: Sequence[str], payload: bytes) -> Done:
    # By type, and past its own code: an exception's attributes (even __class__) may raise, too.
    kinds = [type(one) for one in errors]
    if any(issubclass(kind, Fatal | ProgramError) or _is_one_of(kind, no_retry_on) for kind in kinds):
        return Done(OutcomeKind.SUSPENDED, payload)
    for one in errors:
        if issubclass(type(one), Retry):
            return Done(OutcomeKind.RETRY, payload, after_ms_of(one))
    return Done(OutcomeKind.FAILED, payload)


def _is_one_of(kind: type[BaseException], names: Sequence[str]) -> bool:
    """Whether it or a class that it derives from has one of these names, plain or with its module."""
    return bool(names) and any(name in names for name in names_of(kind))
