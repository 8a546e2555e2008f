"""A page's table of a flow is what ``?at=`` shows, after every event, and also when it was cut off."""

import random
from collections.abc import Iterable, Iterator
from functools import cache

import msgspec
import pytest

from flower_engine.flows.task_ends import explain_ends
from flower_engine.flows.wait_reasons import explain_then
from flower_engine.flows.watched_flow import Frame, WatchedFlow
from flower_engine.log.entries import LogEntry
from flower_engine.model.events.events import AnyEvent, TasksPassed, decode_event
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.flow_timeline import STAGES, TimelineMaker
from flower_engine.model.folding.fold import fold_one
from flower_engine.projection.read.state_views import view_of_state
from flower_engine.projection.read.view_fields import moment
from flower_engine.projection.read.views import FlowView
from projection.live_client import LiveClient, assert_shows
from projection.test_folding import tell

HISTORIES = 1_000
_OF_ONE = ("start", "finish", "suspend", "retry", "lapse", "give back", "progress", "resume", "wait", "wait")
_OF_ALL = (
    *("rerun", "ignore", "unignore", "pause", "cancel", "time out", "overdue", "prioritise", "snapshot"),
    *("give up", "signal"),
)
Told = list[tuple[LogEntry, AnyEvent]]


@cache
def history(seed: int) -> Told:
    """What becomes of one flow."""
    chance = random.Random(seed)
    verbs = [chance.choice(_OF_ONE if chance.random() < 0.75 else _OF_ALL) for _ in range(30)]
    steps = [("register", chance.randrange(12)), *((verb, chance.randrange(12)) for verb in verbs)]
    story = tell(steps)
    return [
        (entry, event)
        for entry in story.entries
        if getattr(event := decode_event(entry.raw), "flow", None) is not None
    ]


def shown_behind_each(events: Iterable[AnyEvent]) -> Iterator[FlowView]:
    """What ``?at=`` shows behind each of these events."""
    flows: dict[str, FlowState] = {}
    for event in events:
        fold_one(flows, event)
        (state,) = flows.values()
        view = view_of_state(state, 0)
        explain_then(view, moment(event.at))
        explain_ends(view)
        yield view


def ends_a_call(told: Told, index: int) -> bool:
    """Whether no rule is about to pass over tasks because of this event, in the same transition."""
    return index + 1 == len(told) or not isinstance(told[index + 1][1], TasksPassed)


def give(client: LiveClient, frame: Frame) -> None:
    client.take(frame.kind, msgspec.json.decode(frame.data), frame.position)


@pytest.mark.parametrize("part", range(10))
def test_after_every_event_the_table_is_what_is_shown_of_that_moment(part: int) -> None:
    lengths = 0
    for seed in range(part, HISTORIES, 10):
        told = history(seed)
        watched, client, number = WatchedFlow(""), LiveClient(), 0
        views = shown_behind_each(event for _, event in told)
        for index, ((entry, event), view) in enumerate(zip(told, views, strict=True)):
            watched.add(entry.position, event)
            watched.settle()
            give(client, watched.frame_after(number))
            number = watched.number
            assert client.position == entry.position
            if ends_a_call(told, index):
                assert_shows(client, view)
        lengths += len(told)
    assert lengths > 500


@pytest.mark.parametrize("part", range(4))
def test_whoever_was_cut_off_anywhere_goes_on_from_there(part: int) -> None:
    for seed in range(part, HISTORIES, 4):
        chance = random.Random(-seed)
        told = history(seed)
        cut = chance.randrange(len(told))
        client = LiveClient()
        before = WatchedFlow("")
        for entry, event in told[: cut + 1]:
            before.add(entry.position, event)
        before.settle()
        give(client, before.frame_after(0))
        watched = WatchedFlow("")  # of another process, which read the history in pieces of its own
        for index, (entry, event) in enumerate(told):
            watched.add(entry.position, event)
            if chance.random() < 0.3 or index == len(told) - 1:
                watched.settle()
        assert client.position is not None
        number = watched.number_at(client.position)
        if number is None:  # read anew up to there, and on
            watched = WatchedFlow("")
            for index, (entry, event) in enumerate(told):
                watched.add(entry.position, event)
                if index in (cut, len(told) - 1):
                    watched.settle()
            number = 1 if cut < len(told) - 1 else watched.number
        give(client, watched.frame_after(number))
        *_, view = shown_behind_each(event for _, event in told)
        assert_shows(client, view)


def test_the_last_row_of_a_timeline_before_a_moment_is_how_a_task_stood_then() -> None:
    for seed in range(0, HISTORIES, 10):
        told = history(seed)
        maker = TimelineMaker()
        made = maker.made()
        views = shown_behind_each(event for _, event in told)
        for index, ((entry, event), view) in enumerate(zip(told, views, strict=True)):
            maker.add(entry.position, event)
            made = maker.made()
            stood = dict(zip(made.task, made.stage, strict=True))
            flow = STAGES[stood[0]]
            assert flow == (
                "ended" if view.finished_ts else "underWay" if view.paused_ts is None else "paused"
            )
            for task in view.tasks if ends_a_call(told, index) else ():
                stage = STAGES[stood[task.task_exec_seq]]
                if task.status == "Wait":
                    waits = type(task.wait_reason).__name__ in ("DependenciesOpen", "ItemsOpen", "RuleOpen")
                    assert (stage == "dependencies") == waits
                    assert (stage == "awaiting") == (not waits and task.awaiting is not None)
                    assert (stage == "retry") == (not waits and task.retry_ts is not None)
                else:
                    words = {"Running": "running", "Suspend": "held", "Finish": "finished"}
                    assert stage == (task.ended_as or words.get(task.status, "passedOver"))
        assert made.from_ms == sorted(made.from_ms)
        assert len(made.task) == len(made.from_ms) == len(made.stage) == len(made.step)
        assert max(made.step) == len(made.positions) - 1
