"""A call whose reply was lost is sent again with its number, and gives the same reply again."""

import pytest

from flower_engine.errors import StoreError
from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.transitions.worker_transitions import Outcome, leave
from scripts.engine import Engine, chain, task


async def test_the_same_call_gives_the_same_claims_and_no_others(engine: Engine) -> None:
    await engine.register_many(5, task(1, program="A"), task(2, program="B"))
    first = await engine.call("w1", 1, wanted=3)
    before = await engine.raw_events()
    assert await engine.call("w1", 1, wanted=3) == first
    assert await engine.raw_events() == before


async def test_the_same_call_gives_the_same_words(engine: Engine) -> None:
    await engine.register_many(3, *chain(2))
    one, two, three = await engine.claim()
    await engine.give_back(two)
    outcomes = [Outcome(claim, OutcomeKind.FINISHED) for claim in (one, two, three, one)]
    first = await engine.call("w1", 9, outcomes=outcomes, wanted=10)
    assert first.words == ["ok", "stale", "ok", "duplicate"]
    before = await engine.raw_events()
    assert await engine.call("w1", 9, outcomes=outcomes, wanted=10) == first
    assert await engine.raw_events() == before


async def test_calls_of_other_workers_in_between_change_nothing(engine: Engine) -> None:
    await engine.register_many(6, *chain(2))
    first = await engine.call("w1", 1, wanted=2)
    await engine.work_off("w2")
    assert await engine.call("w1", 1, wanted=2) == first
    await engine.finish(*first.claims)
    await engine.work_off("w3")


async def test_the_same_call_says_again_that_more_is_to_come(engine: Engine) -> None:
    await engine.register(*(task(seq) for seq in range(2_000)))
    first = await engine.call("w1", 1, wanted=10)
    assert first.more
    assert await engine.call("w1", 1, wanted=10) == first


async def test_an_empty_reply_is_given_again(engine: Engine) -> None:
    first = await engine.call("w1", 1, wanted=5)
    await engine.register(task(1))
    assert await engine.call("w1", 1, wanted=5) == first
    await engine.work_off()


async def test_a_lease_that_lapsed_meanwhile_is_not_given_again(engine: Engine) -> None:
    await engine.register_many(2, task(1))
    first = await engine.call("w1", 1, wanted=2)
    await engine.tick()
    await engine.lose(first.claims[0])
    await engine.lapse()
    assert (await engine.call("w1", 1, wanted=2)).claims == first.claims[1:]
    (again,) = await engine.claim(worker="w2")
    assert (await engine.call("w1", 1, wanted=2)).claims == first.claims[1:]
    await engine.finish(first.claims[1], worker="w1")
    await engine.finish(again, worker="w2")


async def test_a_number_before_the_last_one_is_out_of_date(engine: Engine) -> None:
    await engine.register_many(3, task(1))
    (claim,) = (await engine.call("w1", 5, wanted=1)).claims
    before = await engine.raw_events()
    outcome = Outcome(claim, OutcomeKind.FINISHED)
    with pytest.raises(StoreError, match="worker w1: call 4 to partition 0 is out of date"):
        await engine.call("w1", 4, outcomes=[outcome], wanted=1)
    assert await engine.raw_events() == before


async def test_numbers_may_leave_gaps(engine: Engine) -> None:
    await engine.register_many(2, task(1))
    assert len((await engine.call("w1", 1, wanted=1)).claims) == 1
    assert len((await engine.call("w1", 100, wanted=1)).claims) == 1


async def test_large_numbers_are_told_apart(engine: Engine) -> None:
    await engine.register_many(2, task(1))
    start = 2**52
    first = await engine.call("w1", start, wanted=1)
    assert (await engine.call("w1", start + 1, wanted=1)).claims != first.claims


async def test_each_worker_counts_for_itself(engine: Engine) -> None:
    await engine.register_many(2, task(1))
    one = await engine.call("w1", 7, wanted=1)
    two = await engine.call("w2", 1, wanted=1)
    assert one.claims[0].member != two.claims[0].member


async def test_a_worker_that_left_counts_from_the_start_again(engine: Engine) -> None:
    await engine.register(task(1))
    await engine.call("w1", 7)
    await leave(engine.client, engine.partition, "w1", ["default"])
    assert len((await engine.call("w1", 1, wanted=1)).claims) == 1
