"""A Postgres that lost a part of the history for good goes on, from what is under way in Redis."""

import asyncio
import json

import pytest

from flower_engine.crash_points import VARIABLE
from flower_engine.errors import PostgresBehindError
from flower_engine.log.client import send
from flower_engine.log.entries import LogEntry
from flower_engine.model.events.operator_events import FlowCancelled
from flower_engine.model.events.snapshot_events import FlowSnapshot
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.snapshot_registration import LOST_ERROR
from flower_engine.model.tasks.status import Status
from flower_engine.model.tasks.task_spec import RetryPolicy
from flower_engine.model.values.ids import make_flow_id
from flower_engine.projection.archive.archived_events import UNCOUNTED
from flower_engine.projection.maintain.gaps import Gap, LostEnd, read_gaps
from flower_engine.projection.write.batch import make_batch
from flower_engine.runtime.gap_bridge import REASON, Bridging
from flower_engine.runtime.gap_crossing import judged
from flower_engine.runtime.settings import Settings
from flower_engine.transitions.operator_transitions import pause, rerun
from flower_engine.transitions.park_transitions import park
from flower_engine.transitions.restored_flow import Restored
from flower_projector.log_follower import Follower
from flower_projector.service import serve
from recovery import test_loops
from recovery.both import Both
from recovery.bridged import agree, back_up, bridge, restore
from recovery.command import flower
from scripts.engine import chain, fan, task
from scripts.schedules import Schedules

RESULT = b'{"known":1}'


async def _hash(both: Both, flow: str) -> dict[bytes, bytes]:
    return await send(both.client, "HGETALL", both.engine.keys.flow(flow))


async def _rerun(both: Both, ended: FlowState, task: int) -> None:
    restored = Restored.of(ended)
    await rerun(
        both.client,
        both.engine.partition,
        ended.flow,
        by="ada",
        selection=[task],
        scope="dependents",
        restored=restored,
    )


async def test_loops_are_found_in_their_rounds_and_go_on(both: Both, settings: Settings) -> None:
    await both.engine.register(task(1))
    await both.engine.work_off()
    await back_up(both)
    flow = await test_loops.looping(both)
    before = (await both.engine.flow(flow)).task(1)
    await restore(both, kept=1)
    await bridge(both, settings)
    found = (await agree(both, settings))[flow]
    assert found.task(1).again_ms == before.again_ms
    assert json.loads(found.task(1).given or b"") == {"cursor": 1}
    await test_loops.goes_on(both, flow)
    await agree(both, settings)


async def test_what_is_under_way_is_found_as_it_stands(both: Both, settings: Settings) -> None:
    engine = both.engine
    once = RetryPolicy(
        max_attempts=3, delay_ms=200_000, backoff=1.5, jitter=0.25, no_retry_on=("ValueError",)
    )
    rich = task(1, retry=once, timeout_ms=60_000, queue_timeout_ms=90_000, priority=-3, queue="a/b: c")
    flows = {
        "running": await engine.register(*chain(3), workflow='a/b: "c" %'),
        "wide": await engine.register(*fan(4), workflow="wide"),
    }
    await engine.finish(*await engine.claim(2), payload=RESULT)
    await back_up(both)
    await engine.attend("a/b: c")
    flows |= {
        "failed": await engine.register(task(1), workflow="failed"),
        "retrying": await engine.register(rich, task(2, 1), workflow="retrying"),
        "keyed": await engine.register(task(1), workflow="keyed", key='a "key"'),
        "timed": await engine.register(*chain(2), workflow="timed", timeout_ms=60_000),
        "later": await engine.register(*chain(2), workflow="later", delay_ms=600_000),
        "paused": await engine.register(*chain(2), workflow="paused"),
    }
    await pause(both.client, engine.partition, flows["paused"], by="ada")
    for claim in await engine.claim(100, queues=("default", "a/b: c")):
        if claim.flow == flows["failed"]:
            await engine.suspend(claim)
        elif claim.flow == flows["retrying"]:
            await engine.fail(claim)
        elif claim.flow == flows["wide"] and claim.task < 4:
            await engine.finish(claim)
    await restore(both, kept=1)
    with pytest.raises(PostgresBehindError, match="flower recover --bridge"):
        await both.project()
    before = {name: await _hash(both, flow) for name, flow in flows.items()}

    gap = await bridge(both, settings)

    assert (gap.found, gap.closed, gap.unseen) == (len(flows), [], [])
    found = await agree(both, settings)
    assert set(found) == set(flows.values())
    running = found[flows["running"]]
    assert running.registered.workflow == 'a/b: "c" %'
    assert json.loads(running.task(1).result or b"") == json.loads(RESULT)
    assert running.task(2).status is Status.RUNNING
    assert running.task(2).worker == "w1"
    assert found[flows["failed"]].task(1).error == LOST_ERROR
    retrying = found[flows["retrying"]].task(1)
    assert retrying.planned.retry == once
    assert (retrying.planned.timeout_ms, retrying.planned.queue_timeout_ms) == (60_000, 90_000)
    assert (retrying.planned.queue, retrying.planned.priority) == ("a/b: c", -3)
    assert retrying.retry_ms is not None
    assert found[flows["keyed"]].registered.key == 'a "key"'
    assert found[flows["timed"]].registered.timeout_ms == 60_000
    assert found[flows["later"]].registered.start_ms > found[flows["later"]].registered_ms
    assert found[flows["paused"]].paused is not None
    for name, flow in flows.items():
        fields = await _hash(both, flow)
        assert {**fields, b"c": b""} == {**before[name], b"c": b""}, "only its version has changed"
    assert await read_gaps(both.connection) == [gap]


async def test_work_goes_on_behind_the_gap(both: Both, settings: Settings) -> None:
    engine = both.engine
    flow = await engine.register(*fan(20))
    await back_up(both)
    await engine.finish(*await engine.claim(1))
    held_back = await engine.claim(5)
    await restore(both, kept=1)
    await bridge(both, settings)
    await engine.finish(*held_back)
    await engine.work_off()
    flows = await agree(both, settings)
    assert flows[flow].ended_ms
    await _rerun(both, flows[flow], 3)
    await engine.work_off()
    await agree(both, settings)


async def test_what_ended_in_the_gap_is_closed_and_named(both: Both, settings: Settings) -> None:
    engine = both.engine
    lost = await engine.register(*chain(3), workflow="lost")
    await engine.finish(*await engine.claim(1))
    failed = await engine.register(task(1), workflow="failed")
    await back_up(both)
    await engine.work_off()
    unseen = await engine.register_many(30, *chain(1), workflow="unseen")
    await engine.work_off()
    await restore(both, kept=1)
    gap = await bridge(both, settings)
    assert (gap.found, sorted(gap.closed), gap.unseen) == (0, sorted([lost, failed]), sorted(unseen))
    flows = await agree(both, settings)
    cancelled = flows[lost].cancelled
    assert cancelled
    assert cancelled.reason == REASON
    assert [one.status for one in flows[lost].tasks] == [Status.FINISH, Status.IGNORE, Status.IGNORE]
    code, text = await flower(settings, "verify", words=99)
    assert code == 0
    assert "2 were closed" in text
    await _rerun(both, flows[lost], 2)
    await engine.work_off()
    assert (await agree(both, settings))[lost].task(3).status is Status.FINISH


async def test_what_follows_from_what_is_known_is_counted(both: Both, settings: Settings) -> None:
    engine = both.engine
    still = await engine.register(*chain(2), workflow="still")
    moved = await engine.register(*chain(4), workflow="moved")
    await back_up(both)
    (first, second) = await engine.claim(2)
    assert {first.flow, second.flow} == {still, moved}
    await engine.finish(first if first.flow == moved else second)
    kept_from = int(await send(both.client, "XLEN", engine.keys.log))
    await engine.finish(second if first.flow == moved else first, payload=RESULT)
    fresh = await engine.register(*chain(2), workflow="fresh")
    await engine.work_off()
    kept = int(await send(both.client, "XLEN", engine.keys.log)) - kept_from
    await restore(both, kept=kept)
    gap = await bridge(both, settings)
    assert moved in gap.closed
    flows = await agree(both, settings)
    assert flows[fresh].ended_ms
    assert flows[fresh].cancelled is None
    assert fresh not in gap.unseen


async def test_a_bridge_that_broke_down_half_way_is_built_again(both: Both, settings: Settings) -> None:
    engine = both.engine
    flow = await engine.register(*chain(3))
    await back_up(both)
    await engine.finish(*await engine.claim(1))
    await restore(both, kept=1)
    gap = await bridge(both, settings)
    await both.connection.execute("DELETE FROM kr_gap")
    again = await bridge(both, settings)
    assert (again.after, again.before) == (gap.after, gap.before)
    flows = await agree(both, settings)
    assert sum(isinstance(event, FlowSnapshot) for event in await both.archived()) == 2
    assert not flows[flow].ended_ms


async def test_a_bridge_that_was_trimmed_itself_is_built_again(both: Both, settings: Settings) -> None:
    engine = both.engine
    flow = await engine.register(*chain(3))
    await back_up(both)
    await engine.finish(*await engine.claim(1))
    await restore(both, kept=1)
    await bridge(both, settings)
    await engine.work_off()
    after = await engine.register(*chain(2), workflow="after")
    await restore(both, kept=1)
    with pytest.raises(PostgresBehindError):
        await both.project()
    gap = await bridge(both, settings)
    assert (gap.found, gap.closed) == (1, [flow])
    assert set(await agree(both, settings)) == {flow, after}


async def test_what_ends_while_the_bridge_is_built_is_not_closed(
    both: Both, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = both.engine
    flow = await engine.register(*chain(3))
    await back_up(both)
    await engine.finish(*await engine.claim(1))
    await restore(both, kept=1)

    unseen_ends = Bridging._unseen_ends  # pyright: ignore[reportPrivateUsage]

    async def work_off_first(self: Bridging) -> list[LostEnd]:
        await engine.work_off()
        return await unseen_ends(self)

    monkeypatch.setattr(Bridging, "_unseen_ends", work_off_first)
    gap = await bridge(both, settings)
    assert (gap.found, gap.closed, gap.unseen_count) == (1, [], 0)
    flows = await agree(both, settings)
    assert flows[flow].ended_ms
    assert flows[flow].cancelled is None
    await _rerun(both, flows[flow], 3)
    await agree(both, settings)


async def test_until_the_gap_is_crossed_nothing_is_verified_or_repaired(
    both: Both, settings: Settings
) -> None:
    engine = both.engine
    await engine.register(*chain(3))
    await back_up(both)
    held_back = await engine.claim(1)
    await engine.register(*chain(1), workflow="other")
    await engine.finish(*held_back)
    await restore(both, kept=2)
    await bridge(both, settings)
    code, text = await flower(settings, "verify", "--repair", words=99)
    assert code == 1
    assert "has a gap that the projector has still to cross" in text
    await agree(both, settings)


async def test_what_was_parked_or_had_failed_before_the_gap_is_told_from_what_went_on(
    both: Both, settings: Settings
) -> None:
    engine = both.engine
    parked = await engine.register(task(1), workflow="parked")
    rerun_later = await engine.register(task(1), workflow="rerun-later")
    await engine.suspend(*await engine.claim(2))
    await back_up(both)
    flows = await both.flows()
    assert await park(both.client, engine.partition, [(parked, flows[parked].version)]) == [parked]
    await rerun(both.client, engine.partition, rerun_later, by="ada", selection="failed")
    await engine.work_off()
    await restore(both, kept=1)
    gap = await bridge(both, settings)
    assert gap.closed == [rerun_later]
    await both.project()
    flows = await both.flows()
    assert flows[parked].task(1).status is Status.SUSPEND
    assert flows[rerun_later].cancelled


@pytest.mark.parametrize(("known", "counts"), [(8, True), (3, False)])
async def test_an_unreadable_event_behind_a_gap_counts_only_where_it_follows(
    known: int, counts: bool
) -> None:
    flow = make_flow_id(0, 0, 1)
    raw = (
        b'{"type":"task.suspended","at":7,"flow":"' + flow.encode() + b'","v":9,"task":1,"attempt":1,'
        b'"lease":"5-0","error":{"type":"E","message":"\xff"}}'
    )
    batch = await make_batch(0, judged([LogEntry("7-0", raw)], {flow: known}))
    assert batch.changes.flows[flow].version == (9 if counts else 0)
    assert (UNCOUNTED.encode() in batch.archive.data()) is not counts


@pytest.mark.parametrize("point", ["bridge.found", "bridge.closed"])
async def test_a_bridge_whose_builder_was_killed_is_built_again(
    both: Both, settings: Settings, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    engine = both.engine
    lost = await engine.register(*chain(2), workflow="lost")
    await back_up(both)
    await engine.work_off()
    flow = await engine.register(*chain(3))
    await engine.finish(*await engine.claim(1))
    await restore(both, kept=1)
    monkeypatch.setenv(VARIABLE, point)
    code, _ = await flower(settings, "recover", "--bridge", words=99)
    assert code == -9
    monkeypatch.delenv(VARIABLE)
    code, text = await flower(settings, "recover", "--bridge", words=99)
    assert code == 0
    assert "1 flows under way were found as they stood, 1 were closed" in text
    flows = await agree(both, settings)
    assert set(flows) == {lost, flow}
    assert sum(isinstance(event, FlowCancelled) for event in await both.archived()) == 1
    code, text = await flower(settings, "recover", "--bridge", words=99)
    assert (code, "there is no gap" in text) == (0, True)


async def test_a_projector_that_may_recover_bridges_it_by_itself(both: Both, settings: Settings) -> None:
    engine, stop = both.engine, asyncio.Event()
    flow = await engine.register(*chain(2))
    await back_up(both)
    await engine.finish(*await engine.claim(1))
    await restore(both, kept=1)
    serving = asyncio.create_task(serve(settings.model_copy(update={"auto_recover": True}), stop))
    while not await both.count("SELECT count(*) FROM kr_flow_stat WHERE finished = 1"):
        assert not serving.done()
        await asyncio.sleep(0.05)
    stop.set()
    await serving
    assert not (await agree(both, settings))[flow].ended_ms


async def test_an_engine_at_work_is_bridged_exactly(both: Both, settings: Settings) -> None:
    engine, stop = both.engine, asyncio.Event()
    wide = await engine.register(*fan(300), workflow="wide")
    await back_up(both)
    await engine.finish(*await engine.claim(1))
    await engine.register_many(50, *chain(3))
    await restore(both, kept=1)

    async def work() -> None:
        for _ in range(200):  # not for ever: on a busy machine the projection would never catch up
            if stop.is_set():
                return
            await engine.register_many(2, *chain(3))
            await engine.finish(*await engine.claim(9))

    async with asyncio.TaskGroup() as group:
        group.create_task(work())
        await asyncio.sleep(0.05)
        await bridge(both, settings)
        follower = Follower(both.client, both.connection, engine.partition, 5_000)
        for _ in range(5):  # while there is more all the time
            await follower.run_once()
        stop.set()
    await engine.work_off()
    flows = await agree(both, settings)
    assert flows[wide].ended_ms
    assert all(state.ended_ms for state in flows.values())


async def _swallow_a_second_run(both: Both, settings: Settings) -> tuple[str, Gap]:
    """A flow that ends, is backed up, is rerun and ends again, where Postgres and the log lose the latter."""
    engine = both.engine
    flow = await engine.register(*chain(2), workflow="again")
    await engine.work_off()
    await back_up(both)
    await _rerun(both, (await both.flows())[flow], 1)
    await engine.work_off()
    await engine.register(*chain(1), workflow="later")
    await restore(both, kept=1)
    return flow, await bridge(both, settings)


async def test_a_flow_that_is_known_by_an_older_end_is_named_and_marked(
    both: Both, settings: Settings
) -> None:
    flow, gap = await _swallow_a_second_run(both, settings)
    assert (gap.outdated, gap.outdated_count, gap.unseen_count) == ([flow], 1, 0)
    assert flow in str(gap)
    await both.project()
    query = "SELECT version, lost_version FROM kr_flow_stat WHERE task_flow_id = %s"
    marked = await (await both.connection.execute(query, [flow])).fetchone()
    assert marked == (5, 10)
    code, text = await flower(settings, "verify", words=99)
    said = f"flow {flow} is known up to version 5 only: it went on and ended as version 10"
    assert (code, said in text) == (1, True)
    await both.connection.execute("UPDATE kr_flow_stat SET lost_version = NULL")
    code, text = await flower(settings, "verify", "--repair", words=99)
    assert (code, "lost_version is None" in text) == (1, True)
    assert await (await both.connection.execute(query, [flow])).fetchone() == marked


async def test_a_flow_whose_later_end_the_log_still_has_is_not_taken_for_older(
    both: Both, settings: Settings
) -> None:
    engine = both.engine
    flow = await engine.register(*chain(2), workflow="again")
    await engine.work_off()
    await back_up(both)
    await engine.register_many(5, *chain(1), workflow="lost")
    await engine.work_off()
    before = int(await send(both.client, "XLEN", engine.keys.log))
    state = (await both.flows())[flow]
    await _rerun(both, state, 1)
    await engine.work_off()
    kept = int(await send(both.client, "XLEN", engine.keys.log)) - before
    await restore(both, kept=kept)
    gap = await bridge(both, settings)
    assert (gap.outdated, gap.unseen_count) == ([], 5)
    assert (await agree(both, settings))[flow].version == 10


async def test_every_flow_that_a_gap_swallowed_is_kept_with_its_end(both: Both, settings: Settings) -> None:
    engine = both.engine
    await engine.register(*chain(1))
    await back_up(both)
    unseen = await engine.register_many(1_200, *chain(1), workflow="unseen")
    await engine.work_off()
    await restore(both, kept=1)
    gap = await bridge(both, settings)
    assert (len(gap.unseen), gap.unseen_count) == (1_000, 1_200)
    rows = await both.connection.execute(
        "SELECT task_flow_id FROM kr_gap_flow"
        " WHERE version = 3 AND ended_ts <= now() AND known_version IS NULL"
    )
    assert {flow async for (flow,) in rows} == set(unseen)


async def test_schedules_go_on_where_redis_has_them(both: Both, settings: Settings) -> None:
    nightly = await Schedules.of(both.engine, task(1))
    await nightly.propose(nightly.fire(1))
    await back_up(both)
    await nightly.propose(nightly.fire(2), nightly.miss(3, 4))
    await both.engine.work_off()
    await restore(both, kept=1)
    await bridge(both, settings)
    await both.project()
    row = await (
        await both.connection.execute(
            "SELECT (extract(epoch FROM cursor) * 1000)::bigint, state, version FROM kr_schedule"
        )
    ).fetchone()
    assert row == (nightly.slot(4), "active", 1)
    assert (await nightly.propose(nightly.fire(5))).word == "ok"
    await both.project()


async def test_a_bridged_schedule_says_what_is_wrong_with_it(both: Both, settings: Settings) -> None:
    nightly = await Schedules.of(both.engine, task(1), state="problem", problem="cron: 'x' is none")
    await back_up(both)
    await nightly.define(version=2, state="problem", problem="cron: 'y' is none")
    await both.engine.register(task(1))
    await restore(both, kept=1)
    await bridge(both, settings)
    await both.project()
    row = await (await both.connection.execute("SELECT state, problem FROM kr_schedule")).fetchone()
    assert row == ("problem", "cron: 'y' is none")
    await nightly.define(version=3)
    assert (await nightly.known()).problem == ""
