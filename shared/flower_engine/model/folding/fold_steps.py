"""What the fold does with an event: a function by its type, made from the table of meanings once."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from flower_engine.model.definitions.definition import PlannedTask
from flower_engine.model.definitions.task_places import place_of
from flower_engine.model.events.event_meaning import MEANINGS, THE_EVENT, Meaning, Move, named_tasks
from flower_engine.model.events.events import AnyEvent
from flower_engine.model.events.fact_writers import fact_lines
from flower_engine.model.events.snapshot_events import KeptSignal
from flower_engine.model.folding.cleanup import expect_cleanup, expect_ending
from flower_engine.model.folding.flow_state import FlowState, FoldError, TaskState
from flower_engine.model.folding.fold_items import ITEMS, note_earlier
from flower_engine.model.folding.fold_rules import (
    count_given,
    count_moved,
    edge_to,
    expect_passed,
    expect_used,
)
from flower_engine.model.folding.unneeded import expect_unneeded
from flower_engine.model.tasks.end_kinds import GIVEN_UP, NOT_TAKEN, UNNEEDED
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_spec import MAX_ROUNDS
from flower_engine.model.values.made_functions import function_of
from flower_engine.model.waits.wait_programs import MOST_KEPT_SIGNALS, kind_of, takes_signal

Step = Callable[[FlowState, Any], None]
"""Adds an event to its flow: (flow, event)."""

_TaskStep = Callable[[FlowState, TaskState, Any], None]

_STATUSES = {f"status_{int(status)}": status for status in Status}
_PLANNED = ("priority", "parameters")
"""Facts that a task's plan holds; "keys" are three of its fields, "body" is all of it but its place."""


def close(flow: FlowState, seq: int) -> None:
    """The task has ended: its dependents may go on."""
    flow.left -= 1
    for dependent in flow.dependents[seq]:
        flow.task(dependent).open -= 1


def _step(meaning: Meaning) -> Step:
    """What is done with an event of this meaning."""
    steps = _moving_all(meaning)
    if meaning.counts_rounds:
        steps.insert(0, _expect_round)
    if meaning.asks:
        steps.append(_ask)
    if any(move.kind == NOT_TAKEN for move in meaning.moves) and meaning.about == "flow":
        steps.append(expect_passed)
    if any(move.kind == UNNEEDED for move in meaning.moves) and meaning.about == "flow":
        steps.insert(0, expect_unneeded)
    if meaning.items == "go":
        steps.insert(0, note_earlier)
    if meaning.items:
        steps.append(ITEMS[meaning.items])
    steps += [_giving(fact, field) for field, fact in meaning.of_each.items()]
    steps += [_giving_all(fact, field) for fact, field in meaning.of_all.items()]
    steps += [_setting(fact, field) for fact, field in meaning.flow_sets.items()]
    steps += [_forgetting(fact) for fact in meaning.flow_forgets]
    if meaning.of_each and meaning.about == "flow":
        steps.append(count_given)
    if meaning.signal:
        steps.append(_SIGNALS[meaning.signal])
    if meaning.end:
        steps.append(_ENDS[meaning.end])
    if "ending" in meaning.flow_sets:
        steps.append(expect_ending)
    if len(steps) == 1:
        return steps[0]

    def step(flow: FlowState, event: Any) -> None:
        for each in steps:
            each(flow, event)

    return step


def _moving_all(meaning: Meaning) -> list[Step]:
    """All that the event says of where tasks stood is looked at before any of them moves."""
    if [move.tasks for move in meaning.moves] == ["task"]:
        return [_moving_one(meaning, meaning.moves[0])]
    expected = [_named(move.tasks, _expecting(move)) for move in meaning.moves]
    return expected + [_named(move.tasks, _moving(meaning, move)) for move in meaning.moves]


def _moving_one(meaning: Meaning, move: Move) -> Step:
    expect, move_task = _expecting(move), _moving(meaning, move)

    def step(flow: FlowState, event: Any) -> None:
        task = flow.task(event.task)
        expect(flow, task, event)
        move_task(flow, task, event)

    return step


def _named(tasks: str, each: _TaskStep) -> Step:
    def step(flow: FlowState, event: Any) -> None:
        for seq in named_tasks(event, tasks):
            each(flow, flow.task(seq), event)

    return step


def _expecting(move: Move) -> _TaskStep:
    """Refuses an event of a task that does not stand where the event takes it from."""
    if move.by_lease:
        return _expect_round_over if move.said_in else _expect_lease
    if move.to is Status.RUNNING:
        return _expect_ready
    if move.wait:
        return _expect_wait if move.wait == "begins" else _expect_awaiting

    def expect(flow: FlowState, task: TaskState, event: Any) -> None:
        was = Status(getattr(event, move.said_in)) if move.said_in else move.was[0]
        if task.status is not was or was not in move.was:
            raise FoldError(
                f"flow {flow.flow} task {task.planned.seq}: event v{event.v} says that it was {was.word},"
                f" it is {task.status.word}"
            )
        if move.of_kinds and task.ended_as not in move.of_kinds:
            raise FoldError(
                f"flow {flow.flow} task {task.planned.seq}: event v{event.v} is of no task that has ended as"
                f" {task.ended_as!r}"
            )
        if move.kind == GIVEN_UP and was is Status.RUNNING:
            _expect_lease(flow, task, event)

    return expect


def _expect_lease(flow: FlowState, task: TaskState, event: Any) -> None:
    if task.status is not Status.RUNNING or task.lease != event.lease or task.attempt != event.attempt:
        raise FoldError(
            f"flow {flow.flow} task {event.task}: event v{event.v} is of attempt {event.attempt}, lease"
            f" {event.lease}; the task is {task.status.word}, attempt {task.attempt}, lease {task.lease}"
        )


def _expect_round_over(flow: FlowState, task: TaskState, event: Any) -> None:
    if event.was == Status.RUNNING:
        _expect_lease(flow, task, event)
    elif task.status is not Status.WAIT or not task.child or task.child != event.attempt:
        raise FoldError(
            f"flow {flow.flow} task {event.task}: event v{event.v} is of the child of attempt"
            f" {event.attempt}; the task is {task.status.word}, and awaits that of attempt {task.child}"
        )


def _ask(flow: FlowState, event: Any) -> None:
    if flow.parent is None or flow.is_ending:
        raise FoldError(
            f"flow {flow.flow} task {event.task}: event v{event.v} asks for another round of the flow, which"
            f" {'is ending' if flow.is_ending else 'has no parent'}"
        )
    flow.again = event


def _expect_round(flow: FlowState, event: Any) -> None:
    task = flow.task(event.task)
    most = task.planned.max_rounds
    if event.round != task.round + 1 or event.rounds != flow.rounds + 1 or event.round > most:
        raise FoldError(
            f"flow {flow.flow} task {event.task}: event v{event.v} begins its round {event.round} of at most"
            f" {most}, of all loops {event.rounds}; the task is in round {task.round}, all loops had"
            f" {flow.rounds}"
        )
    if event.rounds > MAX_ROUNDS:
        raise FoldError(f"flow {flow.flow}: event v{event.v} is one round more than a flow may have")


def _expect_ready(flow: FlowState, task: TaskState, event: Any) -> None:
    if not task.is_ready or event.attempt != task.attempt + 1:
        raise FoldError(
            f"flow {flow.flow} task {event.task}: started as attempt {event.attempt} while it is"
            f" {task.status.word}, attempt {task.attempt}, with {task.open} open dependencies"
        )
    if flow.ruled:
        expect_used(flow, task, event)
    if flow.paused is not None:  # times are not compared: a history is as good if a clock went back in it
        raise FoldError(f"flow {flow.flow} task {event.task}: started at {event.at} while its flow is paused")


def _expect_wait(flow: FlowState, task: TaskState, event: Any) -> None:
    kind = kind_of(task.planned)
    if kind != event.kind:
        raise FoldError(
            f"flow {flow.flow} task {event.task}: it awaits as {event.kind!r}; its program is"
            f" {task.planned.program!r}"
        )
    _expect_ready(flow, task, event)
    if task.is_awaiting:
        raise FoldError(f"flow {flow.flow} task {event.task}: event v{event.v} says twice that it awaits")


def _expect_awaiting(flow: FlowState, task: TaskState, event: Any) -> None:
    if not task.is_awaiting or event.attempt != task.attempt:
        raise FoldError(
            f"flow {flow.flow} task {event.task}: event v{event.v} answers attempt {event.attempt}; the task"
            f" is {task.status.word}, attempt {task.attempt}; it awaits"
            f" {'something' if task.is_awaiting else 'nothing'}"
        )


def _keep_signal(flow: FlowState, event: Any) -> None:
    if event.id in flow.signal_ids:
        raise FoldError(f"flow {flow.flow}: event v{event.v} is signal {event.id!r} a second time")
    if len(flow.signals) >= MOST_KEPT_SIGNALS:
        raise FoldError(f"flow {flow.flow}: event v{event.v} is one signal more than a flow keeps")
    flow.signal_ids.add(event.id)
    flow.signals[event.id] = KeptSignal(
        name=event.name, key=event.key, id=event.id, by=event.by, payload=event.payload
    )


def _take_signal(flow: FlowState, event: Any) -> None:
    if not event.signal:
        return
    signal = flow.signals.pop(event.signal, None)
    task = flow.task(event.task).planned
    if signal is None or not takes_signal(task, signal.name, signal.key):
        raise FoldError(
            f"flow {flow.flow} task {event.task}: event v{event.v} takes signal {event.signal!r}, which"
            f" {'is not kept' if signal is None else 'is for another task'}"
        )


_SIGNALS: Mapping[str, Step] = {"kept": _keep_signal, "taken": _take_signal}


def _moving(meaning: Meaning, move: Move) -> _TaskStep:
    """The task stands elsewhere, and its facts are those that the event says."""
    write = function_of(fact_lines(meaning, move, TaskState), "task, event", _STATUSES)
    to, may_be_suspended = move.to, Status.SUSPEND in move.was
    had_ended = move.was[0].is_final and not move.said_in
    keeps_asked = "ending" in meaning.flow_sets
    closes, suspends = move.closes and not had_ended, to is Status.SUSPEND
    reopens = to is not None and not move.closes and any(status.is_final for status in move.was)

    def step(flow: FlowState, task: TaskState, event: Any) -> None:
        before = edge_to(task) if flow.ruled else None
        was_given_up = task.ended_as == GIVEN_UP
        if may_be_suspended and task.status is Status.SUSPEND:
            _unsuspend(flow)
            if task.ended_as and not closes:  # it was given up
                _reopen(flow, task.planned.seq)
        elif reopens:
            _reopen(flow, task.planned.seq)
        write(task, event)
        if flow.again is not None and flow.again.task == task.planned.seq and not keeps_asked:
            flow.again = None
        if suspends:
            flow.suspended += 1
            flow.suspended_ms = event.at
        if closes and not was_given_up:
            close(flow, task.planned.seq)
        if before is not None and to is not None:
            count_moved(flow, task, event, before, meaning)

    return step


def _unsuspend(flow: FlowState) -> None:
    flow.suspended -= 1
    if not flow.suspended:
        flow.suspended_ms = None


def _reopen(flow: FlowState, seq: int) -> None:
    """The task is not final any more: what waits behind it waits for it, too."""
    flow.left += 1
    for dependent in flow.dependents[seq]:
        behind = flow.task(dependent)
        if behind.status is Status.RUNNING and (not behind.used or seq in behind.used):
            raise FoldError(f"flow {flow.flow} task {seq} is reopened under task {dependent}, which runs")
        behind.open += 1


def _giving(fact: str, field: str) -> Step:
    def step(flow: FlowState, event: Any) -> None:
        given = getattr(event, field)
        if given and fact == "body":
            _expect_places(flow, event, given)
        for seq, value in given.items():
            _give(flow.task(seq), fact, value)

    return step


def _giving_all(fact: str, field: str) -> Step:
    def step(flow: FlowState, event: Any) -> None:
        for task in flow.tasks:
            _give(task, fact, getattr(event, field))

    return step


def _expect_places(flow: FlowState, event: Any, bodies: Mapping[int, PlannedTask]) -> None:
    """Refuses other bodies of tasks that do not run again, and those of other tasks: numbers, names and edges
    of a flow stay."""
    again = frozenset(event)
    for seq, body in bodies.items():
        place = place_of(flow.task(seq).planned)
        if seq not in again or place_of(body) != place:
            raise FoldError(
                f"flow {flow.flow} task {seq}: event v{event.v} has another body for it, of {place_of(body)};"
                f" it is {place}, and {'runs' if seq in again else 'does not run'} again"
            )


def _give(task: TaskState, fact: str, value: Any) -> None:
    if fact == "body":
        task.planned = value
    elif fact == "keys":
        task.planned = msgspec.structs.replace(task.planned, **msgspec.structs.asdict(value))
    elif fact in _PLANNED:
        task.planned = msgspec.structs.replace(task.planned, **{fact: value})
    else:
        setattr(task, fact, value if fact == "blob" else bytes(value))


def _setting(fact: str, field: str) -> Step:
    if field == THE_EVENT:
        return lambda flow, event: setattr(flow, fact, event)

    def step(flow: FlowState, event: Any) -> None:
        value = getattr(event, field)
        if value is not None:
            setattr(flow, fact, value)

    return step


def _forgetting(fact: str) -> Step:
    return lambda flow, _event: setattr(flow, fact, None)


def _end_if_said(flow: FlowState, event: Any) -> None:
    if event.ends != (flow.left == 0):
        raise FoldError(
            f"flow {flow.flow}: event v{event.v} has ends={event.ends} with {flow.left} tasks open"
        )
    if event.ends:
        flow.ended_ms = event.at


def _end(flow: FlowState, event: Any) -> None:
    if flow.left:
        raise FoldError(f"flow {flow.flow}: event v{event.v} has ends=True with {flow.left} tasks open")
    flow.ended_ms = event.at


def _begin_anew(flow: FlowState, event: Any) -> None:
    expect_cleanup(flow, event)
    if not event.ending:
        flow.ended_ms = flow.cancelled = flow.ending = None


_ENDS: Mapping[str, Step] = {"said": _end_if_said, "always": _end, "over": _begin_anew}

STEPS: Mapping[type[AnyEvent], Step] = {
    kind: _step(meaning) for kind, meaning in MEANINGS.items() if meaning.about in ("flow", "registration")
}
"""By type of event; others do nothing to a flow that is known, or replace it."""
