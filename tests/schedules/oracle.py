"""An oracle for cron on the clocks of time zones: it walks through the minutes of a window and looks at each.

Nothing is shared with the implementation, and nothing is clever: expressions are read here once more, and a
window is a table of minutes, each with what the clock showed. Many expressions are asked about each window,
so a set of minutes is kept as the bits of one large number, and what is looked at minute by minute is put
together with & and | of such numbers.
"""

import calendar
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


@cache
def zone(name: str) -> ZoneInfo:
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, name)


@cache
def changes(name: str, first_year: int, last_year: int) -> tuple[datetime, ...]:
    """The first minutes after which the clocks of a zone show another offset."""
    moment, end = datetime(first_year, 1, 1, tzinfo=UTC), datetime(last_year + 1, 1, 1, tzinfo=UTC)
    found: list[datetime] = []
    while moment < end:
        if offset(name, moment) != offset(name, moment + timedelta(days=1)):
            minute = moment + MINUTE
            while offset(name, minute) == offset(name, moment):
                minute += MINUTE
            found.append(minute)
        moment += timedelta(days=1)
    return tuple(found)


def offset(name: str, moment: datetime) -> timedelta | None:
    return moment.astimezone(zone(name)).utcoffset()


@dataclass
class Expression:
    """What an expression says: the values of its fields, and a test of days."""

    seconds: list[int]
    minutes: list[int]
    hours: list[int]
    is_day: Callable[[date], bool]

    @property
    def is_every_hour(self) -> bool:
        return self.hours == list(range(24))

    def is_time(self, shown: datetime) -> bool:
        return shown.minute in self.minutes and shown.hour in self.hours and self.is_day(shown.date())


def read(text: str) -> Expression:
    words = text.upper().split()
    second, minute, hour, day, month, weekday = words if len(words) == 6 else ["0", *words]
    months = values(month, 1, 12, MONTHS, 1)
    of_month = [day_of_month(one) for one in day.split(",")]
    of_week = [day_of_week(one) for one in weekday.split(",")]
    both = day[0] == "*" or weekday[0] == "*"

    def is_day(when: date) -> bool:
        in_month = any(test(when) for test in of_month)
        in_week = any(test(when) for test in of_week)
        return when.month in months and (in_month and in_week if both else in_month or in_week)

    return Expression(values(second, 0, 59), values(minute, 0, 59), values(hour, 0, 23), cache(is_day))


def values(text: str, low: int, high: int, names: Iterable[str] = (), first: int = 0) -> list[int]:
    known = {name: number for number, name in enumerate(names, first)}
    found: set[int] = set()
    for term in text.split(","):
        span, _, step = term.partition("/")
        begin, _, end = span.partition("-")
        if span == "*":
            numbers = range(low, high + 1)
        else:
            start = known[begin] if begin in known else int(begin)
            stop = (known[end] if end in known else int(end)) if end else (high if step else start)
            numbers = range(start, stop + 1)
        found.update(numbers[:: int(step or 1)])
    return sorted(found)


def day_of_month(term: str) -> Callable[[date], bool]:
    if term == "L":
        return lambda when: (when + timedelta(days=1)).day == 1
    if term == "LW":
        return lambda when: when == last_working_day(when)
    known = values(term, 1, 31)
    return lambda when: when.day in known


def last_working_day(when: date) -> date:
    last = when.replace(day=calendar.monthrange(when.year, when.month)[1])
    while last.isoweekday() > 5:
        last -= timedelta(days=1)
    return last


def day_of_week(term: str) -> Callable[[date], bool]:
    day, _, number = term.partition("#")
    if number or term.endswith("L"):
        (wanted,) = values(day.removesuffix("L") if not number else day, 0, 7, DAYS)

        @cache
        def chosen_of(year: int, month: int) -> list[date]:
            days = (date(year, month, 1) + timedelta(days=days) for days in range(31))
            alike = [day for day in days if day.month == month and day.isoweekday() % 7 == wanted % 7]
            place = int(number) - 1 if number else -1
            return alike[place : place + 1 or None]

        return lambda when: when in chosen_of(when.year, when.month)
    known = [one % 7 for one in values(term, 0, 7, DAYS)]
    return lambda when: when.isoweekday() % 7 in known


@dataclass
class Window:
    """The minutes from ``begin`` on and before ``end``; no clock changes in the day before. Bit n stands for
    minute n."""

    zone: str
    begin: datetime
    end: datetime
    shown: list[datetime] = field(default_factory=list[datetime])
    again: int = 0
    jumps: list[tuple[int, list[datetime]]] = field(default_factory=list[tuple[int, list[datetime]]])
    by_minute: list[int] = field(default_factory=lambda: [0] * 60)
    by_hour: list[int] = field(default_factory=lambda: [0] * 24)
    by_date: dict[date, int] = field(default_factory=dict[date, int])

    def __post_init__(self) -> None:
        newest = datetime.min
        minute = self.begin
        while minute < self.end:
            shown = minute.astimezone(zone(self.zone)).replace(tzinfo=None)
            bit = 1 << len(self.shown)
            if shown <= newest:
                self.again |= bit
            elif newest != datetime.min and shown > newest + MINUTE:
                skipped = int((shown - newest) / MINUTE)
                self.jumps.append((len(self.shown), [newest + n * MINUTE for n in range(1, skipped)]))
            newest = max(newest, shown)
            self.by_minute[shown.minute] |= bit
            self.by_hour[shown.hour] |= bit
            self.by_date[shown.date()] = self.by_date.get(shown.date(), 0) | bit
            self.shown.append(shown)
            minute += MINUTE

    def slots(self, expression: Expression, begin: datetime, end: datetime) -> Iterator[int]:
        """Those from ``begin`` on and before ``end``, in seconds since the epoch."""
        minutes = hours = days = jumped = 0
        for value in expression.minutes:
            minutes |= self.by_minute[value]
        for value in expression.hours:
            hours |= self.by_hour[value]
        for day, bits in self.by_date.items():
            if expression.is_day(day):
                days |= bits
        matching = minutes & hours & days
        if not expression.is_every_hour:
            matching &= ~self.again
            for index, skipped in self.jumps:
                if any(expression.is_time(shown) for shown in skipped):
                    jumped |= 1 << index
        first = int(self.begin.timestamp())
        index, last = ((int(one.timestamp()) - first) // 60 for one in (begin, end))
        left = ((matching | jumped) & ((1 << last) - 1)) >> index
        while left:
            far = (left & -left).bit_length() - 1
            index, left = index + far, left >> far
            seconds = set(expression.seconds) if matching >> index & 1 else set[int]()
            if jumped >> index & 1:
                seconds.add(0)
            yield from (first + index * 60 + second for second in sorted(seconds))
            index, left = index + 1, left >> 1
