"""Every field wrong in every way is a problem with a name; nothing is raised, and nothing fires."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fuzzing
from flower_engine.schedules.catching_up import decisions
from flower_engine.schedules.preview import preview
from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.schedule_problems import problems
from flower_engine.schedules.slots import next_slot, previous_slot

MADE: Any = Schedule  # as rows make it: of whatever they hold
RIGHT: dict[str, Any] = {"name": "nightly", "task_id": "w", "cron": "0 6 * * *"}
NOW = 1_790_000_000_000

WRONG: list[tuple[str, Any, str]] = [
    ("name", "", "name: '' is no name (a text of 1 to 256 characters, none of them NUL)"),
    ("uid", b"x", "uid: b'x' is no text"),
    ("cron", None, "cron: nothing says when it fires: one of cron, every_seconds and at_ms must"),
    ("cron", 5, "cron: 5 is no text"),
    (
        "cron",
        "0 24 * * *",
        "cron: '0 24 * * *': the hour '24' has '24', which is outside 0-23; midnight is 0",
    ),
    (
        "every_seconds",
        60,
        "every_seconds: cron and every_seconds say when it fires: one of cron, every_seconds and at_ms must",
    ),
    ("anchor_ms", 0, "anchor_ms: only every_seconds counts from an anchor"),
    (
        "timezone",
        "Europe/Wien",
        "timezone: 'Europe/Wien' is no time zone that tzdata knows; nearest: Europe/Vienna, Europe/Kiev",
    ),
    ("timezone", "../zones", "timezone: '../zones' is no time zone that tzdata knows"),
    ("starts_ms", -1, "starts_ms: it is outside 1970-01-01 to 9900-01-01"),
    ("ends_ms", 10**30, "ends_ms: it is outside 1970-01-01 to 9900-01-01"),
    ("parameters", [1], "parameters: it is no JSON object"),
    (
        "parameters",
        {"day": {"$slot": "dat"}},
        "parameters/day: $slot 'dat' is nothing that is known of a slot; nearest: date",
    ),
    (
        "parameters",
        {"day": {"$from": "a"}},
        "parameters/day: $from takes a result, and a schedule has none; only definitions hold it",
    ),
    ("parameters", {"a": [{"$secret": "X"}]}, "parameters/a/0: $secret stands in definitions only"),
    (
        "parameters",
        {"a": "\0"},
        "parameters: the schedule has a parameter 'a' that holds a NUL (character 0)",
    ),
    (
        "overlap",
        "skipp",
        "overlap: 'skipp' is none of allow, skip, queue_one, queue, cancel, strict; nearest: skip",
    ),
    ("catch_up", "every", "catch_up: 'every' is none of latest, all, none"),
    ("window_seconds", math.nan, "window_seconds: nan is no number of seconds"),
    ("window_seconds", -1, "window_seconds: -1 is outside 0 to 316224000 (ten years)"),
    ("max_catch_up", 0, "max_catch_up: 0 is no whole number from 1 to 10000"),
    ("jitter_seconds", 10**400, "jitter_seconds: 1000"),
    ("except_dates", ["2026-02-30"], "except_dates: '2026-02-30' is no day YYYY-MM-DD"),
    ("except_dates", ["2026-W01-1"], "except_dates: '2026-W01-1' is no day YYYY-MM-DD"),
    ("except_dates", "2026-01-01", "except_dates: '2026-01-01' is no list of days"),
    ("calendar_days", ("x",), "calendar: 'x' is no day YYYY-MM-DD"),
    ("priority", 20, "priority: 20 is no whole number from -20 to 19"),
    ("pause_after_failures", 0, "pause_after_failures: 0 is no whole number from 1 to 1000000"),
    ("is_paused", "no", "is_paused: 'no' is neither true nor false"),
    ("reason", 7, "reason: it is no text of at most 10000 characters, none of them NUL"),
]


@pytest.mark.parametrize(("field", "value", "sentence"), WRONG, ids=lambda value: str(value)[:30])
def test_what_is_wrong_is_named(field: str, value: Any, sentence: str) -> None:
    found = problems(MADE(**{**RIGHT, field: value}))
    assert [one.sentence[: len(sentence)] for one in found] == [sentence]


def test_a_schedule_that_is_right_has_no_problem() -> None:
    assert problems(MADE(**RIGHT)) == []
    assert (
        problems(MADE(**{**RIGHT, "cron": None, "every_seconds": 1, "anchor_ms": 5, "priority": -20})) == []
    )


def test_every_field_is_tried() -> None:
    tried = {field for field, _, _ in WRONG} | {"task_id", "at_ms", "calendar"}
    assert tried == set(Schedule.__struct_fields__)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
REFERENCES: st.SearchStrategy[Any] = st.dictionaries(
    st.text(max_size=3),
    st.dictionaries(
        st.sampled_from(["$slot", "$from", "$text", "default", "$literal", "a"]), JSON, max_size=3
    ),
    max_size=3,
)
ANYTHING: st.SearchStrategy[Any] = st.one_of(
    JSON,
    REFERENCES,
    st.sampled_from(
        [
            10**400,
            -(10**20),
            2**63,
            b"x",
            Decimal("1.5"),
            date(2026, 1, 1),
            datetime(2026, 1, 1, tzinfo=UTC),
            object(),
            {1},
            "9" * 5000,
            [[]],
            {1: 2},
            "1 " * 5,
            "* * * * *",
            "UTC",
            "\ud800",
            "²L",
            "0 0 ² * *",
            1,
            0.1,
            "Europe/",
            "/etc/passwd",
            "Europe",
        ]
    ),
)


@settings(max_examples=fuzzing.examples(300))
@given(st.dictionaries(st.sampled_from(Schedule.__struct_fields__), ANYTHING, max_size=5))
def test_nothing_that_a_field_may_hold_raises(fields: dict[str, Any]) -> None:
    schedule = MADE(**{**RIGHT, "uid": "u", **fields})
    found = problems(schedule)
    assert all(one.field in Schedule.__struct_fields__ and one.message for one in found)
    slots = [next_slot(schedule, NOW), previous_slot(schedule, NOW)]
    if found and any(
        one.field in ("cron", "timezone", "every_seconds", "at_ms", "except_dates") for one in found
    ):
        assert slots == [None, None]
    if not found:
        kept = msgspec.json.decode(msgspec.json.encode(schedule), type=Schedule)
        assert msgspec.json.decode(msgspec.json.encode(kept), type=Schedule) == kept
        decisions(schedule, NOW - 86_400_000, NOW)
        preview(schedule, NOW)
