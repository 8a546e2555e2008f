"""What a schedule gives its flows of their slots."""

from datetime import datetime
from typing import Any

import pytest

from flower_engine.model.parameters.parameters_schema import ParametersSchema
from flower_engine.schedules.schedule import Schedule
from flower_engine.schedules.schedule_problems import problems
from flower_engine.schedules.slot_parameters import SLOT_FORMS, Moment, moment_of, parameters_of_slot

SLOT = round(datetime.fromisoformat("2026-03-29T01:00:00Z").timestamp() * 1000)  # where clocks jump


def nightly(parameters: dict[str, Any], **fields: Any) -> Schedule:
    when: dict[str, Any] = {"cron": "30 2 * * *", "timezone": "Europe/Vienna", **fields}
    return Schedule(name="nightly", uid="u", task_id="w", parameters=parameters, **when)


def given_to(parameters: dict[str, Any], **fields: Any) -> dict[str, Any]:
    some = nightly(parameters, **fields)
    assert problems(some) == []
    return parameters_of_slot(some, moment_of(some, SLOT))


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("date", "2026-03-29"),
        ("time", "03:00:00"),
        ("iso", "2026-03-29T03:00:00+02:00"),
        ("utc", "2026-03-29T01:00:00Z"),
        ("ms", SLOT),
        ("previous.date", "2026-03-28"),
        ("previous.time", "02:30:00"),
        ("previous.iso", "2026-03-28T02:30:00+01:00"),
        ("previous.utc", "2026-03-28T01:30:00Z"),
        ("previous.ms", SLOT - 84_600_000),
        ("next.date", "2026-03-30"),
        ("next.time", "02:30:00"),
        ("next.iso", "2026-03-30T02:30:00+02:00"),
        ("next.utc", "2026-03-30T00:30:00Z"),
        ("next.ms", SLOT + 84_600_000),
    ],
)
def test_every_form_is_of_the_schedules_zone(form: str, value: Any) -> None:
    assert form in SLOT_FORMS
    assert given_to({"day": {"$slot": form}}) == {"day": value}


def test_milliseconds_are_shown_where_there_are_any() -> None:
    some = nightly({"at": {"$slot": "iso"}, "z": {"$slot": "utc"}})
    found = parameters_of_slot(some, Moment(SLOT + 7, None, None))
    assert found == {"at": "2026-03-29T03:00:00.007+02:00", "z": "2026-03-29T01:00:00.007Z"}


def test_values_stand_within_lists_objects_and_texts_and_what_is_literal_stays() -> None:
    parameters = {
        "range": [{"$slot": "previous.date"}, {"to": {"$slot": "date"}}],
        "title": {"$text": "{{day}} {d}", "d": {"$slot": "date"}},
        "plain": {"$literal": {"$slot": "date"}},
        "n": 5,
    }
    assert given_to(parameters) == {
        "range": ["2026-03-28", {"to": "2026-03-29"}],
        "title": "{day} 2026-03-29",
        "plain": {"$slot": "date"},
        "n": 5,
    }


def test_where_there_is_no_slot_before_or_after_there_is_null_or_the_default() -> None:
    parameters = {"a": {"$slot": "previous.date"}, "b": {"$slot": "next.ms", "default": {"$text": "x"}}}
    found = given_to(parameters, cron=None, at_ms=SLOT)
    assert found == {"a": None, "b": {"$text": "x"}}


def test_values_fit_a_schema_as_what_they_are() -> None:
    schema = ParametersSchema(
        {
            "properties": {
                "day": {"type": "string", "format": "date"},
                "at": {"type": "string", "format": "date-time"},
                "ms": {"type": "integer"},
                "n": {"type": "integer", "default": 3},
            },
            "required": ["day"],
        }
    )
    given = given_to({"day": {"$slot": "date"}, "at": {"$slot": "iso"}, "ms": {"$slot": "ms"}})
    values, faults = schema.checked(given, "#/parameters")
    assert (faults, values["n"]) == ([], 3)
    _, faults = schema.checked(given_to({"day": {"$slot": "ms"}}), "#/parameters")
    assert [fault.pointer for fault in faults] == ["#/parameters/day"]


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        (
            {"a": {"$slot": "week"}},
            "parameters/a: $slot 'week' is nothing that is known of a slot; known: date,",
        ),
        ({"a": {"$slot": 5}}, "parameters/a: it has a $slot that is no name"),
        (
            {"a": {"$slot": "date", "path": ""}},
            "parameters/a: it has 'path', which is nothing that goes with $slot",
        ),
        ({"a": {"$param": "day"}}, "parameters/a: $param stands in definitions only"),
        ({"a": [[{"$from": "b"}]]}, "parameters/a/0/0: $from takes a result, and a schedule has none"),
    ],
)
def test_what_is_no_value_of_a_slot_is_a_problem(parameters: dict[str, Any], sentence: str) -> None:
    (problem,) = problems(nightly(parameters))
    assert problem.sentence.startswith(sentence)
