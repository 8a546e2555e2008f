"""What to write instead of cron expressions that other tools know, and that mean nothing here."""

import re
from collections.abc import Mapping, Sequence

from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.model.values.quoting import short

NAMES = ("second", "minute", "hour", "day of month", "month", "day of week")
_RANGES = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_NAMES = {*_MONTHS, *_DAYS}
_NAMES_OF = {4: _MONTHS, 5: _DAYS}
_NUMBER = re.compile(r"[0-9]{1,4}")
_NEAREST_WEEKDAY = re.compile(r"[0-9]+W")


def advice_for(fields: Sequence[str], aliases: Mapping[str, str]) -> str | None:
    """What is wrong with the fields of an expression, as the end of a sentence; None: they may be right."""
    if not fields:
        return "it is empty"
    if fields[0].startswith("@"):
        return _of_alias(fields, aliases)
    if "=" in fields[0]:
        return f"{short(fields[0])!r} is no field; the schedule's timezone says where its clock stands"
    if len(fields) == 7:
        return "it has seven fields; years have no field here: starts and ends bound a schedule"
    if len(fields) not in (5, 6):
        return (
            f"it has {len(fields)} field{'s' * (len(fields) != 1)}; there are five, or six with seconds first"
        )
    for index, field in enumerate(fields, 6 - len(fields)):
        for term in field.upper().split(","):
            problem = _of_term(index, term)
            if problem:
                return f"the {NAMES[index]} {short(term)!r} {problem}"
    return None


def _of_alias(fields: Sequence[str], aliases: Mapping[str, str]) -> str | None:
    name = fields[0].lower()
    if name in aliases:
        return None if len(fields) == 1 else f"{name} stands alone"
    if name == "@reboot":
        return "@reboot is no time; a schedule has slots, whatever is started when"
    if name == "@every":
        return "@every is no cron expression; everySeconds says how often"
    return f"{short(fields[0])!r} stands for nothing{nearest_in_words(name, aliases)}"


def _of_term(index: int, term: str) -> str | None:
    if not term:
        return "is empty: a comma too many"
    if "?" in term:
        return "is no value; '*' says that any will do"
    if "H" in term and not any(name in term for name in _NAMES):
        return "has an H; jitterSeconds spreads schedules"
    if term.count("/") > 1 or term.count("-") > 1 or term.count("#") > 1:
        return "has one sign too many"
    if index == 3 and (_NEAREST_WEEKDAY.fullmatch(term) or term in ("W", "WL")):
        return "(the nearest weekday) is not known; 'LW' is the month's last day from Monday to Friday"
    if index == 3 and term in ("L", "LW"):
        return None
    if index == 3 and ("L" in term or "W" in term):
        return "is not known; 'L' is the last day of a month, 'LW' its last day from Monday to Friday"
    if index == 5 and ("L" in term or "#" in term):
        return _of_chosen_day(term)
    base, *steps = term.split("/")
    if any(not _NUMBER.fullmatch(step) or int(step) == 0 for step in steps):
        return "has a step that is no number from 1 on"
    return None if base == "*" else _of_range(index, base)


def _of_chosen_day(term: str) -> str | None:
    """``5L``, ``MON#2``."""
    if "/" in term or "-" in term:
        return "goes with no step and no range; separate several by commas"
    day, sign, number = term.partition("#")
    if sign:
        problem = _of_range(5, day)
        return problem or (None if number in tuple("12345") else "names a week of the month from #1 to #5")
    if not (term.endswith("L") and re.fullmatch("[0-7]L", term)):
        return "is not known; '5L' is the last Friday, by number: 0 and 7 are Sunday"
    return None


def _of_range(index: int, text: str) -> str | None:
    first, dash, last = text.partition("-")
    low, high = _RANGES[index]
    numbers = [number_of(one) for one in ((first, last) if dash else (first,))]
    for one, number in zip((first, last), numbers, strict=False):
        if number is None or (one in _NAMES and one not in _NAMES_OF.get(index, ())):
            names = {4: " or JAN to DEC", 5: " or SUN to SAT"}.get(index, "")
            return f"has {short(one)!r}, which is no number{names}"
        if not low <= number <= high:
            zero = "; midnight is 0" if index == 2 and number == 24 else ""
            return f"has {short(one)!r}, which is outside {low}-{high}{zero}"
    begin, end = numbers[0], numbers[-1]
    if begin is not None and end is not None and end < begin:
        if index == 5 and last.startswith("SUN"):
            return f"ends before it begins; Sunday is 7 there: '{first}-7'"
        return f"ends before it begins; '{first}-{high},{low}-{last}' goes round"
    return None


def number_of(text: str) -> int | None:
    """The number that a number or a name (in capitals) stands for."""
    if text in _MONTHS:
        return _MONTHS.index(text) + 1
    if text in _DAYS:
        return _DAYS.index(text)
    return int(text) if _NUMBER.fullmatch(text) else None
