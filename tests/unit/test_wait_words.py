"""Why a task waits, in words: every reason that there is has some."""

from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pytest

from flower_engine.client.flow_values import is_for_others
from flower_engine.flows.flow_waits import is_for_others as is_for_others_here
from flower_engine.flows.wait_words import in_words
from flower_engine.projection.read import view_fields, wait_views
from flower_engine.projection.read.wait_views import WaitReason

_SOME: dict[Any, Any] = {
    int | msgspec.UnsetType: 9,
    int: 2,
    float: 1.5,
    str: "x",
    bool: True,
    list[int]: [2, 3],
    list[str]: ["f", "g"],
    view_fields.Moment | None: datetime(2026, 1, 2, tzinfo=UTC),
    view_fields.Moment: datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC),
}


def _made(kind: type[Any]) -> Any:
    return kind(*(_SOME[field.type] for field in msgspec.structs.fields(kind)))


@pytest.mark.parametrize("kind", get_args(WaitReason), ids=lambda kind: kind.__name__)
def test_every_reason_has_words(kind: type[view_fields.View]) -> None:
    said = in_words(_made(kind))
    assert said
    assert "None" not in said


FOR_OTHERS = {wait_views.DependenciesOpen, wait_views.ItemsOpen, wait_views.RuleOpen}


@pytest.mark.parametrize("kind", get_args(WaitReason), ids=lambda kind: kind.__name__)
def test_server_and_clients_agree_on_which_reasons_are_other_tasks(kind: type[view_fields.View]) -> None:
    reasons = [_made(kind)]
    if kind is wait_views.ScopePaused:
        reasons.append(wait_views.ScopePaused("map", "2"))
    for reason in reasons:
        is_told = kind in FOR_OTHERS or reason == wait_views.ScopePaused("map", "2")
        assert is_for_others_here(reason) is is_told
        assert is_for_others(msgspec.to_builtins(reason)) is is_told


def test_of_many_tasks_that_are_waited_for_the_first_are_named() -> None:
    said = in_words(wait_views.DependenciesOpen([*range(1, 101)]))
    assert said == "waits for 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 90 more"


def test_times_of_day_end_at_the_millisecond_and_whole_seconds_have_none() -> None:
    some = datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=UTC)
    assert in_words(wait_views.RetryAt(some)) == "retry at 03:04:05.600"
    assert in_words(wait_views.RetryAt(some.replace(microsecond=0))) == "retry at 03:04:05"
    assert in_words(wait_views.Delayed(some)) == "delayed until 2026-01-02 03:04:05 UTC"
