"""heartbeat: a worker lives and keeps its leases."""

import msgspec

from flower_engine.log.client import send
from flower_engine.transitions.worker_transitions import Standing, live_workers
from scripts.engine import Engine, task


async def test_a_heartbeat_keeps_leases_from_lapsing(engine: Engine) -> None:
    await engine.register_many(2, task(1))
    one, two = await engine.claim()
    await engine.tick()
    await engine.lose(one, two)
    assert engine.heartbeat("w1", one) == []
    assert [lapsed.flow for lapsed in (await engine.lapse()).lapses] == [two.flow]
    assert await engine.finish(one, two) == ["ok", "stale"]
    await engine.work_off()


async def test_a_heartbeat_names_the_leases_that_are_gone(engine: Engine) -> None:
    await engine.attend("slow")
    await engine.register_many(3, task(1), task(2, queue="slow"))
    fast, slow = await engine.claim(), await engine.claim(queues=["slow"])
    await engine.finish(fast[0])
    await engine.suspend(slow[1])
    await engine.tick()
    await engine.lose(fast[2])
    await engine.lapse()
    gone = [fast[0], fast[2], slow[1]]
    assert engine.heartbeat("w1", *fast, *slow) == [(claim.queue, claim.lease) for claim in gone]


async def test_a_lease_that_another_worker_took_over_is_gone_for_the_first(engine: Engine) -> None:
    await engine.register(task(1))
    (old,) = await engine.claim(worker="w1")
    await engine.give_back(old)
    (new,) = await engine.claim(worker="w2")
    assert engine.heartbeat("w1", old) == [(b"default", old.lease)]
    assert engine.heartbeat("w2", new) == []


async def test_a_heartbeat_without_leases_keeps_the_worker_known(engine: Engine) -> None:
    assert engine.heartbeat("w2") == []
    assert engine.heartbeat("w1") == []
    workers = await live_workers(engine.client, engine.partition)
    assert [worker.worker for worker in workers] == ["w1", "w2"]
    assert all(worker.seen_ms > 0 for worker in workers)


async def test_a_worker_without_heartbeats_is_forgotten(engine: Engine) -> None:
    engine.heartbeat("w1")
    engine.heartbeat("w2")
    assert await send(engine.client, "PTTL", engine.keys.worker("w2")) > 0
    await send(engine.client, "UNLINK", engine.keys.worker("w2"))  # as when its time has come
    assert [worker.worker for worker in await live_workers(engine.client, engine.partition)] == ["w1"]


async def test_thousands_of_leases_can_be_kept_in_one_heartbeat(engine: Engine) -> None:
    await engine.register_many(2_500, task(1))
    held = await engine.claim(2_500)
    await engine.finish(held[0], held[1_500])
    await engine.tick()
    await engine.lose(*held[1:1_500], *held[1_501:])
    assert engine.heartbeat("w1", *held) == [(b"default", claim.lease) for claim in (held[0], held[1_500])]
    assert (await engine.lapse()).lapses == []


async def test_a_heartbeat_changes_nothing_in_the_log(engine: Engine) -> None:
    await engine.register(task(1))
    held = await engine.claim()
    before = await engine.raw_events()
    engine.heartbeat("w1", *held)
    assert await engine.raw_events() == before


async def test_the_timer_of_an_attempt_stands_still_while_its_lease_is_the_current_one(
    engine: Engine,
) -> None:
    flow = await engine.register(task(1, timeout_ms=600_000))
    (claim,) = await engine.claim()

    async def due() -> float:
        return float(await send(engine.client, "ZSCORE", engine.keys.timers, f"a:{flow}:1"))

    before = await due()
    assert engine.heartbeat("w1", claim, standing=[Standing(claim, 1_500)]) == []
    assert await due() == before + 1_500
    stale = msgspec.structs.replace(claim, lease=b"1-1")
    engine.heartbeat("w1", claim, standing=[Standing(stale, 1_500)])
    assert await due() == before + 1_500
    await engine.finish(claim)
    engine.heartbeat("w1", standing=[Standing(claim, 1_500)])
    assert await send(engine.client, "ZCARD", engine.keys.timers) == 0
    await engine.check()


async def test_an_attempt_without_a_timer_gets_none_by_standing_still(engine: Engine) -> None:
    await engine.register(task(1))
    (claim,) = await engine.claim()
    engine.heartbeat("w1", claim, standing=[Standing(claim, 1_500)])
    assert await send(engine.client, "ZCARD", engine.keys.timers) == 0
