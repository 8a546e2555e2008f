"""Lines of source that write what an event says of a task into it, from the table of meanings."""

from collections.abc import Mapping

import msgspec

from flower_engine.model.events.event_meaning import (
    COUNTED_FACTS,
    PASSING_FACTS,
    STANDING,
    THE_EVENT,
    Meaning,
    Move,
    Said,
)

_HELD_AS = {"result": "bytes({})", "given": "bytes({})", "ignore_reason": "{} or None"}
"""How a fact is held that is not held as the event has it."""


def fact_lines(meaning: Meaning, move: Move, kind: type[msgspec.Struct]) -> list[str]:
    """The lines that write the facts of an ``event`` into a ``task``; ``status_<number>`` is a status.

    The task is ``kind``, which may lack facts that nobody asks it for. Where ``kind`` has a field
    ``forget_<fact>``, it is set when the fact is forgotten.
    """
    fields = kind.__struct_fields__
    sets = {fact: said for fact, said in meaning.sets.items() if _is_held(move, fact)}
    lines = _moved(move, sets)
    if move.to is not None and "ended_as" in fields:
        lines.append(f"task.ended_as = {move.kind!r}")
    lines += [_set(fact, said) for fact, said in sets.items() if fact in fields]
    for fact in meaning.forgets:
        lines.append(f"task.{fact} = {0 if fact in COUNTED_FACTS else None}")
        if f"forget_{fact}" in fields:
            lines.append(f"task.forget_{fact} = True")
    return lines


def held_value(fact: str, value: str) -> str:
    """How the value of an event's field is held as this fact."""
    return _HELD_AS.get(fact, "{}").format(value)


def _is_held(move: Move, fact: str) -> bool:
    """Whether a task has the fact where it stands then: some go with another status alone."""
    return move.to is None or fact not in PASSING_FACTS or fact in STANDING[move.to].facts


def _moved(move: Move, sets: Mapping[str, Said]) -> list[str]:
    """It stands elsewhere: what went with the status before is over."""
    if move.to is None:
        return []
    since = STANDING[move.to].since
    over = [f"task.{fact} = " for fact in PASSING_FACTS if fact not in {since, *sets}]
    lines = [f"task.status = status_{int(move.to)}", f"{''.join(over)}None"]
    return [*lines, f"task.{since} = event.at"] if since else lines


def _set(fact: str, said: Said) -> str:
    value = "event" if said.field == THE_EVENT else f"event.{said.field}"
    if said.unless:
        return f"task.{fact} = None if event.{said.unless} else {held_value(fact, value)}"
    if said.instead is not None:
        return f"task.{fact} = {value} or {said.instead!r}"
    held = f"task.{fact} = {held_value(fact, value)}"
    return f"if {value}: {held}" if said.or_kept else held
