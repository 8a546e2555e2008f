"""hand_back: what a worker still holds at its very end waits again at once, and counts against nobody."""

from collections.abc import Sequence

import pytest

from flower_engine.errors import StoreError
from flower_engine.log.client import send
from flower_engine.model.events.attempt_events import TaskReturned
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.tasks.status import Status
from flower_engine.transitions import worker_transitions
from flower_engine.transitions.operator_transitions import pause, resume
from flower_engine.transitions.worker_transitions import hand_back, live_workers
from scripts.engine import Engine, task


def give_up(engine: Engine, worker: str = "w1", queues: Sequence[str] = ("default",)) -> int:
    return hand_back(engine.blocking, engine.partition, worker, queues)


async def test_all_that_a_worker_holds_waits_again_at_once(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2), task(3, 1, 2))
    others = await engine.register(task(1))
    engine.heartbeat("w1")
    await engine.claim(2, worker="w1")
    (kept,) = await engine.claim(1, worker="w2")
    assert give_up(engine) == 2
    state = await engine.flow(flow)
    assert [(one.status, one.lost, one.attempt) for one in state.tasks[:2]] == [(Status.WAIT, 0, 1)] * 2
    assert await live_workers(engine.client, engine.partition) == []
    assert engine.heartbeat("w2", kept) == [], "others keep what they have"
    assert {claim.flow for claim in await engine.work_off("w3")} == {flow}
    assert await engine.finish(kept, worker="w2") == ["ok"]
    assert (await engine.flow(others)).ended_ms is not None


async def test_handing_back_twice_changes_nothing_more(engine: Engine) -> None:
    await engine.register(task(1))
    await engine.claim(worker="w1")
    assert [give_up(engine), give_up(engine)] == [1, 0]
    assert sum(isinstance(event, TaskReturned) for event in await engine.events()) == 1
    await engine.work_off("w2")


async def test_three_workers_that_hand_it_back_make_no_poison_of_a_task(engine: Engine) -> None:
    flow = await engine.register(task(1))
    for number in range(5):
        await engine.claim(worker=f"w{number}")
        assert give_up(engine, f"w{number}") == 1
    state = (await engine.flow(flow)).task(1)
    assert (state.status, state.lost) == (Status.WAIT, 0)
    await engine.work_off("w9")


async def test_a_claim_whose_reply_never_came_is_handed_back_too(engine: Engine) -> None:
    flow = await engine.register(task(1))
    await engine.call("w1", 1, wanted=1)  # nobody reads what it grants
    assert give_up(engine) == 1
    assert (await engine.flow(flow)).task(1).status is Status.WAIT
    await engine.work_off("w2")


async def test_a_call_that_comes_after_it_claims_nothing(engine: Engine) -> None:
    await engine.register_many(2, task(1))
    await engine.claim(1, worker="w1")
    give_up(engine)
    with pytest.raises(StoreError):
        await engine.claim(worker="w1")
    assert len(await engine.work_off("w2")) == 2


async def test_a_heartbeat_that_was_on_its_way_brings_nothing_to_life_again(engine: Engine) -> None:
    await engine.register(task(1))
    (claim,) = await engine.claim(worker="w1")
    give_up(engine)
    assert engine.heartbeat("w1", claim) == []
    assert await live_workers(engine.client, engine.partition) == []
    work = engine.keys.work("default")
    assert await send(engine.client, "XINFO CONSUMERS", work, "workers") == []
    await engine.work_off("w2")


async def test_the_outcome_of_an_attempt_that_was_handed_back_is_refused(engine: Engine) -> None:
    await engine.register(task(1))
    (claim,) = await engine.claim(worker="w1")
    give_up(engine)
    (again,) = await engine.claim(worker="w2")
    assert await engine.finish(claim, worker="w3") == ["stale"]
    assert await engine.finish(again, worker="w2") == ["ok"]


async def test_a_suspect_stays_one_and_somebody_else_may_hold_it(engine: Engine) -> None:
    flow = await engine.register(task(1))
    for number in range(2):
        await engine.crash(*await engine.claim(worker=f"w{number}"), worker=f"w{number}")
    await engine.claim(worker="w2")
    assert give_up(engine, "w2") == 1
    assert not await send(engine.client, "EXISTS", engine.keys.meta.removesuffix("meta") + "suspects")
    assert (await engine.flow(flow)).task(1).lost == 2
    await engine.work_off("w3")


async def test_units_of_limits_are_free_again(engine: Engine) -> None:
    await engine.control(FlowControl(scope="program", name="A", max_running=1))
    await engine.register_many(2, task(1))
    assert len(await engine.claim(worker="w1")) == 1
    give_up(engine)
    assert len(await engine.claim(worker="w2")) == 1
    give_up(engine, "w2")
    for _ in range(2):
        await engine.finish(*await engine.claim(worker="w3"), worker="w3")


async def test_what_is_too_much_for_one_call_takes_several(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_transitions, "_MOST_HANDED_BACK", 3)
    await engine.attend("other")
    await engine.register_many(7, task(1))
    await engine.register_many(4, task(1, queue="other"))
    await engine.claim(worker="w1", queues=("default", "other"))
    assert give_up(engine, queues=("default", "other", "nowhere")) == 11
    assert len(await engine.work_off("w2", queues=("default", "other"))) == 11


async def test_tasks_of_a_flow_that_is_paused_wait_for_it(engine: Engine) -> None:
    flow = await engine.register(task(1))
    await engine.claim(worker="w1")
    await pause(engine.client, engine.partition, flow, by="test")
    assert give_up(engine) == 1
    assert await engine.claim(worker="w2") == []
    await resume(engine.client, engine.partition, flow, by="test")
    await engine.work_off("w2")
