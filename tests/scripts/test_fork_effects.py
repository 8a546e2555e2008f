"""What a fork would take over and run, as it is told before, is what its flow then begins with."""

import random
from collections.abc import Sequence

import pytest

import fuzzing
from flower_engine.errors import RefusedError
from flower_engine.flows.fork_effects import effect_of_fork
from flower_engine.flows.forks import plan_of_fork
from flower_engine.model.definitions.definition import Keying
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.waits.wait_parameters import PROGRAMS
from flower_engine.runtime.deciding import Decider
from scripts.engine import Engine, task
from scripts.test_operation_effects import (
    done,
    ended_in,
    goes_on,
    lead_somewhere,
    operator_end,
    some_tasks,
    something,
)


@pytest.mark.parametrize("seed", range(2))
async def test_what_is_foretold_of_a_fork_comes_true(engine: Engine, seed: int) -> None:
    chance = random.Random(seed)  # the same flows each time
    for _ in range(fuzzing.examples(25)):
        flow = await engine.register(*some_tasks(chance))
        await lead_somewhere(engine, flow, chance)
        now = await engine.flow(flow)
        restored = await engine.restored(flow) if now.ended_ms is not None else None
        await done(engine, flow, something(chance, len(now.tasks)), restored)
        await lead_somewhere(engine, flow, chance)
        await _fork_and_compare(engine, flow, [chance.randint(1, len(now.tasks))])
        await operator_end(engine, flow)
        await engine.check()


async def test_what_is_foretold_of_a_fork_of_maps_comes_true(engine: Engine) -> None:
    chance = random.Random(5)  # the same flows each time
    over = {"over": [1, 2, 3], "program": "A", "as": "n"}
    rows = (
        task(1, program="@map", parameters=over),
        task(2, 1, program="@map", parameters={**over, "over": {"$from": 1}, "aligned": True}),
        task(3, 2, 1, parameters={"all": {"$from": 2}}),
    )
    decider = Decider(engine.client, engine.partition, "w1")
    matched = 0
    for _ in range(fuzzing.examples(6)):
        flow = await engine.register(*rows)
        for _ in range(3):
            await decider.run_once()
            await lead_somewhere(engine, flow, chance)
            tasks = len((await engine.flow(flow)).tasks)
            matched += await _fork_and_compare(engine, flow, [chance.randint(1, tasks)])
        await operator_end(engine, flow)
        await engine.check()
    assert matched


async def _fork_and_compare(engine: Engine, flow: str, tasks: Sequence[int]) -> int:
    """How many maps take over items that they had."""
    old = await engine.flow(flow)
    try:
        plan = plan_of_fork(old, tasks, {}, Keying())
    except RefusedError:
        return 0
    told = effect_of_fork(old, plan)
    forked = (await engine.start(plan)).flow
    while (await engine.exchange()).more:  # what nobody needs any more is cancelled in calls of workers
        pass
    new = await engine.flow(forked)
    about = f"from {tasks} of {_stood(old)}: {_stood(new)}"
    taken = {*new.registered.taken, *new.registered.blobs, *new.registered.ignored}
    runs = {one.planned.seq for one in new.tasks} - ended_in(new)
    assert told.version == old.version
    assert set(told.runs) == runs, about
    assert set(told.kept) == taken, about
    unneeded = {one.planned.seq for one in new.tasks if one.ended_as == "u"}
    assert set(told.cut_off) == unneeded, about
    assert set(told.passed_over) == ended_in(new) - taken - unneeded, about
    assert set(told.ready) == goes_on(new), about
    assert set(told.asked_again) == {seq for seq in runs if new.task(seq).planned.program in PROGRAMS}
    assert set(told.matched) == {one.planned.seq for one in new.tasks if one.is_matched}, about
    assert told.ends == (new.ended_ms is not None)
    await operator_end(engine, forked)
    return len(told.matched)


def _stood(flow: FlowState) -> object:
    return [(one.planned.rule, one.planned.depends_on, one.status, one.ended_as) for one in flow.tasks]
