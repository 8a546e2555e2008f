"""The document of a schedule: its definition as JSON, the same in the API, in files and in deploys.

Names are in camelCase, durations in seconds, times in ISO 8601 with an offset. What the API takes has the
same names, and is checked by pydantic, which finds every fault.
"""

import re
from datetime import UTC, datetime
from typing import Any, Self

import msgspec

from flower_engine.errors import ParameterFault
from flower_engine.model.definitions.workflow_document import Document
from flower_engine.model.values.floats import spelled_out
from flower_engine.model.values.times import BOUNDS, is_shown, is_time, ms_of, nearest
from flower_engine.schedules.problem import Problem
from flower_engine.schedules.schedule import CatchUp, Overlap, Schedule
from flower_engine.schedules.schedule_problems import problems

_encode = msgspec.json.Encoder(order="sorted").encode
_FIELDS = {
    "name": "schedule",
    "every_seconds": "everySeconds",
    "at_ms": "at",
    "anchor_ms": "anchor",
    "starts_ms": "starts",
    "ends_ms": "ends",
    "calendar_days": "calendar",
}
"""Fields of a schedule whose names in a document are others, beside the case."""


_FIELD = re.compile(r"\b(?:every_seconds|window_seconds|jitter_seconds|(?:at|anchor|starts|ends)_ms)\b")


class ScheduleDocument(Document):
    """A schedule as it is defined: one of ``cron``, ``everySeconds`` and ``at`` says when it fires."""

    schedule: str
    task_id: str
    cron: str | None = None
    every_seconds: float | None = None
    at: str | None = None
    anchor: str | None = None
    timezone: str = "UTC"
    starts: str | None = None
    ends: str | None = None
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    overlap: Overlap = "skip"
    catch_up: CatchUp = "latest"
    window_seconds: float | None = None
    max_catch_up: int = 10
    jitter_seconds: float = 0
    except_dates: list[str] = msgspec.field(default_factory=list)
    calendar: str | None = None
    pause_after_failures: int | None = None
    priority: int | None = None

    @classmethod
    def of(cls, schedule: Schedule) -> Self:
        """The document of a schedule; of one with problems, as near as it gets."""
        return cls(
            schedule=schedule.name,
            task_id=schedule.task_id,
            cron=schedule.cron,
            every_seconds=schedule.every_seconds,
            at=_text(schedule.at_ms),
            anchor=_text(schedule.anchor_ms),
            timezone=schedule.timezone,
            starts=_text(schedule.starts_ms),
            ends=_text(schedule.ends_ms),
            parameters=schedule.parameters,
            overlap=schedule.overlap,
            catch_up=schedule.catch_up,
            window_seconds=schedule.window_seconds,
            max_catch_up=schedule.max_catch_up,
            jitter_seconds=schedule.jitter_seconds,
            except_dates=list(schedule.except_dates),
            calendar=schedule.calendar,
            pause_after_failures=schedule.pause_after_failures,
            priority=schedule.priority,
        )


def schedule_of(said: Any, name: str) -> tuple[Schedule, list[Problem]]:
    """The schedule that an object with the fields of a document describes, and all that is wrong with it."""
    found: list[Problem] = []
    schedule = Schedule(
        name=name,
        task_id=said.task_id,
        cron=said.cron,
        every_seconds=said.every_seconds,
        at_ms=_ms(said.at, "at_ms", found),
        anchor_ms=_ms(said.anchor, "anchor_ms", found),
        timezone=said.timezone,
        starts_ms=_ms(said.starts, "starts_ms", found),
        ends_ms=_ms(said.ends, "ends_ms", found),
        parameters=said.parameters,
        overlap=said.overlap,
        catch_up=said.catch_up,
        window_seconds=said.window_seconds,
        max_catch_up=said.max_catch_up,
        jitter_seconds=said.jitter_seconds,
        except_dates=tuple(said.except_dates),
        calendar=said.calendar,
        pause_after_failures=said.pause_after_failures,
        priority=said.priority,
    )
    told = {problem.field for problem in found}
    return schedule, [*found, *(problem for problem in problems(schedule) if problem.field not in told)]


def plain_schedule(document: ScheduleDocument) -> dict[str, Any]:
    """The document as plain JSON, without what has its default anyway."""
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(ScheduleDocument):
        value = getattr(document, field.name)
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        if value is not None and value != default:
            is_whole = isinstance(value, float) and value.is_integer()
            found[field.encode_name] = int(value) if is_whole else value
    return found


def canonical_schedule(document: ScheduleDocument) -> str:
    """The same as text; of two documents that mean the same it is the same."""
    return spelled_out(_encode(plain_schedule(document))).decode()


def fault_of(problem: Problem, at: str = "#") -> ParameterFault:
    """The problem as it is told of a document, to which ``at`` (a JSON Pointer) leads."""
    name = _in_document(problem.field)
    detail = _FIELD.sub(lambda found: _in_document(found[0]), problem.message)
    return ParameterFault(f"{name}: {detail}", f"{at}/{name}")


def _in_document(field: str) -> str:
    return _FIELDS.get(field) or _camel(field)


def _camel(field: str) -> str:
    first, *rest = field.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _ms(text: str | None, field: str, found: list[Problem]) -> int | None:
    """The time that a text in ISO 8601 means; UTC where no offset is given. Where it means none, that is
    added to what is wrong."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        found.append(Problem(field, f"this is no time: {error}"))
        return 0
    ms = ms_of(time if time.tzinfo else time.replace(tzinfo=UTC))
    if not is_time(ms):
        found.append(Problem(field, f"times are from {BOUNDS}, in UTC"))
        return 0
    return ms


def _text(ms: int | None) -> str | None:
    if ms is None:
        return None
    shown = ms if is_shown(ms) else int(nearest(ms))
    time = datetime.fromtimestamp(shown // 1000, UTC)
    return f"{time:%Y-%m-%dT%H:%M:%S}" + (f".{shown % 1000:03}" if shown % 1000 else "") + "Z"
