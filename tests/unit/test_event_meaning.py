"""The table of meanings knows every type of event, and nothing starts where it does not."""

import subprocess
import sys
from typing import Any, get_args

import msgspec
import pytest

from flower_engine.model.events.attempt_events import TaskEvent, TaskReturned, TaskStarted
from flower_engine.model.events.event_base import FlowEvent
from flower_engine.model.events.event_meaning import (
    FLOW_FACTS,
    MEANINGS,
    PASSING_FACTS,
    TASK_FACTS,
    Meaning,
    Move,
    Said,
    check,
)
from flower_engine.model.events.events import AnyEvent
from flower_engine.model.events.operator_events import FlowRerun, TaskUnignored
from flower_engine.model.folding.flow_state import FlowState, TaskState
from flower_engine.model.tasks.status import Status
from flower_engine.projection.write import counting
from flower_engine.projection.write.flow_changes import FlowChange

TYPES: tuple[type[AnyEvent], ...] = get_args(AnyEvent)
IMPORTED = """
from flower_engine.model.events import events

class FlowForgotten(events.FlowEvent, frozen=True, tag="flow.forgotten"):
    pass

events.AnyEvent = events.AnyEvent | FlowForgotten
import flower_projector.service
"""


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_every_event_has_a_meaning(kind: type[AnyEvent]) -> None:
    assert kind in MEANINGS, f"say in model/events/event_meaning.py what a {kind.__name__} means"


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_a_table_that_lacks_an_event_is_refused(kind: type[AnyEvent]) -> None:
    less = {known: meaning for known, meaning in MEANINGS.items() if known is not kind}
    with pytest.raises(TypeError, match=f"{kind.__name__} has no entry"):
        check(less, TYPES)


def test_a_service_does_not_start_where_an_event_has_no_meaning() -> None:
    ran = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert "model/events/event_meaning.py: FlowForgotten has no entry" in ran.stderr


@pytest.mark.parametrize(
    ("meaning", "complaint"),
    [
        (Meaning(moves=(Move("tasks", (Status.WAIT,), Status.IGNORE),)), "has no field 'tasks'"),
        (Meaning(sets={"worker": Said("by")}), "has no field 'by'"),
        (Meaning(sets={"colour": Said("lease")}), "there is no fact 'colour'"),
        (Meaning(forgets=("colour",)), "there is no fact 'colour'"),
        (Meaning(flow_forgets=("error",)), "there is no fact 'error'"),
        (Meaning(end="said"), "has no field 'ends'"),
    ],
)
def test_a_meaning_that_names_what_there_is_not_is_refused(meaning: Meaning, complaint: str) -> None:
    with pytest.raises(TypeError, match=complaint):
        check({TaskReturned: meaning}, [TaskReturned])


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_an_event_of_a_flow_is_about_one(kind: type[AnyEvent]) -> None:
    assert (MEANINGS[kind].about in ("log", "refusal", "schedule")) == (not issubclass(kind, FlowEvent))


@pytest.mark.parametrize("kind", [kind for kind in TYPES if issubclass(kind, TaskEvent)])
def test_an_event_of_an_attempt_is_of_the_current_lease(kind: type[Any]) -> None:
    (move,) = MEANINGS[kind].moves
    assert move.by_lease or kind is TaskStarted


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_whatever_leaves_running_ends_an_attempt(kind: type[AnyEvent]) -> None:
    leaves = any(Status.RUNNING in move.was and move.to is not None for move in MEANINGS[kind].moves)
    assert leaves == (MEANINGS[kind].ends_attempt is not None)


def test_what_goes_with_a_status_is_forgotten_with_it_and_nowhere_else() -> None:
    assert {fact for meaning in MEANINGS.values() for fact in meaning.forgets}.isdisjoint(PASSING_FACTS)


def test_every_fact_has_its_field_in_the_state_and_in_what_a_batch_changes() -> None:
    assert set(TASK_FACTS) <= set(TaskState.__struct_fields__)
    assert set(FLOW_FACTS) <= set(FlowState.__struct_fields__) & set(FlowChange.__struct_fields__)


def test_a_fact_that_the_tables_would_lose_is_refused() -> None:
    with pytest.raises(TypeError, match="TaskChange lacks colour"):
        counting.check([*MEANINGS.values(), Meaning(sets={"colour": Said("lease")})])


def test_only_a_rerun_and_an_unignore_may_follow_the_end_of_a_flow() -> None:
    assert {kind for kind, meaning in MEANINGS.items() if meaning.end == "over"} == {FlowRerun, TaskUnignored}


def test_meanings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        MEANINGS[TaskStarted].end = "always"  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
    assert msgspec.structs.replace(MEANINGS[TaskStarted], end="always") != MEANINGS[TaskStarted]
