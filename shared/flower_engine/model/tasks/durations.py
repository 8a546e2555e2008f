"""Durations as people write them in Python: ``"5m"``, ``"1h30m"``, a timedelta, or seconds."""

import math
import re
from datetime import timedelta

from flower_engine.model.tasks.task_spec import MAX_DURATION_MS

Duration = str | float | timedelta
"""``"500ms"``, ``"10s"``, ``"5m"``, ``"6h"``, ``"2d"``, joined as in ``"1h30m"``; a timedelta; or seconds."""

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")


def duration_ms(duration: object) -> int:
    """Milliseconds.

    Raises:
        ValueError: it is no duration, negative, or longer than ten years; the message ends a sentence.
    """
    ms = _ms_of(duration)
    if ms is None:
        raise ValueError('is no duration: write "10s", "5m", "1h30m", "2d", a timedelta, or seconds')
    if not 0 <= ms <= MAX_DURATION_MS:
        raise ValueError("is not 0 to ten years")
    return round(ms)


def _ms_of(duration: object) -> float | None:
    if isinstance(duration, timedelta):
        return duration.total_seconds() * 1000
    if isinstance(duration, int | float) and not isinstance(duration, bool):
        return duration * 1000 if -math.inf < duration < math.inf else None
    if isinstance(duration, str) and _WHOLE.fullmatch(duration.strip()):
        return sum(float(number) * _UNITS_MS[unit] for number, unit in _PART.findall(duration))
    return None
