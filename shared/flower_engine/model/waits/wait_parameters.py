"""What the programs of wait tasks take, and what is wrong with parameters of theirs."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, cast

import msgspec

from flower_engine.model.parameters.references import holds_references, known_value, scan
from flower_engine.model.parameters.value_schemas import faults_of_value, problems_of_value_schema
from flower_engine.model.tasks.task_spec import DEFAULT_ROUNDS, MAX_DURATION_MS, WAIT_MARK, TaskSpec
from flower_engine.model.values.json_pointer import pointer_to
from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.model.values.quoting import short

SLEEP, EVENT, APPROVAL = "@sleep", "@event", "@approval"
PROGRAMS = (SLEEP, EVENT, APPROVAL)
DECISION = "@when"
MAP = "@map"
SUBFLOW = "@flow"
RETURNS = "@returns"  # the last task of a child, which no definition has
WRITTEN = (*PROGRAMS, DECISION, MAP, SUBFLOW)
WAITS = (*WRITTEN, RETURNS)
MAX_PAYLOAD_BYTES = 64 * 1024
"""Of a signal or an answer, as JSON."""
MAX_SIGNAL_NAME = 200
MOST_VOTERS = 100
DEFAULT_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {"approved": {"type": "boolean"}},
    "required": ["approved"],
}
"""What an approval asks for that has no ``form``."""

_encode = msgspec.json.Encoder().encode
_UNTIL = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
Parameters = Mapping[str, Any]


def _problems_of_counts(task: TaskSpec) -> Iterator[str]:
    if task.units != 1:
        yield f"weighs {task.units} units; {task.program} takes no room of any limit"
    if task.max_rounds != DEFAULT_ROUNDS and task.program != SUBFLOW:
        yield f"has max_rounds, which is for what workers or other flows do; {task.program} has no rounds"


def problems_of_wait(task: TaskSpec) -> Iterator[str]:
    """What is wrong with a task of a definition whose program begins with ``@``, each a sentence that follows
    the name of its row."""
    if task.program in (DECISION, MAP):
        return  # see decision_tasks.py, map_tasks.py
    if task.program not in WRITTEN:
        near = nearest_in_words(task.program, WRITTEN)
        yield (
            f"has the program {short(task.program)!r}: programs of tasks do not begin with {WAIT_MARK}, but"
            f" for {', '.join(WRITTEN)}{near}"
        )
        return
    for field in ("retry", "timeout_ms", "queue_timeout_ms"):
        if getattr(task, field) is not None:
            yield f"has {field}, which is for what workers run; {task.program} has {_OWN[task.program]}"
    yield from _problems_of_counts(task)
    if task.program == SUBFLOW:
        return
    known: dict[str, Any] = {}
    for name, value in task.parameters.items():
        found = scan(value) if isinstance(value, dict | list) else None
        may_wait = task.program == APPROVAL and name in _SHOWN
        if found is not None and found.secrets:
            yield f"has a secret in {name!r}: what a wait says is shown to people"
        elif found is not None and found.uses and not may_wait:
            yield (
                f"takes the result of task {found.uses[0].form.name} in {name!r}: what {task.program} waits"
                " for is fixed when the flow is registered. Give it as a parameter of the flow ($param)"
                + (f"; {', '.join(_SHOWN)} may have it" if task.program == APPROVAL else "")
            )
        elif not holds_references(value):
            known[name] = value
        elif (one := known_value(value)) is not None:
            known[name] = one
    problems = [*problems_of_values(task.program, known, task.parameters)]
    for at, said in problems or misfits_of_default(task.program, known):
        yield f"({task.program}): {said}" if not at else f"({task.program}), parameter {at[1:]!r}: {said}"


_SHOWN = ("title", "text", "shows")  # what people are shown: it may be made of results
_OWN = {
    SLEEP: "seconds or until",
    EVENT: "timeout_seconds",
    APPROVAL: "timeout_seconds",
    SUBFLOW: "what its workflow says of its own tasks",
}


def problems_of_values(program: str, known: Parameters, given: Parameters) -> Iterator[tuple[str, str]]:
    """What is wrong with parameters of such a program, as (JSON Pointer, sentence). ``known`` are those whose
    values are known, ``given`` all."""
    takes = _TAKES[program]
    for name in given:
        if name not in takes:
            near = nearest_in_words(name, takes)
            yield "", f"it has no parameter {short(name)!r}; it takes {', '.join(takes)}{near}"
    for name, value in known.items():
        said = takes[name](value) if name in takes else None
        if said:
            yield pointer_to(name), said
    yield from _WHOLE[program](given)
    if "on_timeout" in takes:
        if known.get("on_timeout") == "default" and "default" not in given:
            yield "", "on_timeout is 'default', and no default is given"
        if "default" in given and known.get("on_timeout", "suspend") == "suspend" and "on_timeout" in known:
            yield "", "a default is given, and on_timeout is 'suspend'"
        if "default" in given and "on_timeout" not in given:
            yield "", "a default is given: say that it holds with on_timeout 'default'"
        if "on_timeout" in given and "timeout_seconds" not in given:
            yield "", "on_timeout needs timeout_seconds"


def misfits_of_default(program: str, known: Parameters) -> Iterator[tuple[str, str]]:
    """Where a default is no payload, or answer, that would be taken. (Asked of definitions, and of what a
    flow is registered with, alone: a flow that an older one began keeps its default.)"""
    schema = known.get(_SCHEMAS.get(program, ""), DEFAULT_FORM if program == APPROVAL else None)
    if "default" in known and schema is not None and _schema(schema) is None:
        for place, said in faults_of_value(schema, known["default"]):
            yield f"/default{place}", f"it does not fit {_SCHEMAS[program]}: {said}"


def _of_sleep(given: Parameters) -> Iterator[tuple[str, str]]:
    if ("seconds" in given) == ("until" in given):
        yield "", "it takes seconds or until, one of them"


def _of_event(given: Parameters) -> Iterator[tuple[str, str]]:
    if "name" not in given:
        yield "", "it needs the parameter 'name'"


def _of_approval(_given: Parameters) -> Iterator[tuple[str, str]]:
    yield from ()


def _seconds(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"it is {_shown(value)}, which is no number of seconds"
    if not 0.001 <= value <= MAX_DURATION_MS / 1000:
        return f"it is {_number(value)} s; it must be more than 0 and at most ten years"
    return None


def _often(value: Any) -> str | None:
    said = _seconds(value)
    return said or (f"it is {_number(value)} s; it is 1 s at least" if value < 1 else None)


def _until(value: Any) -> str | None:
    try:
        until_ms(value)
    except ValueError as error:
        return str(error)
    return None


def _signal_name(value: Any) -> str | None:
    return problem_of_name(value)


def problem_of_name(value: Any) -> str | None:
    """What is wrong with the name of a signal."""
    if isinstance(value, str) and 0 < len(value) <= MAX_SIGNAL_NAME and not _CONTROL.search(value):
        return None
    return f"it is {_shown(value)}; a name is text of 1 to {MAX_SIGNAL_NAME} characters, none for control"


def problem_of_key(value: Any) -> str | None:
    """What is wrong with the key of a signal; "" is none."""
    if isinstance(value, str) and len(value) <= MAX_SIGNAL_NAME and not _CONTROL.search(value):
        return None
    return f"it is {_shown(value)}; a key is text of at most {MAX_SIGNAL_NAME} characters, none for control"


def _schema(value: Any) -> str | None:
    problems = problems_of_value_schema(value)
    return f"it is no JSON Schema: {problems[0]}" if problems else None


def _on_timeout(value: Any) -> str | None:
    return None if value in ("suspend", "default") else f"it is {_shown(value)}; it is 'suspend' or 'default'"


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) else f"it is {_shown(value)}, which is no text"


def _anything(_value: Any) -> str | None:
    return None


def _default(value: Any) -> str | None:
    size = len(_encode(value))
    return f"it is {size} bytes long; {MAX_PAYLOAD_BYTES} may be" if size > MAX_PAYLOAD_BYTES else None


def _names(value: Any) -> str | None:
    if isinstance(value, list) and all(isinstance(one, str) and one for one in cast("list[Any]", value)):
        return None
    return f"it is {_shown(value)}, which is no list of names"


def _voters(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_VOTERS:
        return None
    return f"it is {_shown(value)}; it is how many names must answer, 1 to {MOST_VOTERS}"


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else f"it is {_shown(value)}, which is neither true nor false"


def _shown(value: Any) -> str:
    return short(_encode(value).decode())


def _number(value: float) -> str:
    return _shown(value) if isinstance(value, int) else f"{value:g}"  # which has no room for every integer


def milliseconds(seconds: float) -> int:
    """Of a duration, one at least."""
    return max(1, round(seconds * 1000))


def until_ms(value: Any) -> int:
    """The moment that a text names.

    Raises:
        ValueError: it names none; the message ends a sentence.
    """
    if not isinstance(value, str) or not _UNTIL.fullmatch(value):
        raise ValueError(
            f"it is {_shown(value)}; a moment is written with its zone, such as 2026-01-05T06:00:00+01:00"
        )
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"it is {_shown(value)}: {error}") from None
    return max(0, int(moment.timestamp() * 1000))


_Check = Callable[[Any], str | None]
_SCHEMAS = {EVENT: "type", APPROVAL: "form"}
_TIMEOUT: dict[str, _Check] = {"timeout_seconds": _seconds, "on_timeout": _on_timeout, "default": _default}
_TAKES: dict[str, dict[str, _Check]] = {
    SLEEP: {"seconds": _seconds, "until": _until},
    EVENT: {"name": _signal_name, "key": problem_of_key, "type": _schema, **_TIMEOUT},
    APPROVAL: {
        "title": _text,
        "text": _text,
        "form": _schema,
        "shows": _anything,
        "roles": _names,
        "of": _voters,
        "not_registrant": _flag,
        "remind_seconds": _often,
        "escalate_seconds": _often,
        **_TIMEOUT,
    },
}
_WHOLE: dict[str, Callable[[Parameters], Iterator[tuple[str, str]]]] = {
    SLEEP: _of_sleep,
    EVENT: _of_event,
    APPROVAL: _of_approval,
}
