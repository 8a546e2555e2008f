"""What a client raises: errors of its own, and those of ``flower_engine.errors`` that the API answers with.

FlowerError
├── ClientError
│   ├── ApiUnavailableError     the API cannot be reached, or cannot do it now, after all tries
│   ├── AuthError               the API asks for a token, or for one that may do more
│   ├── ApiRefusedError         the API refused in a way that has no error of its own
│   ├── NotRegisteredError      some of many flows were not registered; has those that were
│   ├── FlowFailedError         a task of the flow failed for good; names it and its error
│   ├── FlowCancelledError      somebody cancelled the flow
│   ├── FlowTimeoutError        the flow had not ended when the time was over; says what it waits for
│   ├── BackfillTimeoutError    the backfill was not over when the time was; says how far it is
│   └── ResultError             the flow has no such result, or it does not convert to its type
└── UnknownWorkflowError, UnknownFlowError, ParametersError, RefusedError, ...   as in the engine
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from flower_engine import errors
from flower_engine.errors import FlowerError, ParameterFault
from flower_engine.secrets import hide_secrets

_PREFIX = "urn:flower:problem:"
_SHOWN_CHARACTERS = 500


class ClientError(FlowerError):
    """A call did not give what it is for."""


class ApiUnavailableError(ClientError):
    """The API cannot be reached or cannot do it now. A call that changes something may have done so."""


class AuthError(ClientError):
    """The API asks for a token (``FLOWER_TOKEN``), or for one that may do more than read."""


class ApiRefusedError(ClientError):
    """The API refused with this HTTP ``status``; ``kind`` is the last word of the problem's type."""

    def __init__(self, message: str, status: int, kind: str) -> None:
        self.status = status
        self.kind = kind
        super().__init__(message)


class NotRegisteredError(ClientError):
    """Some of many flows were not registered. ``errors``: why, by their place in what was given;
    ``registered``: the handles of the others, by theirs."""

    def __init__(self, errors: Mapping[int, FlowerError], registered: Mapping[int, Any]) -> None:
        self.errors = errors
        self.registered = registered
        place, first = next(iter(errors.items()))
        super().__init__(f"{len(errors)} flows were not registered; number {place + 1}: {first}")


class FailedTaskError(msgspec.Struct, frozen=True):
    """Why a task failed: the error's type, message and traceback as they are kept."""

    task: int
    name: str
    type: str
    message: str
    traceback: str = ""

    def __str__(self) -> str:
        first = self.message.partition("\n")[0]
        return f"task {self.task} ({self.name}): {self.type}: {first}"


class FlowFailedError(ClientError):
    """Tasks of the ``flow`` failed for good (``failed`` names each with its error), and nothing of it goes on
    before somebody reruns, ignores or cancels."""

    def __init__(self, flow: str, workflow: str, failed: Sequence[FailedTaskError]) -> None:
        self.flow = flow
        self.failed = failed
        first = str(failed[0]) if failed else "it stands still"
        others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        super().__init__(f"flow {flow} of {workflow} failed: {first}{others}")


class FlowCancelledError(ClientError):
    """The ``flow`` was cancelled, so it has no result."""

    def __init__(self, flow: str, workflow: str, by: str) -> None:
        self.flow = flow
        super().__init__(f"flow {flow} of {workflow} was cancelled by {by or 'somebody'}")


class FlowTimeoutError(ClientError, TimeoutError):
    """The ``flow`` had not ended when the time to wait was over. It goes on."""

    def __init__(self, flow: str, seconds: float, how: str) -> None:
        self.flow = flow
        super().__init__(f"flow {flow} has not ended after {seconds:g} s: {how}")


class BackfillTimeoutError(ClientError, TimeoutError):
    """The ``backfill`` was not over when the time to wait was. It goes on."""

    def __init__(self, backfill: str, seconds: float, how: str) -> None:
        self.backfill = backfill
        super().__init__(f"backfill {backfill} is not over after {seconds:g} s: {how}")


class ResultError(ClientError):
    """The ``flow`` has not the result that it should have, or one of another type than its workflow says."""

    def __init__(self, flow: str, why: str) -> None:
        self.flow = flow
        super().__init__(f"the result of flow {flow} cannot be had: {why}")


class _Fault(msgspec.Struct):
    detail: str = ""
    pointer: str | None = "#"

    @property
    def words(self) -> str:
        """The detail, with the parameter that it is about where it does not name it."""
        _, is_parameter, name = (self.pointer or "").rpartition("#/parameters/")
        if not is_parameter:
            return self.detail
        is_named = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", self.detail) is not None
        return self.detail if is_named else f"{name}: {self.detail}"


class _Problem(msgspec.Struct, rename="camel"):
    """A problem (RFC 9457) as the API tells it, or the words of the first Flower (``description``)."""

    type: str = ""
    detail: str = ""
    description: str = ""
    problems: list[_Fault] = []
    task_flow_id: str = ""


def kind_of(content: bytes) -> str:
    """The last word of a problem's type; "": it is no problem of Flower."""
    return _read(content).type.removeprefix(_PREFIX)


def problem_words(content: bytes, otherwise: str = "") -> str:
    """What an answer that is an error says, with every fault on a line of its own."""
    problem = _read(content)
    detail = problem.detail or problem.description
    if not detail:
        return content[:_SHOWN_CHARACTERS].decode(errors="replace") or otherwise
    others = [fault.words for fault in problem.problems if fault.words not in detail]
    return "\n".join([detail, *(f"- {other}" for other in others)])


def error_of(status: int, content: bytes) -> FlowerError:
    """The error that an answer tells. Its class is that of the engine where it has one for this problem."""
    problem = _read(content)
    kind, said = problem.type.removeprefix(_PREFIX), hide_secrets(problem_words(content, f"status {status}"))
    if status in (401, 403) and kind not in _KINDS:
        hint = "; give it as token or FLOWER_TOKEN" if status == 401 else ""
        return AuthError(said + hint)
    if status == 404 and problem.description:
        return errors.UnknownWorkflowError(said)
    if (make := _KINDS.get(kind)) is not None:
        return make(said, problem)
    if status == 409:
        return errors.RefusedError(said, kind)
    if status >= 500 and kind != "bug":
        return ApiUnavailableError(said)
    return ApiRefusedError(said, status, kind)


def _read(content: bytes) -> _Problem:
    try:
        return msgspec.json.decode(content, type=_Problem)
    except msgspec.MsgspecError:
        return _Problem()


def _parameters(_said: str, problem: _Problem) -> FlowerError:
    faults = [ParameterFault(fault.words, fault.pointer or "#") for fault in problem.problems]
    return errors.ParametersError(faults or [ParameterFault(problem.detail, "#")])


def _as(kind: type[FlowerError], **more: Any) -> Callable[[str, _Problem], FlowerError]:
    """An error with the API's own words, whatever the engine makes such an error from."""

    def make(said: str, _problem: _Problem) -> FlowerError:
        error = kind.__new__(kind, said)
        vars(error).update(more)
        return error

    return make


def _definition(said: str, problem: _Problem) -> FlowerError:
    problems = [fault.detail for fault in problem.problems]
    return _as(errors.DefinitionError, workflow="", problems=problems)(said, problem)


def _schedule(said: str, problem: _Problem) -> FlowerError:
    faults = [ParameterFault(fault.words, fault.pointer or "#") for fault in problem.problems]
    return _as(errors.ScheduleError, faults=faults)(said, problem)


def _key_conflict(said: str, problem: _Problem) -> FlowerError:
    make = _as(errors.KeyConflictError, reason="key-conflict", flow=problem.task_flow_id)
    return make(said, problem)


_KINDS: Mapping[str, Callable[[str, _Problem], FlowerError]] = {
    "definition": _definition,
    "parameters": _parameters,
    "unknown-flow": _as(errors.UnknownFlowError),
    "unknown-task": _as(errors.UnknownTaskError),
    "unknown-workflow": _as(errors.UnknownWorkflowError),
    "unknown-schedule": _as(errors.UnknownScheduleError),
    "unknown-signal": _as(errors.UnknownSignalError),
    "unknown-partition": _as(errors.UnknownPartitionError),
    "unknown-backfill": _as(errors.UnknownBackfillError),
    "schedule": _schedule,
    "unknown-version": _as(errors.UnknownVersionError),
    "not-yet-registered": _as(errors.NotYetRegisteredError),
    "moved": _as(errors.MovedError, reason="moved"),
    "ambiguous": _as(errors.AmbiguousFlowError, reason="ambiguous"),
    "key-conflict": _key_conflict,
    "ended": _as(errors.FlowEndedError, reason="ended"),
    "not-asked": _as(errors.NotAskedError, reason="not-asked"),
    "too-many-signals": _as(errors.TooManySignalsError, reason="too-many-signals"),
    "too-large": _as(errors.PayloadTooLargeError),
    "conflict": _as(errors.DefinitionConflictError, reason="conflict"),
    "flow-limit": _as(errors.FlowLimitError, retry_after=1),
    "pruning": _as(errors.PrunedError, reason="pruning", until_ms=0),
    "history-damaged": _as(
        errors.HistoryDamagedError, reason="history-damaged", flow="", why="", position=""
    ),
    "history-lost": _as(errors.LostHistoryError, reason="history-lost"),
}
