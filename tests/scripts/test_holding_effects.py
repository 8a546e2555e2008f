"""What a pause, its end, another priority and taking an ignore back would do, as it is told before, is what
they then do: to how the tasks stand, and to the lanes in which they wait."""

import random
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import pytest

import fuzzing
from flower_engine.errors import NeedsResultsError, NotUnderWayError, RefusedError
from flower_engine.flows.effects import Effect
from flower_engine.flows.flow_operations import results_of
from flower_engine.flows.holding_effects import effect_of_pause, effect_of_priority, effect_of_resume
from flower_engine.flows.unignoring import effect_of_unignore
from flower_engine.insight.live_state import read_live_state
from flower_engine.model.events.events import TasksPassed, TasksUnneeded
from flower_engine.model.events.operator_events import TaskUnignored
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.tasks.status import Status
from flower_engine.model.waits.wait_parameters import PROGRAMS
from flower_engine.transitions import operator_transitions
from scripts.engine import Engine, task
from scripts.test_operation_effects import done as done_otherwise
from scripts.test_operation_effects import (
    ended_in,
    goes_on,
    lead_somewhere,
    operator_end,
    some_tasks,
    something,
)


class Asked(NamedTuple):
    verb: str
    tasks: Sequence[int] = ()
    priority: int = 0


def one_of_four(chance: random.Random, flow: FlowState) -> Asked:
    ignored = [one.planned.seq for one in flow.tasks if one.status is Status.IGNORE]
    verb = chance.choice(["pause", "resume", "priority", *["unignore"] * (4 if ignored else 1)])
    if verb != "unignore":
        return Asked(verb, priority=chance.choice([-3, 0, 0, 7]))
    some = ignored if ignored and chance.random() < 0.9 else range(1, len(flow.tasks) + 1)
    return Asked(verb, sorted(chance.sample(some, min(len(some), chance.randint(1, 2)))))


def foretold(flow: FlowState, asked: Asked, now_ms: int) -> Effect | str:
    """What would be done, or why it would be refused."""
    try:
        match asked.verb:
            case "pause":
                return effect_of_pause(flow, now_ms)
            case "resume":
                return effect_of_resume(flow, now_ms)
            case "priority":
                return effect_of_priority(flow, asked.priority, now_ms)
            case _:
                return effect_of_unignore(flow, asked.tasks, now_ms)
    except RefusedError as error:
        return error.reason


async def done(engine: Engine, before: FlowState, asked: Asked) -> str:
    """Does it; why it is refused, or ""."""
    where = (engine.client, engine.partition, before.flow)
    try:
        match asked.verb:
            case "pause":
                await operator_transitions.pause(*where, by="bob")
            case "resume":
                await operator_transitions.resume(*where, by="bob")
            case "priority":
                await operator_transitions.prioritise(*where, by="bob", priority=asked.priority)
            case _:
                await _unignore(engine, before, asked.tasks)
    except RefusedError as error:
        return error.reason
    except NotUnderWayError:
        return "ended"
    return ""


async def _unignore(engine: Engine, before: FlowState, tasks: Sequence[int]) -> None:
    restored = await engine.restored(before.flow) if before.ended_ms is not None else None
    call = partial(
        operator_transitions.unignore,
        *(engine.client, engine.partition, before.flow),
        by="bob",
        tasks=tasks,
        restored=restored,
    )
    try:
        await call()
    except NeedsResultsError as error:
        await call(results=results_of(before, error.tasks))


async def lanes_of(engine: Engine, flow: str) -> dict[int, str]:
    """In which lane each task of the flow waits, of those that do."""
    live = await read_live_state(engine.client, engine.partition)
    return {one.task: lane for lane, waiting in live.lanes.items() for one in waiting if one.flow == flow}


@pytest.mark.parametrize("seed", range(2))
async def test_what_is_foretold_of_what_holds_a_flow_comes_true(engine: Engine, seed: int) -> None:
    chance = random.Random(seed)  # the same flows each time
    for _ in range(fuzzing.examples(25)):
        flow = await engine.register(*some_tasks(chance))
        for _ in range(4):
            await lead_somewhere(engine, flow, chance)
            now = await engine.flow(flow)
            if chance.random() < 0.4:
                restored = await engine.restored(flow) if now.ended_ms is not None else None
                await done_otherwise(engine, flow, something(chance, len(now.tasks)), restored)
                now = await engine.flow(flow)
            await _try(engine, flow, one_of_four(chance, now))
        await operator_end(engine, flow)
        await engine.check()


async def _try(engine: Engine, flow: str, asked: Asked) -> None:
    while (await engine.exchange()).more:  # what nobody needs any more is cancelled in calls of workers
        pass
    before, in_lanes = await engine.flow(flow), await lanes_of(engine, flow)
    count = len(await engine.events())
    told = foretold(await engine.flow(flow), asked, await engine.engine_time())
    refused = await done(engine, before, asked)
    stood = [(one.status, one.ended_as) for one in before.tasks]
    about = f"{asked} of {[one.planned for one in before.tasks]}, {stood}, paused: {before.paused}"
    if isinstance(told, str):
        assert refused == told, about
        return
    assert refused == "", about
    while (await engine.exchange()).more:
        pass
    events = [event for event in (await engine.events())[count:] if getattr(event, "flow", "") == flow]
    after, in_lanes_then = await engine.flow(flow), await lanes_of(engine, flow)
    opened = {
        seq for event in events if isinstance(event, TaskUnignored) for seq in (event.task, *event.behind)
    }
    passed = {
        seq
        for event in events
        if isinstance(event, TasksPassed)
        for seq in (*event.tasks, *event.unmet_tasks)
    }
    unneeded = {seq for event in events if isinstance(event, TasksUnneeded) for seq in event}
    assert told.version == before.version
    assert set(told.reopens) == opened, about
    assert set(told.asked_again) == {seq for seq in opened if before.task(seq).planned.program in PROGRAMS}
    assert (set(told.passed_over), set(told.cut_off)) == (passed, unneeded), about
    assert set(told.kept) == ended_in(before) & ended_in(after) - passed, about
    assert told.ends == (after.ended_ms is not None), about
    is_held = before.paused is not None
    left, came = in_lanes.keys() - in_lanes_then.keys(), in_lanes_then.keys() - in_lanes.keys()
    if asked.verb == "unignore":
        assert set(told.ready) == goes_on(after) - goes_on(before), about
        assert is_held or set(told.withdrawn) == left - unneeded - passed, about
    elif asked.verb == "resume":
        assert came <= set(told.ready), about
        assert set(told.ready) == came | {
            seq for seq in goes_on(after) if after.task(seq).awaiting and not before.task(seq).awaiting
        }, about
    else:
        assert set(told.withdrawn) == left, about
        assert not came, about
    runs = {one.planned.seq for one in after.tasks if one.status is Status.RUNNING}
    if asked.verb == "pause" and not is_held:
        assert (set(told.runs_on), in_lanes_then) == (runs, {}), about
        waits = {one.planned.seq for one in after.tasks if one.is_ready} - left
        assert set(told.awaits) >= waits, about
        assert all(after.task(seq).gives_up_ms for seq in set(told.awaits) - waits), about
    moved = {seq for seq, lane in in_lanes_then.items() if seq in in_lanes and in_lanes[seq] != lane}
    assert set(told.moved) == moved, about
    others = {
        one.planned.seq
        for one in after.tasks
        if not one.has_ended and one.planned.priority != before.task(one.planned.seq).planned.priority
    }
    assert set(told.prioritised) == others, about


@pytest.mark.parametrize("verb", ["pause", "priority"])
async def test_what_is_foretold_of_a_flow_before_its_start_comes_true(engine: Engine, verb: str) -> None:
    flow = await engine.register(task(1), task(2), delay_ms=3_600_000)
    await _try(engine, flow, Asked(verb, priority=7))
    await _try(engine, flow, Asked("pause"))
    await _try(engine, flow, Asked("resume"))
    await engine.check()
