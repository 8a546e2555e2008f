"""Functions that write what an event says of a task into it, made from the table of meanings.

They are made once, as source code, as dataclasses make their methods: the projector counts every event with
one, and reading the table for each would take it longer than writing the facts.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from flower_engine.model.event_meaning import (
    COUNTED_FACTS,
    PASSING_FACTS,
    STANDING,
    THE_EVENT,
    Meaning,
    Move,
    Said,
)
from flower_engine.model.status import Status

Writer = Callable[[Any, Any], None]
"""Writes into a task what an event says of it: (task, event)."""

_HELD_AS = {"result": "bytes({})", "ignore_reason": "{} or None"}
"""How a fact is held that is not held as the event has it."""


def fact_writer(
    meaning: Meaning, move: Move, kind: type[msgspec.Struct], status_as: Callable[[Status], int] = Status
) -> Writer:
    """The function for tasks that are ``kind``, which may lack facts that nobody asks it for.

    ``status_as`` gives the status as it is held. Where ``kind`` has a field ``forget_<fact>``, it is set when
    the fact is forgotten.
    """
    fields = kind.__struct_fields__
    lines = _moved(move, meaning, "status")
    for fact, said in meaning.sets.items():
        if fact in fields:
            lines.append(_set(fact, said))
    for fact in meaning.forgets:
        lines.append(f"task.{fact} = {0 if fact in COUNTED_FACTS else None}")
        if f"forget_{fact}" in fields:
            lines.append(f"task.forget_{fact} = True")
    source = "\n    ".join(["def write(task, event):", *(lines or ["pass"])])
    names: dict[str, Any] = {} if move.to is None else {"status": status_as(move.to)}
    exec(compile(source, f"<facts of tasks in {move.tasks}>", "exec"), names)
    return names["write"]


def _moved(move: Move, meaning: Meaning, status: str) -> list[str]:
    """It stands elsewhere: what went with the status before is over."""
    if move.to is None:
        return []
    since = STANDING[move.to].since
    over = [f"task.{fact} = " for fact in PASSING_FACTS if fact not in {since, *meaning.sets}]
    lines = [f"task.status = {status}", f"{''.join(over)}None"]
    return [*lines, f"task.{since} = event.at"] if since else lines


def _set(fact: str, said: Said) -> str:
    value = "event" if said.field == THE_EVENT else f"event.{said.field}"
    if said.instead is not None:
        return f"task.{fact} = {value} or {said.instead!r}"
    held = f"task.{fact} = {_HELD_AS.get(fact, '{}').format(value)}"
    return f"if {value}: {held}" if said.or_kept else held
