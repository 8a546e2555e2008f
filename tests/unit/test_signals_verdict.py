"""What a storm is judged by sees a signal that is kept though a task awaits it, and what is taken twice."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from chaos.trees_verdict import judge_kept, judge_world
from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.events.events import AnyEvent, FlowRegistered
from flower_engine.model.events.wait_events import FlowSignalled, TaskAnswered, TaskAwaiting

FLOW = "018f3c5e-7a10-7000-8000-000000000001"


def history(*steps: str) -> Sequence[AnyEvent]:
    """A flow with two tasks that wait for ``go``: each begins (``a1``), gets a signal (``s1``), takes one
    (``t1``: the first task the first)."""
    tasks = tuple(
        PlannedTask(seq=seq, task_seq=seq, program="@event", parameters={"name": "go"}) for seq in (1, 2)
    )
    made: list[AnyEvent] = [FlowRegistered(at=1, flow=FLOW, v=1, workflow="w", order=0, tasks=tasks)]
    for v, (what, number) in enumerate(steps, start=2):
        identity, payload = f"signal {number}", msgspec.Raw(b'"%d"' % int(number))
        match what:
            case "a":
                made.append(TaskAwaiting(at=1, flow=FLOW, v=v, task=int(number), attempt=1, kind="event"))
            case "s":
                made.append(
                    FlowSignalled(at=1, flow=FLOW, v=v, name="go", id=identity, by="x", payload=payload)
                )
            case _:
                said: dict[str, Any] = {
                    "task": int(number),
                    "attempt": 1,
                    "by": "x",
                    "signal": identity,
                    "result": payload,
                }
                made.append(TaskAnswered(at=1, flow=FLOW, v=v, ends=v > 6, **said))
    return made


@pytest.mark.parametrize(
    "steps",
    [
        ("s1", "a1", "t1", "s2"),
        ("a1", "s1", "t1", "s2", "a2", "t2"),
        ("s1", "s2"),
        ("a1", "a2", "s1", "t1", "s2"),
    ],
)
def test_signals_that_are_taken_when_they_are_awaited_are_right(steps: Sequence[str]) -> None:
    assert list(judge_kept(history(*steps))) == []


def test_a_signal_that_is_kept_though_a_task_awaits_it_is_seen() -> None:
    assert list(judge_kept(history("s1", "a1", "s2"))) == [
        f"flow {FLOW} kept signal signal 1, and task 1 awaited it"
    ]


def test_a_signal_that_two_tasks_took_is_seen() -> None:
    taken = history("a1", "a2", "s1", "t1")
    twice = msgspec.structs.replace(taken[-1], task=2, v=6)
    assert list(judge_world(taken, (), ())) == []
    (problem,) = judge_world([*taken, twice], (), ())
    assert problem == f"signal ('{FLOW}', 'signal 1') was taken 2 times"
