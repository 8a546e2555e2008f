"""Before a round of a large flow ends its tasks leave their lanes in steps: here two in each."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from flower_engine.errors import RefusedError
from flower_engine.log.client import send
from flower_engine.model.definitions.child_flows import child_flow_id
from flower_engine.model.definitions.definition import TaskDefinition
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.transitions import watcher_transitions
from flower_engine.transitions.operator_transitions import (
    cancel,
    ignore,
    pause,
    prioritise,
    rerun,
    resume,
    unignore,
)
from flower_engine.transitions.snapshot_transitions import snapshot
from scripts.engine import Engine, task
from scripts.small_steps import in_small
from scripts.trees import Trees, subflow

BESIDE = range(2, 8)
INDEPENDENT = [task(seq) for seq in range(1, 8)]
STEPS = 4
"""So many take all of seven tasks out of their lanes."""


@pytest.fixture
async def trees(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Trees:
    in_small(monkeypatch, watcher_transitions, EMPTY_STEP="2")
    return Trees(engine)


async def _step(engine: Engine) -> None:
    """A step is taken, and the round has not ended."""
    assert (await engine.fire()).fired == []
    await engine.check()


async def _asked(trees: Trees, tasks: list[TaskDefinition], steps: int, claims: int = 1) -> tuple[str, str]:
    """A flow and its child, of which task 1 has asked for another round; so many steps were taken since."""
    engine = trees.engine
    await trees.define(*tasks)
    flow = await engine.register(subflow(1))
    await trees.settle()
    asks = next(claim for claim in await engine.claim(claims) if claim.task == 1)
    assert await engine.flow_again(asks) == ["ok"]
    for _ in range(steps):
        await _step(engine)
    return flow, await trees.child(flow)


async def _waiting(engine: Engine) -> int:
    """How many tasks are in lanes."""
    lanes = [name for name in await engine.key_names() if name.startswith("lane:")]
    return sum([await send(engine.client, "ZCARD", engine.keys.lane("") + name[5:]) for name in lanes])


async def _end(trees: Trees) -> None:
    """The round ends, whatever steps are left."""
    for _ in range(STEPS + 1):
        if (await trees.engine.bring_due()).fired:
            break
        await trees.engine.check()
    else:
        raise AssertionError("it goes on for ever")
    await trees.engine.check()


async def _ends_in_the_second_round(trees: Trees, flow: str) -> None:
    engine = trees.engine
    await trees.settle()
    await engine.check()
    second = await trees.child(flow, attempt=2)
    while claims := await engine.work_off():
        assert {claim.flow for claim in claims} <= {second, child_flow_id(second, 7, 1)}
        await trees.settle()
    assert (await engine.flow(flow)).ended_ms is not None
    await engine.check()


def _shape(kind: str) -> list[TaskDefinition]:
    match kind:
        case "a chain":
            return [task(1), *(task(seq, seq - 1) for seq in BESIDE)]
        case "with rules":
            return [task(seq, on_failure="give_up") for seq in range(1, 8)]
        case "with timers":
            return [task(seq, queue_timeout_ms=60_000) for seq in range(1, 8)]
        case "with a cleanup":
            return [*INDEPENDENT[:-1], task(7, 1, rule="settled", finally_=True)]
        case "with another cleanup":
            return [task(1), task(2, 1, rule="settled", finally_=True), *INDEPENDENT[2:]]
        case _:
            return INDEPENDENT


@pytest.mark.parametrize(
    "kind", ["independent", "a chain", "with rules", "with timers", "with a cleanup", "with another cleanup"]
)
async def test_a_round_ends_when_nothing_of_its_flow_is_in_a_lane(trees: Trees, kind: str) -> None:
    engine = trees.engine
    flow, child = await _asked(trees, _shape(kind), 1)
    left = [await _waiting(engine)]
    for _ in range(STEPS - 1):
        await _step(engine)
        left.append(await _waiting(engine))
    assert (left, left[-1]) == (sorted(left, reverse=True), 0)
    assert [what for what, _, _ in (await engine.fire()).fired] == ["round"]
    await engine.check()
    over = await engine.flow(child)
    if "cleanup" in kind:
        assert over.ending is not None
        cleanup = await engine.claim()
        assert [(claim.flow, claim.task) for claim in cleanup] == [(child, 7 if "a cleanup" in kind else 2)]
        await engine.finish(*cleanup)
    else:
        assert over.ended_ms is not None
        assert [one.ended_as for one in over.tasks] == ["c"] * 7
    await _ends_in_the_second_round(trees, flow)


async def test_what_runs_has_failed_or_waits_elsewhere_ends_with_the_rest(trees: Trees) -> None:
    engine = trees.engine
    patient = RetryPolicy(max_attempts=2, delay_ms=60_000)
    tasks = [
        *INDEPENDENT[:4],
        task(5, retry=patient),
        task(6, program="@sleep", parameters={"seconds": 3600}),
    ]
    await trees.define(*tasks, task(7, 3))
    flow = await engine.register(subflow(1))
    await trees.settle()
    asks, runs, _, fails, tries = sorted(await engine.claim(), key=lambda claim: claim.task)
    await engine.suspend(fails)
    await engine.fail(tries)
    assert await engine.flow_again(asks) == ["ok"]
    for _ in range(STEPS):
        await _step(engine)
    assert [what for what, _, _ in (await engine.fire()).fired] == ["round"]
    await engine.check()
    assert "timers" not in await engine.key_names()
    over = await engine.flow(await trees.child(flow))
    assert over.ended_ms is not None
    assert [one.seq for one in (one.planned for one in over.tasks if one.status is Status.SUSPEND)] == [4]
    assert await engine.finish(runs) == ["stale"]
    await trees.settle()
    parent = (await engine.flow(flow)).task(1)
    assert parent.error is not None
    assert (parent.status, parent.error.type) == (Status.SUSPEND, "ChildFailed")
    await engine.check()


async def test_what_is_in_a_lane_may_still_start_and_what_it_frees_waits(trees: Trees) -> None:
    engine = trees.engine
    flow, child = await _asked(trees, [*INDEPENDENT[:5], task(6, 4), task(7, 5)], 1)
    claims = {claim.task: claim for claim in await engine.claim()}
    assert sorted(claims) == [3, 4, 5]
    assert await engine.finish(claims[4]) == ["ok"]
    assert await engine.give_back(claims[3]) == ["ok"]
    await engine.check()
    assert await engine.claim() == []
    await _end(trees)
    assert [one.status for one in (await engine.flow(child)).tasks] == [
        Status.FINISH if one == 4 else Status.IGNORE for one in range(1, 8)
    ]
    assert await engine.finish(claims[5]) == ["stale"]
    await _ends_in_the_second_round(trees, flow)


async def test_a_child_of_the_flow_ends_first(trees: Trees) -> None:
    engine = trees.engine
    await trees.define(task(1), name="leaf")
    flow, child = await _asked(trees, [*INDEPENDENT[:6], subflow(7, workflow="leaf")], STEPS, claims=100)
    await _end(trees)
    assert (await engine.flow(child)).is_ending
    await trees.settle()
    await engine.check()
    assert (await engine.flow(child)).ended_ms is not None
    await _ends_in_the_second_round(trees, flow)


Operate = Callable[[Engine, str], Awaitable[Any]]


async def _pause(engine: Engine, flow: str) -> None:
    await pause(engine.client, engine.partition, flow, by="eve")
    await engine.check()
    assert await _waiting(engine) == 0
    assert (await engine.fire()).fired == []
    await resume(engine.client, engine.partition, flow, by="eve")


async def _prioritise(engine: Engine, flow: str) -> None:
    await prioritise(engine.client, engine.partition, flow, by="eve", priority=5)


async def _ignore(engine: Engine, flow: str) -> None:
    await ignore(engine.client, engine.partition, flow, by="eve", tasks=[2, 7])


async def _ignore_and_back(engine: Engine, flow: str) -> None:
    await _ignore(engine, flow)
    await engine.check()
    await unignore(engine.client, engine.partition, flow, by="eve", tasks=[7])


async def _refused(engine: Engine, flow: str) -> None:
    with pytest.raises(RefusedError, match="waits already"):
        await rerun(engine.client, engine.partition, flow, by="eve", selection=[6])


async def _snapshot(engine: Engine, flow: str) -> None:
    await snapshot(engine.client, engine.partition, [flow], {})


@pytest.mark.parametrize("steps", [1, STEPS])
@pytest.mark.parametrize("operate", [_pause, _prioritise, _ignore, _ignore_and_back, _refused, _snapshot])
async def test_after_an_operation_in_between_the_round_ends_all_the_same(
    trees: Trees, operate: Operate, steps: int
) -> None:
    engine = trees.engine
    flow, child = await _asked(trees, INDEPENDENT, steps)
    await operate(engine, child)
    await engine.check()
    await _end(trees)
    assert (await engine.flow(child)).ended_ms is not None
    await _ends_in_the_second_round(trees, flow)


@pytest.mark.parametrize("kind", ["independent", "with rules", "with timers", "with a cleanup"])
@pytest.mark.parametrize("steps", [1, STEPS])
async def test_a_rerun_of_what_asked_brings_all_back_to_their_lanes(
    trees: Trees, kind: str, steps: int
) -> None:
    engine = trees.engine
    flow, child = await _asked(trees, _shape(kind), steps)
    await rerun(engine.client, engine.partition, child, by="eve", selection=[1])
    await engine.check()
    assert (await engine.fire()).fired == []
    assert {(claim.flow, claim.task) for claim in await engine.work_off()} == {
        (child, seq) for seq in range(1, 8)
    }
    await trees.settle()
    assert (await engine.flow(flow)).ended_ms is not None
    await engine.check()


@pytest.mark.parametrize("steps", [1, STEPS])
async def test_an_ignore_of_what_asked_brings_the_others_back(trees: Trees, steps: int) -> None:
    engine = trees.engine
    _, child = await _asked(trees, INDEPENDENT, steps)
    await ignore(engine.client, engine.partition, child, by="eve", tasks=[1])
    await engine.check()
    assert {(claim.flow, claim.task) for claim in await engine.work_off()} == {(child, seq) for seq in BESIDE}
    await engine.check()


@pytest.mark.parametrize("kind", ["independent", "with timers", "with a cleanup"])
@pytest.mark.parametrize("steps", [1, STEPS])
async def test_a_cancel_in_between_ends_the_flow(trees: Trees, kind: str, steps: int) -> None:
    engine = trees.engine
    _, child = await _asked(trees, _shape(kind), steps)
    await cancel(engine.client, engine.partition, child, by="eve")
    await engine.check()
    assert [claim.task for claim in await engine.work_off()] == ([7] if "cleanup" in kind else [])
    assert (await engine.flow(child)).ended_ms is not None
    await engine.check()


@pytest.mark.parametrize("steps", [1, STEPS])
async def test_where_a_join_cancels_what_asked_the_others_come_back(trees: Trees, steps: int) -> None:
    engine = trees.engine
    await trees.define(task(1), task(2), task(3, 1, 2, rule="any:cancel"), *INDEPENDENT[3:])
    flow = await engine.register(subflow(1))
    await trees.settle()
    asks, other = await engine.claim(2)
    assert await engine.flow_again(asks) == ["ok"]
    for _ in range(steps):
        await _step(engine)
    assert await engine.finish(other) == ["ok"]
    await engine.check()
    started = await engine.claim(0)
    await engine.check()
    child = await engine.flow(await trees.child(flow))
    assert (child.again, child.task(1).ended_as) == (None, "u")
    assert (await engine.fire()).fired == []
    await engine.check()
    await engine.finish(*started)
    assert {claim.task for claim in await engine.work_off()} == {3, 4, 5, 6, 7}
    await trees.settle()
    assert (await engine.flow(flow)).ended_ms is not None
    await engine.check()
