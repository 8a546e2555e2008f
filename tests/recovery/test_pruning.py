"""Flows that ended long ago go with their events; whatever else the old days hold stays.

What "long ago" is, the tests choose: as if it were the day after tomorrow.
"""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from redis.exceptions import RedisError

from flower_engine.errors import LostError, PrunedError
from flower_engine.log.client import connect as connect_redis
from flower_engine.log.client import send
from flower_engine.log.reader import last_position
from flower_engine.projection.archive.archive_days import DAY_MS, make_day, table_of_day
from flower_engine.projection.archive.followers import ArchiveFollower, Page
from flower_engine.projection.database import connect
from flower_engine.projection.maintain.pruning import Pruned, events_of_day, old_days, prune
from flower_engine.projection.write.projected_positions import Projected
from flower_engine.runtime.retention import RedisFence, prune_older
from flower_engine.runtime.settings import Settings
from flower_engine.transitions.operator_transitions import rerun
from flower_engine.transitions.prune_transitions import take_back
from flower_engine.transitions.restored_flow import Restored
from flower_projector.retention_loop import prune_once
from projection.rows import expected, held
from recovery.both import Both
from recovery.command import flower
from scripts.engine import chain, task

LATER = -2 * 86_400.0


async def _stories(both: Both) -> dict[str, str]:
    """One that ended, two that did not, and one that ended a month from now."""
    engine = both.engine
    ended = await engine.register(*chain(2), workflow="ended")
    later = await engine.register(*chain(2), workflow="later")
    await engine.work_off()
    suspended = await engine.register(task(1), task(2, 1), workflow="suspended")
    await engine.suspend(*await engine.claim(1))
    running = await engine.register(*chain(2), workflow="running")
    await engine.claim(1)
    await both.project()
    await both.connection.execute(
        "UPDATE kr_flow_stat SET finished_ts = now() + interval '30 days' WHERE task_flow_id = %s", [later]
    )
    return {"ended": ended, "later": later, "suspended": suspended, "running": running}


async def _prune(both: Both) -> Pruned:
    pruned = await prune_older(both.client, both.other, LATER)
    assert pruned is not None
    return pruned


async def _flows(both: Both, table: str) -> set[str]:
    rows = await both.connection.execute(
        SQL("SELECT DISTINCT task_flow_id FROM {}").format(Identifier(table))
    )
    return {flow async for (flow,) in rows if flow}


async def test_what_ended_goes_and_all_else_stays_with_all_its_history(both: Both) -> None:
    flows = await _stories(both)
    before = await both.count("SELECT count(*) FROM kr_event")
    pruned = await _prune(both)
    assert pruned.flows == 1
    assert len(pruned.days) == 1
    assert await both.count("SELECT count(*) FROM kr_event") == before - pruned.events == pruned.kept
    stay = set(flows.values()) - {flows["ended"]}
    for table in ("kr_flow_stat", "kr_task_stat", "kr_event"):
        assert await _flows(both, table) == stay
    await both.connection.execute("UPDATE kr_flow_stat SET finished_ts = now() WHERE finished_ts > now()")
    assert (await _prune(both)).flows == 1  # of what stayed for another reason before
    assert (await _prune(both)).flows == 0


async def test_what_stays_goes_on_and_survives_a_lost_redis(both: Both) -> None:
    flows = await _stories(both)
    await both.connection.execute("UPDATE kr_flow_stat SET finished_ts = now() WHERE finished_ts > now()")
    assert (await _prune(both)).flows == 2
    await both.wipe()
    assert (await both.recover()).flows == 2
    await both.engine.work_off()
    found = await both.check()
    assert found[flows["running"]].ended_ms
    assert await held(both.connection) == expected(await both.archived())


async def test_the_projector_goes_on_and_the_day_takes_events_again(both: Both) -> None:
    await _stories(both)
    await _prune(both)
    new = await both.engine.register(task(1), workflow="new")
    await both.engine.work_off()
    await both.project()
    assert new in await _flows(both, "kr_event")
    assert await both.count("SELECT count(*) FROM kr_event_default") == 0


async def _ended(both: Both) -> str:
    """A flow that ended, and that is all."""
    flow = await both.engine.register(*chain(2), workflow="ended")
    await both.engine.work_off()
    await both.project()
    return flow


async def _state(both: Both, flow: str) -> Restored:
    """An ended flow as an operator's rerun has folded it by now."""
    position = await last_position(both.client, both.engine.partition)
    return Restored.of((await both.flows())[flow], position=position)


async def _rerun(both: Both, flow: str, restored: Restored) -> None:
    where = (both.client, both.engine.partition, flow)
    await rerun(*where, by="ada", selection="all", restored=restored)


class Slow(RedisFence):
    """A prune that others are faster than: what they do lies between its steps."""

    def __init__(
        self,
        both: Both,
        *,
        before: Callable[[], Awaitable[None]] | None = None,
        after: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """``before``: what happens before Redis is told; ``after``: when it was told and asked."""
        super().__init__(both.client)
        self._before, self._after = before, after

    async def begin(self, held: Projected, until_ms: int) -> None:
        if self._before:
            await self._before()
        await super().begin(held, until_ms)

    async def check(self) -> None:
        if self._after:
            await self._after()
        await super().check()


async def _prune_slowly(both: Both, fence: RedisFence) -> Pruned | None:
    return await prune(both.other, before_ms=int(time.time() * 1000) + 2 * DAY_MS, fence=fence)


async def test_a_flow_that_is_rerun_before_redis_is_told_stays_with_all_its_history(both: Both) -> None:
    flow = await _ended(both)
    known = await _state(both, flow)
    pruned = await _prune_slowly(both, Slow(both, before=lambda: _rerun(both, flow, known)))
    assert pruned is not None
    assert pruned.flows == 0
    await both.engine.work_off()
    assert (await both.check())[flow].version == 10
    assert await held(both.connection) == expected(await both.archived())


async def test_a_flow_that_was_rerun_and_ended_again_unprojected_stays(both: Both) -> None:
    flow = await _ended(both)
    await _rerun(both, flow, await _state(both, flow))
    await both.engine.work_off()
    assert (await _prune(both)).flows == 0
    assert (await both.check())[flow].version == 10
    assert await held(both.connection) == expected(await both.archived())


async def test_a_rerun_that_comes_while_a_flow_goes_or_later_is_refused(both: Both) -> None:
    flow = (await _stories(both))["ended"]
    known = await _state(both, flow)

    async def refused() -> None:
        with pytest.raises(PrunedError, match=f"flow {flow} is being pruned"):
            await _rerun(both, flow, known)

    pruned = await _prune_slowly(both, Slow(both, after=refused))
    assert pruned is not None
    assert pruned.flows == 1
    await refused()
    for key in (both.engine.keys.ended(flow), both.engine.keys.endings):  # whatever Redis has forgotten
        await send(both.client, "DEL", key)
    await refused()
    assert flow not in await both.check()


async def test_what_ends_after_a_prune_can_be_rerun(both: Both) -> None:
    await _stories(both)
    await _prune(both)
    flow = await both.engine.register(*chain(2), workflow="new")
    await both.engine.work_off()
    await _rerun(both, flow, await _state(both, flow))
    await both.engine.work_off()
    assert (await both.flows())[flow].version == 10


async def test_a_prune_in_whose_middle_redis_was_lost_removes_nothing(both: Both) -> None:
    flow = (await _stories(both))["ended"]

    async def lose() -> None:
        await send(both.client, "HDEL", both.engine.keys.meta, "pruning")

    with pytest.raises(LostError, match="nothing has gone"):
        await _prune_slowly(both, Slow(both, after=lose))
    assert flow in await _flows(both, "kr_flow_stat")


async def test_without_redis_nothing_goes(both: Both, settings: Settings) -> None:
    flow = (await _stories(both))["ended"]
    async with connect_redis("redis://127.0.0.1:1/0") as nobody:
        with pytest.raises(RedisError):
            await prune_older(nobody, both.other, LATER)
    await prune_once(both.client, settings.model_copy(update={"retention_days": 1}), 1)
    assert flow in await _flows(both, "kr_flow_stat")
    assert (await _prune(both)).flows == 1


async def test_more_flows_than_a_call_takes_go_in_steps(both: Both) -> None:
    flows = await both.engine.register_many(2_300, *chain(1), workflow="many")
    await both.engine.work_off()
    await both.project()
    known = {flow: await _state(both, flow) for flow in (flows[0], flows[1_200], flows[-1])}
    for flow, state in known.items():
        await _rerun(both, flow, state)
    assert (await _prune(both)).flows == 2_297
    await both.project()
    assert await _flows(both, "kr_flow_stat") == set(known)


async def test_only_one_prunes_at_a_time(both: Both, settings: Settings) -> None:
    await _stories(both)

    async def meanwhile() -> None:
        assert settings.database_url is not None
        async with await connect(settings.database_url, "second") as second:
            assert await prune_older(both.client, second, LATER) is None

    pruned = await _prune_slowly(both, Slow(both, before=meanwhile))
    assert pruned is not None
    assert pruned.flows == 1


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_prune_that_is_killed_half_way_has_changed_nothing(both: Both, *, is_late: bool) -> None:
    flow = await _ended(both)
    before = await held(both.connection), await both.archived()
    known = await _state(both, flow)

    async def killed() -> None:
        await both.connection.execute("SELECT pg_terminate_backend(%s)", [both.other.info.backend_pid])

    slow = Slow(both, after=killed) if is_late else Slow(both, before=killed)
    with pytest.raises(psycopg.OperationalError):
        await _prune_slowly(both, slow)
    assert (await held(both.connection), await both.archived()) == before
    if is_late:  # whether it went is not known then, before somebody has looked
        with pytest.raises(PrunedError) as caught:
            await _rerun(both, flow, known)
        await take_back(both.client, both.engine.partition, caught.value.until_ms)
    await _rerun(both, flow, known)


async def test_a_day_is_exported_event_by_event(both: Both) -> None:
    await _stories(both)
    days = await old_days(both.connection, before_ms=int(time.time() * 1000) + DAY_MS)
    assert len(days) in (1, 2)  # it may be midnight
    entries = [entry for day in days async for entry in events_of_day(both.connection, day)]
    assert len(entries) == await both.count("SELECT count(*) FROM kr_event")
    assert json.loads(bytes(entries[0]["event"]))["type"] == "log.opened"


async def test_the_command_exports_and_prunes(both: Both, settings: Settings, tmp_path: Path) -> None:
    day = int(time.time() * 1000) // DAY_MS - 40
    await make_day(both.connection, day)
    await both.connection.execute(
        "INSERT INTO kr_event (partition, position_ms, position_seq, type, event, raw, error, task_flow_id)"
        " VALUES (0, %(ms)s, 0, 'log.opened', '{\"type\": \"log.opened\"}', NULL, NULL, NULL),"
        " (0, %(ms)s, 1, NULL, NULL, 'nonsense', 'it is none', 'of nobody')",
        {"ms": day * DAY_MS},
    )
    command = ("prune", "--older-than", "30d", "--export", str(tmp_path))
    went = (
        "0 flows and 1 events went, 1 days were dropped; 1 events of these days stay;"
        " 0 chunks of task logs and 0 blobs of 0 bytes went"
    )
    assert (await flower(settings, *command, words=2))[1].splitlines()[-1] == went
    name = table_of_day(day)
    lines = [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()]
    assert lines == [
        {"partition": 0, "position": f"{day * DAY_MS}-0", "event": {"type": "log.opened"}},
        {"partition": 0, "position": f"{day * DAY_MS}-1", "raw": "bm9uc2Vuc2U=", "error": "it is none"},
    ]
    assert (await flower(settings, *command))[0] == 0
    written = await asyncio.to_thread(os.listdir, tmp_path)
    assert sorted(written) == [f"{name}.2.jsonl", f"{name}.jsonl"]


@pytest.mark.parametrize("nonsense", ["0d", "30", "-1d", "30 days"])
async def test_an_age_that_is_none_is_refused(settings: Settings, nonsense: str) -> None:
    code, text = await flower(settings, "prune", f"--older-than={nonsense}", words=3)
    assert code not in (0, None)
    assert "30d" in text


async def test_the_projector_prunes_by_itself_what_is_older_than_it_is_told(
    both: Both, settings: Settings
) -> None:
    flows = await _stories(both)
    await prune_once(both.client, settings, -2)
    assert flows["ended"] not in await _flows(both, "kr_flow_stat")


async def test_versions_that_flows_name_stay_and_so_do_the_newest_and_the_last(both: Both) -> None:
    await _stories(both)
    rows = [
        ("later", "of a task that was rerun", 0, 40),
        ("later", "named", 1, 40),
        ("later", "unnamed", 2, 30),
        ("later", "newest", 3, 0),
        ("later", "last", 4, 20),
        ("gone", "of a flow that goes", 1, 40),
        ("gone", "newest", 2, 30),
        ("fresh", "unnamed", 1, -60),
        ("fresh", "newest", 2, -60),
        ("origin", "as the API wrote it", 1, 40),
        ("origin", "newest", 2, 30),
    ]
    for workflow, version, number, days in rows:
        await both.connection.execute(
            "INSERT INTO ms_workflow_version (task_id, hash, number, definition, created_ts, used_ts)"
            " VALUES (%s, %s, %s, '{}', now() - make_interval(days => %s),"
            " now() - make_interval(days => %s) + make_interval(secs => %s))",
            [workflow, version, number, days, days, number],
        )
    await both.connection.execute(
        "INSERT INTO kr_workflow_origin (task_id, hash, written_by)"
        " VALUES ('origin', 'as the API wrote it', 'eve')"
    )
    await both.connection.execute("UPDATE kr_flow_stat SET definition = 'named' WHERE task_id = 'later'")
    await both.connection.execute(
        "UPDATE kr_task_stat SET definition = 'of a task that was rerun' WHERE task_id = 'later'"
    )
    pruned = await _prune(both)
    assert (pruned.flows, pruned.versions) == (1, 2)
    left = await (await both.connection.execute("SELECT task_id, hash FROM ms_workflow_version")).fetchall()
    gone = {("later", "unnamed"), ("gone", "of a flow that goes")}
    assert set(left) == {(workflow, version) for workflow, version, *_ in rows} - gone


async def test_who_follows_the_archive_is_told_what_went_unread_and_once(
    both: Both, caplog: pytest.LogCaptureFixture
) -> None:
    first, *_ = (await _stories(both)).values()
    behind = ArchiveFollower(both.connection, "traces", begin="beginning")
    up_to_date = ArchiveFollower(both.connection, "hooks", begin="now")
    assert not [page async for page in _pages(up_to_date)]
    assert await behind.read() is not None
    await _prune(both)
    assert not [page async for page in _pages(up_to_date)]
    pages = [page async for page in _pages(behind)]
    assert [page.pruned_ms is not None for page in pages] == [True] + [False] * (len(pages) - 1)
    seen = {event.flow for page in pages for event in page.events}
    assert first not in seen
    assert len(seen - {None}) == 3
    assert [record.levelname for record in caplog.records if "it had not read" in record.getMessage()] == [
        "WARNING"
    ]
    assert await both.count("SELECT count(*) FROM kr_follower WHERE pruned_ms IS NOT NULL") == 0


async def _pages(follower: ArchiveFollower) -> AsyncIterator[Page]:
    while page := await follower.read():
        assert await follower.read() == page
        assert await follower.move(page)
        yield page


async def test_who_follows_the_archive_goes_on_behind_a_recovery(both: Both) -> None:
    follower = ArchiveFollower(both.connection, "traces", begin="beginning")
    await both.engine.register(*chain(2), workflow="before")
    await both.engine.claim(1)
    await both.project()
    before = [event.position for page in [p async for p in _pages(follower)] for event in page.events]
    await both.wipe()
    await both.recover()
    await both.engine.work_off()
    await both.project()
    after = [event for page in [p async for p in _pages(follower)] for event in page.events]
    assert [event.type for event in after[:2]] == ["log.opened", "task.lapsed"]
    assert len(before) + len(after) == await both.count("SELECT count(*) FROM kr_event")


async def test_what_hooks_told_long_ago_goes_and_what_they_are_still_to_tell_stays(both: Both) -> None:
    await _stories(both)
    for number, state in enumerate(("delivered", "given_up", "waiting")):
        await both.connection.execute(
            "INSERT INTO kr_hook_delivery (id, hook, occasion, body, state) VALUES (%s, 'h', 'x', '{}', %s)",
            [str(number), state],
        )
    await _prune(both)
    assert await both.count("SELECT count(*) FROM kr_hook_delivery WHERE state = 'waiting'") == 1
    assert await both.count("SELECT count(*) FROM kr_hook_delivery") == 1
