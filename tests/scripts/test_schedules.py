"""Slots of schedules get their fates together with their flows, once, whoever decides."""

from datetime import UTC, datetime

import pytest

from flower_engine.errors import LostError
from flower_engine.log.client import send
from flower_engine.log.partition import Partition
from flower_engine.model.events.events import FlowRegistered
from flower_engine.model.events.schedule_events import ScheduleHeld
from flower_engine.model.flow_control.flow_control import AtMaxFlows, FlowControl
from flower_engine.programs.attempt_outcomes import Running, context_of
from flower_engine.programs.context import Progress
from flower_engine.transitions.operator_transitions import cancel, rerun
from flower_engine.transitions.park_transitions import park
from flower_engine.transitions.schedule_transitions import (
    Definition,
    Firing,
    define_schedules,
    due_schedules,
    release_flows,
)
from flower_engine.transitions.task_fields import decode_message
from scripts.engine import Engine, chain, task
from scripts.schedules import UID, Schedules, clock_ms

OTHER = "00000000-0000-4000-8000-000000000002"


async def test_a_slot_fires_a_flow_that_knows_its_slots(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    fired = await nightly.propose(nightly.fire(1))
    assert (fired.word, fired.decided, fired.cursor) == ("ok", 1, nightly.slot(1))
    flow = await engine.flow(nightly.flow(1))
    registered = flow.registered
    assert isinstance(registered, FlowRegistered)
    assert (registered.schedule, registered.slot) == (UID, nightly.slot(1))
    assert (registered.previous_slot, registered.next_slot) == (nightly.slot(0), nightly.slot(2))
    state = await nightly.state()
    assert state.last_flow == flow.flow
    assert state.fates[nightly.slot(1), ""].late_ms > 0
    assert not await nightly.is_due()
    await engine.work_off()


async def test_tasks_of_a_flow_get_its_slots_with_their_claim_also_after_a_lost_reply(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    await nightly.propose(nightly.fire(1))
    other = await engine.register(task(1), task(2, 1))
    first, again = [(await engine.call("w1", 1, wanted=10, answered=0)).claims for _ in range(2)]
    for claims in (first, again):
        found = {claim.flow: decode_message(claim.message).slots for claim in claims}
        assert found == {
            nightly.flow(1): (nightly.slot(1), nightly.slot(0), nightly.slot(2)),
            other: None,
        }
    held = await send(engine.client, "HGET", engine.keys.flow(nightly.flow(1)), "m1")
    assert decode_message(held).slots is None
    claim = next(claim for claim in first if claim.flow == nightly.flow(1))
    running = Running(claim.flow, claim.task, claim.attempt, "w1", b"", list[Progress]().append)
    context = context_of(decode_message(claim.message), running)
    assert (context.slot, context.previous_slot, context.next_slot) == tuple(
        datetime.fromtimestamp(nightly.slot(number) / 1000, UTC) for number in (1, 0, 2)
    )


async def test_two_who_decide_at_once_fire_a_slot_once(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    assert (await nightly.propose(nightly.fire(1), cursor=0)).word == "ok"
    assert (await nightly.propose(nightly.fire(1), cursor=0)).word == "stale"
    assert (await nightly.propose(nightly.miss(1, 3), nightly.fire(4), cursor=0)).word == "stale"
    assert await nightly.fates() == {1: "fired"}
    await engine.work_off()


async def test_a_proposal_sent_again_after_a_lost_reply_changes_nothing(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    firing = Firing(
        uid=UID,
        version=1,
        cursor=nightly.slot(0),
        overlap="allow",
        decisions=[nightly.miss(1, 3), nightly.fire(4)],
        next_due_ms=nightly.slot(5),
    )
    assert [one.word for one in await nightly.send(firing, firing)] == ["ok", "stale"]
    assert (await nightly.send(firing))[0].word == "stale"
    assert await nightly.fates() == {1: "missed (unwatched)", 4: "fired"}
    assert await nightly.is_due()
    await engine.work_off()


async def test_nothing_is_decided_before_its_time(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    early = await clock_ms(engine) + 60_000
    fired = await nightly.propose(nightly.fire(1), nightly.fire(2, due_ms=early), nightly.fire(3))
    assert (fired.word, fired.decided, fired.cursor) == ("early", 1, nightly.slot(1))
    assert await nightly.fates() == {1: "fired"}
    assert not await nightly.is_due()
    await engine.work_off()


async def test_a_proposal_of_another_definition_is_not_taken(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    assert await nightly.define(version=2) == ["new"]
    assert (await nightly.propose(nightly.fire(1), version=1)).word == "stale"
    assert (await nightly.propose(nightly.fire(1), version=2)).word == "ok"
    await engine.work_off()


async def test_an_older_definition_never_replaces_a_newer_one(engine: Engine) -> None:
    nightly = await Schedules.of(engine, version=3)
    assert await nightly.define(version=2) == ["old"]
    assert await nightly.define(version=3) == ["same"]
    assert (await nightly.known()).version == 3


async def test_a_change_of_when_moves_the_cursor_and_never_back(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    await nightly.define(version=2, least_cursor_ms=nightly.slot(5))
    assert (await nightly.known()).cursor == nightly.slot(5)
    await nightly.define(version=3, least_cursor_ms=nightly.slot(2))
    assert (await nightly.known()).cursor == nightly.slot(5)
    await nightly.define(version=4, least_cursor_ms=await clock_ms(engine) + 3_600_000)
    assert (await nightly.known()).cursor <= await clock_ms(engine)


async def test_a_schedule_that_is_deleted_is_gone_and_what_it_fired_goes_on(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    await nightly.propose(nightly.fire(1))
    assert await nightly.define(version=2, state="deleted") == ["new"]
    assert (await nightly.propose(nightly.fire(2))).word == "gone"
    assert (await nightly.state()).state == "deleted"
    await engine.work_off()


async def test_skip_passes_over_slots_while_a_flow_is_under_way(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    await nightly.propose(nightly.fire(1), overlap="skip")
    await nightly.propose(nightly.fire(2), overlap="skip")
    await engine.work_off()
    await nightly.propose(nightly.fire(3), overlap="skip")
    assert await nightly.fates() == {1: "fired", 2: "skipped (overlap)", 3: "fired"}
    assert (await nightly.state()).fates[nightly.slot(2), ""].flow == nightly.flow(1)
    await engine.work_off()


async def test_a_flow_that_stopped_is_in_the_way_of_strict_alone(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    await nightly.propose(nightly.fire(1), overlap="skip")
    await engine.suspend(*await engine.claim())
    await nightly.propose(nightly.fire(2), overlap="skip")
    await engine.work_off()
    assert (await nightly.propose(nightly.fire(3), overlap="strict")).word == "held"
    await rerun(engine.client, engine.partition, nightly.flow(1), by="alice", selection="failed")
    await engine.work_off()
    assert await nightly.is_due()
    assert (await nightly.propose(nightly.fire(3), overlap="strict")).word == "ok"
    assert await nightly.fates() == {1: "fired", 2: "fired", 3: "fired"}
    await engine.work_off()


@pytest.mark.parametrize("overlap", ["queue", "queue_one", "strict"])
async def test_a_queue_holds_a_slot_until_the_flow_before_it_goes_on_no_more(
    engine: Engine, overlap: str
) -> None:
    nightly = await Schedules.of(engine)
    await nightly.propose(nightly.fire(1), overlap=overlap)
    for _ in range(2):
        fired = await nightly.propose(nightly.fire(2), nightly.fire(3), overlap=overlap)
        assert (fired.word, fired.detail, fired.decided) == ("held", nightly.flow(1), 0)
    assert (await nightly.known()).held == nightly.slot(2)
    assert not await nightly.is_due()
    assert await nightly.fates() == {1: "fired", 2: "held (overlap)"}
    assert [event.slot for event in await held_events(engine)] == [nightly.slot(2)]
    await engine.work_off()
    assert await nightly.is_due()
    fired = await nightly.propose(nightly.fire(2), nightly.fire(3), overlap=overlap)
    assert (fired.word, fired.detail, fired.decided) == ("held", nightly.flow(2), 1)
    assert await nightly.fates() == {1: "fired", 2: "fired", 3: "held (overlap)"}
    await engine.work_off()


async def test_a_held_slot_behind_which_the_cursor_moves_is_superseded(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    await nightly.propose(nightly.fire(1), overlap="queue")
    await nightly.propose(nightly.fire(2), overlap="queue")
    await nightly.define(version=2, least_cursor_ms=nightly.slot(9))
    assert await nightly.fates() == {1: "fired", 2: "skipped (superseded)"}
    assert (await nightly.known()).held is None
    await engine.work_off()


async def test_a_held_slot_of_a_schedule_that_is_deleted_is_superseded(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    await nightly.propose(nightly.fire(1), overlap="queue")
    await nightly.propose(nightly.fire(2), overlap="queue")
    await nightly.define(version=2, state="deleted")
    assert await nightly.fates() == {1: "fired", 2: "skipped (superseded)"}
    await engine.work_off()


async def test_cancel_ends_what_is_under_way_and_fires(engine: Engine) -> None:
    nightly = await Schedules.of(engine, *chain(3))
    await nightly.propose(nightly.fire(1), overlap="cancel")
    await engine.claim()
    await nightly.propose(nightly.fire(2), nightly.fire(3), overlap="cancel")
    assert await nightly.fates() == {1: "fired", 2: "fired", 3: "fired"}
    flows = await engine.flows()
    assert [flows[nightly.flow(n)].ended_ms is not None for n in (1, 2, 3)] == [True, True, False]
    await engine.work_off()


async def test_allow_fires_beside_what_is_under_way(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    await nightly.propose(nightly.fire(1), nightly.fire(2), nightly.fire(3))
    assert len(await engine.flows()) == 3
    await engine.work_off()


async def test_a_limit_that_rejects_or_skips_skips_the_slot(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    choices: tuple[tuple[int, AtMaxFlows], ...] = ((1, "reject"), (3, "skip"))
    for number, choice in choices:
        limit = FlowControl(scope="workflow", name="etl", max_flows=1, at_max_flows=choice)
        await engine.control(limit)
        await nightly.propose(nightly.fire(number), nightly.fire(number + 1))
        await engine.work_off()
    fates = await nightly.fates()
    assert fates == {1: "fired", 2: "skipped (limit)", 3: "fired", 4: "skipped (limit)"}
    state = await nightly.state()
    assert "1" in state.fates[nightly.slot(2), ""].detail
    assert state.fates[nightly.slot(4), ""].flow == nightly.flow(3)


async def test_a_flow_that_waits_for_a_place_is_under_way(engine: Engine) -> None:
    nightly = await Schedules.of(engine, *chain(2))
    await engine.control(FlowControl(scope="workflow", name="etl", max_flows=1, at_max_flows="queue"))
    await nightly.propose(nightly.fire(1))
    await nightly.propose(nightly.fire(2))
    await engine.check()
    await nightly.propose(nightly.fire(3), overlap="skip")
    assert await nightly.fates() == {1: "fired", 2: "fired", 3: "skipped (overlap)"}
    await engine.work_off()


async def test_failures_in_a_row_are_counted_and_then_nothing_fires(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    for number in (1, 2):
        fired = await nightly.propose(nightly.fire(number), pause_after_failures=2)
        assert fired.word == "ok"
        await engine.suspend(*await engine.claim())
    fired = await nightly.propose(nightly.fire(3), pause_after_failures=2)
    assert (fired.word, fired.decided) == ("failed", 1)
    assert (await nightly.fates())[3] == "skipped (failures)"
    assert (await nightly.state()).failures == 2
    await nightly.define(version=2, state="paused")
    await nightly.define(version=3)
    assert (await nightly.propose(nightly.fire(4), pause_after_failures=2)).word == "ok"
    await engine.work_off()


async def test_a_flow_that_finishes_ends_the_count_of_failures(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    await nightly.propose(nightly.fire(1))
    await engine.suspend(*await engine.claim())
    assert (await nightly.known()).failures == 1
    await nightly.propose(nightly.fire(2))
    await engine.work_off()
    assert (await nightly.known()).failures == 0


async def test_a_flow_that_ends_with_a_task_given_up_is_a_failure(engine: Engine) -> None:
    nightly = await Schedules.of(engine, task(1, on_failure="give_up"))
    await nightly.propose(nightly.fire(1))
    await engine.suspend(*await engine.claim())
    assert (await nightly.known()).failures == 1


async def test_a_cancelled_flow_is_no_failure(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    await nightly.propose(nightly.fire(1))
    await cancel(engine.client, engine.partition, nightly.flow(1), by="eve")
    assert (await nightly.known()).failures == 0


async def test_an_ended_flow_that_is_rerun_is_under_way_again(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    await nightly.propose(nightly.fire(1))
    await engine.work_off()
    state = await engine.restored(nightly.flow(1))
    await rerun(engine.client, engine.partition, nightly.flow(1), by="alice", selection="all", restored=state)
    await engine.check()
    await nightly.propose(nightly.fire(2), overlap="skip")
    assert (await nightly.fates())[2] == "skipped (overlap)"
    await engine.work_off()


async def test_a_flow_that_is_there_already_is_told_and_not_made_anew(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    await nightly.propose(nightly.fire(1))
    await send(engine.client, "HSET", engine.keys.schedule(UID), "c", nightly.slot(0))  # it went back
    assert (await nightly.propose(nightly.fire(1))).word == "ok"
    await engine.work_off()
    await send(engine.client, "HSET", engine.keys.schedule(UID), "c", nightly.slot(0))
    assert (await nightly.propose(nightly.fire(1))).word == "ok"
    assert len(await engine.flows()) == 1


async def test_the_last_slot_finishes_a_schedule(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    await nightly.propose(nightly.fire(1), next_due_ms=None)
    assert (await nightly.state()).state == "finished"
    assert (await nightly.known()).state == "finished"
    assert await nightly.define(version=1) == ["same"]
    assert await nightly.define(version=2) == ["new"]
    assert await nightly.is_due()
    await engine.work_off()


async def test_a_backfill_fires_a_slot_of_the_past_beside_its_fate(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    await nightly.propose(nightly.miss(1, 5))
    firing = Firing(
        uid=UID, version=1, cursor=None, overlap="allow", decisions=[nightly.fire(2, reason="b-1")]
    )
    assert [one.word for one in await nightly.send(firing)] == ["ok"]
    assert [one.word for one in await nightly.send(firing)] == ["ok"]
    state = await nightly.state()
    assert state.counts() == {"fired": 1, "skipped": 0, "missed": 5}
    assert (await nightly.known()).cursor == nightly.slot(5)
    await engine.work_off()


async def test_a_call_does_not_more_than_is_good_for_redis(engine: Engine) -> None:
    nightly = await Schedules.of(engine, *(task(seq) for seq in range(1, 201)))
    await nightly.define(OTHER)
    firings = [
        Firing(
            uid=uid,
            version=1,
            cursor=nightly.slot(0),
            overlap="allow",
            decisions=[nightly.fire(n, uid) for n in (1, 2, 3)],
            next_due_ms=nightly.slot(500),
        )
        for uid in (UID, OTHER)
    ]
    first, second = await nightly.send(*firings)
    assert (first.word, first.decided) == ("later", 2)
    assert (second.word, second.decided) == ("later", 0)
    assert await nightly.is_due(OTHER)
    assert (await nightly.propose(*firings[0].decisions[2:])).word == "ok"
    assert (await nightly.propose(*firings[1].decisions, uid=OTHER)).word == "later"
    await engine.work_off()


async def test_a_partition_of_another_generation_is_lost(engine: Engine) -> None:
    lost = Partition(0, "test-installation", "99")
    with pytest.raises(LostError):
        await define_schedules(
            engine.client, lost, [Definition(uid=UID, version=1, name="s", state="active")]
        )
    nightly = Schedules(engine, 0)
    nightly.engine.partition = lost
    with pytest.raises(LostError):
        await nightly.propose(nightly.fire(1))
    nightly.engine.partition = Partition(0, "test-installation", "1")


async def test_definitions_told_again_say_how_schedules_stand(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    count = len(await engine.events())
    definition = Definition(uid=UID, version=1, name="nightly", state="active")
    assert await define_schedules(engine.client, engine.partition, [definition]) == ["same"]
    assert len(await engine.events()) == count
    await define_schedules(engine.client, engine.partition, [definition], again=True)
    assert len(await engine.events()) == count + 1
    assert (await nightly.state()).cursor == nightly.slot(0)


async def held_events(engine: Engine) -> list[ScheduleHeld]:
    return [event for event in await engine.events() if isinstance(event, ScheduleHeld)]


async def test_a_deletion_that_is_told_again_is_no_event(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    for number in range(3):
        count = len(await engine.events())
        word = "same" if number else "new"
        assert await nightly.define(version=2, state="deleted") == [word]
        assert len(await engine.events()) == count + (not number)
    assert await nightly.define(uid=UID[::-1], version=2, state="deleted") == ["same"]
    assert (await nightly.state()).state == "deleted"


async def test_nobody_waits_for_a_flow_that_is_lost(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    await nightly.propose(nightly.fire(1))
    await engine.suspend(*await engine.claim())
    assert (await nightly.propose(nightly.fire(2), overlap="strict")).word == "held"
    failed = [(UID, nightly.flow(1))]
    assert await release_flows(engine.client, engine.partition, failed) == []  # it is there
    assert not await nightly.is_due()
    version = (await engine.flow(nightly.flow(1))).version
    await park(engine.client, engine.partition, [(nightly.flow(1), version)])
    assert await release_flows(engine.client, engine.partition, failed) == [nightly.flow(1)]
    assert await release_flows(engine.client, engine.partition, failed) == []
    assert await nightly.is_due()
    assert (await nightly.propose(nightly.fire(2), overlap="strict")).word == "ok"
    await engine.work_off()


async def test_what_is_skipped_for_a_flow_names_it(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    await nightly.propose(nightly.fire(1), nightly.miss(2, 4, "skip", "overlap"), overlap="queue_one")
    (fate,) = [one for one in (await nightly.state()).fates.values() if one.state == "skipped"]
    assert (fate.count, fate.flow) == (3, nightly.flow(1))
    await engine.work_off()


async def test_what_is_due_is_told_by_redis_clock(engine: Engine) -> None:
    nightly = await Schedules.of(engine)
    where = (engine.client, engine.partition)
    clock, due, _ = await due_schedules(*where, behind_ms=0, most=10)
    assert [uid for uid, _ in due] == [UID]
    later = clock + 60_000
    await nightly.propose(nightly.fire(1), next_due_ms=later)
    _, due, next_ms = await due_schedules(*where, behind_ms=0, most=10)
    assert due == []
    assert next_ms is not None and 0 < next_ms <= 60_000
    assert (await due_schedules(*where, behind_ms=-120_000, most=10))[1] == [(UID, later)]
    await engine.work_off()
