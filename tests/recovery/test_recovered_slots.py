"""A slot that had its fate gets no other, whatever becomes of Redis (`remember_slots`)."""

from datetime import UTC, datetime, timedelta

from flower_engine.projection.maintain.pruning import Pruned, prune
from flower_engine.projection.write.projected_positions import read_positions
from flower_engine.runtime.retention import RedisFence
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.verify_redis import check_redis
from recovery.both import Both
from recovery.command import flower
from scripts.engine import chain, task
from scripts.schedules import UID, Schedules

OVER = datetime(2100, 1, 1, 12, tzinfo=UTC)  # behind all that happens here, on whatever day
THAT_DAY, THE_NEXT = OVER + timedelta(hours=6), OVER + timedelta(days=1)


async def pruned(both: Both, now: datetime) -> Pruned:
    """What a prune of all that ended before the day of this moment takes away."""
    found = await prune(both.other, before_ms=int(now.timestamp() * 1_000), fence=RedisFence(both.client))
    assert found is not None
    return found


async def verified(both: Both) -> list[str]:
    """What `flower verify` finds in Redis."""
    (row,) = await read_positions(both.connection)
    checked = await check_redis(both.client, both.connection, row, lambda _what, _done, _total: None)
    return checked.differences


async def test_the_cursor_and_what_is_under_way_come_back(both: Both) -> None:
    nightly = await Schedules.of(both.engine, *chain(2))
    await nightly.propose(nightly.miss(1, 2), nightly.fire(3), nightly.fire(4), pause_after_failures=5)
    claims = {claim.flow: claim for claim in await both.engine.claim()}
    await both.engine.suspend(claims[nightly.flow(3)])
    await nightly.propose(nightly.miss(5, 5))
    await both.project()
    assert await verified(both) == []
    await both.wipe()
    await both.recover()
    await both.check()
    assert await verified(both) == []
    await nightly.define()
    known = await nightly.known()
    assert (known.cursor, known.failures) == (nightly.slot(5), 1)
    await nightly.propose(nightly.fire(6), overlap="skip")
    await both.engine.work_off()
    assert (await nightly.propose(nightly.fire(7), overlap="strict")).detail == nightly.flow(3)
    await nightly.propose(nightly.fire(7), overlap="skip")
    await both.check()
    assert await verified(both) == []
    row = await (await both.connection.execute("SELECT fired, skipped, missed FROM kr_schedule")).fetchone()
    assert row == (3, 1, 3)


async def test_a_slot_that_is_held_waits_on(both: Both) -> None:
    nightly = await Schedules.of(both.engine, task(1))
    await nightly.propose(nightly.fire(1), overlap="queue")
    await nightly.propose(nightly.fire(2), overlap="queue")
    await both.project()
    await both.wipe()
    await both.recover()
    await nightly.define()
    assert (await nightly.known()).held == nightly.slot(2)
    await both.check()
    await both.engine.work_off()
    assert await nightly.is_due()
    assert (await nightly.propose(nightly.fire(2), overlap="queue")).word == "ok"
    await both.check()


async def test_the_tables_are_built_anew_and_compared(both: Both, settings: Settings) -> None:
    nightly = await Schedules.of(both.engine, task(1))
    await nightly.propose(nightly.miss(1, 2), nightly.fire(3), nightly.miss(4, 4, "skip", "paused"))
    await nightly.propose(nightly.fire(5), overlap="queue")
    await both.project()
    code, said = await flower(settings, "verify", words=99)
    assert code == 0, said
    await both.connection.execute("UPDATE kr_schedule SET fired = 7")
    await both.connection.execute("DELETE FROM kr_schedule_slot WHERE state = 'fired'")
    await both.connection.execute("UPDATE kr_schedule_slot SET reason = 'luck' WHERE state = 'missed'")
    code, said = await flower(settings, "verify", words=99)
    assert code == 1
    assert all(word in said for word in (f"schedule {UID}: fired", "row is None", "reason is 'luck'"))
    code, said = await flower(settings, "replay", words=99)
    assert code == 0, said
    code, said = await flower(settings, "verify", words=99)
    assert code == 0, said


async def test_old_slots_are_pruned_and_counted_and_new_ones_come_behind_them(
    both: Both, settings: Settings
) -> None:
    nightly = await Schedules.of(both.engine, task(1))
    await nightly.propose(nightly.miss(1, 2), nightly.fire(3))
    await both.engine.work_off()
    await both.engine.register(task(1))  # the last event, which stays, is of no schedule
    await both.project()
    await pruned(both, OVER)
    assert await both.count("SELECT count(*) FROM kr_schedule_slot") == 0
    assert await both.count("SELECT fired + 10 * missed FROM kr_schedule") == 21
    assert await both.count("SELECT extract(epoch FROM pruned_to) * 1000 FROM kr_schedule") == nightly.slot(3)
    await nightly.propose(nightly.fire(4))
    await both.engine.work_off()
    await both.project()
    code, said = await flower(settings, "verify", words=99)
    assert code == 0, said
    assert await both.count("SELECT fired + 10 * missed FROM kr_schedule") == 22
    assert await verified(both) == []


async def test_backfills_that_were_over_go_with_what_is_as_old(both: Both) -> None:
    for state in ("finished", "cancelled", "problem", "open"):
        await both.connection.execute(
            "WITH asked AS (INSERT INTO ms_backfill (schedule, first_slot, last_slot, reason)"
            " VALUES ('nightly', now(), now(), %(state)s) RETURNING id)"
            " INSERT INTO kr_backfill (id, state, planned_ts, ended_ts)"
            " SELECT id, %(state)s, %(over)s, %(ended)s FROM asked",
            {"state": state, "over": OVER, "ended": None if state in ("problem", "open") else OVER},
        )
    await both.connection.execute(
        "INSERT INTO kr_backfill_slot (id, slot, action) SELECT id, now(), 'fire' FROM kr_backfill"
    )
    await both.connection.execute(
        "INSERT INTO ms_backfill (schedule, first_slot, last_slot, reason) VALUES ('x', now(), now(), 'new')"
    )
    await both.engine.register(task(1))
    await both.project()
    await pruned(both, THAT_DAY)
    assert await both.count("SELECT count(*) FROM ms_backfill") == 5  # that day stays
    await pruned(both, THE_NEXT)
    rows = await both.connection.execute("SELECT reason FROM ms_backfill ORDER BY reason")
    assert [reason async for (reason,) in rows] == ["new", "open"]
    assert await both.count("SELECT count(*) FROM kr_backfill_slot") == 1


async def test_fates_that_only_a_lost_log_had_hold(both: Both) -> None:
    nightly = await Schedules.of(both.engine, task(1))
    await nightly.propose(nightly.fire(1))
    await both.project()
    await nightly.propose(nightly.miss(2, 4), nightly.fire(5), nightly.miss(6, 6, "skip", "paused"))
    result = await both.recover()
    assert result.registered_again == 1
    await nightly.define()
    assert (await nightly.known()).cursor == nightly.slot(6)
    await both.check()
    assert {(await both.flows())[flow].registered.slot for flow in (nightly.flow(1), nightly.flow(5))} == {
        nightly.slot(1),
        nightly.slot(5),
    }
    await both.wipe()  # and of the next loss, what was in the fork is archived
    await both.recover()
    await nightly.define()
    assert (await nightly.known()).cursor == nightly.slot(6)
    await both.engine.work_off()
    await both.check()
    assert await verified(both) == []


async def test_a_redis_that_went_back_fires_no_slot_twice(both: Both) -> None:
    nightly = await Schedules.of(both.engine, task(1))
    await nightly.propose(nightly.fire(1))
    await both.project()
    copied = await both.copy()
    await nightly.propose(nightly.fire(2), nightly.fire(3))
    await both.engine.work_off()
    await both.project()
    await both.go_back(copied)
    await nightly.propose(nightly.fire(2))
    await nightly.propose(nightly.miss(3, 3))
    await both.recover()
    await nightly.define()
    assert (await nightly.known(UID)).cursor == nightly.slot(3)
    assert (await nightly.propose(nightly.fire(2), cursor=1)).word == "stale"
    await both.engine.work_off()
    flows = await both.check()
    assert len(flows) == 3
    assert await verified(both) == []
