"""What beside a flow would hold what an operation starts, as it is told before, is what then holds it: places
of flows and of children, and pauses of scopes."""

import random
from collections.abc import Sequence
from types import NoneType
from typing import Any, cast

import pytest

import fuzzing
from flower_engine.errors import FlowLimitError, UnknownFlowError
from flower_engine.flows import held_up
from flower_engine.flows.bulk_effects import foretell
from flower_engine.flows.bulk_operations import BulkOperation
from flower_engine.flows.effects import Effect
from flower_engine.flows.fork_effects import effect_of_fork
from flower_engine.flows.forks import plan_of_fork
from flower_engine.flows.held_up import HoldingUp
from flower_engine.flows.memory_stores import MemoryStores
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.tree_operations import TreeOperator
from flower_engine.insight import obstacles
from flower_engine.insight.children_in_line import InLine
from flower_engine.insight.obstacles import find_obstacles
from flower_engine.model.definitions.definition import Keying, TaskDefinition
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_spec import DEFAULT_QUEUE
from flower_engine.projection.read.alike_tasks import AlikeFlow
from flower_engine.projection.read.wait_views import NoPlace, NoPlaceInMap, Paused, ScopePaused, WaitReason
from flower_engine.transitions.worker_transitions import Outcome
from scripts.engine import AN_ERROR, Engine, task
from scripts.test_tree_effects import Asked, done, end_all, foretold, stores_of
from scripts.trees import Trees, mapped, subflow

ENDS = (OutcomeKind.FINISHED, OutcomeKind.SUSPENDED, OutcomeKind.SUSPENDED)


def some_tasks(chance: random.Random) -> list[TaskDefinition]:
    rows: list[TaskDefinition] = []
    for seq in range(1, chance.randint(1, 3) + 1):
        before = [other for other in range(1, seq) if chance.random() < 0.4]
        rows.append(task(seq, *before, program=chance.choice(["A", "B"]), priority=chance.choice([0, 5])))
    return rows


def some_controls(chance: random.Random) -> list[FlowControl]:
    most = chance.choice([1, 1, 2, None])
    counts = chance.random() < 0.3
    paused = chance.random() < 0.2
    rows = [
        FlowControl(scope="workflow", name="etl", max_flows=most, count_suspended=counts, is_paused=paused)
    ]
    if chance.random() < 0.3:
        rows.append(
            FlowControl(scope="program", name="B", is_paused=True, changed_by="ann", reason="new disks")
        )
    if chance.random() < 0.1:
        rows.append(FlowControl(scope="queue", name=DEFAULT_QUEUE, is_paused=True))
    if chance.random() < 0.1:
        rows.append(FlowControl(scope="global", is_paused=True))
    return rows


async def held_by(engine: Engine, flow: str, tasks: Sequence[int]) -> dict[int, WaitReason]:
    """What holds each of these tasks now, as ``flower why`` finds it."""
    served = {(DEFAULT_QUEUE, program) for program in engine.programs}
    found: dict[int, WaitReason] = {}
    for seq, stop in (await find_obstacles(engine.client, engine.partition, flow, tasks, served)).items():
        match stop:
            case obstacles.NoPlace(under_way, most, ahead):
                found[seq] = NoPlace(under_way, most, ahead)
            case InLine(of, number, inside, most, ahead):
                found[seq] = NoPlaceInMap(of, number, inside, most, ahead)
            case obstacles.Held(scope, name):
                found[seq] = ScopePaused(scope, name)
            case _:
                pass
    return found


def told_of(effect: Effect) -> dict[int, WaitReason]:
    told: dict[int, WaitReason] = {}
    for one in effect.held_up:
        reason = one.reason
        if isinstance(reason, ScopePaused):
            reason = ScopePaused(reason.scope, reason.name)
        told |= dict.fromkeys(one.tasks, reason)
    return told


async def compare(engine: Engine, flow: str, effect: Effect, about: str) -> int:
    """How many tasks were held up, as it was told."""
    told, now = told_of(effect), await engine.flow(flow)
    assert not told.keys() & set(effect.ready), about
    asked = [seq for seq in sorted({*told, *effect.ready}) if now.task(seq).awaiting is None]
    held = await held_by(engine, flow, asked)
    if now.paused is not None:
        held = dict.fromkeys(asked, Paused(now.paused.by))
    assert told == held, about
    return len(held)


def something(chance: random.Random, flow: FlowState) -> Asked:
    chosen = [chance.randint(1, len(flow.tasks))]
    ignored = [one.planned.seq for one in flow.tasks if one.status is Status.IGNORE]
    held = [one.planned.seq for one in flow.tasks if one.is_held]
    verbs = ["rerun", "rerun", "ignore"] + ["unignore"] * 2 * bool(ignored) + ["resume", "pause"]
    verb = "resume" if flow.paused is not None and chance.random() < 0.7 else chance.choice(verbs)
    selection: Any = {"unignore": ignored[:1] or chosen, "ignore": held[:1] or chosen}.get(verb)
    return Asked(
        verb, selection or chance.choice(["failed", "all", chosen]), chance.choice(["", "dependents"])
    )


async def _lead_somewhere(engine: Engine, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 3)):
        claims = await engine.claim(wanted=chance.randint(1, 3))
        kinds = [chance.choice(ENDS) for _ in claims]
        outcomes = [
            Outcome(claim, kind, b"[1]" if kind is OutcomeKind.FINISHED else AN_ERROR)
            for claim, kind in zip(claims, kinds, strict=True)
        ]
        await engine.exchange("w1", outcomes=outcomes)


@pytest.mark.parametrize("seed", range(2))
async def test_what_would_hold_an_operation_up_is_told_before(engine: Engine, seed: int) -> None:
    chance = random.Random(seed)  # the same flows each time
    engine.programs |= {"A", "B"}
    stores, held = stores_of(engine), 0
    for _ in range(fuzzing.examples(8)):
        await engine.control()
        flows = [await engine.register(*some_tasks(chance)) for _ in range(chance.randint(2, 4))]
        await engine.control(*some_controls(chance))
        for _ in range(4):
            await _lead_somewhere(engine, chance)
            if chance.random() < 0.3:
                await engine.control(*some_controls(chance))
            held += await _try(engine, stores, chance, await engine.flow(chance.choice(flows)))
        await engine.control()
        await _end(engine, flows)
    assert held  # else nothing was compared


async def _try(engine: Engine, stores: MemoryStores, chance: random.Random, flow: FlowState) -> int:
    asked = something(chance, flow)
    told = await foretold(TreeOperator(stores, flow.flow, "bob"), asked)
    if isinstance(told, str):
        return 0
    await HoldingUp(stores).tell(flow.flow, told.effect, told.elsewhere)
    ready = {one.planned.seq for one in flow.tasks if one.is_ready}
    assert await done(TreeOperator(stores, flow.flow, "bob"), asked) == ""
    about = f"{asked} of {[(one.planned, one.status) for one in flow.tasks]}, {ready}, {told.effect}"
    return 0 if asked.verb == "pause" else await compare(engine, flow.flow, told.effect, about)


async def _end(engine: Engine, flows: Sequence[str]) -> None:
    for flow in flows:
        operator = TreeOperator(stores_of(engine), flow, "bob")
        if (await engine.flow(flow)).ended_ms is None:
            await operator.cancel("")
    await engine.check()


def _some_tree(chance: random.Random) -> list[TaskDefinition]:
    over, limit = ["mon", "tue", "wed"], chance.choice([1, 1, 2, None])
    bounds = {} if limit is None else {"limit": limit}
    rows: list[TaskDefinition] = [mapped(1, over=over, workflow=chance.choice(["leaf", "nest"]), **bounds)]
    for seq in range(2, chance.randint(1, 3) + 1):
        given = {"day": "sun", "n": 0}
        rows.append(subflow(seq, workflow=chance.choice(["leaf", "nest"]), given=given))
    return rows


def _some_bounds(chance: random.Random) -> list[FlowControl]:
    bounds = [FlowControl(scope="workflow", name="leaf", max_flows=chance.choice([1, 2]))]
    if chance.random() < 0.3:
        bounds.append(FlowControl(scope="workflow", name="nest", max_flows=1))
    if chance.random() < 0.2:
        bounds.append(FlowControl(scope="program", name="A", is_paused=True))
    return bounds


@pytest.mark.parametrize("seed", range(2))
async def test_what_would_hold_a_tree_up_is_told_before(engine: Engine, seed: int) -> None:
    chance = random.Random(seed)  # the same trees each time
    trees, stores, held = Trees(engine), stores_of(engine), 0
    given: dict[str, Any] = {"day": "", "n": 0}
    await trees.define(task(1, parameters=given), task(2, 1), name="leaf")
    nested = subflow(1, workflow="leaf", given={"day": "sat", "n": 1})
    await trees.define(nested, task(2, program="B", parameters=given), name="nest")
    for _ in range(fuzzing.examples(4)):
        trunk = await engine.register(*_some_tree(chance))
        await engine.control(*_some_bounds(chance))
        for _ in range(3):
            await _lead_tree(engine, trees, chance)
            flows = list((await engine.flows()).values())
            held += await _try_tree(engine, stores, chance, chance.choice([flows[0], chance.choice(flows)]))
        await engine.control()
        await end_all(engine, trees, trunk)
        await engine.check()
    assert held  # else nothing was compared


async def _lead_tree(engine: Engine, trees: Trees, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 4)):
        await trees.settle()
        await _lead_somewhere(engine, chance)
    await trees.settle()


async def _try_tree(engine: Engine, stores: MemoryStores, chance: random.Random, flow: FlowState) -> int:
    failed = Asked("rerun", "failed", is_up=flow.parent is not None and chance.random() < 0.3)
    asked = chance.choice([failed, failed, something(chance, flow)])
    told = await foretold(TreeOperator(stores, flow.flow, "bob"), asked)
    if isinstance(told, str):
        return 0
    await HoldingUp(stores).tell(flow.flow, told.effect, told.elsewhere)
    assert await done(TreeOperator(stores, flow.flow, "bob"), asked) == ""
    if asked.verb not in ("rerun", "unignore", "ignore"):
        return 0
    effects = {one.flow: one.effect for one in told.elsewhere if one.operation == "rerun" and one.effect}
    effects[flow.flow] = told.effect
    about = f"{asked} of {flow.flow}: {[(one, said.ready, said.held_up) for one, said in effects.items()]}"
    return sum([await compare(engine, one, effect, f"{one}: {about}") for one, effect in effects.items()])


async def test_children_of_a_map_are_told_of_that_would_wait_for_its_window(engine: Engine) -> None:
    trees, stores = Trees(engine), stores_of(engine)
    await trees.define(task(1, parameters={"day": "", "n": 0}), task(2, 1), name="leaf")
    trunk = await engine.register(mapped(1, over=["mon", "tue", "wed"], workflow="leaf", limit=1))
    for _ in range(3):  # each fails, and gives its place to the next one
        await trees.settle()
        await engine.suspend(*await engine.claim())
    await trees.settle()
    operator = TreeOperator(stores, trunk, "bob")
    told = await foretold(operator, asked := Asked("rerun", "failed"))
    assert not isinstance(told, str)
    await HoldingUp(stores).tell(trunk, told.effect, told.elsewhere)
    effects = {one.flow: one.effect for one in told.elsewhere if one.effect is not None}
    assert [len(one.held_up) for one in effects.values()] == [0, 1, 1]
    assert await done(TreeOperator(stores, trunk, "bob"), asked) == ""
    assert [await compare(engine, flow, effect, flow) for flow, effect in effects.items()] == [0, 1, 1]


@pytest.mark.parametrize("choice", ["queue", "reject", "skip", "cancel_oldest"])
async def test_a_fork_says_what_a_limit_of_flows_makes_of_it(engine: Engine, choice: Any) -> None:
    stores = stores_of(engine)
    old, other = await engine.register(task(1), task(2, 1)), await engine.register(task(1))
    await engine.control(FlowControl(scope="workflow", name="etl", max_flows=2, at_max_flows=choice))
    state = await engine.flow(old)
    plan = plan_of_fork(state, [1], {}, Keying())
    effect = effect_of_fork(state, plan)
    if choice == "reject":
        with pytest.raises(FlowLimitError):
            await HoldingUp(stores).tell_of_new([engine.partition], effect)
        assert (await engine.start(plan)).word == "full"
        return
    said = await HoldingUp(stores).tell_of_new([engine.partition], effect)
    begun = await engine.start(plan)
    if choice == "queue":
        assert (said, effect.ready, told_of(effect)) == ([], [], {1: NoPlace(2, 2, 0)})
        await compare(engine, begun.flow, effect, choice)
    elif choice == "skip":
        assert (begun.word, begun.flow, effect.runs) == ("skipped", other, [])
        assert other in said[0]
    else:
        assert (effect.ready, effect.held_up) == ([1], [])
        assert old in said[0]
        assert (await engine.flow(old)).ended_ms is not None


@pytest.mark.parametrize("choice", ["queue", "reject", "skip", "cancel_oldest"])
async def test_a_fork_finds_a_place_where_the_last_flow_ends_while_that_is_looked_at(
    engine: Engine, choice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await engine.register(task(1))
    await engine.control(FlowControl(scope="workflow", name="etl", max_flows=1, at_max_flows=choice))
    effect = effect_of_fork(state := await engine.flow(old), plan_of_fork(state, [1], {}, Keying()))
    is_full = held_up._Limits.is_full  # pyright: ignore[reportPrivateUsage]

    async def full_before(limits: Any, workflow: str) -> bool:
        assert await is_full(limits, workflow)
        await engine.work_off()
        return True

    monkeypatch.setattr(held_up._Limits, "is_full", full_before)  # pyright: ignore[reportPrivateUsage]
    assert await HoldingUp(stores_of(engine)).tell_of_new([engine.partition], effect) == []
    assert (effect.ready, effect.held_up) == ([1], [])


async def test_a_flow_that_nothing_can_be_done_to_does_not_keep_bulk_from_telling_of_others(
    engine: Engine,
) -> None:
    flow, stores = await engine.register(task(1)), stores_of(engine)
    unknown = AlikeFlow("f" * len(flow), "etl", [])
    told = await foretell(
        cast(PostgresStores, stores),
        [unknown, AlikeFlow(flow, "etl", [])],
        BulkOperation(name="cancel", by="bob"),
    )
    assert [(one.flow, type(one.refusal)) for one in told] == [
        (unknown.flow, UnknownFlowError),
        (flow, NoneType),
    ]
