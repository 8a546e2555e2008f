"""Redis is rebuilt from the archive: everything that had not ended goes on, and nothing else does."""

from typing import Any

import pytest

from flower_engine.errors import InstallationError, LostError
from flower_engine.log.client import send
from flower_engine.model.events.attempt_events import TaskLapsed
from flower_engine.model.events.events import LogOpened
from flower_engine.model.flow_control.flow_control import FlowControl
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.model.values.ids import make_flow_id
from flower_engine.projection.definitions.flow_control_rows import put_control
from flower_engine.projection.maintain.recovery_records import take_generation
from flower_engine.transitions.operator_transitions import rerun
from flower_engine.transitions.recovery_transitions import Ended, Rebuilding
from flower_engine.transitions.register_transition import Start, register
from flower_engine.transitions.task_fields import decode_message
from recovery.both import Both
from scripts.engine import chain, fan, task
from scripts.other_bodies import bodies


class StoppedError(Exception):
    """Stands for kill -9."""


def _stop(*_: object) -> None:
    raise StoppedError


async def test_flows_of_every_kind_go_on_and_end(both: Both) -> None:
    engine = both.engine
    retried = RetryPolicy(max_attempts=3, delay_ms=1, jitter=0.0)
    wide = await engine.register(*fan(600))
    await engine.register_many(3, *chain(3))
    failing = await engine.register(task(1, retry=retried, timeout_ms=60_000), task(2, 1), workflow="retried")
    suspended = await engine.register(task(1), task(2, 1), workflow="suspended")
    await engine.register(task(1), workflow="waiting")
    ended = await engine.register(task(1), workflow="ended")
    claims = {claim.flow: claim for claim in await engine.claim(8)}
    await engine.finish(claims[wide], claims[ended])
    await engine.fail(claims[failing])
    await engine.suspend(claims[suspended])
    await both.project()
    await both.wipe()
    result = await both.recover()
    flows = await both.check()
    assert (result.flows, result.forked, result.damaged) == (7, 0, {})
    assert flows[suspended].status is Status.SUSPEND
    ran = await engine.work_off()
    assert len(ran) > 600
    await engine.bring_due()
    await engine.work_off()
    flows = await both.check()
    open_ones = {flow for flow, state in flows.items() if state.ended_ms is None}
    assert open_ones == {suspended}


async def test_what_ran_gets_a_new_attempt_and_its_late_outcome_is_refused(both: Both) -> None:
    engine = both.engine
    flow = await engine.register(task(1))
    (late,) = await engine.claim()
    await both.project()
    await both.wipe()
    old = engine.partition
    assert (await both.recover()).running == 1
    (again,) = await engine.claim(worker="w2")
    assert (again.flow, again.attempt) == (flow, 2)
    new, engine.partition = engine.partition, old
    with pytest.raises(LostError):
        await engine.finish(late)
    engine.partition = new
    assert await engine.finish(late, worker="w3") == ["stale"]
    assert await engine.finish(again, worker="w2") == ["ok"]
    flows = await both.check()
    assert flows[flow].task(1).lost == 0
    assert sum(isinstance(event, TaskLapsed) for event in await both.archived()) == 1


async def test_positions_and_generations_rise(both: Both) -> None:
    await both.engine.register(task(1))
    await both.project()
    before = await both.count("SELECT max(position_ms) FROM kr_event")
    await both.wipe()
    await both.recover()
    await both.wipe()
    await both.recover()
    await both.check()
    opened = [event for event in await both.archived() if isinstance(event, LogOpened)]
    assert [event.generation for event in opened] == [1, 3]  # the log of 2 was lost before it was archived
    assert await both.count("SELECT max(position_ms) FROM kr_event") >= before
    assert await both.count("SELECT generation FROM kr_projection") == 3


async def test_registrations_that_only_a_fork_has_are_kept_and_its_other_events_are_flagged(
    both: Both,
) -> None:
    engine = both.engine
    first = await engine.register(task(1), task(2, 1))
    await both.project()
    copied = await both.copy()
    (claim,) = await engine.claim()
    await engine.finish(claim)
    gone = await engine.register(task(1))
    await both.project()
    await both.go_back(copied)
    forked = await engine.start(engine.plan(task(1)), key="order-7")
    (other,) = await engine.claim(1, worker="w9")
    assert other.flow == first
    result = await both.recover()
    assert (result.registered_again, result.forked) == (1, 2)
    flows = await both.check()
    assert set(flows) == {first, gone, forked.flow}
    assert flows[first].task(1).status is Status.FINISH, "the archive's history wins"
    again = await engine.start(engine.plan(task(1)), key="order-7")
    assert (again.word, again.flow) == ("known", forked.flow)
    await engine.work_off()
    assert all(flow.ended_ms for flow in (await both.check()).values())


async def test_registrations_that_are_sent_again_are_known_after_a_recovery(both: Both) -> None:
    engine = both.engine
    plan = engine.plan(task(1))
    flow = make_flow_id(1, 0, 1)
    start = Start(flow, plan, key="order-1")
    await register(both.client, engine.partition, [start])
    await engine.work_off()
    await both.project()
    await both.wipe()
    await both.recover()
    (registered,) = await register(both.client, engine.partition, [start])
    assert registered.word == "duplicate"
    (registered,) = await register(
        both.client, engine.partition, [Start(make_flow_id(2, 0, 2), plan, key="order-1")]
    )
    assert (registered.word, registered.flow) == ("known", flow)


async def test_limits_and_places_hold_from_the_first_claim_after_a_recovery(both: Both) -> None:
    engine = both.engine
    controls = [
        FlowControl(scope="program", name="A", max_running=2),
        FlowControl(scope="workflow", name="narrow", max_flows=1),
    ]
    for control in controls:
        await put_control(both.connection, control)
    await engine.control(*controls)
    narrow = await engine.register_many(3, task(1), task(2), workflow="narrow")
    await engine.register_many(5, task(1))
    (running, *_) = await engine.claim(1)
    await both.project()
    await both.wipe()
    await both.recover()
    await both.check()
    claims = await engine.claim(100, worker="w2")
    assert len(claims) == 2
    assert {claim.flow for claim in claims if claim.flow in narrow} <= {narrow[0]}
    assert running.flow in {narrow[0], *[claim.flow for claim in claims]}
    await engine.finish(*claims, worker="w2")
    await engine.work_off("w2")
    assert all(flow.ended_ms for flow in (await both.check()).values())


async def test_a_delayed_flow_waits_on_and_a_timeout_ticks_on(both: Both) -> None:
    engine = both.engine
    plan = engine.plan(task(1), timeout_ms=600_000)
    delayed = (await engine.start(plan, delay_ms=60_000)).flow
    timed = (await engine.start(plan)).flow
    before = await send(both.client, "ZSCORE", both.engine.keys.timers, f"f:{timed}")
    await both.project()
    await both.wipe()
    await both.recover()
    await both.check()
    members: list[bytes] = await send(both.client, "ZRANGE", engine.keys.timers, 0, -1)
    assert members == [f"b:{delayed}".encode(), f"f:{timed}".encode()]
    assert await send(both.client, "ZSCORE", engine.keys.timers, f"f:{timed}") == before
    assert [claim.flow for claim in await engine.claim()] == [timed]


async def test_on_a_redis_whose_clock_is_behind_time_goes_on_from_what_is_archived(both: Both) -> None:
    """As on a new machine whose clock is an hour behind the one that was lost."""
    engine, hour_ms = both.engine, 3_600_000
    await engine.tick()
    await engine.step_clock(hour_ms)
    waits = RetryPolicy(max_attempts=2, delay_ms=60_000, jitter=0.0)
    await engine.register(task(1, retry=waits))
    await engine.fail(*await engine.claim())
    await engine.register(task(1), delay_ms=60_000)
    await engine.register(task(1), timeout_ms=60_000)
    running = await engine.register(task(1))
    await engine.claim()
    await both.project()
    await both.wipe()
    await both.recover()
    timers: list[bytes] = await send(both.client, "ZRANGE", engine.keys.timers, 0, -1, "WITHSCORES")
    assert len(timers) == 2 * 3
    for member, due in zip(timers[::2], timers[1::2], strict=True):
        left_ms = int(due) - (2**50 if member.startswith(b"f:") else 0) - await engine.engine_time()
        assert 0 < left_ms <= 60_000, member
    assert (await both.check())[running].task(1).status is Status.WAIT
    times = [event.at for event in await both.archived()]
    assert times == sorted(times)


async def test_a_task_that_may_lose_no_further_worker_waits_apart(both: Both) -> None:
    engine = both.engine
    await engine.tick()
    flow = await engine.register(task(1))
    for _ in range(2):
        (claim,) = await engine.claim()
        await engine.lose(claim)
        await engine.lapse()
    await both.project()
    await both.wipe()
    await both.recover()
    await both.check()
    assert await send(both.client, "EXISTS", engine.keys.lane("default:0:etl:!A")) == 1
    (claim,) = await engine.claim()
    assert (claim.flow, claim.attempt) == (flow, 3)


async def test_a_recovery_that_was_overtaken_changes_nothing_more(both: Both) -> None:
    engine = both.engine
    flows = await engine.register_many(5, *chain(2))
    await both.project()
    await both.wipe()
    installation = engine.partition.installation
    slow = Rebuilding(both.client, 0, "2")  # it has begun, and stands still from here on
    assert await take_generation(both.other, 0, installation)
    await slow.fence(installation, 1, 1)
    result = await both.recover()
    assert result.generation == "3"
    for call in (
        slow.fence(installation, 1, 1),
        slow.wipe(),
        slow.seal(7),
        slow.remember([Ended("f", 1, 1)], []),
    ):
        with pytest.raises(LostError):
            await call
    await engine.work_off()
    ended = await both.check()
    assert all(ended[flow].ended_ms for flow in flows)


async def test_a_recovery_that_was_killed_half_way_is_done_by_the_next(both: Both) -> None:
    engine = both.engine
    flows = await engine.register_many(5, *chain(2))
    await engine.claim(2)
    await both.project()
    copied = await both.copy()
    await engine.work_off("w2")
    await both.project()
    await both.go_back(copied)
    forked = await engine.register(task(1))
    with pytest.raises(StoppedError):
        await both.recovery(both.other, tell=_stop).run()
    await both.other.close()
    result = await both.recover()
    assert (result.generation, result.registered_again) == ("3", 1)
    await engine.work_off()
    await engine.work_off("w2")
    ended = await both.check()
    assert set(ended) == {*flows, forked}
    assert all(flow.ended_ms for flow in ended.values())


async def test_a_redis_of_another_installation_is_left_alone(both: Both) -> None:
    await both.engine.register(task(1))
    before = await both.copy()
    with pytest.raises(InstallationError, match="FLOWER_REDIS_URL names another Redis"):
        await Rebuilding(both.client, 0, "2").fence("somebody else's", 1, 1)
    assert await both.copy() == before


async def test_of_two_recoveries_at_once_one_does_it(both: Both) -> None:
    await both.engine.register_many(5, *chain(2))
    await both.project()
    await both.wipe()
    assert await both.recovery().run() is not None
    assert await both.recovery(both.other).run() is None


async def test_what_was_rerun_with_another_version_goes_on_with_its_bodies(both: Both) -> None:
    engine = both.engine
    flow = await engine.register(*chain(3))
    await engine.suspend(*await engine.claim())
    other: dict[str, Any] = {"program": "B", "parameters": {"n": 2}, "priority": -3, "definition": "v2"}
    retried = RetryPolicy(max_attempts=3, delay_ms=1, jitter=0.0)
    given = await bodies(engine, flow, of={1, 2}, retry=retried, timeout_ms=60_000, **other)
    where = (engine.client, engine.partition, flow)
    await rerun(*where, by="eve", selection=[1], scope="dependents", bodies=given)
    await both.project()
    await both.wipe()
    await both.recover()
    flows = await both.check()
    assert [one.planned.definition for one in flows[flow].tasks] == ["v2", "v2", ""]
    (claim,) = await engine.claim()
    message = decode_message(claim.message)
    assert (message.program, message.parameters, message.definition) == ("B", {"n": 2}, "v2")
    await engine.fail(claim)
    await engine.bring_due()
    assert [decode_message(one.message).program for one in await engine.work_off()] == ["B", "B", "A"]
    await both.check()
