"""Loops: a program asks for another round of its task, with other parameters, at once or later."""

import json
from typing import Any

import pytest

from flower_engine.log.client import send
from flower_engine.model.events.attempt_events import TaskAgain, TaskSuspended
from flower_engine.model.flow_control.flow_control import FlowControl, Strike
from flower_engine.model.folding.fold import fold
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.transitions.operator_transitions import cancel, ignore, rerun
from flower_engine.transitions.strike_transition import sweep
from flower_engine.transitions.worker_transitions import Claim, Outcome, Reported
from scripts.engine import Engine, chain, task
from scripts.test_maps import MAPPED, expand, run_again

TWO = RetryPolicy(max_attempts=2, delay_ms=0)


async def rounds(engine: Engine) -> list[TaskAgain]:
    return [event for event in await engine.events() if isinstance(event, TaskAgain)]


def message(claim: Claim) -> dict[str, Any]:
    """What a claim tells its worker."""
    return json.loads(claim.message)


async def test_a_program_gets_another_round_with_what_it_gave(engine: Engine) -> None:
    flow = await engine.register(task(1, parameters={"cursor": 0, "size": 5}), task(2, 1))
    (first,) = await engine.claim()
    assert "round" not in message(first)
    (second,) = (
        await engine.exchange(outcomes=[Outcome(first, OutcomeKind.AGAIN, b'{"cursor":40}')], wanted=10)
    ).claims
    assert (second.task, second.attempt) == (1, 2)
    told = message(second)
    assert (told["round"], told["given"], told["parameters"]) == (1, {"cursor": 40}, {"cursor": 0, "size": 5})
    await engine.check()
    assert await engine.finish(second) == ["ok"]
    assert [claim.task for claim in await engine.work_off()] == [2]
    assert (await engine.flow(flow)).rounds == 1
    await engine.check()


async def test_a_later_round_waits_for_its_time_without_a_lane(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2))
    first, second = await engine.claim()
    await engine.again(first, after_ms=20_000)
    waiting = (await engine.flow(flow)).task(1)
    assert (waiting.status, waiting.round, waiting.again_ms is None) == (Status.WAIT, 1, False)
    assert await engine.claim() == []
    assert (await engine.fire()).fired == []
    await engine.check()
    fired = await engine.bring_due()
    assert fired.fired == [("retry", flow, 1)]
    (again,) = await engine.claim()
    assert (again.task, again.attempt, message(again)["round"]) == (1, 2, 1)
    await engine.finish(again, second)
    await engine.check()


async def test_a_round_may_begin_at_a_moment_and_at_once_if_that_is_past(engine: Engine) -> None:
    flow = await engine.register(task(1))
    now = await engine.engine_time()
    await engine.again(*await engine.claim(), at_ms=now + 20_000)
    assert (await engine.flow(flow)).task(1).again_ms == now + 20_000
    await engine.bring_due()
    await engine.again(*await engine.claim(), at_ms=now - 5)
    assert (await engine.flow(flow)).task(1).again_ms is None
    (third,) = await engine.claim()
    assert message(third)["round"] == 2
    await engine.finish(third)
    await engine.check()


async def test_failures_are_counted_anew_in_each_round(engine: Engine) -> None:
    flow = await engine.register(task(1, retry=TWO))
    await engine.fail(*await engine.claim())
    await engine.bring_due()
    await engine.again(*await engine.claim())
    assert (await engine.flow(flow)).task(1).failures == 0
    await engine.fail(*await engine.claim())
    retried = (await engine.flow(flow)).task(1)
    assert (retried.status, retried.failures, retried.round) == (Status.WAIT, 1, 1)
    await engine.check()
    await engine.bring_due()
    (retry,) = await engine.claim()
    assert message(retry)["round"] == 1
    await engine.fail(retry)
    assert (await engine.flow(flow)).task(1).status is Status.SUSPEND
    await engine.check()


async def test_a_lost_worker_of_an_earlier_round_does_not_count_in_the_next(engine: Engine) -> None:
    flow = await engine.register(task(1))
    await engine.tick()
    for _ in range(2):
        await engine.lose(*await engine.claim())
        await engine.lapse()
    (suspect,) = await engine.claim()
    assert (await engine.flow(flow)).task(1).lost == 2
    await engine.again(suspect)
    assert (await engine.flow(flow)).task(1).lost == 0
    await engine.check()
    (again,) = await engine.claim()
    await engine.lose(again)
    await engine.lapse()
    assert (await engine.flow(flow)).task(1).status is Status.WAIT
    await engine.check()
    await engine.work_off()
    await engine.check()


async def test_progress_of_a_round_is_not_that_of_the_next(engine: Engine) -> None:
    flow = await engine.register(task(1))
    (first,) = await engine.claim()
    engine.heartbeat("w1", first, progress=[Reported(first, b'{"fraction":0.5}')])
    await engine.again(first)
    assert (await engine.flow(flow)).task(1).progress is None
    (again,) = await engine.claim()
    assert again.progress == b""
    await engine.finish(again)
    await engine.check()


async def test_a_call_sent_again_gives_the_round_again(engine: Engine) -> None:
    await engine.register(task(1, parameters={"cursor": 0}))
    (first,) = await engine.claim()
    asked = [Outcome(first, OutcomeKind.AGAIN, b'{"cursor":1}')]
    before = await engine.call("w1", 7, outcomes=asked, wanted=1)
    after = await engine.call("w1", 7, outcomes=asked, wanted=1)
    assert after.claims == before.claims
    assert message(after.claims[0])["given"] == {"cursor": 1}
    assert len(await rounds(engine)) == 1
    await engine.check()


async def test_a_late_outcome_of_an_earlier_round_is_refused(engine: Engine) -> None:
    flow = await engine.register(task(1))
    (zombie,) = await engine.claim()
    await engine.again(zombie, after_ms=20_000)
    for kind in (OutcomeKind.AGAIN, OutcomeKind.FINISHED, OutcomeKind.FAILED):
        refused = await engine.exchange("w2", outcomes=[Outcome(zombie, kind, b"{}")])
        assert refused.words == ["stale"]
    assert (await engine.flow(flow)).task(1).round == 1
    assert [event.outcome for event in await engine.refused()] == ["again 0", "finished", "failed"]
    await engine.check()
    await engine.bring_due()
    (again,) = await engine.claim()
    assert (await engine.exchange("w2", outcomes=[Outcome(zombie, OutcomeKind.AGAIN, b"{}")])).words == [
        "stale"
    ]
    await engine.finish(again)
    await engine.check()


async def test_a_rerun_begins_at_round_0_with_the_parameters_of_the_definition(engine: Engine) -> None:
    flow = await engine.register(*chain(2))
    await engine.again(*await engine.claim(), given=b'{"x":1}')
    (second,) = await engine.claim()
    await engine.finish(second)
    await rerun(engine.client, engine.partition, flow, by="ada", selection=[1])
    anew = (await engine.flow(flow)).task(1)
    assert (anew.round, anew.given) == (0, None)
    (claim,) = [one for one in await engine.claim() if one.task == 1]
    assert "round" not in message(claim)
    await engine.check()
    await engine.again(claim)
    assert [(event.round, event.rounds) for event in await rounds(engine)] == [(1, 1), (1, 2)]
    await engine.check()


async def test_a_rerun_takes_a_task_that_waits_for_its_round(engine: Engine) -> None:
    flow = await engine.register(*chain(2))
    await engine.again(*await engine.claim(), after_ms=60_000)
    await rerun(engine.client, engine.partition, flow, by="ada", selection=[1])
    await engine.check()
    (claim,) = await engine.claim()
    assert (claim.attempt, "round" in message(claim)) == (2, False)


@pytest.mark.parametrize("after_ms", [0, 60_000])
async def test_a_task_between_rounds_is_passed_over_or_cancelled(engine: Engine, after_ms: int) -> None:
    ignored, cancelled = await engine.register(*chain(2)), await engine.register(*chain(2))
    await engine.again(*await engine.claim(), after_ms=after_ms)
    await engine.check()
    await ignore(engine.client, engine.partition, ignored, by="ada", tasks=[1])
    await cancel(engine.client, engine.partition, cancelled, by="ada")
    await engine.check()
    assert [(claim.flow, claim.task) for claim in await engine.work_off()] == [(ignored, 2)]
    await engine.check()


@pytest.mark.leaves_damage
async def test_the_loops_of_a_flow_end_in_words(engine: Engine) -> None:
    flow = await engine.register(task(1), task(2))
    first, second = await engine.claim()
    await engine.again(first)
    await send(engine.client, "HSET", engine.keys.flow(flow), "N", 10_000)
    await engine.again(second)
    suspended = [event for event in await engine.events() if isinstance(event, TaskSuspended)]
    assert [(event.task, event.error.type) for event in suspended] == [(2, "TooManyRounds")]
    assert "10000 rounds together" in suspended[0].error.message
    assert "register a flow" in suspended[0].error.message


async def test_a_strike_sees_what_is_given_to_a_round(engine: Engine) -> None:
    flow = await engine.register(task(1, parameters={"shop": "a"}))
    await engine.control(
        FlowControl(scope="program", name="A", max_running=5),
        strikes=[Strike(id="1", program="A", parameter="shop", value="b", by="ada", reason="closed")],
    )
    await engine.again(*await engine.claim(), given=b'{"shop":"b"}')
    assert await engine.claim() == []
    assert (await engine.flow(flow)).task(1).status is Status.IGNORE
    await engine.check()


@pytest.mark.parametrize(
    ("given", "is_met"), [(b'{"shop":"b"}', True), (b'{"shop":"a"}', False), (b"{}", True)]
)
async def test_a_sweep_of_strikes_sees_what_is_given_to_a_round_and_not_what_that_takes_the_place_of(
    engine: Engine, given: bytes, is_met: bool
) -> None:
    """As the claim does: what the definition says holds where the round says nothing of it."""
    flow = await engine.register(task(1, parameters={"shop": "b"}))
    await engine.again(*await engine.claim(), given=given)
    await engine.control(
        FlowControl(scope="program", name="A", max_running=5),
        strikes=[Strike(id="1", program="A", parameter="shop", value="b", by="ada", reason="closed")],
    )
    assert await sweep(engine.client, engine.partition, ["A"]) == int(is_met)
    assert (await engine.flow(flow)).task(1).status is (Status.IGNORE if is_met else Status.WAIT)
    await engine.check()


async def test_rounds_stand_in_the_fold_of_what_was_written(engine: Engine) -> None:
    flow = await engine.register(task(1))
    for number in range(3):
        await engine.again(*await engine.claim(), given=b'{"cursor":%d}' % number)
    state = fold(await engine.events())[flow].task(1)
    assert (state.round, state.given) == (3, b'{"cursor":2}')
    restored = await engine.restored(flow)
    fields = dict(zip(restored.fields[::2], restored.fields[1::2], strict=True))
    assert (fields["n1"], fields["N"]) == (b'3 {"cursor":2}', 3)
    held = await send(engine.client, "HMGET", engine.keys.flow(flow), "n1", "N")
    assert held == [b'3 {"cursor":2}', b"3"]


async def test_items_that_vanish_are_in_no_round(engine: Engine) -> None:
    flow = await engine.register(*MAPPED)
    await expand(engine, b'["a","b"]')
    await engine.again(*await engine.claim())
    assert [task.round for task in (await engine.flow(flow)).tasks[3:]] == [1, 1]
    await run_again(engine, flow, 2, scope="dependents")
    await engine.check()
    assert [task.ended_as for task in (await engine.flow(flow)).tasks[3:]] == ["v", "v"]
