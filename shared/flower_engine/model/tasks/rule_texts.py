"""The texts of ``rule`` and ``on_failure``, as people write and as definitions hold them."""

import re

from flower_engine.model.tasks.durations import duration_ms
from flower_engine.model.tasks.rules import (
    ANY,
    AT_LEAST,
    CANCEL,
    FAILED,
    FINISHED,
    READY,
    SETTLED,
    Rule,
    rule_of,
)

RULES = (READY, FINISHED, SETTLED, ANY, f"{AT_LEAST}:<k>", FAILED)
CANCELLING = (f"{ANY}:{CANCEL}", f"{AT_LEAST}:<k>:{CANCEL}")
"""Those that cancel what only they needed, once they have enough."""
HOLD, GIVE_UP, PASS = "hold", "give_up", "pass"
ON_FAILURE = (HOLD, f"{HOLD}:<time>", GIVE_UP, PASS)

_COUNTED = re.compile(rf"(?:{ANY}|{AT_LEAST}:[1-9][0-9]{{0,4}})(?::{CANCEL})?", re.ASCII)
_HELD = re.compile(rf"{HOLD}:([0-9]{{1,12}})(?:\.([0-9]{{1,3}}))?", re.ASCII)


def known_rule(text: str) -> Rule | None:
    """The rule that a text names; None: none."""
    is_one = text in (READY, FINISHED, SETTLED, FAILED) or _COUNTED.fullmatch(text)
    return rule_of(text) if is_one else None


def hold_ms(on_failure: str) -> int | None:
    """After which time a failed task that is held is given up; None: never, or it is not held."""
    held = _HELD.fullmatch(on_failure)
    return int(held[1]) * 1000 + int((held[2] or "").ljust(3, "0")) if held else None


def held_for(ms: int) -> str:
    """``hold`` with this time, as it is stored: in seconds."""
    whole, rest = divmod(ms, 1000)
    return f"{HOLD}:{whole}" + (f".{rest:03}".rstrip("0") if rest else "")


def normal_on_failure(text: str) -> str:
    """What people write for ``on_failure`` (``hold:2h``) as it is stored (``hold:7200``); what makes no sense
    stays as it is, for whoever checks the whole definition."""
    head, colon, time = text.partition(":")
    if head != HOLD or not colon or _HELD.fullmatch(text):
        ms = hold_ms(text)
        return text if ms is None else held_for(ms)
    try:
        return held_for(duration_ms(time))
    except ValueError:
        return text
