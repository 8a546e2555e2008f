"""What an operation would do, as it is told before, is what it then does: on flows of many kinds."""

import contextlib
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import pytest

import fuzzing
from flower_engine.errors import NeedsResultsError, NotUnderWayError, RefusedError
from flower_engine.flows.effects import Effect
from flower_engine.flows.flow_operations import results_of
from flower_engine.flows.matched_maps import rerun_matched
from flower_engine.flows.operation_effects import (
    effect_of_cancel,
    effect_of_ignore,
    effect_of_rerun,
    with_those_in_need,
)
from flower_engine.model.definitions.definition import PlannedTask, TaskDefinition
from flower_engine.model.events.events import TasksPassed, TasksUnneeded
from flower_engine.model.events.operator_events import (
    FlowCancelled,
    FlowEnding,
    FlowRerun,
    TaskIgnored,
    TasksIgnored,
)
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.maps.decision_outcomes import Decided
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.model.waits.wait_parameters import PROGRAMS
from flower_engine.runtime.deciding import Decider
from flower_engine.transitions import operator_transitions
from flower_engine.transitions.decision_transitions import Undecided, decide
from flower_engine.transitions.operator_transitions import Results
from flower_engine.transitions.restored_flow import Restored
from flower_engine.transitions.wait_transitions import Sent, signal
from flower_engine.transitions.worker_transitions import Outcome
from scripts.engine import AN_ERROR, Engine, task

ENDS = (
    *(OutcomeKind.FINISHED, OutcomeKind.FINISHED, OutcomeKind.SUSPENDED, OutcomeKind.FAILED),
    OutcomeKind.AGAIN,
)


class Asked(NamedTuple):
    verb: str
    selection: Any = ()
    scope: Any = ""
    result: bytes = b""
    keeps: bool = False


WAITS: Sequence[tuple[str, dict[str, Any]]] = (
    ("@approval", {}),
    ("@approval", {"of": 2}),
    ("@event", {"name": "paid"}),
    ("@sleep", {"seconds": 86_400}),
    *[("@when", {"condition": True})] * 3,
)


def some_tasks(chance: random.Random) -> list[TaskDefinition]:
    """A small graph; its tasks take results of others, need them or not, have rules, or wait for the
    world."""
    rows: list[TaskDefinition] = []
    for seq in range(1, chance.randint(2, 6) + 1):
        before = [other for other in range(1, seq) if chance.random() < 0.5]
        decisions = [one.task_seq for one in rows if one.program == "@when"]
        when = (
            (chance.choice(decisions), chance.random() < 0.5) if decisions and chance.random() < 0.6 else None
        )
        if when is not None and when[0] in before:
            before.remove(when[0])
        rule = "ready"
        if before and chance.random() < 0.5:
            rule = chance.choice(
                ["finished", "settled", "any", "any:cancel", f"at_least:{len(before)}:cancel", "failed"]
            )
        is_sure = rule in ("ready", "finished")
        reads = {
            f"p{other}": {"$from": other, **({} if is_sure and chance.random() < 0.5 else {"optional": True})}
            for other in before
            if chance.random() < 0.4
        }
        failure = chance.choice(["hold", "hold", "give_up", "pass"])
        retry = RetryPolicy(max_attempts=2, delay_ms=300_000) if chance.random() < 0.3 else None
        row = task(seq, *before, parameters=reads, retry=retry)
        if chance.random() < 0.25:
            program, parameters = chance.choice(WAITS)
            row = task(seq, *before, program=program, parameters=parameters)
        cleans_up = bool(before) and chance.random() < 0.25 and not any_needed(reads)
        row = msgspec.structs.replace(row, rule=rule, on_failure=failure, when=when, finally_=cleans_up)
        rows.append(row)
    return rows


def any_needed(reads: dict[str, Any]) -> bool:
    """Whether a task cannot do without one of these."""
    return any("optional" not in form for form in reads.values())


def something(chance: random.Random, tasks: int) -> Asked:
    chosen = sorted(chance.sample(range(1, tasks + 1), chance.randint(1, min(2, tasks))))
    scope = chance.choice(["", "only", "dependents", "changed"])
    verb = chance.choice(["rerun", "rerun", "rerun", "ignore", "ignore", "cancel"])
    if verb == "rerun":
        selection = chance.choice([chosen, chosen, "failed", "all"])
        return Asked(verb, selection, scope, keeps=chance.random() < 0.4)
    return Asked(verb, chosen, result=b"7" if len(chosen) == 1 and chance.random() < 0.4 else b"")


def foretold(flow: FlowState, asked: Asked, now_ms: int) -> Effect | str:
    """What would be done, or why it would be refused."""
    try:
        match asked.verb:
            case "rerun":
                return effect_of_rerun(
                    flow, asked.selection, asked.scope, now_ms=now_ms, keep_answers=asked.keeps
                )
            case "ignore":
                return effect_of_ignore(flow, asked.selection, has_result=bool(asked.result))
            case _:
                return effect_of_cancel(flow)
    except RefusedError as error:
        return error.reason


async def done(engine: Engine, flow: str, asked: Asked, restored: Restored | None) -> str:
    """Does it; why it is refused, or ""."""
    where = (engine.client, engine.partition, flow)
    results: Results = {}
    while True:
        try:
            match asked.verb:
                case "rerun":
                    await rerun_matched(
                        lambda: engine.flow(flow),
                        *where,
                        by="bob",
                        selection=asked.selection,
                        scope=asked.scope,
                        keep_answers=asked.keeps,
                        restored=restored,
                        results=results,
                    )
                case "ignore":
                    await operator_transitions.ignore(
                        *where, by="bob", tasks=asked.selection, result=asked.result
                    )
                case _:
                    await operator_transitions.cancel(*where, by="bob")
        except NeedsResultsError as error:
            results = results_of(await engine.flow(flow), error.tasks)
        except RefusedError as error:
            return error.reason
        except NotUnderWayError:
            return "ended"
        else:
            return ""


async def lead_somewhere(engine: Engine, flow: str, chance: random.Random) -> None:
    """Tasks run and end in some way, for some steps; some may still run then."""
    for _ in range(chance.randint(0, 6)):
        claims = await engine.claim(wanted=chance.randint(1, 3))
        ending = [claim for claim in claims if chance.random() < 0.85]
        outcomes = [
            Outcome(
                claim,
                kind := chance.choice(ENDS),
                b"[1]" if kind is OutcomeKind.FINISHED else AN_ERROR,
                chance.choice((0, 300_000)) if kind is OutcomeKind.AGAIN else 0,
            )
            for claim in ending
        ]
        if outcomes:
            got = await engine.exchange("w1", outcomes=outcomes)
            assert got.words == ["ok"] * len(outcomes)
        state = await engine.flow(flow)
        for one in state.tasks if state.ended_ms is None else ():
            if one.is_awaiting and one.planned.program != "@when" and chance.random() < 0.5:
                await end_wait(engine, flow, one.planned, chance)
        if chance.random() < 0.7:
            await decide_all(engine, flow, chance)


async def end_wait(engine: Engine, flow: str, planned: PlannedTask, chance: random.Random) -> None:
    """What the task awaits comes, or some of it; a sleep goes on."""
    where = (engine.client, engine.partition)
    if planned.program == "@approval":
        with contextlib.suppress(RefusedError):  # the name has answered already
            by = chance.choice(["ann", "bob"])
            await operator_transitions.answer(*where, flow, by=by, task=planned.seq, answer=b"{}")
    elif planned.program == "@event":
        sent = Sent(name="paid", id=str(chance.random()), by="shop", payload=b"1")
        await signal(*where, sent, [flow], "each")


def goes_on(flow: FlowState) -> set[int]:
    """What is ready, or awaits the world from then on."""
    return ready_in(flow) | awaiting_in(flow)


def awaiting_in(flow: FlowState) -> set[int]:
    return {one.planned.seq for one in flow.tasks if one.is_awaiting}


async def decide_all(engine: Engine, flow: str, chance: random.Random) -> None:
    """What is to be decided is, in some way."""
    made: list[tuple[Undecided, Decided]] = []
    for one in (await engine.flow(flow)).tasks:
        if one.planned.program == "@when" and one.is_awaiting:
            member = f"{flow}:{one.planned.seq}".encode()
            says = chance.choice([True, False, None])
            payload = AN_ERROR if says is None else msgspec.json.encode({"is": says, "values": {}})
            made.append((Undecided(member, one.attempt, b"", {}), Decided(says, payload)))
    words = await decide(engine.client, engine.partition, "w1", made) if made else []
    assert words == ["ok"] * len(made)


def ready_in(flow: FlowState) -> set[int]:
    return {one.planned.seq for one in flow.tasks if one.is_ready}


def ended_in(flow: FlowState) -> set[int]:
    return {one.planned.seq for one in flow.tasks if one.has_ended}


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_foretold_comes_true(engine: Engine, seed: int) -> None:
    chance = random.Random(seed)  # the same flows each time
    for _ in range(fuzzing.examples(40)):
        rows = some_tasks(chance)
        flow = await engine.register(*rows)
        await lead_somewhere(engine, flow, chance)
        for _ in range(3):
            await _try(engine, flow, something(chance, len(rows)))
            await lead_somewhere(engine, flow, chance)
        await operator_end(engine, flow)
        await engine.check()


@pytest.mark.parametrize("bounds", [{}, {"tolerate": 1}])
async def test_what_is_foretold_of_chains_of_maps_comes_true(engine: Engine, bounds: dict[str, Any]) -> None:
    chance = random.Random(7)  # the same flows each time
    over: dict[str, Any] = {"over": [1, 2, 3], "program": "A", "as": "n", **bounds}
    along = {**over, "aligned": True}
    rows = (
        task(1, program="@map", parameters=over),
        task(2, 1, program="@map", parameters={**along, "over": {"$from": 1}}),
        task(3, 2, program="@map", parameters={**along, "over": {"$from": 2}}),
        task(4, 3, 1, parameters={"all": {"$from": 3}}),
    )
    decider = Decider(engine.client, engine.partition, "w1")
    for _ in range(fuzzing.examples(12)):
        flow = await engine.register(*rows)
        for _ in range(4):
            await decider.run_once()
            await lead_somewhere(engine, flow, chance)
            await _try(engine, flow, something(chance, len((await engine.flow(flow)).tasks)))
        await operator_end(engine, flow)
        await engine.check()


async def operator_end(engine: Engine, flow: str) -> None:
    """Nothing of it is in the way of the next one; not even its cleanup."""
    while (await engine.flow(flow)).ended_ms is None:
        await operator_transitions.cancel(engine.client, engine.partition, flow, by="bob")


async def _try(engine: Engine, flow: str, asked: Asked) -> None:
    before = await engine.flow(flow)
    count = len(await engine.events())
    told = foretold(await engine.flow(flow), asked, await engine.engine_time())
    restored = await engine.restored(flow) if before.ended_ms is not None else None
    refused = await done(engine, flow, asked, restored)
    stood = [(one.status, one.ended_as) for one in before.tasks]
    about = f"{asked} of {[one.planned for one in before.tasks]}, {stood}"
    if isinstance(told, str):
        assert refused == told, about
        return
    assert refused == "", about
    while (await engine.exchange()).more:  # what nobody needs then is cancelled in calls of workers
        pass
    events = [event for event in (await engine.events())[count:] if getattr(event, "flow", "") == flow]
    after = await engine.flow(flow)
    passed = {
        seq
        for event in events
        if isinstance(event, TasksPassed)
        for seq in (*event.tasks, *event.unmet_tasks)
    }
    passed |= {event.task for event in events if isinstance(event, TaskIgnored)}
    passed |= {seq for event in events if isinstance(event, TasksIgnored) for seq in event}
    again = {seq for event in events if isinstance(event, FlowRerun) for seq in event}
    gone = {seq for event in events if isinstance(event, FlowRerun) for seq in event.gone}
    ends = (FlowCancelled, FlowEnding, TasksUnneeded)
    cut_off = {seq for event in events if isinstance(event, ends) for seq in event}
    assert set(told.vanished) == gone, about
    matched = [seq for event in events if isinstance(event, FlowRerun) for seq in event.matches]
    assert told.matched == matched, about
    assert told.version == before.version
    assert {*told.runs, *told.reopens} == again, about
    assert set(told.runs).isdisjoint(told.reopens)
    assert set(told.passed_over) == passed, about
    assert set(told.cut_off) == cut_off, about
    if asked.verb == "cancel":
        left = {one.planned.seq for one in after.tasks} - ended_in(after)
        assert (set(told.cleanup), told.ends) == (left, not left), about
    assert set(told.ready) - awaiting_in(before) == goes_on(after) - goes_on(before), about
    asked_again = {seq for seq in again if before.task(seq).planned.program in PROGRAMS}
    assert set(told.asked_again) == asked_again, about
    assert set(told.kept) == (ended_in(before) & ended_in(after)) - passed - again - gone, about
    assert told.ends == (after.ended_ms is not None), about


async def test_a_cascade_passes_over_all_that_cannot_do_without(engine: Engine) -> None:
    rows: Sequence[TaskDefinition] = [
        task(1),
        task(2, 1, parameters={"a": {"$from": 1}}),
        task(3, 2, parameters={"a": {"$from": 2}}),
        task(4, 1, parameters={"a": {"$from": 1, "optional": True}}),
    ]
    flow = await engine.register(*rows)
    state = await engine.flow(flow)
    assert foretold(state, Asked("ignore", [1]), 0) == "needed"
    chosen = with_those_in_need(state, [1])
    assert chosen == [1, 2, 3]
    told = effect_of_ignore(state, chosen)
    assert (told.passed_over, told.ready) == ([1, 2, 3], [4])
    await operator_transitions.ignore(engine.client, engine.partition, flow, by="bob", tasks=chosen)
    assert [claim.task for claim in await engine.claim()] == [4]


async def test_waits_behind_what_runs_again_keep_their_answers_where_somebody_says_so(
    engine: Engine,
) -> None:
    rows: Sequence[TaskDefinition] = [
        task(1),
        task(2, 1, program="@approval"),
        task(3, 2, parameters={"a": {"$from": 2, "path": "/answer"}}),
        task(4, program="@sleep", parameters={"seconds": 86_400}),
    ]
    where = (engine.client, engine.partition)
    flow = await engine.register(*rows)
    await engine.finish(*await engine.claim())
    await operator_transitions.answer(*where, flow, by="ann", task=2, answer=b'{"approved":true}')
    await engine.finish(*await engine.claim())
    before = (await engine.flow(flow)).task(2).result
    for keeps, again in ((True, {1, 3}), (False, {1, 2, 3})):
        state = await engine.flow(flow)
        told = effect_of_rerun(state, [1], "dependents", keep_answers=keeps)
        assert (set(told.runs), told.asked_again) == (again, [] if keeps else [2])
        asked = Asked("rerun", [1], "dependents", keeps=keeps)
        assert await done(engine, flow, asked, None) == ""
        after = await engine.flow(flow)
        assert {one.planned.seq for one in after.tasks if not one.has_ended} - {4} == again
        if keeps:
            assert after.task(2).result == before
            await engine.check()
            for _ in range(2):
                await engine.finish(*await engine.claim())
    assert await done(engine, flow, Asked("rerun", [2], keeps=True), None) == "waits"
    await engine.check()
