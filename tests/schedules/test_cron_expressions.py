"""Expressions: what is refused and what to write instead, what stands for what, where cronsim differs."""

from datetime import datetime
from typing import Any

import pytest
from cronsim import CronSim

from flower_engine.schedules.cron import ALIASES, CronError, cron_of
from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.slots import next_slot, slots_after
from schedules.oracle import zone

REFUSED = {
    "": "it is empty",
    "   ": "it is empty",
    "* * * *": "it has 4 fields; there are five, or six with seconds first",
    "0 0 0 1 1 * 2026": "it has seven fields; years have no field here: starts and ends bound a schedule",
    "0 0 15W * *": "the day of month '15W' (the nearest weekday) is not known; 'LW' is the month's last day"
    " from Monday to Friday",
    "0 0 W * *": "the day of month 'W' (the nearest weekday) is not known; 'LW' is the month's last day"
    " from Monday to Friday",
    "0 0 L-3 * *": "the day of month 'L-3' is not known; 'L' is the last day of a month, 'LW' its last day"
    " from Monday to Friday",
    "0 0 L/2 * *": "the day of month 'L/2' is not known; 'L' is the last day of a month, 'LW' its last day"
    " from Monday to Friday",
    "0 0 ? * *": "the day of month '?' is no value; '*' says that any will do",
    "H * * * *": "the minute 'H' has an H; jitterSeconds spreads schedules",
    "0 24 * * *": "the hour '24' has '24', which is outside 0-23; midnight is 0",
    "60 * * * *": "the minute '60' has '60', which is outside 0-59",
    "0 22-2 * * *": "the hour '22-2' ends before it begins; '22-23,0-2' goes round",
    "0 0 * * SAT-SUN": "the day of week 'SAT-SUN' ends before it begins; Sunday is 7 there: 'SAT-7'",
    "0 0 * * MONL": "the day of week 'MONL' is not known; '5L' is the last Friday, by number: 0 and 7 are"
    " Sunday",
    "0 0 * * L": "the day of week 'L' is not known; '5L' is the last Friday, by number: 0 and 7 are Sunday",
    "0 0 * * MON#6": "the day of week 'MON#6' names a week of the month from #1 to #5",
    "0 0 * * MON-FRI#2": "the day of week 'MON-FRI#2' goes with no step and no range; separate several by"
    " commas",
    "0 0 * JANUARY *": "the month 'JANUARY' has 'JANUARY', which is no number or JAN to DEC",
    "0 0 * MON *": "the month 'MON' has 'MON', which is no number or JAN to DEC",
    "*/0 * * * *": "the minute '*/0' has a step that is no number from 1 on",
    "*/5/5 * * * *": "the minute '*/5/5' has one sign too many",
    "1,,2 * * * *": "the minute '' is empty: a comma too many",
    "1.5 * * * *": "the minute '1.5' has '1.5', which is no number",
    "-1 * * * *": "the minute '-1' has '', which is no number",
    "TZ=UTC 0 0 * * *": "'TZ=UTC' is no field; the schedule's timezone says where its clock stands",
    "@reboot": "@reboot is no time; a schedule has slots, whatever is started when",
    "@every 5m": "@every is no cron expression; everySeconds says how often",
    "@dayly": "'@dayly' stands for nothing; nearest: @daily, @yearly",
    "@daily 5": "@daily stands alone",
    "0 0 30 2 *": "no day ever matches its day of month, month and day of week",
    "0 0 */20 * 1L": "no day ever matches its day of month, month and day of week",
    "0 0 31 4,6,9,11 *": "no day ever matches its day of month, month and day of week",
    "1" * 600: "it is longer than 512 characters",
}


@pytest.mark.parametrize("expression", REFUSED)
def test_what_means_nothing_is_refused_with_what_to_write(expression: str) -> None:
    with pytest.raises(CronError) as refused:
        cron_of(expression)
    assert str(refused.value) == REFUSED[expression]


@pytest.mark.parametrize("name", ALIASES)
def test_names_stand_for_expressions_whatever_their_case(name: str) -> None:
    begin = ms("2026-01-01T00:00:30Z")
    named = slots_after(schedule(name.upper()), begin, begin + 800 * DAY, 50)
    assert named == slots_after(schedule(ALIASES[name]), begin, begin + 800 * DAY, 50)


DAY = 86_400_000
DIFFERENT: dict[str, tuple[str, str, str, list[str]]] = {
    "a range of one number with a step goes on to the end in cronsim": (
        *("5-5/20 0 * * *", "UTC", "2026-01-01T00:00Z"),
        ["2026-01-01T00:05:00+00:00", "2026-01-02T00:05:00+00:00"],
    ),
    "a minute with a star loses a fixed hour that is jumped over": (
        *("*/30 2 * * *", "Europe/Vienna", "2026-03-28T12:00Z"),
        ["2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"],
    ),
    "and repeats one that comes twice": (
        *("*/30 2 * * *", "Europe/Vienna", "2026-10-25T00:15Z"),
        ["2026-10-25T02:30:00+02:00", "2026-10-26T02:00:00+01:00"],
    ),
    "seconds lose a fixed hour that is jumped over": (
        *("0 30 2 * * *", "Europe/Vienna", "2026-03-28T12:00Z"),
        ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"],
    ),
    "every so many hours lose midnight where clocks jump over it": (
        *("0 */6 * * *", "Atlantic/Azores", "2026-03-28T20:00Z"),
        ["2026-03-29T01:00:00+00:00", "2026-03-29T06:00:00+00:00"],
    ),
    "all hours as a range are fixed hours in cronsim": (
        *("30 0-23 * * *", "Europe/Vienna", "2026-10-25T00:15Z"),
        ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"],
    ),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_cronsim_by_itself_would_differ(what: str) -> None:
    expression, timezone, after, expected = DIFFERENT[what]
    found = slots_after(schedule(expression, timezone=timezone), ms(after), ms(after) + 9 * DAY, 2)
    assert [datetime.fromtimestamp(slot / 1000, zone(timezone)).isoformat() for slot in found] == expected
    other = CronSim(expression, datetime.fromisoformat(after).astimezone(zone(timezone)))
    assert [next(other).isoformat() for _ in range(2)] != expected


def test_a_day_that_never_was_fires_right_after_it_once() -> None:
    hourly = schedule("0 8-10 * * *", timezone="Pacific/Apia")
    found = slots_after(hourly, ms("2011-12-29T12:00-10:00"), ms("2011-12-31T12:00+14:00"), 10)
    shown = [datetime.fromtimestamp(slot / 1000, zone("Pacific/Apia")).isoformat() for slot in found]
    assert shown == [
        "2011-12-31T00:00:00+14:00",
        *(f"2011-12-31T{hour}:00:00+14:00" for hour in ("08", "09", "10")),
    ]


def test_days_that_come_rarely_are_found_at_once_in_both_directions() -> None:
    rare = schedule("0 0 * 2 MON#5")
    assert next_slot(rare, ms("2072-03-01T00:00Z")) == ms("2112-02-29T00:00Z")
    assert next_slot(schedule("0 0 29 2 *"), ms("2096-03-01T00:00Z")) == ms("2104-02-29T00:00Z")


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def schedule(cron: str, **fields: Any) -> Schedule:
    return Schedule(name="s", uid="u", task_id="w", cron=cron, **fields)
