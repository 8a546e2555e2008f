"""The spans of a flow, from its events."""

import random
from collections.abc import Sequence

import pytest

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.events.attempt_events import (
    TaskFinished,
    TaskLapsed,
    TaskProgressed,
    TaskRetrying,
    TaskStarted,
    TaskSuspended,
)
from flower_engine.model.events.events import AnyEvent, FlowRegistered
from flower_engine.model.events.operator_events import (
    FlowCancelled,
    FlowPaused,
    FlowRerun,
    FlowResumed,
    TaskIgnored,
)
from flower_engine.model.folding.attempts import attempts_of
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.traces.flow_traces import FlowTraces, spans_of
from flower_engine.traces.span import MOST_EVENTS, Span
from flower_engine.traces.trace_ids import attempt_span_id, flow_span_id, trace_id
from projection.stories import Story
from projection.story_plans import SHAPES
from projection.test_folding import VERBS, tell

FLOW = "018f3c5e-7a10-7000-b000-0123456789ab"
ERROR = TaskError(type="ValueError", message="no", traceback="Traceback: here")
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class History:
    """Events of one flow, each at the moment that is given."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []

    def add(self, kind: type, at: int, **rest: object) -> "History":
        self.events.append(kind(at=at, flow=FLOW, v=len(self.events) + 1, **rest))
        return self

    def register(self, at: int, *depends_on: tuple[int, ...], **rest: object) -> "History":
        tasks = tuple(
            PlannedTask(seq=seq, task_seq=seq, task_name=f"t{seq}", program="P", depends_on=others)
            for seq, others in enumerate(depends_on, start=1)
        )
        return self.add(FlowRegistered, at, workflow="load", order=0, tasks=tasks, **rest)

    def start(self, at: int, task: int = 1, attempt: int = 1) -> "History":
        return self.add(TaskStarted, at, task=task, attempt=attempt, lease="1-0", worker="w")

    def end(self, kind: type, at: int, task: int = 1, attempt: int = 1, **rest: object) -> "History":
        return self.add(kind, at, task=task, attempt=attempt, lease="1-0", **rest)


def told(spans: Sequence[Span]) -> list[tuple[str, int, int]]:
    return sorted((span.name, span.start_ms, span.end_ms) for span in spans)


def named(spans: Sequence[Span], name: str) -> Span:
    (found,) = (span for span in spans if span.name == name)
    return found


def test_a_flow_is_a_root_span_with_its_attempts_and_waits_below() -> None:
    history = History().register(100, (), (1,), traceparent=CALLER, by="alice")
    history.start(110).end(TaskFinished, 150).start(153, 2).end(TaskFinished, 160, 2, ends=True)
    spans = spans_of(FLOW, history.events)
    assert told(spans) == [
        ("load", 100, 160),
        ("t1", 110, 150),
        ("t1 wait: queue", 100, 110),
        ("t2", 153, 160),
        ("t2 wait: queue", 150, 153),
    ]
    root = named(spans, "load")
    assert (root.trace, root.id, root.parent) == (trace_id(FLOW), flow_span_id(FLOW), b"")
    assert {span.parent for span in spans if span is not root} == {root.id}
    assert named(spans, "t2").id == attempt_span_id(FLOW, 2, 1)
    assert root.attributes["flower.by"] == "alice"
    (link,) = root.links
    assert link.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert all(span.error is None for span in spans)


def test_waits_say_why_a_task_waited() -> None:
    history = History().register(100, (), start_ms=200)
    history.start(210).end(TaskRetrying, 220, error=ERROR, failures=1, due_ms=250)
    history.add(FlowPaused, 255, by="bob").add(FlowResumed, 270, by="bob")
    history.start(271, attempt=2).end(TaskSuspended, 280, attempt=2, error=ERROR)
    history.add(FlowRerun, 400, by="bob", suspended=(1,)).start(400, attempt=3)
    history.end(TaskFinished, 410, attempt=3, ends=True)
    spans = spans_of(FLOW, history.events)
    assert [one for one in told(spans) if "wait" in one[0]] == [
        ("t1 wait: operator", 280, 400),
        ("t1 wait: pause", 255, 270),
        ("t1 wait: queue", 200, 210),
        ("t1 wait: queue", 250, 255),
        ("t1 wait: queue", 270, 271),
        ("t1 wait: retry", 220, 250),
        ("wait: start", 100, 200),
    ]
    assert len({span.id for span in spans}) == len(spans)
    assert [event.name for event in named(spans, "load").events] == [
        "flow.paused",
        "flow.resumed",
        "flow.rerun",
    ]


def test_attempts_say_how_they_ended_and_why() -> None:
    history = History().register(100, ())
    history.start(110).end(TaskLapsed, 120, worker="w", lost=1)
    history.start(121, attempt=2).end(TaskProgressed, 122, attempt=2, fraction=0.5, note="half")
    history.end(TaskSuspended, 130, attempt=2, error=ERROR)
    history.add(TaskIgnored, 140, task=1, was=2, by="bob", reason="enough", ends=True)
    spans = spans_of(FLOW, history.events)
    first, second = (span for span in spans if span.name == "t1")
    assert (first.attributes["flower.outcome"], first.error) == ("lapsed", "lapsed")
    assert (second.attributes["flower.outcome"], second.error) == ("failed", "ValueError: no")
    assert [event.name for event in second.events] == ["progress", "exception"]
    assert second.events[1].attributes["exception.stacktrace"] == "Traceback: here"
    assert named(spans, "load").events[0].attributes["flower.reason"] == "enough"


def test_a_cancel_ends_what_runs_and_what_is_ready_and_the_flow() -> None:
    history = History().register(100, (), (), (1, 2)).start(110)
    history.add(FlowCancelled, 150, by="bob", waiting=(2, 3), running=(1,))
    spans = spans_of(FLOW, history.events)
    assert told(spans) == [
        ("load", 100, 150),
        ("t1", 110, 150),
        ("t1 wait: queue", 100, 110),
        ("t2 wait: queue", 100, 150),
    ]
    assert named(spans, "load").error == "cancelled by bob"
    assert named(spans, "t1").attributes["flower.outcome"] == "cancelled"


def test_what_a_rerun_does_after_the_end_has_a_span_of_its_own_below_the_root() -> None:
    history = History().register(100, ()).start(110).end(TaskFinished, 120, ends=True)
    history.add(FlowRerun, 500, by="bob", finished=(1,)).start(510, attempt=2)
    history.end(TaskFinished, 520, attempt=2, ends=True)
    spans = spans_of(FLOW, history.events)
    root, again = named(spans, "load"), named(spans, "load again")
    assert (root.start_ms, root.end_ms, again.start_ms, again.end_ms) == (100, 120, 500, 520)
    assert again.parent == root.id
    assert [span.parent for span in spans if span.name == "t1"] == [root.id, again.id]


def test_events_of_a_span_are_bounded_and_counted() -> None:
    history = History().register(100, ()).start(110)
    for at in range(MOST_EVENTS + 10):
        history.end(TaskProgressed, 111 + at, fraction=0.5)
    history.end(TaskFinished, 500, ends=True)
    span = named(spans_of(FLOW, history.events), "t1")
    assert (len(span.events), span.dropped_events) == (MOST_EVENTS, 10)


def test_a_history_without_its_beginning_still_gives_spans() -> None:
    history = History().start(110, 7).end(TaskFinished, 120, 7, ends=True)
    assert told(spans_of(FLOW, history.events)) == [("flow", 110, 120), ("task 7", 110, 120)]


@pytest.mark.parametrize("seed", range(40))
def test_every_attempt_has_one_span_and_whatever_is_forgotten_meanwhile_changes_none(seed: int) -> None:
    chance = random.Random(seed)
    story = tell([("register", seed), *((chance.choice(VERBS), chance.randrange(12)) for _ in range(80))])
    histories: dict[str, list[AnyEvent]] = {}
    whole: dict[str, list[Span]] = {}
    forgetful = FlowTraces(most_tasks=1)  # knows one flow at a time
    for event in story.events:
        flow = getattr(event, "flow", None)
        if flow is None:
            assert not forgetful.apply(event)
            continue
        before = histories.setdefault(flow, [])
        if before and not forgetful.is_known(flow):
            forgetful.remember(flow, before)
        whole.setdefault(flow, []).extend(forgetful.apply(event))
        before.append(event)
    assert len(forgetful) <= 1
    for flow, history in histories.items():
        spans = spans_of(flow, history)
        assert spans == whole[flow]
        assert len({span.id for span in spans}) == len(spans)
        assert all(span.start_ms <= span.end_ms for span in spans)
        attempts = [span for span in spans if "flower.attempt" in span.attributes]
        ended = [
            (task, one.attempt, one.ended_ms)
            for task, every in attempts_of(history).items()
            for one in every
            if one.ended_ms is not None and one.worker  # what waits for the world is no attempt there
        ]
        assert sorted(ended) == sorted(
            (span.task, span.attributes["flower.attempt"], span.end_ms) for span in attempts
        )


def test_plans_are_shared_and_ended_flows_forgotten() -> None:
    traces, story = FlowTraces(), Story()
    flows = [story.register(SHAPES[2], definition="ab12") for _ in range(3)]
    for event in story.events:
        traces.apply(event)
    before = len(story.events)
    assert (len(traces), traces.tasks) == (3, 3 * (20 + 4))
    for flow in flows:
        story.run(flow)
    for event in story.events[before:]:
        traces.apply(event)
    assert (len(traces), traces.tasks) == (0, 0)
