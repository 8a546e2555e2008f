"""Retry policies, timeouts and stand-ins as columns of ``ms_task_definition`` and ``ms_workflow``, and back.

Durations are seconds in the tables (``numeric``, counted to the millisecond) and milliseconds in the model.
People edit the rows with SQL, so what cannot be understood is told, not guessed.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from flower_engine.model.definitions.definition import TaskDefinition
from flower_engine.model.tasks.task_spec import MAX_DURATION_MS, RetryPolicy, longest_delay

_DEFAULT = RetryPolicy()


def retry_of(values: Sequence[Any], problems: list[str]) -> RetryPolicy | None:
    """The policy that its columns describe, in their order (``task_columns.py``); None where all are NULL."""
    max_attempts, delay, backoff, max_delay, jitter, no_retry_on = values
    if all(value is None for value in values):
        return None
    if max_attempts is None:
        problems.append("says how to retry but has no max_attempts: set it, or leave the others empty")
    if no_retry_on is not None and not all(isinstance(kind, str) for kind in no_retry_on):
        problems.append("has a no_retry_on that is not a plain list of names")
        no_retry_on = None
    delay_ms = _DEFAULT.delay_ms if delay is None else _ms(delay, "retry_delay_seconds", problems)
    return RetryPolicy(
        max_attempts=1 if max_attempts is None else max_attempts,
        delay_ms=delay_ms,
        backoff=_DEFAULT.backoff if backoff is None else _number(backoff, "retry_backoff", problems),
        max_delay_ms=(
            longest_delay(delay_ms)
            if max_delay is None
            else _ms(max_delay, "retry_max_delay_seconds", problems)
        ),
        jitter=_DEFAULT.jitter if jitter is None else _number(jitter, "retry_jitter", problems),
        no_retry_on=tuple(no_retry_on or ()),
    )


def timeout_of(seconds: Decimal | None, column: str, problems: list[str]) -> int | None:
    """The milliseconds of a timeout column; None where it is NULL."""
    return None if seconds is None else _ms(seconds, column, problems)


def stand_in_of(text: str | None, problems: list[str]) -> Any:
    """The result that the column gives a task that is passed over; None where it is NULL, or null."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        problems.append(f"has a stand_in that is no usable JSON: {error}")
        return None


def columns_of(task: TaskDefinition) -> dict[str, Any]:
    """The values of the columns of retries and timeouts, as JSON; those that are NULL are left out."""
    values: dict[str, Any] = {}
    retry = task.retry
    if retry is not None:
        values["max_attempts"] = retry.max_attempts
        values["retry_delay_seconds"] = retry.delay_ms / 1000
        values["retry_backoff"] = retry.backoff
        if retry.max_delay_ms != longest_delay(retry.delay_ms):  # else NULL: an edit of the delay moves it
            values["retry_max_delay_seconds"] = retry.max_delay_ms / 1000
        values["retry_jitter"] = retry.jitter
        values["no_retry_on"] = retry.no_retry_on or None
    if task.timeout_ms is not None:
        values["timeout_seconds"] = task.timeout_ms / 1000
    if task.queue_timeout_ms is not None:
        values["queue_timeout_seconds"] = task.queue_timeout_ms / 1000
    return values


def _ms(seconds: Decimal, column: str, problems: list[str]) -> int:
    if not seconds.is_finite() or abs(seconds) > MAX_DURATION_MS:
        problems.append(f"has {column} {str(seconds)[:100]}, which is no usable number of seconds")
        return 1
    ms = seconds * 1000
    if ms != ms.to_integral_value():
        problems.append(f"has {column} {str(seconds)[:100]}; give at most three decimals")
    return int(ms)


def _number(value: Decimal, column: str, problems: list[str]) -> float:
    if not value.is_finite():
        problems.append(f"has {column} {value}, which is not a finite number")
        return 1.0
    return float(value)
