"""``nightly.schedule(...)``: a schedule in Python, and the document that is deployed."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flower_engine import DefinitionError, Workflow, program, secret, slot, text, workflow
from flower_engine.programs.registry import registry


@program("schedules-show")
def show(day: date, label: str, n: int = 1) -> str:
    return f"{day} {label} {n}"


@pytest.fixture
def nightly() -> Workflow[..., Any]:
    @workflow("nightly")
    def made(day: date, label: str = "x", n: int = 1) -> str:
        return show.step(day, label, n)

    return made


def test_a_schedule_is_the_document_that_the_api_takes(nightly: Workflow[..., Any]) -> None:
    made = nightly.schedule(
        "nightly-berlin",
        cron="0 3 * * 1-5",
        timezone="Europe/Berlin",
        starts=datetime(2026, 1, 5, tzinfo=UTC),
        overlap="queue_one",
        window="2h30m",
        jitter=timedelta(seconds=5),
        except_dates=[date(2026, 12, 25), "2026-12-26"],
        priority=-5,
    ).given(slot.date, label=text("of {day}", day=slot.previous.date))
    assert made.document() == {
        "schedule": "nightly-berlin",
        "taskId": "nightly",
        "cron": "0 3 * * 1-5",
        "timezone": "Europe/Berlin",
        "starts": "2026-01-05T00:00:00Z",
        "overlap": "queue_one",
        "windowSeconds": 9000,
        "jitterSeconds": 5,
        "exceptDates": ["2026-12-25", "2026-12-26"],
        "priority": -5,
        "parameters": {
            "day": {"$slot": "date"},
            "label": {"$text": "of {day}", "day": {"$slot": "previous.date"}},
        },
    }
    assert list(nightly.schedules) == ["nightly-berlin"]


def test_constants_are_json_of_their_type(nightly: Workflow[..., Any]) -> None:
    made = nightly.schedule("n", every="15m").given(day=date(2026, 2, 3), n=5)
    assert made.document()["parameters"] == {"day": "2026-02-03", "n": 5}
    assert made.document()["everySeconds"] == 900


def wrong(nightly: Workflow[..., Any], options: dict[str, Any], parameters: dict[str, Any] | None) -> str:
    with pytest.raises(DefinitionError) as raised:
        made = nightly.schedule("n", **options)
        (made if parameters is None else made.given(**parameters)).document()
    (problem, *_) = raised.value.problems
    assert Path(__file__).name in problem
    return problem


@pytest.mark.parametrize(
    ("options", "parameters", "said"),
    [
        ({}, {"day": slot.date}, "cron"),
        ({"cron": "61 * * * *"}, {"day": slot.date}, "cron: "),
        ({"cron": "@daily", "every": "5m"}, {"day": slot.date}, "every"),
        ({"every": "soon"}, {"day": slot.date}, "every: 'soon' is no duration"),
        ({"at": datetime(2026, 1, 5)}, {"day": slot.date}, "at: "),  # that is what is wrong
        ({"cron": "@daily", "timezone": "Nowhere"}, {"day": slot.date}, "timezone: "),
        ({"cron": "@daily", "window": -5}, {"day": slot.date}, "window: "),
        ({"cron": "@daily", "except_dates": ["25.12."]}, {"day": slot.date}, "except_dates: "),
        ({"cronn": "@daily"}, {"day": slot.date}, "no option 'cronn'"),
        ({"cron": "@daily"}, None, "'day'"),
        ({"cron": "@daily"}, {"day": slot.ms}, "slot.ms"),
        ({"cron": "@daily"}, {"day": slot.date, "other": 1}, "'other'"),
        ({"cron": "@daily"}, {"day": "yesterday"}, "'day'"),
        ({"cron": "@daily"}, {"day": slot.date, "label": secret("TOKEN")}, "$secret"),
    ],
)
def test_what_makes_no_sense_is_said_with_file_and_line(
    nightly: Workflow[..., Any], options: dict[str, Any], parameters: dict[str, Any] | None, said: str
) -> None:
    assert said in wrong(nightly, options, parameters)


def test_a_name_is_given_once(nightly: Workflow[..., Any]) -> None:
    nightly.schedule("twice", cron="@daily")
    with pytest.raises(DefinitionError, match="twice"):
        nightly.schedule("twice", cron="@hourly")


def test_a_slot_has_no_place_in_a_workflow() -> None:
    @workflow("slotted")
    def slotted() -> str:
        return show.step(slot.date, "x")

    with pytest.raises(DefinitionError, match=r"\$slot 'date' stands in parameters of schedules only"):
        slotted.document()


def teardown_module() -> None:
    registry.forget("schedules-show")
