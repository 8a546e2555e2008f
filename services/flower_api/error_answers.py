"""What the API answers to each error of the engine and of the stores: the one place that knows both."""

from collections.abc import Callable, Mapping
from typing import Any

import psycopg
from redis.exceptions import RedisError

from flower_api.problems import Fault, ProblemError, faulty, with_faults
from flower_engine import errors
from flower_engine.store_faults import words_of

_RETRY_SECONDS = 2  # most faults of a store are over by then
_RETRY_SIGNALS_SECONDS = 10  # somebody has to take some
_RETRY_LOST_SECONDS = 30  # somebody has to recover Redis


def problem_of(error: BaseException) -> ProblemError:
    """The problem that an error is answered with, alone or as an entry of a bulk reply."""
    if isinstance(error, ProblemError):
        return error
    for kind in type(error).__mro__:
        if (tell := ANSWERS.get(kind)) is not None:
            return tell(error)
    return ProblemError(500, "bug", "the server failed; its log says where")


def _definition(error: errors.DefinitionError) -> ProblemError:
    faults = [Fault(detail=problem) for problem in error.problems]
    return with_faults("definition", f"workflow {error.workflow!r} cannot be run", faults)


def _definitions(error: errors.DefinitionsError) -> ProblemError:
    faults = [Fault(detail=problem, pointer=f"#/workflows/{place}") for place, problem in error.problems]
    return faulty("definition", str(error), faults)


def _parameters(error: errors.ParametersError) -> ProblemError:
    faults = [Fault(detail=fault.detail, pointer=fault.pointer) for fault in error.faults]
    return faulty("parameters", str(error), faults)


def _unknown_version(error: errors.UnknownVersionError) -> ProblemError:
    return faulty("unknown-version", str(error), [Fault(detail=str(error), pointer="#/workflowVersion")])


def _time(error: errors.TimeError) -> ProblemError:
    return faulty("invalid-request", str(error), [Fault(detail=str(error), parameter=error.parameter)])


def _flow_control(error: errors.FlowControlError) -> ProblemError:
    faults = [Fault(detail=problem, pointer="#") for problem in error.problems]
    return with_faults("invalid-limit", "the settings do not fit", faults)


def _schedule(error: errors.ScheduleError) -> ProblemError:
    faults = [Fault(detail=fault.detail, pointer=fault.pointer) for fault in error.faults]
    return faulty("schedule", str(error), faults)


def _hook(error: errors.HookError) -> ProblemError:
    faults = [Fault(detail=fault.detail, pointer=fault.pointer) for fault in error.faults]
    return faulty("hook", str(error), faults)


def _schedule_moved(error: errors.ScheduleMovedError) -> ProblemError:
    return ProblemError(409, error.reason, str(error), version=error.version)


def _refused(error: errors.RefusedError) -> ProblemError:
    return ProblemError(409, error.reason, str(error))


def _key_conflict(error: errors.KeyConflictError) -> ProblemError:
    return ProblemError(409, error.reason, str(error), taskFlowId=error.flow)


def _flow_limit(error: errors.FlowLimitError) -> ProblemError:
    return ProblemError(429, "flow-limit", str(error), headers=_after(error.retry_after))


def _projection_behind(error: errors.ProjectionBehindError) -> ProblemError:
    return ProblemError(
        429,
        "projection-behind",
        str(error),
        headers=_after(error.retry_after),
        partition=error.partition,
        unprojectedEvents=error.events,
        unprojectedBytes=error.size_bytes,
    )


def _not_projected(error: errors.NotProjectedError) -> ProblemError:
    headers = _after(error.retry_after)
    return ProblemError(503, "projection-behind", str(error), headers=headers, store="Postgres")


def _lost(error: errors.LostError) -> ProblemError:
    return ProblemError(503, "redis-lost", str(error), headers=_after(_RETRY_LOST_SECONDS), store="Redis")


def _unavailable(error: errors.StoreUnavailableError) -> ProblemError:
    headers = _after(error.retry_after)
    return ProblemError(503, "store-unavailable", str(error), headers=headers, store=error.store)


def _store(store: str, why: Callable[[Exception], str]) -> Callable[[Any], ProblemError]:
    return lambda error: _unavailable(errors.StoreUnavailableError(store, why(error), _RETRY_SECONDS))


def _missing(kind: str) -> Callable[[Any], ProblemError]:
    return lambda error: ProblemError(404, kind, str(error))


def _after(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}


ANSWERS: Mapping[type[BaseException], Callable[[Any], ProblemError]] = {
    errors.DefinitionError: _definition,
    errors.DefinitionsError: _definitions,
    errors.ParametersError: _parameters,
    errors.TimeError: _time,
    errors.FlowControlError: _flow_control,
    errors.UnknownControlError: _missing("unknown-limit"),
    errors.UnknownStrikeError: _missing("unknown-strike"),
    errors.ScheduleError: _schedule,
    errors.HookError: _hook,
    errors.UnknownHookError: _missing("unknown-hook"),
    errors.UnknownPartitionError: _missing("unknown-partition"),
    errors.UnknownDeliveryError: _missing("unknown-delivery"),
    errors.UnknownSignalError: _missing("unknown-signal"),
    errors.UnknownScheduleError: _missing("unknown-schedule"),
    errors.UnknownBackfillError: _missing("unknown-backfill"),
    errors.ScheduleMovedError: _schedule_moved,
    errors.UnknownWorkflowError: _missing("unknown-workflow"),
    errors.UnknownVersionError: _unknown_version,
    errors.UnknownFlowError: _missing("unknown-flow"),
    errors.UnknownTaskError: _missing("unknown-task"),
    errors.NotYetRegisteredError: _missing("not-yet-registered"),
    errors.FlowEndedError: lambda error: ProblemError(410, error.reason, str(error)),
    errors.NotAskedError: lambda error: ProblemError(403, error.reason, str(error)),
    errors.TooManySignalsError: lambda error: ProblemError(
        429, error.reason, str(error), headers=_after(_RETRY_SIGNALS_SECONDS)
    ),
    errors.PayloadTooLargeError: lambda error: ProblemError(413, "too-large", str(error)),
    errors.MovedError: lambda error: ProblemError(409, "moved", str(error)),
    errors.KeyConflictError: _key_conflict,
    errors.RefusedError: _refused,
    errors.FlowLimitError: _flow_limit,
    errors.ProjectionBehindError: _projection_behind,
    errors.NotProjectedError: _not_projected,
    errors.LostError: _lost,
    errors.StoreUnavailableError: _unavailable,
    errors.StoreError: _store("a store", str),
    psycopg.Error: _store("Postgres", words_of),
    RedisError: _store("Redis", words_of),
}
"""By class of error; one that is not here is answered as the nearest of those that it derives from."""

NEVER_ANSWERED: Mapping[type[errors.FlowerError], str] = {
    errors.SettingsError: "it ends the service before it listens",
    errors.NotUnderWayError: "the flow's state is restored from its history, and the operation tried again",
    errors.ProgramError: "programs are loaded and called by workers",
    errors.NewerEventError: "a history that holds such an event is told as damaged, with the event",
}
"""Errors that no call can meet, with the reason; one that comes all the same is a fault of ours (500)."""
