"""lapse: tasks of lost workers wait again, or are suspended as poison."""

from flower_engine.log.client import send
from flower_engine.model.events.attempt_events import TaskLapsed, TaskSuspended
from flower_engine.model.tasks.status import Status
from flower_engine.transitions.watcher_transitions import Lapse, queues_of
from scripts.engine import A_MINUTE_MS, Engine, chain, task


async def test_a_task_of_a_lost_worker_gets_a_new_attempt(engine: Engine) -> None:
    flow = await engine.register(*chain(2))
    (old,) = await engine.claim(worker="w1")
    await engine.tick()
    await engine.lose(old)
    got = await engine.lapse()
    assert got.lapses == [Lapse("default", flow, 1, "w1", suspended=False)]
    (event,) = [event for event in await engine.events() if isinstance(event, TaskLapsed)]
    assert (event.task, event.attempt, event.lease, event.worker, event.lost) == (
        1,
        1,
        old.lease.decode(),
        "w1",
        1,
    )
    assert event.error is not None and event.error.type == "WorkerLost"
    assert event.error.message == "its worker w1 was lost: no heartbeat for 60 s"
    assert (await engine.flow(flow)).task(1).error == event.error
    (new,) = await engine.claim(worker="w2")
    assert (new.member, new.attempt) == (old.member, 2)
    assert await engine.finish(old, worker="w1") == ["stale"]
    assert await engine.finish(new, worker="w2") == ["ok"]
    await engine.work_off("w2")
    assert (await engine.flow(flow)).task(1).error is None  # it finished: the loss was an earlier attempt's


async def test_a_living_workers_leases_stay(engine: Engine) -> None:
    await engine.register_many(2, task(1))
    lost, kept = await engine.claim()
    await engine.tick()
    await engine.lose(lost)
    assert [lapsed.flow for lapsed in (await engine.lapse()).lapses] == [lost.flow]
    assert await engine.finish(kept) == ["ok"]
    await engine.work_off()


async def test_a_lapsed_lease_is_handled_once(engine: Engine) -> None:
    await engine.register(task(1))
    await engine.tick()
    await engine.lose(*await engine.claim())
    assert len((await engine.lapse()).lapses) == 1
    before = await engine.raw_events()
    assert (await engine.lapse()).lapses == []
    assert await engine.raw_events() == before
    await engine.work_off()


async def test_a_task_that_loses_too_many_workers_is_suspended(engine: Engine) -> None:
    flow = await engine.register(task(1))
    await engine.tick()
    for attempt in (1, 2, 3):
        (claim,) = await engine.claim(worker=f"w{attempt}")
        assert claim.attempt == attempt
        await engine.lose(claim, worker=f"w{attempt}")
        (lapsed,) = (await engine.lapse(max_lost=3)).lapses
        assert lapsed.suspended == (attempt == 3)
    assert await engine.claim() == []
    suspended = (await engine.events())[-1]
    assert isinstance(suspended, TaskSuspended)
    assert suspended.error.type == "WorkerLost"
    assert suspended.error.message.startswith("3 workers were lost while they ran this task, the last one w3")
    assert (await engine.flow(flow)).status is Status.SUSPEND


async def test_a_task_handed_back_does_not_count_as_a_lost_worker(engine: Engine) -> None:
    flow = await engine.register(task(1))
    await engine.tick()
    for _ in range(5):
        await engine.give_back(*await engine.claim())
    await engine.lose(*await engine.claim())
    (lapsed,) = (await engine.lapse(max_lost=2)).lapses
    assert not lapsed.suspended
    assert (await engine.flow(flow)).task(1).lost == 1
    await engine.work_off()


async def test_after_a_stall_nothing_lapses_for_one_lease_time(engine: Engine) -> None:
    await engine.register(task(1))
    held = await engine.claim()
    await engine.tick()
    await send(engine.client, "HSET", engine.keys.meta, "tick", 1)  # the last tick was long ago
    await engine.lose(*held)
    before = await engine.raw_events()
    stalled = await engine.lapse()
    assert (stalled.lapses, stalled.stalled_ms) == ([], A_MINUTE_MS)
    again = await engine.lapse()
    assert again.lapses == []
    assert 0 < again.stalled_ms <= A_MINUTE_MS
    assert await engine.raw_events() == before
    assert engine.heartbeat("w1", *held) == []  # the living worker has time to say so
    await send(engine.client, "HSET", engine.keys.meta, "grace", 1)  # the lease time has passed
    assert (await engine.lapse()).lapses == []
    assert await engine.finish(*held) == ["ok"]


async def test_the_first_watcher_ever_waits_one_lease_time(engine: Engine) -> None:
    assert (await engine.lapse()).stalled_ms == A_MINUTE_MS


async def test_a_heartbeat_that_comes_first_saves_the_lease(engine: Engine) -> None:
    await engine.register(task(1))
    held = await engine.claim()
    await engine.tick()
    await engine.lose(*held)
    assert engine.heartbeat("w1", *held) == []
    assert (await engine.lapse()).lapses == []
    assert await engine.finish(*held) == ["ok"]


async def test_a_heartbeat_that_comes_too_late_learns_so(engine: Engine) -> None:
    await engine.register(task(1))
    held = await engine.claim()
    await engine.tick()
    await engine.lose(*held)
    await engine.lapse()
    assert engine.heartbeat("w1", *held) == [(b"default", held[0].lease)]
    assert await engine.finish(*held) == ["stale"]
    await engine.work_off("w2")


async def test_a_call_handles_no_more_than_asked_for(engine: Engine) -> None:
    await engine.attend("slow")
    await engine.register_many(5, task(1), task(2, queue="slow"))
    held = [*await engine.claim(), *await engine.claim(queues=["slow"])]
    await engine.tick()
    await engine.lose(*held)
    both = ["default", "slow"]
    found = [len((await engine.lapse(most=4, queues=both)).lapses) for _ in range(4)]
    assert found == [4, 4, 2, 0]


async def test_a_queue_that_nobody_attended_is_no_trouble(engine: Engine) -> None:
    await engine.tick()
    assert (await engine.lapse(queues=["nowhere"])).lapses == []


async def test_the_queues_to_watch_are_those_that_were_attended(engine: Engine) -> None:
    await engine.attend("slow", "a:b")
    assert await queues_of(engine.client, engine.partition) == ["a:b", "default", "slow"]


async def test_a_lapse_wakes_a_worker(engine: Engine) -> None:
    await engine.register(task(1))
    held = await engine.claim()
    assert await engine.bells() == {}
    await engine.tick()
    await engine.lose(*held)
    await engine.lapse()
    assert await engine.bells() == {"default:A": 1}
    await engine.work_off()


async def test_a_lapse_in_the_middle_of_a_wide_release_orphans_nothing(engine: Engine) -> None:
    await engine.register(*(task(seq) for seq in range(1_200)))
    held = await engine.claim(10)
    await engine.tick()
    await engine.lose(*held)
    assert len((await engine.lapse()).lapses) == 10
    ran = await engine.work_off("w2")
    assert len(ran) == 1_200


async def test_a_killer_takes_none_of_its_neighbours_with_it(engine: Engine) -> None:
    flows = await engine.register_many(20, task(1))
    killer = flows[7]
    await engine.tick()
    for number in range(100):
        worker = f"w{number}"
        claims = await engine.claim(worker=worker)
        if not claims:
            break
        if any(claim.flow == killer for claim in claims):
            await engine.lose(*claims, worker=worker)
            await engine.lapse(max_lost=3)
        else:
            await engine.finish(*claims, worker=worker)
    statuses = {flow: (await engine.flow(flow)).status for flow in flows}
    assert statuses == dict.fromkeys(flows, Status.FINISH) | {killer: Status.SUSPEND}


async def test_a_worker_holds_one_suspect_at_a_time(engine: Engine) -> None:
    await engine.register_many(3, task(1))
    await engine.tick()
    await engine.lose(*await engine.claim(worker="dead"), worker="dead")
    await engine.lapse(max_lost=2)  # one more loss makes each of the three poison
    (held,) = await engine.claim(worker="w1")
    assert await engine.claim(worker="w1") == []
    (other,) = await engine.claim(worker="w2")
    assert await engine.finish(held, worker="w1") == ["ok"]
    (last,) = await engine.claim(worker="w1")
    assert await engine.finish(last, worker="w1") == ["ok"]
    assert await engine.finish(other, worker="w2") == ["ok"]


async def test_a_suspect_that_is_handed_back_stays_one(engine: Engine) -> None:
    await engine.register_many(2, task(1))
    await engine.tick()
    await engine.lose(*await engine.claim(worker="dead"), worker="dead")
    await engine.lapse(max_lost=2)
    (held,) = await engine.claim(worker="w1")
    await engine.give_back(held, worker="w1")
    assert len(await engine.claim(worker="w1")) == 1
    await engine.work_off("w1")
