"""The slots of a schedule, by its kind: a cron expression, an interval, one time.

Every kind answers the same three questions about slots in a range, of which the first moment is left out and
the last one is in it, as with cursors. Nothing is kept between two questions, and each costs what it answers:
days on which nothing fires and ranges without a slot are passed over, not walked through.
"""

from collections.abc import Iterator
from typing import Protocol

from flower_engine.model.values.times import EARLIEST_MS, LATEST_MS
from flower_engine.schedules import wall_clock
from flower_engine.schedules.cron import Cron, cron_of
from flower_engine.schedules.stretches import Stretch, days_of, open_stretches
from flower_engine.schedules.when import When
from flower_engine.schedules.when_problems import problems_of_when
from flower_engine.schedules.zones import Segment, zone_of


class Timing(Protocol):
    """All in milliseconds since the epoch; ``after`` < slot <= ``until``."""

    def ascending(self, after: int, until: int) -> Iterator[int]:
        """Oldest first."""
        ...

    def descending(self, after: int, until: int) -> Iterator[int]:
        """Newest first."""
        ...

    def count(self, after: int, until: int) -> int:
        """How many there are; what that costs grows with days and changes of clocks, not with slots."""
        ...


class _Bounds:
    """From when to when there may be slots, and where they are not by day."""

    def __init__(self, when: When) -> None:
        self.first = EARLIEST_MS if when.starts_ms is None else when.starts_ms
        self.last = LATEST_MS if when.ends_ms is None else when.ends_ms
        self.zone = zone_of(when.timezone)
        self.closed = days_of((*when.except_dates, *when.calendar_days))

    def within(self, after: int, until: int) -> tuple[int, int]:
        """The part of a range that is within these bounds; both ends are in it."""
        return max(after + 1, self.first), min(until, self.last)

    def parts(self, first_ms: int, last_ms: int, is_back: bool = False) -> Iterator[tuple[Segment, Stretch]]:
        """The stretches that hold moments (whole seconds) of a range."""
        first, end = -(-first_ms // 1000), last_ms // 1000 + 1
        if first >= end:
            return
        for segment in (self.zone.segments_back if is_back else self.zone.segments)(first, end - 1):
            found = open_stretches(segment, Stretch(first, end), self.closed)
            for stretch in reversed(tuple(found)) if is_back else found:
                yield segment, stretch


class _CronTiming:
    def __init__(self, cron: Cron, bounds: _Bounds) -> None:
        self._cron, self._bounds = cron, bounds

    def ascending(self, after: int, until: int) -> Iterator[int]:
        for segment, stretch in self._bounds.parts(*self._bounds.within(after, until)):
            for moment in wall_clock.ascending(self._cron, segment, stretch):
                yield moment * 1000

    def descending(self, after: int, until: int) -> Iterator[int]:
        for segment, stretch in self._bounds.parts(*self._bounds.within(after, until), True):
            for moment in wall_clock.descending(self._cron, segment, stretch):
                yield moment * 1000

    def count(self, after: int, until: int) -> int:
        parts = self._bounds.parts(*self._bounds.within(after, until))
        return sum(wall_clock.count(self._cron, segment, stretch) for segment, stretch in parts)


class _IntervalTiming:
    """``anchor`` + any whole multiple of ``every``, by elapsed time: no clock's change moves it."""

    def __init__(self, every: int, anchor: int, bounds: _Bounds) -> None:
        self._every, self._anchor, self._bounds = every, anchor, bounds

    def ascending(self, after: int, until: int) -> Iterator[int]:
        for first, end in self._ranges(after, until):
            yield from range(first, end, self._every)

    def descending(self, after: int, until: int) -> Iterator[int]:
        for first, end in self._ranges(after, until, True):
            yield from reversed(range(first, end, self._every))

    def count(self, after: int, until: int) -> int:
        return sum(len(range(first, end, self._every)) for first, end in self._ranges(after, until))

    def _ranges(self, after: int, until: int, is_back: bool = False) -> Iterator[tuple[int, int]]:
        first, last = self._bounds.within(after, until)
        if not self._bounds.closed:
            yield self._from(first), last + 1
            return
        for _, stretch in self._bounds.parts(first // 1000 * 1000, last, is_back):
            yield self._from(max(first, stretch.begin * 1000)), min(last + 1, stretch.end * 1000)

    def _from(self, first: int) -> int:
        return first + (self._anchor - first) % self._every


class _OneTiming:
    def __init__(self, at: int, bounds: _Bounds) -> None:
        self._at, self._bounds = at, bounds

    def ascending(self, after: int, until: int) -> Iterator[int]:
        first, last = self._bounds.within(after, until)
        moment = self._at // 1000
        if first <= self._at <= last and next(self._bounds.parts(moment * 1000, moment * 1000), None):
            yield self._at

    descending = ascending

    def count(self, after: int, until: int) -> int:
        return sum(1 for _ in self.ascending(after, until))


class _NoTiming:
    """Of a schedule with a problem."""

    def ascending(self, after: int, until: int) -> Iterator[int]:
        del after, until
        return iter(())

    descending = ascending

    def count(self, after: int, until: int) -> int:
        del after, until
        return 0


def timing_of(when: When) -> Timing:
    """Its slots; none if something is wrong with the fields that say when it fires."""
    if problems_of_when(when):
        return _NoTiming()
    bounds = _Bounds(when)
    if when.cron is not None:
        return _CronTiming(cron_of(when.cron), bounds)
    if when.every_seconds is not None:
        return _IntervalTiming(round(when.every_seconds * 1000), when.anchor_ms or 0, bounds)
    assert when.at_ms is not None
    return _OneTiming(when.at_ms, bounds)
