"""A Redis that went back while nothing was projected keeps all that it still has, and says what is lost."""

import pytest

from flower_engine.errors import LostError
from flower_engine.log.partition import read_meta
from flower_engine.model.events.attempt_events import TaskStarted
from flower_engine.model.events.events import LogOpened
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.tasks.status import Status
from flower_engine.runtime.loss_recovery import recover_lost
from flower_engine.runtime.redis_loss import why_not
from flower_engine.runtime.redis_recovery import Recovered
from flower_engine.runtime.settings import Settings
from flower_engine.transitions.recovery_transitions import Rebuilding
from recovery.both import Both
from scripts.engine import chain, task


def _say_nothing(_what: str, _done: int, _total: int) -> None:
    pass


async def _recover(both: Both, settings: Settings) -> Recovered:
    (result,) = await recover_lost(both.client, settings, _say_nothing)
    await both.take_up()
    return result


async def test_what_was_finished_before_the_rewind_and_never_archived_is_kept(
    both: Both, settings: Settings
) -> None:
    engine = both.engine
    archived = await engine.register(*chain(2))
    await both.project()
    (first,) = await engine.claim()
    await engine.finish(first)  # nobody projects from here on
    acknowledged = await engine.register(*chain(2))
    claims = await engine.claim()
    copied = await both.copy()
    lost = await engine.register(task(1))
    claims += await engine.claim()
    await both.go_back(copied)
    with pytest.raises(LostError):
        await engine.finish(*claims)

    meta = await read_meta(both.client, 0)
    said = why_not(0, meta)
    assert "Redis went back in time" in said
    assert "cannot be brought back: 1 outcomes came for flows that it does not know" in said
    result = await _recover(both, settings)
    assert (result.forked, result.rewound, result.running) == (0, 1, 2)
    assert "1 outcomes came for flows" in str(result)

    await engine.work_off("w2")
    flows = await both.check()
    assert set(flows) == {archived, acknowledged}
    assert lost not in flows
    starts = [event for event in await both.archived() if isinstance(event, TaskStarted)]
    assert [event.attempt for event in starts if (event.flow, event.task) == (archived, 1)] == [1]
    assert all(_is_finished(flow) for flow in flows.values())
    assert [event.generation for event in await both.archived() if isinstance(event, LogOpened)] == [1, 2]


async def test_where_the_archive_knows_of_later_its_history_wins_as_ever(
    both: Both, settings: Settings
) -> None:
    engine = both.engine
    await engine.exchange(wanted=1)
    copied = await both.copy()
    known = await engine.register(*chain(2))
    (claim,) = await engine.claim()
    await both.project()
    await both.go_back(copied)
    forked = await engine.register(task(1))
    with pytest.raises(LostError):
        await engine.finish(claim)
    result = await _recover(both, settings)
    assert (result.registered_again, result.rewound) == (1, 1)
    await engine.work_off("w2")
    assert set(await both.check()) == {known, forked}


async def test_nothing_is_projected_yet(both: Both, settings: Settings) -> None:
    engine = both.engine
    flow = await engine.register(task(1))
    await engine.exchange(wanted=0)
    copied = await both.copy()
    await engine.exchange(wanted=0)
    await both.go_back(copied)
    with pytest.raises(LostError):
        await engine.exchange(wanted=0)
    assert (await _recover(both, settings)).flows == 1
    await engine.work_off("w2")
    assert _is_finished((await both.check())[flow])


async def test_a_recovery_that_is_killed_before_it_archived_the_rest_keeps_it_when_begun_again(
    both: Both, settings: Settings
) -> None:
    engine = both.engine
    flow = await engine.register(task(1))
    (claim,) = await engine.claim()
    await engine.finish(claim)
    copied = await both.copy()
    await engine.exchange(wanted=0)
    await both.go_back(copied)
    with pytest.raises(LostError):
        await engine.exchange(wanted=0)
    # The first steps of the one that is killed.
    await Rebuilding(both.client, 0, "2").fence(engine.partition.installation, 1, 1)
    await both.connection.execute("UPDATE kr_projection SET generation = 2")
    result = await _recover(both, settings)
    assert (result.forked, result.flows) == (0, 0)
    flows = await both.check()
    assert _is_finished(flows[flow])


def _is_finished(flow: FlowState) -> bool:
    return all(one.status is Status.FINISH for one in flow.tasks)
