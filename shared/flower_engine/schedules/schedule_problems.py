"""Everything that can be wrong with a schedule as such; whether its parameters fit its workflow is not."""

from collections.abc import Collection, Iterator
from typing import Any, cast

import msgspec

from flower_engine.model.tasks.task_spec import MAX_NAME_LENGTH, MAX_PRIORITY, MIN_PRIORITY
from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.model.values.storable import is_unstorable, problem_of_value, problems_of_parameters
from flower_engine.schedules.problem import Problem, quoted
from flower_engine.schedules.schedule import CATCH_UPS, OVERLAPS, Schedule
from flower_engine.schedules.slot_parameters import problems_of_slot_parameters
from flower_engine.schedules.when_problems import problem_of_seconds, problems_of_when

MAX_CATCH_UP = 10_000
MAX_FAILURES = 1_000_000
MAX_REASON_LENGTH = 10_000
MAX_PARAMETERS_BYTES = 1024 * 1024


def problems(schedule: Schedule) -> list[Problem]:
    """What is wrong with it, each with the field; whatever its fields hold, nothing is raised."""
    return [*_found(schedule), *problems_of_when(schedule)]


def _found(schedule: Schedule) -> Iterator[Problem]:
    yield from _of_name("name", schedule.name)
    yield from _of_name("task_id", schedule.task_id)
    if not isinstance(cast("Any", schedule.uid), str):
        yield Problem("uid", f"{quoted(schedule.uid)} is no text")
    yield from _of_parameters(schedule.parameters)
    yield from _of_word("overlap", schedule.overlap, OVERLAPS)
    yield from _of_word("catch_up", schedule.catch_up, CATCH_UPS)
    if schedule.window_seconds is not None:
        yield from problem_of_seconds("window_seconds", schedule.window_seconds, 0)
    yield from _of_number("max_catch_up", schedule.max_catch_up, 1, MAX_CATCH_UP)
    yield from problem_of_seconds("jitter_seconds", schedule.jitter_seconds, 0)
    if schedule.calendar is not None:
        yield from _of_name("calendar", schedule.calendar)
    if not isinstance(cast("Any", schedule.is_paused), bool):
        yield Problem("is_paused", f"{quoted(schedule.is_paused)} is neither true nor false")
    yield from _of_reason(schedule.reason)
    if schedule.pause_after_failures is not None:
        yield from _of_number("pause_after_failures", schedule.pause_after_failures, 1, MAX_FAILURES)
    if schedule.priority is not None:
        yield from _of_number("priority", schedule.priority, MIN_PRIORITY, MAX_PRIORITY)


def _of_name(field: str, name: Any) -> Iterator[Problem]:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_LENGTH or is_unstorable(name):
        most = f"a text of 1 to {MAX_NAME_LENGTH} characters, none of them NUL"
        yield Problem(field, f"{quoted(name)} is no name ({most})")


def _of_word(field: str, word: Any, known: Collection[str]) -> Iterator[Problem]:
    if not isinstance(word, str) or word not in known:
        near = nearest_in_words(word, known) if isinstance(word, str) else ""
        yield Problem(field, f"{quoted(word)} is none of {', '.join(known)}{near}")


def _of_number(field: str, number: Any, least: int, most: int) -> Iterator[Problem]:
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
        yield Problem(field, f"{quoted(number)} is no whole number from {least} to {most}")


def _of_reason(reason: Any) -> Iterator[Problem]:
    if reason is None:
        return
    if not isinstance(reason, str) or len(reason) > MAX_REASON_LENGTH or is_unstorable(reason):
        most = f"of at most {MAX_REASON_LENGTH} characters, none of them NUL"
        yield Problem("reason", f"it is no text {most}")


def _of_parameters(given: Any) -> Iterator[Problem]:
    if not isinstance(given, dict) or not all(
        isinstance(name, str) for name in cast("dict[Any, Any]", given)
    ):
        yield Problem("parameters", "it is no JSON object")
        return
    parameters = cast("dict[str, Any]", given)
    unfit = problem_of_value(parameters)
    if unfit:
        told = list(problems_of_parameters(parameters)) or [f"has parameters that are too much: it {unfit}"]
        yield from (Problem("parameters", f"the schedule {one}") for one in told)
        return
    try:
        size = len(msgspec.json.encode(parameters))
    except (TypeError, ValueError, RecursionError, OverflowError):
        yield Problem("parameters", "they hold something that JSON does not know")
        return
    if size > MAX_PARAMETERS_BYTES:
        yield Problem("parameters", f"they take {size} bytes; {MAX_PARAMETERS_BYTES} may be")
        return
    for message in problems_of_slot_parameters(parameters):
        yield Problem("parameters", message)
