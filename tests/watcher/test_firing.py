"""Schedules of the table reach Redis, and their slots get their fates on time, each once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from flower_cli.commands.show import print_flow
from flower_engine.log.client import connect, connect_blocking
from flower_engine.log.partition import Partition
from flower_engine.log.reader import read_log
from flower_engine.model.folding.schedule_state import ScheduleState, fold_schedules
from flower_engine.projection import database
from flower_engine.projection.database import Connection
from flower_engine.projection.read.queries import FlowFilter, list_flows, read_flow
from flower_engine.projection.read.state_views import view_of_state
from flower_engine.projection.read.view_fields import moment
from flower_engine.projection.write.batch import make_batch
from flower_engine.projection.write.projected_positions import Projected, add_positions
from flower_engine.projection.write.writer import Writer
from flower_engine.runtime.clock import ManualClock
from flower_engine.schedules.slot_ids import partition_of_schedule, slot_flow_id
from flower_engine.transitions.installation_transitions import install
from flower_engine.transitions.park_transitions import park
from flower_engine.transitions.schedule_transitions import read_schedules
from flower_watcher import schedule_sync
from flower_watcher.fire_slots import FireLoop
from flower_watcher.released_flows import release_unknown
from flower_watcher.schedule_sync import ScheduleSyncLoop
from flower_watcher.scheduled_workflows import Shared
from scripts.engine import Engine, task
from worker.running import PATIENCE_SECONDS

A_SECOND_MS = 1_000


class Watched:
    """A partition, the tables, and one watcher's loops of schedules."""

    def __init__(self, engine: Engine, tables: Connection, database_url: str) -> None:
        self.engine = engine
        self.tables = tables
        self.url = database_url
        self.shared = Shared()
        self.sync = self.new_sync()
        self.fire = self.new_fire()

    def new_sync(self) -> ScheduleSyncLoop:
        return ScheduleSyncLoop(self.engine.client, [self.engine.partition], self.url, self.shared)

    def new_fire(self) -> FireLoop:
        return FireLoop(self.engine.client, self.engine.partition, self.shared)

    async def define(self, name: str = "s", **columns: Any) -> str:
        """Writes a row as SQL does; its uid. Of every second, if it is not said otherwise."""
        columns = {"task_id": "etl", "every_seconds": 1, "overlap": "allow", **columns}
        if columns["every_seconds"] is None:
            del columns["every_seconds"]
        names, marks = ", ".join(columns), ", ".join(["%s"] * len(columns))
        row = await (
            await self.tables.execute(
                f"INSERT INTO ms_schedule (name, {names}) VALUES (%s, {marks}) RETURNING uid::text".encode(),  # noqa: S608
                [name, *columns.values()],
            )
        ).fetchone()
        assert row is not None
        return str(row[0])

    async def bring(self) -> int:
        return await self.sync.run_once(self.tables)

    async def state(self, uid: str) -> ScheduleState:
        return fold_schedules(await self.engine.events())[uid]

    async def until(self, holds: Callable[[ScheduleState], bool], uid: str) -> ScheduleState:
        """Lets the watcher work until that holds of a schedule."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                await self.bring()
                await self.fire.run_once()
                schedules = fold_schedules(await self.engine.events())
                if uid in schedules and holds(schedules[uid]):
                    return schedules[uid]
                await asyncio.sleep(0.05)


@pytest.fixture
async def watched(redis_url: str, database_url: str) -> AsyncIterator[Watched]:
    async with connect(redis_url) as client, await database.connect(database_url, "test") as tables:
        with connect_blocking(redis_url) as blocking:
            meta = await install(client, 0, "test-installation", 1)
            engine = Engine(client, blocking, Partition(0, meta.installation, meta.generation))
            await engine.attend("default")
            await tables.execute(
                "INSERT INTO ms_task_definition (task_id, task_seq, program, task_priority)"
                " VALUES ('etl', 1, 'A', 0)"
            )
            watched = Watched(engine, tables, database_url)
            yield watched
            await engine.check()


async def test_a_schedule_of_every_second_fires_each_once(watched: Watched) -> None:
    uid = await watched.define()
    state = await watched.until(lambda now: now.counts()["fired"] >= 3, uid)
    slots = sorted(fate.slot for fate in state.fates.values())
    assert [after - before for before, after in pairwise(slots)] == [A_SECOND_MS] * (len(slots) - 1)
    assert all(slot_flow_id(uid, fate.slot, 0) == fate.flow for fate in state.fates.values())
    assert {flow.registered.schedule for flow in (await watched.engine.flows()).values()} == {uid}


async def test_two_watchers_fire_each_slot_once(watched: Watched) -> None:
    uids = [await watched.define(f"s{number}") for number in range(20)]
    await watched.bring()
    loops = [watched.new_fire() for _ in range(2)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await watched.state(uids[0])).counts()["fired"] < 3:
            await asyncio.gather(*(loop.run_once() for loop in loops))
            await asyncio.sleep(0.02)
    schedules = fold_schedules(await watched.engine.events())  # refuses a slot with two fates
    fired = [fate.flow for one in schedules.values() for fate in one.fates.values()]
    assert len(fired) == len(set(fired)) == len(await watched.engine.flows())


async def test_slots_fire_in_the_partition_of_their_schedule_once(redis_url: str, database_url: str) -> None:
    async with connect(redis_url) as client, await database.connect(database_url, "test") as tables:
        with connect_blocking(redis_url) as blocking:
            metas = [await install(client, number, "test-installation", 2) for number in range(2)]
            engines = [
                Engine(client, blocking, Partition(number, meta.installation, meta.generation))
                for number, meta in enumerate(metas)
            ]
            await tables.execute(
                "INSERT INTO ms_task_definition (task_id, task_seq, program, task_priority)"
                " VALUES ('etl', 1, 'A', 0)"
            )
            watched = Watched(engines[0], tables, database_url)
            uids = [await watched.define(f"s{number}") for number in range(12)]
            own = [{uid for uid in uids if partition_of_schedule(uid, 2) == number} for number in range(2)]
            partitions = [engine.partition for engine in engines]
            sync = ScheduleSyncLoop(client, partitions, database_url, watched.shared)
            loops = [FireLoop(client, one, watched.shared) for one in partitions for _ in range(2)]
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    await sync.run_once(tables)
                    await asyncio.gather(*(loop.run_once() for loop in loops))
                    found = [fold_schedules(await engine.events()) for engine in engines]
                    known = {uid: state for schedules in found for uid, state in schedules.items()}
                    if len(known) == len(uids) and all(s.counts()["fired"] >= 2 for s in known.values()):
                        break
                    await asyncio.sleep(0.05)
            for number, engine in enumerate(engines):
                assert set(found[number]) == own[number]
                fired = {
                    slot_flow_id(uid, fate.slot, number)
                    for uid, state in found[number].items()
                    for fate in state.fates.values()
                    if fate.state == "fired"
                }
                assert set(await engine.flows()) == fired
                await engine.check()


async def test_an_edit_with_sql_holds_without_a_restart(watched: Watched) -> None:
    uid = await watched.define()
    await watched.until(lambda now: now.counts()["fired"] >= 1, uid)
    await watched.tables.execute("UPDATE ms_schedule SET is_paused = true, reason = 'holidays'")
    state = await watched.until(lambda now: now.state == "paused", uid)
    fired = state.counts()["fired"]
    await watched.until(lambda now: now.counts()["skipped"] >= 1, uid)
    await watched.tables.execute("UPDATE ms_schedule SET is_paused = false")
    state = await watched.until(lambda now: now.counts()["fired"] > fired, uid)
    assert {fate.reason for fate in state.fates.values() if fate.state == "skipped"} == {"paused"}
    await watched.tables.execute("DELETE FROM ms_schedule")
    await watched.until(lambda now: now.state == "deleted", uid)
    assert await read_schedules(watched.engine.client, watched.engine.partition, [uid]) == [None]


@pytest.mark.parametrize(
    ("columns", "word"),
    [
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"every_seconds": None, "cron": "15W * * * *"}, "cron"),
        ({"overlap": "sometimes"}, "overlap"),
        ({"task_id": "nobody"}, "nobody"),
        ({"parameters": '{"TABLE": 1}'}, "TABLE"),
    ],
)
async def test_nonsense_is_a_problem_of_that_schedule_alone(
    watched: Watched, columns: dict[str, Any], word: str, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = await watched.define("wrong", **columns)
    right = await watched.define("right")
    await watched.until(lambda now: now.counts()["fired"] >= 2, right)
    state = await watched.state(wrong)
    assert (state.state, state.counts()["fired"]) == ("problem", 0)
    assert word in state.problem
    assert sum(word in record.message for record in caplog.records) == 1


async def test_failures_in_a_row_pause_the_schedule(watched: Watched) -> None:
    uid = await watched.define(pause_after_failures=2)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await watched.until(lambda now: bool(now.fates), uid)).state != "paused":
            await watched.engine.suspend(*await watched.engine.claim())
            await asyncio.sleep(0.05)
    row = await (await watched.tables.execute("SELECT is_paused, reason FROM ms_schedule")).fetchone()
    assert row is not None
    assert row[0] is True
    assert "2 times in a row" in row[1]


async def test_a_strict_schedule_waits_for_a_parked_flow_and_not_for_one_that_is_lost(
    watched: Watched,
) -> None:
    uid = await watched.define(overlap="strict")
    failed = ""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not failed:
            await watched.until(lambda now: now.counts()["fired"] == 1, uid)
            for claim in await watched.engine.claim():
                failed = claim.flow
                await watched.engine.suspend(claim)
    await watched.until(lambda now: any(fate.state == "held" for fate in now.fates.values()), uid)
    version = (await watched.engine.flow(failed)).version
    assert await park(watched.engine.client, watched.engine.partition, [(failed, version)]) == [failed]
    await _project(watched)
    where = (watched.engine.client, [watched.engine.partition], watched.tables, watched.shared)
    assert watched.shared.waits == {uid: failed}
    assert await release_unknown(*where) == []
    await watched.tables.execute("DELETE FROM kr_flow_stat")
    assert await release_unknown(*where) == [failed]
    await watched.until(lambda now: now.counts()["fired"] >= 2, uid)
    assert failed not in watched.shared.waits.values()  # another one may be waited for by now


async def test_what_came_while_a_schedule_had_a_problem_is_skipped_when_that_is_mended(
    watched: Watched,
) -> None:
    uid = await watched.define(overlap="sometimes")
    await watched.until(lambda now: now.state == "problem", uid)
    await asyncio.sleep(1.1)  # a slot comes
    await watched.tables.execute("UPDATE ms_schedule SET overlap = 'allow'")
    state = await watched.until(lambda now: now.counts()["fired"] >= 1, uid)
    assert {fate.reason for fate in state.fates.values() if fate.state == "skipped"} == {"problem"}
    assert state.counts()["missed"] == 0


async def test_clocks_that_drift_apart_are_told_though_no_schedule_changes(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    sync = ScheduleSyncLoop(
        watched.engine.client, [watched.engine.partition], "", watched.shared, clock=clock
    )
    await sync.run_once(watched.tables)
    assert "clock of Redis" not in caplog.text
    monkeypatch.setattr(schedule_sync, "_CLOCKS_APART_MS", -1)  # as if they were that far apart
    for _ in range(3):
        clock.advance(61_000)
        await sync.run_once(watched.tables)
    assert caplog.text.count("clock of Redis") == 1


async def test_slots_that_nobody_watched_are_missed_and_the_latest_is_caught_up_with(
    watched: Watched,
) -> None:
    uid = await watched.define(every_seconds=60, window_seconds=3600)
    async with watched.tables.transaction():  # as if it had stood there for ten minutes
        await watched.tables.execute("ALTER TABLE ms_schedule DISABLE TRIGGER USER")
        await watched.tables.execute("UPDATE ms_schedule SET changed_ts = now() - interval '10 minutes'")
        await watched.tables.execute("ALTER TABLE ms_schedule ENABLE TRIGGER USER")
    state = await watched.until(lambda now: now.counts()["fired"] >= 1, uid)
    assert 8 <= state.counts()["missed"] <= 10
    assert {fate.reason for fate in state.fates.values() if fate.state == "missed"} == {"superseded"}


@pytest.mark.parametrize("hours", [1, 24])
async def test_after_an_outage_as_many_are_caught_up_on_as_may_be_a_second_apart(
    watched: Watched, hours: int
) -> None:
    uid = await watched.define(every_seconds=60, catch_up="all", max_catch_up=3)
    async with watched.tables.transaction():  # as if no watcher had run since
        await watched.tables.execute("ALTER TABLE ms_schedule DISABLE TRIGGER USER")
        await watched.tables.execute(
            "UPDATE ms_schedule SET changed_ts = now() - make_interval(hours => %s)", [hours]
        )
        await watched.tables.execute("ALTER TABLE ms_schedule ENABLE TRIGGER USER")
    state = await watched.until(lambda now: now.counts()["fired"] >= 3, uid)
    late = sorted((one.decided_ms, one.slot) for one in state.fates.values() if one.late_ms > 30_000)
    fired = [slot for _, slot in late if state.fates[slot, ""].state == "fired"]
    assert len(fired) == 3 and fired == sorted(fired)
    times = [state.fates[slot, ""].decided_ms for slot in fired]
    assert all(after - before >= A_SECOND_MS for before, after in pairwise(times))
    missed = [one for one in state.fates.values() if one.state == "missed"]
    assert {one.reason for one in missed} <= {"catch_up", "window"} and len(missed) <= 2
    assert abs(sum(one.count for one in missed) - (60 * hours - 3)) <= 2


async def test_firing_goes_on_without_postgres(watched: Watched) -> None:
    uid = await watched.define(parameters='{"DAY": {"$slot": "date"}}')
    await watched.tables.execute("UPDATE ms_task_definition SET parameters = '{\"DAY\": null}'")
    await watched.bring()
    loop = FireLoop(watched.engine.client, watched.engine.partition, Shared())
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (flows := await watched.engine.flows()):
            await loop.run_once()
            await asyncio.sleep(0.05)
    (flow,) = list(flows.values())[:1]
    assert flow.registered.schedule == uid
    assert flow.tasks[0].planned.parameters["DAY"][:2] == "20"


async def test_what_was_made_ready_is_not_sent_for_another_definition(watched: Watched) -> None:
    uid = await watched.define(every_seconds=2)
    await watched.bring()
    await watched.fire.run_once()
    await watched.fire.run_once()
    await watched.tables.execute("UPDATE ms_schedule SET every_seconds = 1")
    state = await watched.until(lambda now: now.counts()["fired"] >= 3, uid)
    assert state.version > 1


async def test_one_time_finishes_a_schedule(watched: Watched) -> None:
    uid = await watched.define(every_seconds=None, at="now()")
    await watched.tables.execute("UPDATE ms_schedule SET at = now() + interval '1 second'")
    state = await watched.until(lambda now: now.state == "finished", uid)
    assert state.counts() == {"fired": 1, "skipped": 0, "missed": 0}


async def test_a_time_that_is_over_finishes_a_schedule_at_once(watched: Watched) -> None:
    uid = await watched.define(every_seconds=None, at="2020-01-01T00:00:00Z")
    state = await watched.until(lambda now: now.state == "finished", uid)
    assert not state.fates


async def _project(watched: Watched) -> None:
    held = Projected(
        partition=0, position=None, installation="test-installation", generation="1", partitions=1
    )
    await add_positions(watched.tables, [held])
    entries = await read_log(watched.engine.client, watched.engine.partition, None, 1000)
    assert await Writer(watched.tables, held).write(await make_batch(0, entries))


async def test_what_becomes_of_slots_stands_in_the_tables(watched: Watched) -> None:
    uid = await watched.define()
    await watched.until(lambda now: now.counts()["fired"] >= 2, uid)
    await _project(watched)
    state = await watched.state(uid)
    row = await (
        await watched.tables.execute(
            "SELECT fired, (SELECT count(*) FROM kr_schedule_slot AS slot"
            "  JOIN kr_flow_stat AS flow ON flow.task_flow_id = slot.flow AND flow.slot_ts = slot.slot"
            "  WHERE slot.uid = known.uid AND flow.schedule = known.uid::text) FROM kr_schedule AS known"
        )
    ).fetchone()
    assert row == (state.counts()["fired"],) * 2


async def test_a_flow_shows_its_slot_and_schedule(
    watched: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    uid = await watched.define("every-second")
    state = await watched.until(lambda now: now.counts()["fired"] >= 1, uid)
    slot = min(fate.slot for fate in state.fates.values())
    flow = slot_flow_id(uid, slot, 0)
    other = await watched.engine.register(task(1))
    await _project(watched)
    slots = tuple(moment(slot + step * A_SECOND_MS) for step in (0, -1, 1))

    listed = {
        one.task_flow_id: one
        for one in await list_flows(watched.tables, FlowFilter(), behind=None, limit=1_000)
    }
    shown = await read_flow(watched.tables, flow)
    assert shown is not None
    told = view_of_state(await watched.engine.flow(flow), 0)  # before Postgres has it
    for one in (listed[flow], shown, told):
        assert (one.slot_ts, one.previous_slot_ts, one.next_slot_ts) == slots
        assert one.schedule_uid == uid
    assert (listed[flow].schedule, shown.schedule, told.schedule) == ("every-second", "every-second", None)
    print_flow(msgspec.json.decode(msgspec.json.encode(shown)))
    assert f"slot       {slots[0]:%Y-%m-%d %H:%M:%S} UTC of schedule every-second" in capsys.readouterr().out

    plain = listed[other]
    assert (plain.schedule, plain.schedule_uid, plain.slot_ts, plain.next_slot_ts) == (None,) * 4
    await watched.tables.execute(
        "UPDATE kr_flow_stat SET schedule = 'no uuid' WHERE task_flow_id = %s", [flow]
    )
    damaged = await read_flow(watched.tables, flow)
    assert damaged is not None and (damaged.schedule, damaged.schedule_uid) == (None, "no uuid")


async def test_a_postgres_that_went_back_in_time_is_edited_and_heard_again(watched: Watched) -> None:
    uid = await watched.define()
    for number in range(5):
        await watched.tables.execute("UPDATE ms_schedule SET reason = %s", [str(number)])
    await watched.bring()
    held = (await watched.state(uid)).version
    async with watched.tables.transaction():  # as a backup has it
        await watched.tables.execute("ALTER TABLE ms_schedule DISABLE TRIGGER USER")
        await watched.tables.execute("UPDATE ms_schedule SET version = 2")
        await watched.tables.execute("ALTER TABLE ms_schedule ENABLE TRIGGER USER")
        await watched.tables.execute("UPDATE kr_schedule_version SET version = 2")
    await watched.tables.execute("UPDATE ms_schedule SET is_paused = true")
    state = await watched.until(lambda now: now.state == "paused", uid)
    assert state.version > held
