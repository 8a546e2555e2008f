"""Time zones: when their clocks change, and by how much.

They are read from the package ``tzdata``, never from the machine: every process of an installation has the
same ones, and ``pip`` brings newer ones. A zone is taken apart into segments in which its clocks run evenly.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple
from zoneinfo import ZoneInfo

from flower_engine.model.values.near_names import nearest_in_words
from flower_engine.model.values.quoting import short

_DAY = 86_400
_HELD_BACK = 3 * _DAY  # no clock was ever put back by more than a day
_YEARS = 4_096


class UnknownZoneError(ValueError):
    """No such time zone; the message is the end of a sentence."""


class Segment(NamedTuple):
    """A part of time in which a zone's clocks run evenly. All in seconds since the epoch.

    ``begin`` and ``end`` (excluded) are moments. A clock shows ``moment + offset``: a local time, counted as
    if it were UTC. Local times from ``skipped`` on and before ``begin + offset`` never came: clocks jumped
    over them at ``begin``. Local times before ``fresh`` have come before: clocks were put back.
    """

    begin: int
    end: int
    offset: int
    skipped: int
    fresh: int


class Zone:
    """A time zone by its IANA name."""

    def __init__(self, name: str) -> None:
        self.name = name
        with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
            self.info = ZoneInfo.from_file(file, name)

    def offset_at(self, moment: int) -> int:
        """What a clock shows beyond UTC, in seconds."""
        offset = datetime.fromtimestamp(moment, self.info).utcoffset()
        return 0 if offset is None else offset.days * _DAY + offset.seconds

    def segments(self, first: int, last: int) -> Iterator[Segment]:
        """Those that hold moments from ``first`` to ``last``, oldest first; split where years change."""
        for year in range(_year(first), _year(last) + 1):
            for segment in _segments(self, year):
                if segment.end > first and segment.begin <= last:
                    yield segment

    def segments_back(self, first: int, last: int) -> Iterator[Segment]:
        """The same, newest first."""
        for year in range(_year(last), _year(first) - 1, -1):
            for segment in reversed(_segments(self, year)):
                if segment.end > first and segment.begin <= last:
                    yield segment


@lru_cache(1)
def zone_names() -> frozenset[str]:
    """Every zone there is."""
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split()) - {"Factory"}


@lru_cache(None)  # there are but 600, and what is unknown is not kept
def zone_of(name: str) -> Zone:
    """A zone, read once.

    Raises:
        UnknownZoneError: there is no such zone; names those that are near.
    """
    if name not in zone_names():
        near = nearest_in_words(name, sorted(zone_names()))
        raise UnknownZoneError(f"{short(name)!r} is no time zone that tzdata knows{near}")
    return Zone(name)


def _year(moment: int) -> int:
    return datetime.fromtimestamp(moment, UTC).year


def _begin_of(year: int) -> int:
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp())


@lru_cache(_YEARS)
def _segments(zone: Zone, year: int) -> tuple[Segment, ...]:
    begin, end = _begin_of(year), _begin_of(year + 1)
    moment, offset = begin - _HELD_BACK, zone.offset_at(begin - _HELD_BACK)
    shown = moment + offset  # up to where its clocks have shown every local time, or jumped over it
    found: list[Segment] = []
    for change in (*_changes(zone, moment, end), end):
        first, last = max(moment, begin), change
        if last > first:
            local = first + offset
            jumped = shown if first == moment else local
            found.append(Segment(first, last, offset, min(jumped, local), max(shown, local)))
        shown = max(shown, change + offset)
        moment, offset = change, zone.offset_at(change)
    return tuple(found)


def _changes(zone: Zone, first: int, end: int) -> Iterator[int]:
    """The moments after ``first`` and before ``end`` at which clocks change."""
    before = zone.offset_at(first)
    for day in range(first, end, _DAY):
        low, high = day, min(day + _DAY, end - 1)
        after = zone.offset_at(high)
        if after != before:
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if zone.offset_at(middle) == before else (low, middle)
            yield high
        before = after
