"""What must be true of loops when a storm is over."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from chaos.loops import PAGES
from flower_engine.model.events.attempt_events import TaskAgain, TaskFinished
from flower_engine.model.events.events import AnyEvent
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.tasks.status import Status

PROGRAM = "paged"
WHOLE = "whole-loop"


def judge_loops(flows: Mapping[str, FlowState], events: Sequence[AnyEvent]) -> Iterator[str]:
    """Each attempt of a loop had one outcome; each round was given what those before it came to, no more and
    no less; and so is what the last one returned."""
    outcomes = Counter(
        (one.flow, one.task, one.attempt) for one in events if isinstance(one, TaskAgain | TaskFinished)
    )
    yield from (f"attempt {one} had {count} outcomes" for one, count in outcomes.items() if count > 1)
    for event in events:
        if isinstance(event, TaskAgain):
            given: dict[str, Any] = msgspec.json.decode(event.given)
            if not event.lease:  # of a flow that another task has go round
                if given != {"page": event.round}:
                    yield f"flow {event.flow} task {event.task}: its round {event.round} was given {given}"
                continue
            seen = [page - given["seen"][0] for page in given["seen"]]
            if given["page"] != event.round or seen != list(range(event.round)):
                yield f"flow {event.flow} task {event.task}: its round {event.round} was given {given}"
    has_looped = False
    for flow in flows.values():
        for task in flow.tasks:
            if task.planned.program == PROGRAM and task.status is Status.FINISH and task.attempt:
                has_looped = True
                n = task.planned.parameters.get("n", 0)
                read = msgspec.json.decode(task.result or b"null")
                if task.round != PAGES - 1 or read != [n + page for page in range(PAGES)]:
                    where = f"flow {flow.flow} task {task.planned.seq}"
                    yield f"{where} ended in round {task.round}, having read {read}"
    yield from _judge_whole_loops(flows)
    if not has_looped:
        yield "no loop came to its end"


def _judge_whole_loops(flows: Mapping[str, FlowState]) -> Iterator[str]:
    """What another flow did round by round came to its last one; a rerun began with more flows."""
    rounds = Counter(
        (flow.registered.parent, flow.registered.parent_task)
        for flow in flows.values()
        if flow.workflow == WHOLE
    )
    for (parent, seq), count in rounds.items():
        task = flows[parent].task(seq)
        is_whole = count >= PAGES and (task.round, task.result) == (PAGES - 1, b"4")
        if task.status is Status.FINISH and not is_whole:
            yield f"flow {parent} task {seq}: {count} flows, round {task.round}, it returned {task.result}"
    if not rounds:
        yield "no flow went round"
