"""Stretches of time in which something may begin: segments of a zone, without days on which nothing does."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from flower_engine.schedules.zones import Segment

_DAY = 86_400
_DAY_TEXT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


class Stretch(NamedTuple):
    """From ``begin`` on and before ``end``, in seconds since the epoch."""

    begin: int
    end: int


def open_stretches(segment: Segment, stretch: Stretch, closed: tuple[int, ...]) -> Iterator[Stretch]:
    """What is left of a segment within a stretch, oldest first. ``closed`` are days on the segment's clocks,
    counted from the epoch, sorted."""
    begin, end = max(segment.begin, stretch.begin), min(segment.end, stretch.end)
    first = bisect_left(closed, (begin + segment.offset) // _DAY) if closed else 0
    last = bisect_right(closed, (end + segment.offset) // _DAY) if closed else 0
    for day in closed[first:last]:
        closing = day * _DAY - segment.offset
        if begin < min(closing, end):
            yield Stretch(begin, min(closing, end))
        begin = max(begin, closing + _DAY)
    if begin < end:
        yield Stretch(begin, end)


@lru_cache(1_024)
def days_of(texts: tuple[str, ...]) -> tuple[int, ...]:
    """Days ``YYYY-MM-DD`` as numbers since the epoch, sorted, each once.

    Raises:
        ValueError: one of them is no day.
    """
    return tuple(sorted({_day_of(text) for text in texts}))


def _day_of(text: str) -> int:
    if not _DAY_TEXT.fullmatch(text):  # Python reads more forms than this one
        raise ValueError(text)
    return date.fromisoformat(text).toordinal() - _EPOCH_ORDINAL
