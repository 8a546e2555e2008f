"""What an operation on a tree of flows would do, as it is told before, is what it then does: to the flow that
it is asked of, to the children that it goes into or that are cancelled, and to the flows above."""

import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pytest

import fuzzing
from flower_engine.errors import RefusedError
from flower_engine.flows import flow_operations, tree_operations
from flower_engine.flows.effects import Effect
from flower_engine.flows.memory_stores import MemoryStores
from flower_engine.flows.tree_operations import ElsewhereInTree, TreeOperator
from flower_engine.log.client import send
from flower_engine.log.durability import Level
from flower_engine.model.definitions.definition import TaskDefinition
from flower_engine.model.events.event_base import FlowEvent
from flower_engine.model.events.events import TaskGivenUp, TaskOverdue, TasksPassed
from flower_engine.model.events.operator_events import (
    FlowCancelled,
    FlowEnding,
    FlowPaused,
    FlowPrioritised,
    FlowRerun,
    FlowResumed,
    TaskIgnored,
    TasksIgnored,
    TaskUnignored,
)
from flower_engine.model.events.wait_events import TaskLifted
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.tasks.status import Status
from flower_engine.runtime.clock import SYSTEM_CLOCK
from flower_engine.runtime.settings import Settings
from flower_engine.transitions import operator_transitions
from flower_engine.transitions.tree_transitions import look_at_trees
from flower_engine.transitions.worker_transitions import Outcome
from scripts.engine import AN_ERROR, Engine, task
from scripts.trees import Trees, mapped, subflow

ENDS = (OutcomeKind.FINISHED, OutcomeKind.FINISHED, OutcomeKind.SUSPENDED)
_HOLDS = FlowPaused | FlowResumed | FlowPrioritised
_VERBS = {FlowPaused: "pause", FlowResumed: "resume", FlowPrioritised: "priority"}
WORKFLOWS = ("leaf", "line", "clean", "nest", "many")


class Asked(NamedTuple):
    verb: str
    selection: Any = ()
    scope: Any = ""
    children: Any = "ask"
    is_up: bool = False


class Foretold(NamedTuple):
    effect: Effect
    elsewhere: Sequence[ElsewhereInTree]


def stores_of(engine: Engine) -> MemoryStores:
    stores = MemoryStores(engine.client, Settings.model_validate({}), SYSTEM_CLOCK)
    stores.install([engine.partition], [Level("memory")])
    return stores


async def define_all(trees: Trees) -> None:
    """Workflows that children are of: some have children themselves."""
    await trees.define(
        task(1), task(2, 1, task_name="last"), name="leaf", returns={"$from": "last", "optional": True}
    )
    await trees.define(task(1), task(2, 1, on_failure="give_up"), name="line")
    await trees.define(task(1), task(2, 1), task(3, 1, rule="settled", finally_=True), name="clean")
    await trees.define(subflow(1, workflow="leaf"), task(2, 1), subflow(3, workflow="clean"), name="nest")
    await trees.define(mapped(1, over=["mon", "tue"], workflow="leaf"), task(2, 1), name="many")


def some_tasks(chance: random.Random) -> list[TaskDefinition]:
    rows: list[TaskDefinition] = []
    for seq in range(1, chance.randint(1, 4) + 1):
        before = [other for other in range(1, seq) if chance.random() < 0.4]
        failure = chance.choice(["hold", "hold", "give_up", "pass"])
        rule = chance.choice(["ready", "ready", "settled"]) if before else "ready"
        if chance.random() < 0.7:
            workflow = chance.choice(WORKFLOWS)
            rows.append(subflow(seq, *before, workflow=workflow, rule=rule, on_failure=failure))
        elif chance.random() < 0.5:
            bounds = chance.choice([{}, {"limit": 1}])
            rows.append(mapped(seq, *before, over=["mon", "tue"], workflow="line", **bounds))
        else:
            rows.append(task(seq, *before, rule=rule, on_failure=failure))
    return rows


async def lead_somewhere(engine: Engine, trees: Trees, chance: random.Random) -> None:
    """Children begin, and tasks end in some way, for some steps; none runs then."""
    for _ in range(chance.randint(0, 5)):
        await trees.settle()
        claims = await engine.claim(wanted=chance.randint(1, 3))
        outcomes = [
            Outcome(claim, kind := chance.choice(ENDS), b"[1]" if kind is OutcomeKind.FINISHED else AN_ERROR)
            for claim in claims
        ]
        if outcomes:
            await engine.exchange("w1", outcomes=outcomes)
    await trees.settle()


def something(chance: random.Random, flow: FlowState) -> Asked:
    tasks = len(flow.tasks)
    chosen = sorted(chance.sample(range(1, tasks + 1), chance.randint(1, min(2, tasks))))
    verb = chance.choice(["rerun", "rerun", "rerun", "ignore", "cancel"])
    if flow.ended_ms is not None and chance.random() < 0.9:
        verb = "rerun"
    elif chance.random() < 0.3:
        verb = chance.choice(["pause", "resume", "priority", "unignore"])
    if verb == "unignore":
        chosen = [one.planned.seq for one in flow.tasks if one.status is Status.IGNORE][:2] or chosen
    if verb != "rerun":
        return Asked(verb, chosen)
    held = [one.planned.seq for one in flow.tasks if one.is_held]
    return Asked(
        verb,
        chance.choice([chosen, chosen, held or chosen, "failed", "failed", "all"]),
        chance.choice(["", "only", "dependents"]),
        chance.choice(["ask", "ask", "ask", "anew"]),
        is_up=flow.parent is not None and chance.random() < 0.6,
    )


async def foretold(operator: TreeOperator, asked: Asked) -> Foretold | str:
    try:
        match asked.verb:
            case "rerun":
                effect = await operator.effect_in_tree(
                    asked.selection, asked.scope, {}, children=asked.children, is_up=asked.is_up
                )
            case "ignore":
                effect = await operator.effect_of_ignore(asked.selection)
            case "unignore":
                effect = await operator.effect_of_unignore(asked.selection)
            case "pause":
                effect = await operator.effect_of_pause()
            case "resume":
                _, effect = await operator.effect_of_resume()
            case "priority":
                effect = await operator.effect_of_priority(7)
            case _:
                effect = await operator.effect_of_cancel()
    except RefusedError as error:
        return error.reason
    return Foretold(effect, operator.elsewhere)


async def done(operator: TreeOperator, asked: Asked) -> str:
    """Does it; why it is refused, or ""."""
    try:
        match asked.verb:
            case "rerun":
                await operator.rerun(
                    asked.selection, asked.scope, {}, children=asked.children, is_up=asked.is_up
                )
            case "ignore":
                await operator.ignore(asked.selection, "")
            case "unignore":
                await operator.unignore(asked.selection)
            case "pause":
                await operator.pause("")
            case "resume":
                await operator.resume()
            case "priority":
                await operator.prioritise(7)
            case _:
                await operator.cancel("")
    except RefusedError as error:
        return error.reason
    return ""


def moved(events: Sequence[FlowEvent], flow: str) -> dict[str, set[int]]:
    """What these events do to tasks of a flow, as an effect says it."""
    found: dict[str, set[int]] = {"again": set(), "passed": set(), "cut_off": set(), "later": set()}
    for event in events:
        if event.flow != flow:
            continue
        match event:
            case FlowRerun():
                found["again"] |= {*event}
            case TaskUnignored():
                found["again"] |= {event.task, *event.behind}
            case FlowEnding(goes_on=True):
                found["later"] |= {*event}  # its child has ended, too
            case FlowCancelled() | FlowEnding():
                found["cut_off"] |= {*event}
            case TasksPassed():
                found["passed"] |= {*event.tasks, *event.unmet_tasks}
            case TaskIgnored() if event.by != "on_failure":
                found["passed"].add(event.task)
            case TasksIgnored():
                found["passed"] |= {*event}
            case _:
                pass
    return found


def told_of(effect: Effect) -> dict[str, set[int]]:
    return {
        "again": {*effect.runs, *effect.reopens},
        "passed": set(effect.passed_over),
        "cut_off": set(effect.cut_off),
    }


@pytest.mark.parametrize("seed", range(fuzzing.examples(6)))
async def test_what_is_foretold_of_a_tree_comes_true(engine: Engine, seed: int) -> None:
    chance = random.Random(seed)  # the same trees each time
    trees = Trees(engine)
    await define_all(trees)
    engine.programs |= {"A"}
    stores = stores_of(engine)
    for _ in range(8):
        known = await engine.flows()
        trunk = await engine.register(*some_tasks(chance))
        for _ in range(3):
            await lead_somewhere(engine, trees, chance)
            flows = [flow for name, flow in (await engine.flows()).items() if name not in known]
            await _try(engine, stores, chance, chance.choice(flows))
        await end_all(engine, trees, trunk)
        await engine.check()


def _above(told: Foretold) -> dict[str, Effect]:
    """The flow of the task that awaits what is cancelled, and what becomes of it."""
    return {one.flow: one.effect for one in told.elsewhere if one.operation == "onFailure" and one.effect}


def _ending_above(before: Mapping[str, FlowState], flow: FlowState) -> set[str]:
    """Flows above this one of whose tasks it, or one of these, was the last that they waited for."""
    found: set[str] = set()
    while flow.parent is not None and before[flow.parent.flow].task(flow.parent.task).awaits_end:
        flow = before[flow.parent.flow]
        found.add(flow.flow)
    return found


def _compare_above(told: Foretold, events: Sequence[FlowEvent], about: str) -> None:
    """What the task above makes of its child, once that has ended."""
    if not told.effect.ends:
        return  # its cleanup goes on
    for name, effect in _above(told).items():
        own = [event for event in events if event.flow == name]
        (failed,) = (event.task for event in own if isinstance(event, TaskOverdue))
        given_up = {event.task for event in own if isinstance(event, TaskGivenUp)}
        passed = {event.task for event in own if isinstance(event, TaskIgnored)}
        assert set(effect.given_up) == given_up, f"{about}: above, {name}"
        assert set(effect.held) == {failed} - given_up - passed, f"{about}: above, {name}"
        passed |= moved(own, name)["passed"]
        assert set(effect.passed_over) == passed, f"{about}: above, {name}"
        ends = any(getattr(event, "ends", False) for event in own)
        assert effect.ends == ends, f"{about}: above, {name}"


async def end_all(engine: Engine, trees: Trees, trunk: str) -> None:
    """Nothing of the tree is in the way of the next one; not even its cleanup."""
    while (await engine.flow(trunk)).ended_ms is None:
        await operator_transitions.cancel(engine.client, engine.partition, trunk, by="bob")
    await trees.settle()
    for name, flow in (await engine.flows()).items():
        if flow.ended_ms is None:
            await operator_transitions.cancel(engine.client, engine.partition, name, by="bob")
    # What is to be looked at in half a minute, if nobody takes up a child that was opened, is looked at now.
    for member in await send(engine.client, "ZRANGE", engine.keys.tree, 0, -1):
        await send(engine.client, "ZADD", engine.keys.tree, 0, member)
    await trees.settle()


async def _try(engine: Engine, stores: MemoryStores, chance: random.Random, flow: FlowState) -> None:
    asked = something(chance, flow)
    before = await engine.flows()
    count = len(await engine.events())
    told = await foretold(TreeOperator(stores, flow.flow, "bob"), asked)
    assert len(await engine.events()) == count, f"{asked} was done, not foretold"
    refused = await done(TreeOperator(stores, flow.flow, "bob"), asked)
    stood = [(one.planned.program, one.status, one.ended_as, one.attempt) for one in flow.tasks]
    about = f"{asked} of {flow.flow}, a child: {flow.parent is not None}, {stood}"
    if isinstance(told, str):
        assert refused == told, about
        return
    assert refused == "", about
    while (await look_at_trees(engine.client, engine.partition))[0]:  # what a watcher does, but begins none
        pass
    events = [event for event in (await engine.events())[count:] if isinstance(event, FlowEvent)]
    effects = {flow.flow: told.effect} | {one.flow: one.effect for one in told.elsewhere if one.effect}
    kinds = FlowRerun | FlowCancelled | FlowEnding | TaskUnignored | _HOLDS
    changed = {event.flow for event in events if isinstance(event, kinds)}
    held = {(_VERBS[type(event)], event.flow) for event in events if isinstance(event, _HOLDS)}
    told_held = {(one.operation, one.flow) for one in told.elsewhere if one.operation in _VERBS.values()}
    assert told_held == {one for one in held if one[1] != flow.flow}, about
    if not any(isinstance(event, TaskIgnored | TaskGivenUp) and event.by == "on_failure" for event in events):
        # What the definition of a task above makes of it is its own affair, and not told.
        assert changed <= effects.keys(), f"{about}: nothing was told of {changed - effects.keys()}"
    _compare_above(told, events, about)
    effects = {one: effect for one, effect in effects.items() if one not in _above(told)}
    ending_above = _ending_above(before, flow)
    lifted = {(event.flow, event.task) for event in events if isinstance(event, TaskLifted)}
    for name, effect in effects.items():
        own = moved(events, name)
        expected, later = told_of(effect), own.pop("later")
        if name in ending_above:
            own["cut_off"] |= later
        else:
            assert later <= set(effect.cleanup), f"{about}: of {name}"
        if asked.is_up:
            expected["again"] |= {seq for seq in effect.within if before[name].task(seq).has_ended}
        assert own == expected, f"{about}: of {name}"
        assert effect.version == before[name].version, f"{about}: of {name}"
        if asked.verb != "cancel":
            assert {(name, seq) for seq in effect.within} <= lifted, f"{about}: of {name}"


async def test_what_the_task_above_makes_of_a_cancelled_child_is_told(engine: Engine) -> None:
    trees, stores = Trees(engine), stores_of(engine)
    await define_all(trees)
    for on_failure, named in (("hold", "held"), ("give_up", "given_up"), ("pass", "passed_over")):
        rows = (
            subflow(1, workflow="leaf", on_failure=on_failure),
            task(2, 1, rule="settled"),
            task(3, 1, rule="finished"),
        )
        trunk = await engine.register(*rows)
        await trees.settle()
        child = TreeOperator(stores, await trees.child(trunk), "bob")
        assert (await child.effect_of_cancel()).ends
        (above,) = child.elsewhere
        assert above.effect is not None
        passed = [3] if on_failure == "give_up" else [1, 3] if on_failure == "pass" else []
        assert (above.flow, above.operation, above.effect.passed_over) == (trunk, "onFailure", passed)
        assert 1 in getattr(above.effect, named)
        await child.cancel("")
        state = await engine.flow(trunk)
        assert above.effect.ready == [one.planned.seq for one in state.tasks if one.is_ready]
        assert {one.planned.seq for one in state.tasks if one.ended_as in ("n", "p")} == {*passed}
        await end_all(engine, trees, trunk)
    await engine.check()


async def test_children_that_are_not_told_of_are_counted(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees, stores = Trees(engine), stores_of(engine)
    await define_all(trees)
    trunk = await engine.register(*(subflow(seq, workflow="leaf") for seq in (1, 2, 3)))
    await trees.settle()
    monkeypatch.setattr(tree_operations, "MOST_TOLD", 1)
    told = [TreeOperator(stores, trunk, "bob") for _ in range(3)]
    await told[0].effect_of_cancel()
    await told[1].effect_of_pause()
    await told[2].effect_of_priority(3)
    assert [(len(one.elsewhere), one.more_elsewhere) for one in told] == [(1, 2)] * 3
    await end_all(engine, trees, trunk)


async def test_the_end_of_flows_above_that_waited_for_one_that_is_cancelled_again_is_told(
    engine: Engine,
) -> None:
    trees, stores = Trees(engine), stores_of(engine)
    await define_all(trees)
    await trees.define(subflow(1, workflow="clean"), name="middle")
    trunk = await engine.register(subflow(1, workflow="middle"), task(2, 1))
    await trees.settle()
    middle = await trees.child(trunk)
    child = await trees.child(middle)
    await engine.finish(*await engine.claim(wanted=1))
    await operator_transitions.cancel(engine.client, engine.partition, trunk, by="bob")
    await trees.settle()
    again = TreeOperator(stores, child, "bob")
    assert (await again.effect_of_cancel()).ends
    told = [(one.flow, one.operation, one.effect and one.effect.cut_off) for one in again.elsewhere]
    assert told == [(middle, "cancel", [1]), (trunk, "cancel", [1])]
    assert all(one.effect is not None and one.effect.ends for one in again.elsewhere)
    await again.cancel("")
    assert all(flow.ended_ms is not None for flow in (await engine.flows()).values())


async def test_a_rerun_of_nothing_below_a_flow_that_is_ending_is_refused_as_its_dry_run_is(
    engine: Engine,
) -> None:
    trees, stores = Trees(engine), stores_of(engine)
    await define_all(trees)
    trunk = await engine.register(subflow(1, workflow="leaf"), subflow(2, 1, workflow="clean"))
    await trees.settle()
    for _ in range(3):  # both of the leaf, and the first of what cleans up
        await engine.finish(*await engine.claim(wanted=1))
        await trees.settle()
    await operator_transitions.cancel(engine.client, engine.partition, trunk, by="bob")
    assert (await engine.flow(trunk)).is_ending
    leaf = await trees.child(trunk)
    for selection, reason in (("failed", "nothing"), ("all", "ending")):
        asked = Asked("rerun", selection, is_up=True)
        refused = await foretold(TreeOperator(stores, leaf, "bob"), asked)
        assert refused == await done(TreeOperator(stores, leaf, "bob"), asked) == reason


async def _nested(engine: Engine, trees: Trees, first: str, above: str) -> tuple[str, str, str]:
    """A flow, its child, and the child of that, which is under way; what follows the failure of each."""
    await trees.define(subflow(1, workflow="leaf", on_failure=first), task(2, 1), name="middle")
    trunk = await engine.register(subflow(1, workflow="middle", on_failure=above), task(2, 1, rule="settled"))
    await trees.settle()
    middle = await trees.child(trunk)
    return trunk, middle, await trees.child(middle)


NOBODY: list[int] = []


@pytest.mark.parametrize(
    ("first", "above", "told"),
    [
        ("give_up", "give_up", [("onFailure", [1]), ("onFailure", [1])]),
        ("give_up", "hold", [("onFailure", [1]), ("onFailure", NOBODY)]),
        ("hold", "hold", [("onFailure", NOBODY), ("onFailure", NOBODY)]),
        ("hold", "give_up", [("onFailure", NOBODY), ("onFailure", [1]), ("cancel", NOBODY)]),
        ("pass", "hold", [("onFailure", NOBODY)]),
    ],
)
async def test_what_each_flow_above_makes_of_a_failure_below_it_is_told(
    engine: Engine, first: str, above: str, told: list[tuple[str, list[int]]]
) -> None:
    trees, stores = Trees(engine), stores_of(engine)
    await define_all(trees)
    trunk, middle, leaf = await _nested(engine, trees, first, above)
    count = len(await engine.events())
    child = TreeOperator(stores, leaf, "bob")
    assert (await child.effect_of_cancel()).ends
    found = [(one.operation, one.effect.given_up) for one in child.elsewhere if one.effect]
    assert found == told
    await child.cancel("")
    await trees.settle()
    own = [event for event in (await engine.events())[count:] if isinstance(event, FlowEvent)]
    for one in child.elsewhere:
        assert one.effect is not None
        state = await engine.flow(one.flow)
        if one.operation == "cancel":
            assert one.flow == middle
            assert one.effect.cut_off == list(state.cut_off)
            continue
        assert one.effect.held == [1] * state.task(1).is_held or (one.flow, above) == (middle, "give_up")
        assert {*one.effect.given_up} == {
            e.task for e in own if isinstance(e, TaskGivenUp) and e.flow == one.flow
        }
        assert one.effect.ready == [task.planned.seq for task in state.tasks if task.is_ready]
    assert {one.flow for one in child.elsewhere} == {middle, *[trunk] * (first != "pass")}
    await engine.check()


async def test_a_rerun_that_one_above_refuses_opens_nothing(engine: Engine) -> None:
    trees, stores = Trees(engine), stores_of(engine)
    await define_all(trees)
    rows = (subflow(1, workflow="leaf"), task(2), task(3, 1, 2, rule="any:cancel"))
    await trees.define(*rows, name="middle")
    trunk = await engine.register(subflow(1, workflow="middle"))
    await trees.settle()
    middle = await trees.child(trunk)
    leaf = await trees.child(middle)
    claims = await engine.claim(wanted=10)
    await engine.finish(*(one for one in claims if one.flow == middle))
    await trees.settle()
    await engine.finish(*await engine.claim(wanted=10))
    await trees.settle()
    assert all(flow.ended_ms is not None for flow in (await engine.flows()).values())
    count = len(await engine.events())
    asked = Asked("rerun", [1], is_up=True)
    assert await foretold(TreeOperator(stores, leaf, "bob"), asked) == "unneeded"
    assert await done(TreeOperator(stores, leaf, "bob"), asked) == "unneeded"
    assert len(await engine.events()) == count, "the trunk was opened"


async def test_a_dry_run_reads_the_history_of_each_flow_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees, stores = Trees(engine), stores_of(engine)
    await define_all(trees)
    trunk, middle, leaf = await _nested(engine, trees, "hold", "hold")
    read: list[str] = []
    find = flow_operations.find_state

    async def counted(stores: Any, partition: Any, flow: str) -> FlowState:
        read.append(flow)
        return await find(stores, partition, flow)

    monkeypatch.setattr(flow_operations, "find_state", counted)

    async def tell(flow: str, *all_asked: Asked) -> None:
        for asked in all_asked:
            read.clear()
            assert not isinstance(await foretold(TreeOperator(stores, flow, "bob"), asked), str)
            assert sorted(read) == sorted({trunk, middle, leaf}), asked

    held = [Asked(verb) for verb in ("cancel", "pause", "priority")]
    await tell(trunk, *held, Asked("rerun", "all"))
    await tell(leaf, Asked("cancel"))
    await engine.suspend(*await engine.claim())
    await trees.settle()
    await tell(trunk, Asked("resume"), Asked("rerun", "failed"), Asked("ignore", [1]))


async def test_a_task_that_runs_again_because_of_what_is_before_it_leaves_its_child_as_it_is(
    engine: Engine,
) -> None:
    trees, stores = Trees(engine), stores_of(engine)
    await define_all(trees)
    trunk = await engine.register(
        task(1, on_failure="give_up"), subflow(2, 1, workflow="leaf", rule="settled")
    )
    for _ in range(2):
        await engine.suspend(*await engine.claim())
        await trees.settle()
    leaf = await trees.child(trunk, 2)
    assert (await engine.flow(trunk)).task(2).is_held_for_child
    count = len(await engine.events())
    operator = TreeOperator(stores, trunk, "bob")
    effect = await operator.effect_in_tree("failed", "only", {})
    assert (effect.runs, effect.within) == ([1, 2], [])
    assert [(one.flow, one.operation) for one in operator.elsewhere] == [(leaf, "cancel")]
    await TreeOperator(stores, trunk, "bob").rerun("failed", "only", {}, children="ask")
    await trees.settle()
    own = [event for event in (await engine.events())[count:] if isinstance(event, FlowEvent)]
    assert not any(isinstance(event, FlowRerun) and event.flow == leaf for event in own)
    assert [*next(event for event in own if isinstance(event, FlowRerun))] == [1, 2]
    await engine.check()
