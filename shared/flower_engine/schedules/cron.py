"""Cron expressions: read by ``cronsim``, refused in words, and asked for times on a wall clock.

Five fields (minute, hour, day of month, month, day of week) or six (seconds before them). Each holds numbers,
ranges ``1-5``, steps ``*/15``, ``10-40/10``, ``5/20`` (from 5 on), lists of all these with commas; months and
days of the week have names (JAN, MON), of any case; 0 and 7 are Sunday. Day of month may be ``L`` (the last
day of the month) or ``LW`` (its last day from Monday to Friday); day of week ``5L`` (the last Friday),
``MON#2`` (the second Monday). If day of month and day of week are both restricted, either is enough; both
must hold if one of them begins with ``*`` (as in Debian's cron). ``@hourly``, ``@daily``, ``@midnight``,
``@weekly``, ``@monthly``, ``@yearly``, ``@annually`` stand for expressions.

``cronsim`` decides what an expression means and which days it matches. Times of a day, and what happens where
clocks change, are Flower's own: ``wall_clock.py`` has the rules, and why they are not those of cronsim.
"""

import re
from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import lru_cache
from itertools import product

from cronsim import CronSim, CronSimError

from flower_engine.schedules.cron_advice import advice_for, number_of

DAY = 86_400
HOURS_OF_A_DAY = 24
MAX_CRON_LENGTH = 512
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
_LAST_YEAR = 9999
_CACHED = 16_384
_STEPPED_RANGE = re.compile(r"\b(\w+)-(\w+)/[0-9]+")
_NEVER = "no day ever matches its day of month, month and day of week"

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


class CronError(ValueError):
    """An expression that is none, or never comes; the message says what to write."""


class Cron:
    """An expression, asked for local times: seconds that a wall clock shows, as if it stood at UTC."""

    def __init__(self, expression: str) -> None:
        """Raises:
        CronError: it is none, or no day ever matches it."""
        sim = _read(expression)
        self.seconds = tuple(sorted(sim.seconds))
        self.minutes = tuple(sorted(sim.minutes))
        self.hours = tuple(sorted(sim.hours))
        self.months = tuple(sorted(sim.months))
        self.is_every_hour = len(self.hours) == HOURS_OF_A_DAY
        self.times_a_day = len(self.hours) * len(self.minutes) * len(self.seconds)
        self._sim = sim  # for its days; the rest of it is not kept twice
        self._days: dict[tuple[int, int], tuple[int, ...]] = {}
        if not self._has_days():
            raise CronError(_NEVER)
        for known in (sim.seconds, sim.minutes, sim.hours, sim.months):
            known.clear()

    def ascending(self, first: int, end: int) -> Iterator[int]:
        """Local times that match, from ``first`` on and before ``end``, oldest first."""
        for day in self.days_ascending(first // DAY, -(-end // DAY)):
            base = day * DAY
            for time in self._times(max(first - base, 0)):
                if base + time >= end:
                    return
                yield base + time

    def descending(self, first: int, end: int) -> Iterator[int]:
        """The same, newest first."""
        for day in self.days_descending(first // DAY, -(-end // DAY)):
            base = day * DAY
            for time in self._times_back(min(end - base, DAY)):
                if base + time < first:
                    return
                yield base + time

    def count(self, first: int, end: int) -> int:
        """How many there are."""
        if end <= first:
            return 0
        first_day, last_day = first // DAY, end // DAY
        found = self._count_days(first_day, last_day) * self.times_a_day
        if self.is_day(last_day):
            found += self._rank(end - last_day * DAY)
        if self.is_day(first_day):
            found -= self._rank(first - first_day * DAY)
        return found

    def is_day(self, day: int) -> bool:
        """Whether a day (since the epoch) matches."""
        when = date.fromordinal(day + _EPOCH_ORDINAL)
        return when.month in self.months and when.day in self._month(when.year, when.month)[1]

    def days_ascending(self, first: int, end: int) -> Iterator[int]:
        """Days since the epoch that match, ``first`` <= day < ``end``."""
        begin = date.fromordinal(first + _EPOCH_ORDINAL)
        months = self.months[bisect_left(self.months, begin.month) :]
        for year in range(begin.year, _LAST_YEAR + 1):
            for month in months:
                base, days = self._month(year, month)
                if base + 1 >= end:
                    return
                for day in days[bisect_left(days, first - base) :]:
                    if base + day >= end:
                        return
                    yield base + day
            months = self.months

    def days_descending(self, first: int, end: int) -> Iterator[int]:
        """The same, newest first."""
        begin = date.fromordinal(end - 1 + _EPOCH_ORDINAL)
        months = self.months[: bisect_left(self.months, begin.month + 1)]
        for year in range(begin.year, 0, -1):
            for month in reversed(months):
                base, days = self._month(year, month)
                if base + 31 < first:
                    return
                for day in reversed(days[: bisect_left(days, end - base)]):
                    if base + day < first:
                        return
                    yield base + day
            months = self.months

    def _count_days(self, first: int, end: int) -> int:
        """How many days match, ``first`` <= day < ``end``."""
        begin, last = date.fromordinal(first + _EPOCH_ORDINAL), date.fromordinal(end + _EPOCH_ORDINAL)
        found = 0
        for year, month in product(range(begin.year, last.year + 1), self.months):
            if (begin.year, begin.month) <= (year, month) <= (last.year, last.month):
                _, days = self._month(year, month)
                low = bisect_left(days, begin.day) if (year, month) == (begin.year, begin.month) else 0
                high = bisect_left(days, last.day) if (year, month) == (last.year, last.month) else len(days)
                found += high - low
        return found

    def _month(self, year: int, month: int) -> tuple[int, tuple[int, ...]]:
        """The day before a month (since the epoch), and the days of the month that match."""
        base, kind = _month_of(year, month)
        known = self._days.get(kind)
        if known is None:  # there are but 28 kinds of months
            days = [date(year, month, day) for day in range(1, kind[1] + 1)]
            known = self._days[kind] = tuple(day.day for day in days if self._sim.match_day(day))
        return base, known

    def _has_days(self) -> bool:
        # Every length of a month comes with every day of the week, February's 29 days, too: within 40 years.
        return any(self._month(year, month)[1] for year in range(2000, 2041) for month in self.months)

    def _times(self, low: int) -> Iterator[int]:
        """Seconds of a day from ``low`` on."""
        for hour in self.hours[bisect_left(self.hours, low // 3600) :]:
            of_hour = hour * 3600
            for minute in self.minutes[bisect_left(self.minutes, (low - of_hour) // 60) :]:
                of_minute = of_hour + minute * 60
                for second in self.seconds[bisect_left(self.seconds, low - of_minute) :]:
                    yield of_minute + second

    def _times_back(self, end: int) -> Iterator[int]:
        """Seconds of a day before ``end``, the last first."""
        for hour in reversed(self.hours[: bisect_left(self.hours, -(-end // 3600))]):
            of_hour = hour * 3600
            for minute in reversed(self.minutes[: bisect_left(self.minutes, -(-(end - of_hour) // 60))]):
                of_minute = of_hour + minute * 60
                for second in reversed(self.seconds[: bisect_left(self.seconds, end - of_minute)]):
                    yield of_minute + second

    def _rank(self, time: int) -> int:
        """How many times of a day come before this one."""
        hour, minute, second = time // 3600, time // 60 % 60, time % 60
        hours = bisect_left(self.hours, hour)
        found = hours * len(self.minutes) * len(self.seconds)
        if hours < len(self.hours) and self.hours[hours] == hour:
            minutes = bisect_left(self.minutes, minute)
            found += minutes * len(self.seconds)
            if minutes < len(self.minutes) and self.minutes[minutes] == minute:
                found += bisect_left(self.seconds, second)
        return found


@lru_cache(_CACHED)
def _month_of(year: int, month: int) -> tuple[int, tuple[int, int]]:
    """The day before a month (since the epoch), the day of the week of its first day, and its length."""
    weekday, length = monthrange(year, month)
    return date(year, month, 1).toordinal() - _EPOCH_ORDINAL - 1, (weekday, length)


@lru_cache(_CACHED)
def cron_of(expression: str) -> Cron:
    """The expression, read once.

    Raises:
        CronError: it is none; the message is the end of a sentence.
    """
    return Cron(expression)


def _read(expression: str) -> CronSim:
    if len(expression) > MAX_CRON_LENGTH:
        raise CronError(f"it is longer than {MAX_CRON_LENGTH} characters")
    fields = expression.split()
    problem = advice_for(fields, ALIASES)
    if problem:
        raise CronError(problem)
    plain = ALIASES.get(fields[0].lower(), expression)
    try:
        return CronSim(_STEPPED_RANGE.sub(_without_range_of_one, plain), _ANY_TIME)
    except CronSimError as error:  # cronsim's words for a day that no month has, all else being right
        raise CronError(_NEVER if "day-of-month" in str(error) else f"it cannot be read: {error}") from None


def _without_range_of_one(found: re.Match[str]) -> str:
    """``5-5/10`` is 5. cronsim takes it for ``5/10``, which goes on to the end."""
    first, last = (number_of(one.upper()) for one in found.groups())
    return str(first) if first == last else found.group()
