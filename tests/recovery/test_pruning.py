"""Flows that ended long ago go with their events; whatever else the old days hold stays.

What "long ago" is, the tests choose: as if it were the day after tomorrow.
"""

import asyncio
import json
import os
import time
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from flower_engine.log.client import send
from flower_engine.projection.database import connect
from flower_engine.projection.days import DAY_MS, make_day, table_of_day
from flower_engine.projection.pruning import Pruned, events_of_day, old_days, prune
from flower_engine.runtime.retention import prune_older
from flower_engine.runtime.settings import Settings
from flower_projector.retention import prune_once
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


async def test_a_flow_that_was_begun_again_stays(both: Both) -> None:
    flows = await _stories(both)
    await send(both.client, "HSET", "{flower:0}:flow:" + flows["ended"], "c", "9 1 0 1")
    assert (await _prune(both)).flows == 0


async def test_only_one_prunes_at_a_time(both: Both, settings: Settings) -> None:
    await _stories(both)

    async def meanwhile(_flows: list[str]) -> set[str]:
        assert settings.database_url is not None
        async with await connect(settings.database_url, "second") as second:
            assert await prune_older(both.client, second, LATER) is None
        return set()

    before_ms = int(time.time() * 1000) + 2 * DAY_MS
    pruned = await prune(both.other, before_ms=before_ms, under_way=meanwhile)
    assert pruned is not None
    assert pruned.flows == 1


async def test_a_prune_that_is_killed_half_way_has_changed_nothing(both: Both) -> None:
    await _stories(both)
    before = await held(both.connection), await both.archived()

    async def killed(_flows: list[str]) -> set[str]:
        await both.connection.execute("SELECT pg_terminate_backend(%s)", [both.other.info.backend_pid])
        return set()

    with pytest.raises(psycopg.OperationalError):
        await prune(both.other, before_ms=int(time.time() * 1000) + 2 * DAY_MS, under_way=killed)
    assert (await held(both.connection), await both.archived()) == before


async def test_a_day_is_exported_event_by_event(both: Both) -> None:
    await _stories(both)
    (day,) = await old_days(both.connection, before_ms=int(time.time() * 1000) + DAY_MS)
    entries = [entry async for entry in events_of_day(both.connection, day)]
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
    went = "0 flows and 1 events went, 1 days were dropped; 1 events of these days stay"
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
