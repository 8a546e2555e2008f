"""Bells wake one waiting worker for each task that a script left unclaimed, by queue and program."""

import asyncio

from flower_engine.model.tasks.outcome_kinds import OutcomeKind
from flower_engine.transitions.worker_transitions import Outcome, Service, wait_for_bell
from scripts.engine import Engine, fan, task

AT_ONCE = 0.01  # for waits that must find nothing
LONG = 30.0  # for waits that must not last


async def waits(engine: Engine, program: str, seconds: float, queue: str = "default") -> bool:
    return await wait_for_bell(engine.client, engine.partition, Service((queue,), (program,)), seconds)


async def test_registering_rings_once_for_each_task_that_is_ready(engine: Engine) -> None:
    await engine.register_many(3, task(1, program="A"), task(2, program="B"), task(3, 1, program="C"))
    assert await engine.bells() == {"default:A": 3, "default:B": 3}
    await engine.work_off()


async def test_finishing_rings_only_for_what_the_same_call_did_not_take(engine: Engine) -> None:
    await engine.register(*fan(5))
    first = await engine.claim()
    assert await engine.bells() == {}
    outcomes = [Outcome(claim, OutcomeKind.FINISHED) for claim in first]
    got = await engine.exchange(outcomes=outcomes, wanted=2)
    assert len(got.claims) == 2
    assert await engine.bells() == {"default:A": 3}
    await engine.finish(*got.claims)
    await engine.work_off()


async def test_finishing_rings_nothing_when_the_call_takes_it_all(engine: Engine) -> None:
    await engine.register(*fan(5))
    first = await engine.claim()
    got = await engine.exchange(outcomes=[Outcome(first[0], OutcomeKind.FINISHED)], wanted=5)
    assert len(got.claims) == 5
    assert await engine.bells() == {}


async def test_what_the_finishing_worker_does_not_serve_wakes_another(engine: Engine) -> None:
    await engine.register(task(1, program="A"), task(2, 1, program="B"))
    (first,) = await engine.claim(worker="w1", programs=["A"])
    got = await engine.exchange(
        "w1", outcomes=[Outcome(first, OutcomeKind.FINISHED)], wanted=5, programs=["A"]
    )
    assert got.claims == []
    assert not await waits(engine, "A", AT_ONCE)
    assert await waits(engine, "B", LONG)
    await engine.work_off("w2", programs=["B"])


async def test_a_waiting_worker_is_woken_by_a_registration(engine: Engine) -> None:
    waiting = asyncio.create_task(waits(engine, "A", LONG))
    await engine.register(task(1))
    assert await waiting
    await engine.work_off()


async def test_a_bell_of_another_program_does_not_wake(engine: Engine) -> None:
    waiting = asyncio.create_task(waits(engine, "B", LONG))
    await engine.register(task(1, program="A"))
    assert await waits(engine, "A", LONG)
    assert not waiting.done()
    await engine.register(task(1, program="B"))
    assert await waiting
    await engine.work_off()


async def test_a_bell_of_another_queue_does_not_wake(engine: Engine) -> None:
    await engine.attend("slow")
    await engine.register(task(1, queue="slow"))
    assert not await waits(engine, "A", AT_ONCE)
    assert await waits(engine, "A", LONG, queue="slow")
    await engine.work_off(queues=["slow"])


async def test_each_bell_wakes_one_worker(engine: Engine) -> None:
    await engine.register_many(2, task(1))
    woken = [await waits(engine, "A", AT_ONCE) for _ in range(3)]
    assert woken == [True, True, False]
    await engine.work_off()


async def test_a_worker_that_finds_nothing_more_takes_down_its_bells(engine: Engine) -> None:
    await engine.register(task(1, program="A"), task(2, program="B"))
    await engine.claim(5, programs=["A"])
    assert await engine.bells() == {"default:B": 1}


async def test_bells_are_bounded(engine: Engine) -> None:
    await engine.register_many(700, task(1), task(2))
    assert await engine.bells() == {"default:A": 1_000}
    await engine.register(task(1))
    assert await engine.bells() == {"default:A": 1_000}
    await engine.work_off()


async def test_a_returned_task_wakes_another_worker(engine: Engine) -> None:
    await engine.register(task(1))
    held = await engine.claim()
    await engine.give_back(*held)
    assert await engine.bells() == {"default:A": 1}
    await engine.work_off("w2")


async def test_a_step_of_a_wide_release_rings_for_what_it_made_ready(engine: Engine) -> None:
    await engine.register(*(task(seq) for seq in range(600)))
    got = await engine.exchange(wanted=10)
    assert (len(got.claims), got.more) == (10, True)
    assert await engine.bells() == {"default:A": 490}
