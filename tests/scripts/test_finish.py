"""finish_and_claim, its first half: what becomes of outcomes."""

import msgspec
import pytest

from flower_engine.log.client import send
from flower_engine.model.events.attempt_events import TaskFinished, TaskReturned, TaskStarted, TaskSuspended
from flower_engine.model.events.events import OutcomeRefused
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.worker_transitions import Claim, Outcome
from scripts.engine import Engine, chain, fan, task


async def test_finishing_a_task_makes_its_dependents_ready_in_the_same_call(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2, 1), task(3, 1), task(4, 2, 3))
    held = await engine.claim()
    assert [claim.task for claim in held] == [1]
    outcome = Outcome(held[0], OutcomeKind.FINISHED, b'{"rows":7}')
    got = await engine.exchange(outcomes=[outcome], wanted=10)
    assert (got.words, [claim.task for claim in got.claims]) == (["ok"], [2, 3])
    state = await engine.flow(flow)
    assert (state.task(1).status, state.task(1).result) == (Status.FINISH, b'{"rows":7}')


async def test_a_task_with_two_dependencies_waits_for_the_later_one(engine: Engine) -> None:
    await engine.register(task(1), task(2), task(3, 1, 2))
    one, two = await engine.claim()
    await engine.finish(two)
    assert await engine.claim() == []
    await engine.finish(one)
    assert [claim.task for claim in await engine.claim()] == [3]


async def test_two_dependencies_that_finish_in_one_call_free_their_dependent_once(engine: Engine) -> None:
    await engine.register(task(1), task(2), task(3, 1, 2))
    assert await engine.finish(*await engine.claim()) == ["ok", "ok"]
    assert [claim.task for claim in await engine.claim()] == [3]


async def test_a_claim_carries_what_a_worker_needs_to_run_it(engine: Engine) -> None:
    flow = await engine.register(task(70, program="Mail"), workflow="nightly")
    (claim,) = await engine.claim()
    assert (claim.flow, claim.task, claim.attempt, claim.queue) == (flow, 1, 1, b"default")
    assert msgspec.json.decode(claim.message) == {
        "workflow": "nightly",
        "task_seq": 70,
        "program": "Mail",
        "parameters": {},
    }


async def test_a_task_is_started_and_ended_in_the_log_under_its_lease(engine: Engine) -> None:
    flow = await engine.register(task(1))
    (claim,) = await engine.claim(worker="w7")
    await engine.finish(claim, worker="w7")
    started, finished = (await engine.events())[-2:]
    lease = claim.lease.decode()
    assert started == TaskStarted(at=started.at, flow=flow, v=2, task=1, attempt=1, lease=lease, worker="w7")
    assert finished == TaskFinished(at=finished.at, flow=flow, v=3, task=1, attempt=1, lease=lease, ends=True)


async def test_with_its_last_task_the_flow_ends_and_leaves_redis(engine: Engine) -> None:
    flow = await engine.register(*chain(2))
    await engine.work_off()
    state = await engine.flow(flow)
    assert (state.status, state.left) == (Status.FINISH, 0)
    assert state.ended_ms is not None
    names = await engine.key_names()
    assert f"ended:{flow}" in names
    assert not {name for name in names if name.startswith(("flow:", "lane:", "share:", "ready:"))}
    assert await send(engine.client, "XLEN", engine.keys.work("default")) == 0


async def test_a_suspended_task_stays_with_its_flow_and_frees_nothing(engine: Engine) -> None:
    flow = await engine.register(*chain(2))
    (claim,) = await engine.claim()
    error = b'{"type":"ValueError","message":"no such file","traceback":"line 1\\nline 2"}'
    assert await engine.suspend(claim, payload=error) == ["ok"]
    assert await engine.claim() == []
    suspended = (await engine.events())[-1]
    assert isinstance(suspended, TaskSuspended)
    assert (suspended.error.message, suspended.error.traceback) == ("no such file", "line 1\nline 2")
    state = await engine.flow(flow)
    assert (state.status, state.ended_ms) == (Status.SUSPEND, None)
    assert f"flow:{flow}" in await engine.key_names()
    assert await send(engine.client, "XLEN", engine.keys.work("default")) == 0


async def test_the_other_branches_of_a_suspended_flow_go_on(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2), task(3, 2))
    one, two = await engine.claim()
    await engine.suspend(one)
    await engine.finish(two)
    await engine.work_off()
    assert [row.status for row in (await engine.flow(flow)).tasks] == [
        Status.SUSPEND,
        Status.FINISH,
        Status.FINISH,
    ]


async def test_a_returned_task_waits_again_and_gets_its_next_attempt(engine: Engine) -> None:
    await engine.register(task(1))
    (claim,) = await engine.claim()
    assert await engine.give_back(claim) == ["ok"]
    assert isinstance((await engine.events())[-1], TaskReturned)
    (again,) = await engine.claim(worker="w2")
    assert (again.member, again.attempt) == (claim.member, 2)
    assert again.lease != claim.lease
    assert await engine.finish(again, worker="w2") == ["ok"]


async def test_a_returned_task_may_go_to_the_same_worker_in_the_same_call(engine: Engine) -> None:
    await engine.register(task(1))
    (claim,) = await engine.claim()
    got = await engine.exchange(outcomes=[Outcome(claim, OutcomeKind.RETURNED)], wanted=1)
    assert [again.attempt for again in got.claims] == [2]
    await engine.finish(*got.claims)


async def test_an_outcome_handed_in_twice_counts_once(engine: Engine) -> None:
    await engine.register(*chain(2))
    (claim,) = await engine.claim()
    assert await engine.finish(claim) == ["ok"]
    before = await engine.raw_events()
    assert await engine.finish(claim) == ["duplicate"]
    assert await engine.suspend(claim) == ["duplicate"]
    assert await engine.raw_events() == before


async def test_the_outcome_that_ended_a_flow_counts_once(engine: Engine) -> None:
    await engine.register(task(1))
    (claim,) = await engine.claim()
    assert await engine.finish(claim, claim) == ["ok", "duplicate"]
    before = await engine.raw_events()
    assert await engine.finish(claim) == ["duplicate"]
    assert await engine.raw_events() == before


async def test_a_late_outcome_is_refused_and_recorded(engine: Engine) -> None:
    flow = await engine.register(*chain(2))
    (old,) = await engine.claim(worker="w1")
    await engine.give_back(old)
    (new,) = await engine.claim(worker="w2")
    assert await engine.finish(old, worker="w1") == ["stale"]
    (refused,) = await engine.refused()
    assert refused == OutcomeRefused(
        at=refused.at, flow=flow, task=1, lease=old.lease.decode(), worker="w1", outcome="finished"
    )
    assert (await engine.flow(flow)).task(1).status is Status.RUNNING
    assert await engine.finish(new, worker="w2") == ["ok"]


async def test_a_late_outcome_of_a_task_that_waits_again_is_refused(engine: Engine) -> None:
    await engine.register(task(1))
    (old,) = await engine.claim()
    await engine.give_back(old)
    assert await engine.suspend(old) == ["stale"]
    assert [event.outcome for event in await engine.refused()] == ["suspended"]
    await engine.work_off()


async def test_a_late_outcome_of_a_flow_that_ended_is_refused_and_recorded(engine: Engine) -> None:
    await engine.register(task(1))
    (old,) = await engine.claim()
    await engine.give_back(old)
    await engine.work_off("w2")
    assert await engine.finish(old) == ["stale"]
    assert [event.lease for event in await engine.refused()] == [old.lease.decode()]


async def test_an_outcome_of_a_flow_that_nobody_knows_is_absent(engine: Engine) -> None:
    await engine.register(task(1))
    (claim,) = await engine.claim()
    foreign = Claim(claim.lease, f"{engine.new_id()}:1".encode(), claim.queue, 1, b"{}")
    before = await engine.raw_events()
    assert await engine.finish(foreign) == ["absent"]
    assert await engine.raw_events() == before
    await engine.finish(claim)


async def test_outcomes_of_one_call_are_judged_one_by_one(engine: Engine) -> None:
    flows = await engine.register_many(3, *chain(2))
    one, two, three = await engine.claim()
    await engine.give_back(two)
    got = await engine.exchange(
        outcomes=[
            Outcome(one, OutcomeKind.FINISHED),
            Outcome(two, OutcomeKind.FINISHED),
            Outcome(three, OutcomeKind.SUSPENDED, b'{"type":"E","message":"m"}'),
            Outcome(one, OutcomeKind.FINISHED),
        ]
    )
    assert got.words == ["ok", "stale", "ok", "duplicate"]
    statuses = [(await engine.flow(flow)).task(1).status for flow in flows]
    assert statuses == [Status.FINISH, Status.WAIT, Status.SUSPEND]


async def test_a_result_may_be_any_json(engine: Engine) -> None:
    flow = await engine.register(task(1))
    (claim,) = await engine.claim()
    result = '{"quote":"\\"","line":"\\n","flower":"花","deep":[[[]]],"big":12345678901234567890}'.encode()
    await engine.finish(claim, payload=result)
    assert (await engine.flow(flow)).task(1).result == result


async def test_work_of_a_whole_diamond_ends_it(engine: Engine) -> None:
    flow = await engine.register(*fan(2))
    ran = await engine.work_off()
    assert [claim.task for claim in ran] == [1, 2, 3, 4]
    assert (await engine.flow(flow)).status is Status.FINISH


@pytest.mark.parametrize("slots", [50, 499, 5_000])
async def test_a_fan_out_of_5000_runs_to_its_end_with_no_task_left_behind(engine: Engine, slots: int) -> None:
    flow = await engine.register(*fan(5_000))
    ran = await engine.work_off(slots=slots)
    assert [claim.task for claim in ran[:1] + ran[-1:]] == [1, 5_002]
    assert sorted(claim.task for claim in ran) == list(range(1, 5_003))
    assert (await engine.flow(flow)).status is Status.FINISH


async def test_a_wide_fan_out_is_released_in_bounded_steps(engine: Engine) -> None:
    width = 1_600
    await engine.register(*fan(width))
    (first,) = await engine.claim()
    got = await engine.exchange(outcomes=[Outcome(first, OutcomeKind.FINISHED)], wanted=width)
    released = [len(got.claims)]
    while got.more:
        got = await engine.exchange(wanted=width)
        released.append(len(got.claims))
        await engine.check()
    assert sum(released) == width
    assert max(released) <= 500


async def test_any_worker_goes_on_with_a_release_that_another_began(engine: Engine) -> None:
    await engine.register(*fan(2_000))
    (first,) = await engine.claim(worker="w1")
    await engine.finish(first, worker="w1")
    ran = await engine.work_off("w2")
    assert len(ran) == 2_001


async def test_a_flow_can_fan_in_while_it_still_fans_out(engine: Engine) -> None:
    """Tasks released by the first steps end while later ones are not released yet."""
    flow = await engine.register(*fan(3_000))
    ran = await engine.work_off(slots=50)
    assert len(ran) == 3_002
    assert (await engine.flow(flow)).status is Status.FINISH


async def test_two_wide_tasks_with_the_same_dependents_free_them_once(engine: Engine) -> None:
    middle = range(3, 1_503)
    flow = await engine.register(task(1), task(2), *(task(seq, 1, 2) for seq in middle), task(1_503, *middle))
    ran = await engine.work_off()
    assert sorted(claim.task for claim in ran) == list(range(1, 1_504))
    assert (await engine.flow(flow)).status is Status.FINISH


async def test_a_worker_may_have_thousands_of_slots(engine: Engine) -> None:
    await engine.register_many(9_000, task(1))
    held = await engine.claim(9_000)
    assert len(held) == 9_000
    assert set(await engine.finish(*held)) == {"ok"}


async def test_outcomes_can_be_handed_in_without_serving_anything(engine: Engine) -> None:
    await engine.register(task(1))
    (claim,) = await engine.claim()
    got = await engine.exchange(
        outcomes=[Outcome(claim, OutcomeKind.FINISHED)], wanted=0, queues=[], programs=[]
    )
    assert got.words == ["ok"]


async def test_a_worker_without_programs_gets_nothing(engine: Engine) -> None:
    await engine.register(task(1))
    assert await engine.claim(programs=[]) == []
    await engine.work_off()
