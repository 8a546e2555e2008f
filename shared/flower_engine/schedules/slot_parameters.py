"""What a schedule gives its flows: parameters, in which ``{"$slot": FORM}`` stands for the flow's slot.

FORM is one of these; ``previous.`` or ``next.`` before it means the schedule's slot before or after:

========  ============================================================================
date      ``"2026-03-29"``, by the clock of the schedule's zone
time      ``"06:00:00"``, by the same clock
iso       ``"2026-03-29T06:00:00+02:00"``, by the same clock; milliseconds only if there are any
utc       ``"2026-03-29T04:00:00Z"``
ms        ``1774756800000``, milliseconds since the Unix epoch
========  ============================================================================

Where there is no previous or next slot, the value is ``default`` (``{"$slot": "next.iso", "default":
"-"}``), or null. ``$text`` and ``$literal`` are as in definitions; a schedule knows no results, secrets or
parameters of others, so ``$from``, ``$secret`` and ``$param`` are refused. What comes of it is data: it is
never scanned.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from flower_engine.model.parameters.reference_forms import Slot
from flower_engine.model.parameters.references import bound_slots, resolved, scan_parameters
from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.model.values.quoting import short
from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.slots import next_slot, previous_slot
from flower_engine.schedules.zones import zone_of

_EPOCH = datetime.fromtimestamp(0, UTC)
_FORMS = ("date", "time", "iso", "utc", "ms")
SLOT_FORMS = tuple(f"{which}{form}" for which in ("", "previous.", "next.") for form in _FORMS)
_MOST_PROBLEMS = 100


class Moment(msgspec.Struct, frozen=True):
    """A slot among its neighbours, in milliseconds since the epoch; None: the schedule has none."""

    slot: int
    previous: int | None
    following: int | None


def moment_of(schedule: Schedule, slot_ms: int) -> Moment:
    """A slot, with the slots before and after it."""
    return Moment(slot_ms, previous_slot(schedule, slot_ms), next_slot(schedule, slot_ms))


def parameters_of_slot(schedule: Schedule, moment: Moment) -> dict[str, Any]:
    """What the flow of a slot is given. The schedule has no problem."""
    if not scan_parameters(schedule.parameters).is_plain:
        bound = bound_slots(schedule.parameters, lambda form: _value_of(form, moment, schedule.timezone))
        return resolved(bound, _refused, _refused)
    return schedule.parameters


def problems_of_slot_parameters(parameters: Mapping[str, Any]) -> list[str]:
    """What is wrong with references in a schedule's parameters; each begins with a place (JSON Pointer)."""
    return list(_problems_of(parameters))[:_MOST_PROBLEMS]


def _problems_of(parameters: Mapping[str, Any]) -> Iterator[str]:
    found = scan_parameters(parameters)
    yield from found.problems
    for name, places in found.slots.items():
        if name not in SLOT_FORMS:
            near = nearest_in_words(name, SLOT_FORMS) or f"; known: {', '.join(SLOT_FORMS)}"
            yield f"{places[0]}: $slot {short(name)!r} is nothing that is known of a slot{near}"
    for use in found.uses:
        yield f"{use.at}: $from takes a result, and a schedule has none; only definitions hold it"
    for key, names in (("$param", found.params), ("$secret", found.secrets)):
        for places in names.values():
            yield f"{places[0]}: {key} stands in definitions only"


def _value_of(form: Slot, moment: Moment, timezone: str) -> Any:
    which, _, name = form.name.rpartition(".")
    ms = {"": moment.slot, "previous": moment.previous, "next": moment.following}[which]
    if ms is None:
        return None if form.default is msgspec.UNSET else form.default
    if name == "ms":
        return ms
    time = _EPOCH + timedelta(milliseconds=ms)
    if name == "utc":
        return time.isoformat(timespec=_precision(ms)).replace("+00:00", "Z")
    local = time.astimezone(zone_of(timezone).info)
    if name == "date":
        return local.date().isoformat()
    if name == "time":
        return local.time().isoformat(timespec=_precision(ms))
    return local.isoformat(timespec=_precision(ms))


def _precision(ms: int) -> str:
    return "milliseconds" if ms % 1000 else "seconds"


def _refused(name: str) -> Any:
    raise AssertionError(f"{name} has no place in a schedule")  # nothing is wrong with the parameters
