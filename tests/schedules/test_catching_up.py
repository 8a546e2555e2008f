"""Every slot has one fate, whenever somebody looks, and it is the one that the rules give slot by slot."""

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import fuzzing
from flower_engine.schedules.catching_up import MOST, decisions
from flower_engine.schedules.schedule import CATCH_UPS, OVERLAPS, Schedule
from flower_engine.schedules.slot_ids import due_of
from flower_engine.schedules.slots import slots_after
from schedules.slot_rules import Fate, Known, Slot, expanded, fates

BEGIN = 1_767_225_600_000  # 2026-01-01
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
MOST_SLOTS = 400

_WHEN: list[dict[str, Any]] = [
    {"every_seconds": 1},
    {"every_seconds": 7.5, "anchor_ms": BEGIN + 123},
    {"every_seconds": 60},
    {"every_seconds": 3_600},
    {"cron": "*/20 8-10 * * *", "timezone": "Europe/Vienna"},
    {"cron": "0 3,4 * * *", "except_dates": ("2026-01-03",)},
    {"cron": "0 0 * * MON"},
    {"at_ms": BEGIN + HOUR},
    {"every_seconds": 30, "starts_ms": BEGIN + HOUR, "ends_ms": BEGIN + 2 * HOUR},
]


def _schedule(when: dict[str, Any], rest: dict[str, Any]) -> Schedule:
    return Schedule(name="s", uid="some", task_id="w", **when, **rest)


SCHEDULES = st.builds(
    _schedule,
    st.sampled_from(_WHEN),
    st.fixed_dictionaries(
        {},
        optional={
            "catch_up": st.sampled_from(CATCH_UPS),
            "overlap": st.sampled_from(OVERLAPS),
            "max_catch_up": st.integers(1, 12),
            "jitter_seconds": st.sampled_from([0.5, 20, 600, 100_000]),
            "window_seconds": st.sampled_from([0, 5, 90, 1_800, 7_200, 200_000]),
            "is_paused": st.booleans(),
        },
    ),
)
STEPS = st.one_of(
    st.sampled_from([0, 1, 999, SECOND, 29_999, 30_000, 30_001, MINUTE, HOUR, DAY, 7 * DAY]),
    st.integers(0, 2 * HOUR),
)


def slots_of(schedule: Schedule, after: int, until: int) -> list[Slot]:
    """The slots of a range, and the next one."""
    found = slots_after(schedule, after, until, MOST_SLOTS + 1)
    following = slots_after(schedule, found[-1] if found else after, BEGIN + 1_000 * DAY, 2)
    at = [*found, *following]
    last = [at[-1] + DAY] if at else []
    return [Slot(one, due_of(schedule, one), later) for one, later in pairwise([*at, *last])]


def limited(schedule: Schedule, cursor: int, now: int) -> int:
    """The moment, or an earlier one up to which there are not too many slots to look at each."""
    found = slots_after(schedule, cursor, now, MOST_SLOTS)
    return found[-1] if len(found) == MOST_SLOTS else now


@settings(max_examples=fuzzing.examples(300))
@given(SCHEDULES, st.data(), STEPS, STEPS)
def test_a_look_decides_what_the_rules_say_of_each_slot(
    schedule: Schedule, data: st.DataObject, before: int, step: int
) -> None:
    cursor = BEGIN + before
    now = limited(schedule, cursor, cursor + step)
    slots = slots_of(schedule, cursor, now)
    later = st.none() | st.integers(cursor - HOUR, now + MINUTE)
    come = [slot.at for slot in slots if slot.at > cursor and slot.due <= now]
    held = data.draw(st.none() | st.sampled_from([*come, cursor]), "held")
    known = Known(cursor, held, data.draw(later, "fired"), data.draw(later, "unpaused"))
    found = decisions(
        schedule, cursor, now, known.held, 10_000, fired_ms=known.fired, unpaused_ms=known.unpaused
    )
    assert expanded(found, slots) == fates(schedule, slots, known, now)
    assert found.come_ms == (come[-1] if come else None)


@settings(max_examples=fuzzing.examples(200))
@given(SCHEDULES, st.lists(st.tuples(STEPS, st.integers(1, 5)), min_size=1, max_size=8))
def test_every_slot_has_one_fate_whenever_somebody_looks(
    schedule: Schedule, looks: list[tuple[int, int]]
) -> None:
    cursor, now, fired = BEGIN, BEGIN, None
    seen: list[Fate] = []
    come: set[int] = set()
    for step, most in looks:
        now = limited(schedule, cursor, now + step)
        slots = slots_of(schedule, cursor, now)
        come |= {slot.at for slot in slots if slot.due <= now}
        for _ in range(2 * MOST_SLOTS):
            found = decisions(schedule, cursor, now, None, most, fired_ms=fired)
            fresh = expanded(found, slots)
            assert not fresh or fresh[0].at == next(slot.at for slot in slots if slot.at > cursor)
            assert len(found.decisions) <= most + 2
            seen += fresh
            cursor = fresh[-1].at if fresh else cursor
            if any(fate.kind == "fire" for fate in fresh):
                fired = now
            if found.next_due_ms is None or found.next_due_ms > now:
                break
    decided = [fate.at for fate in seen]
    assert decided == sorted(set(decided))
    assert decided == sorted(come)[: len(decided)]
    waiting = len(come) - len(decided)
    assert waiting == 0 or (schedule.catch_up == "all" and not schedule.is_paused)


@settings(max_examples=fuzzing.examples(100))
@given(SCHEDULES, STEPS, st.floats(0, 1, exclude_max=True))
def test_nothing_is_to_be_done_before_the_next_look(schedule: Schedule, step: int, share: float) -> None:
    now = limited(schedule, BEGIN, BEGIN + step)
    found = decisions(schedule, BEGIN, now, None, 10_000)
    cursor = found.decisions[-1].last if found.decisions else BEGIN
    fired = now if any(one.kind == "fire" for one in found.decisions) else None
    due = found.next_due_ms
    if due is None:
        assert not decisions(schedule, cursor, now + 10_000 * DAY).decisions
    elif not schedule.is_paused:
        assert due > now
        early = now + int((due - now) * share)
        assert not decisions(schedule, cursor, early, fired_ms=fired).decisions
        assert decisions(schedule, cursor, due, fired_ms=fired).decisions


def run_until_quiet(schedule: Schedule, cursor: int, now: int) -> list[tuple[int, int]]:
    """Looks whenever it is said to, until only what is to come is left: (slot, when it was fired) of each."""
    fires: list[tuple[int, int]] = []
    fired = None
    while True:
        found = decisions(schedule, cursor, now, None, MOST, fired_ms=fired)
        fires += [(one.first, now) for one in found.decisions if one.kind == "fire"]
        cursor = found.decisions[-1].last if found.decisions else cursor
        fired = now if any(one.kind == "fire" for one in found.decisions) else fired
        if found.next_due_ms is None or (found.come_ms is None or cursor == found.come_ms):
            return fires
        now = found.next_due_ms


def test_no_outage_is_followed_by_a_stampede() -> None:
    for every, most in ((1, 10), (5, 3), (60, 10), (3_600, 10)):
        for outage in (HOUR, DAY):
            schedule = Schedule(
                name="s", uid="u", task_id="w", every_seconds=every, catch_up="all", max_catch_up=most
            )
            fires = run_until_quiet(schedule, BEGIN, BEGIN + outage + 100)
            late = [(slot, at) for slot, at in fires if at - slot > 30_000]
            assert len(late) <= most + 30 // every
            times = [at for _, at in late]
            gaps = [second - first for first, second in pairwise(times)]
            assert all(gap >= min(SECOND, every * 500) for gap in gaps)
            assert len(fires) - len(late) <= (30 + 2 * most) // every + 1


def test_after_an_outage_the_latest_slot_is_made_up_for_and_no_other() -> None:
    hourly = Schedule(name="s", uid="u", task_id="w", cron="0 * * * *")
    assert run_until_quiet(hourly, BEGIN, BEGIN + DAY + 20 * MINUTE) == [
        (BEGIN + DAY, BEGIN + DAY + 20 * MINUTE)
    ]


def test_a_second_of_which_nobody_saw_a_year_is_one_range() -> None:
    every = Schedule(
        name="s", uid="u", task_id="w", cron="* * * * * *", timezone="Europe/Vienna", catch_up="none"
    )
    found = decisions(every, BEGIN - 365 * DAY, BEGIN + 500)
    assert (found.decisions[0].kind, found.decisions[0].count) == ("miss", 365 * 86_400 - 30)
    assert len(found.decisions) == 31


def test_a_pause_of_a_year_is_a_few_ranges_an_hour_apart_at_most() -> None:
    every = Schedule(name="s", uid="u", task_id="w", every_seconds=60, is_paused=True)
    cursor, now, looks = BEGIN, BEGIN, 0
    while now < BEGIN + 365 * DAY:
        found = decisions(every, cursor, now)
        assert len(found.decisions) <= 1
        cursor = found.decisions[-1].last if found.decisions else cursor
        assert found.next_due_ms is not None and MINUTE <= found.next_due_ms - now <= HOUR + MINUTE
        now, looks = found.next_due_ms, looks + 1
    assert looks < 365 * 25
