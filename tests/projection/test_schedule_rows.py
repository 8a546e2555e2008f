"""Rows of ms_schedule: their versions, and what of elsewhere makes them new."""

from typing import Any

import pytest

from flower_engine.model.definitions.workflow_versions import definition_of
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.schedule_rows import (
    keep_versions,
    pause_schedule,
    read_schedule_changes,
    read_scheduled_workflows,
)


async def version(tables: Connection, name: str = "s") -> int:
    found = await tables.execute("SELECT version FROM ms_schedule WHERE name = %s", [name])
    row = await found.fetchone()
    assert row is not None
    return int(row[0])


async def changed(tables: Connection, name: str = "s") -> Any:
    found = await tables.execute("SELECT changed_ts FROM ms_schedule WHERE name = %s", [name])
    row = await found.fetchone()
    assert row is not None
    return row[0]


async def schedule(tables: Connection, name: str = "s", workflow: str = "etl") -> int:
    await tables.execute(
        "INSERT INTO ms_schedule (name, task_id, cron, calendar) VALUES (%s, %s, '0 3 * * *', 'days')",
        [name, workflow],
    )
    return await version(tables, name)


async def test_each_change_gives_a_version_beyond_all_before(tables: Connection) -> None:
    first = await schedule(tables)
    second = await schedule(tables, "other")
    assert second > first
    await tables.execute("UPDATE ms_schedule SET version = 1, is_paused = true WHERE name = 's'")
    assert await version(tables) > second


async def test_only_a_change_of_when_it_fires_is_one(tables: Connection) -> None:
    await schedule(tables)
    before = await changed(tables)
    await tables.execute("UPDATE ms_schedule SET overlap = 'allow', parameters = '{}', is_paused = true")
    assert await changed(tables) == before
    for edit in ("cron = '1 3 * * *'", "timezone = 'UTC+1'", "ends = now()", "except_dates = '[]'"):
        await tables.execute(f"UPDATE ms_schedule SET {edit}".encode())  # noqa: S608
        now = await changed(tables)
        assert now > before, edit
        before = now


async def test_what_is_deleted_leaves_a_version_unless_it_comes_back(tables: Connection) -> None:
    await schedule(tables)
    last = await schedule(tables, "other")
    deleted = await tables.execute("DELETE FROM ms_schedule RETURNING uid")
    uids = {uid for (uid,) in await deleted.fetchall()}
    left = await (await tables.execute("SELECT uid, version FROM kr_schedule_deleted")).fetchall()
    assert {uid for uid, _ in left} == uids
    assert all(one > last for _, one in left)
    back = uids.pop()
    await tables.execute(
        "INSERT INTO ms_schedule (uid, name, task_id, cron) VALUES (%s, 's', 'etl', '@daily')", [back]
    )
    left = await (await tables.execute("SELECT uid FROM kr_schedule_deleted")).fetchall()
    assert left == [(uid,) for uid in uids]
    await tables.execute("TRUNCATE ms_schedule")
    left = await (await tables.execute("SELECT count(*) FROM kr_schedule_deleted")).fetchall()
    assert left == [(2,)]


async def test_a_uid_stays_whatever_sql_says(tables: Connection) -> None:
    await schedule(tables)
    before = await (await tables.execute("SELECT uid FROM ms_schedule")).fetchall()
    await tables.execute("UPDATE ms_schedule SET uid = gen_random_uuid(), name = 'new'")
    assert await (await tables.execute("SELECT uid FROM ms_schedule")).fetchall() == before


async def test_days_workflows_and_keys_make_their_schedules_new(tables: Connection) -> None:
    await schedule(tables)
    await schedule(tables, "other", "else")
    when = await changed(tables)
    for edit in (
        "INSERT INTO ms_task_definition (task_id, task_seq, program, task_priority)"
        " VALUES ('etl', 1, 'A', 0), ('nobody', 1, 'A', 0)",
        "UPDATE ms_task_definition SET program = 'B' WHERE task_id = 'etl'",
        "INSERT INTO ms_workflow (task_id, flow_timeout_seconds) VALUES ('etl', 1)",
        "DELETE FROM ms_workflow WHERE task_id = 'etl'",
        "DELETE FROM ms_task_definition WHERE task_id = 'etl'",
    ):
        before, other = await version(tables), await version(tables, "other")
        await tables.execute(edit.encode())
        assert await version(tables) > before, edit
        assert await version(tables, "other") == other, edit
    assert await changed(tables) == when
    for edit in (
        "INSERT INTO ms_flow_control (scope, name, fair_by) VALUES ('workflow', 'etl', 'x')",
        "UPDATE ms_flow_control SET fair_by = 'y'",
        "DELETE FROM ms_flow_control",
    ):
        before = await version(tables)
        await tables.execute(edit.encode())
        assert await version(tables) > before, edit
    assert await changed(tables) == when
    for edit in (
        "INSERT INTO ms_calendar VALUES ('days', '2026-12-25')",
        "UPDATE ms_calendar SET day = '2026-12-26'",
        "DELETE FROM ms_calendar",
        "TRUNCATE ms_calendar",
    ):
        before = await version(tables)
        await tables.execute(edit.encode())
        assert await version(tables) > before, edit
        now = await changed(tables)
        assert now > when, edit
        when = now


async def test_what_concerns_no_schedule_locks_nothing(tables: Connection) -> None:
    async def counter() -> Any:
        return await (await tables.execute("SELECT version FROM kr_schedule_version")).fetchone()

    before = await counter()
    await tables.execute(
        "INSERT INTO ms_task_definition (task_id, task_seq, program, task_priority) VALUES ('x', 1, 'A', 0)"
    )
    await tables.execute("INSERT INTO ms_calendar VALUES ('x', '2026-12-25')")
    await tables.execute("INSERT INTO ms_flow_control (scope, fair_by, name) VALUES ('workflow', 'a', 'x')")
    assert await counter() == before


async def test_what_changed_since_a_version_is_read_with_its_workflow(tables: Connection) -> None:
    first = await read_schedule_changes(tables, 0)
    assert (first.rows, first.deleted) == ([], [])
    await schedule(tables)
    await tables.execute("INSERT INTO ms_calendar VALUES ('days', '2026-12-26'), ('days', '2026-12-25')")
    await tables.execute(
        "INSERT INTO ms_task_definition (task_id, task_seq, program, task_priority) VALUES ('etl', 1, 'A', 0)"
    )
    await schedule(tables, "other", "nowhere")
    changes = await read_schedule_changes(tables, first.version)
    (one, other) = changes.rows
    assert (one.name, one.workflow, one.schedule.cron) == ("s", "etl", "0 3 * * *")
    assert one.schedule.calendar_days == ("2026-12-25", "2026-12-26")
    assert not one.problems and not changes.workflows["etl"].problem
    definition = definition_of("etl", changes.workflows["etl"].canonical)
    assert [task.program for task in definition.tasks] == ["A"]
    assert "not defined" in changes.workflows["nowhere"].problem
    assert (await read_schedule_changes(tables, changes.version)).rows == []
    await tables.execute("DELETE FROM ms_schedule WHERE name = 's'")
    later = await read_schedule_changes(tables, changes.version)
    assert [(gone.uid, gone.name) for gone in later.deleted] == [(one.uid, "s")]
    assert later.rows == [] and other.name == "other"


async def test_versions_of_rows_that_sql_made_are_kept_once(tables: Connection) -> None:
    await tables.execute(
        "INSERT INTO ms_task_definition (task_id, task_seq, program, task_priority) VALUES ('etl', 1, 'A', 0)"
    )
    workflows = await read_scheduled_workflows(tables, ["etl", "nowhere"])
    for _ in range(2):
        await keep_versions(tables, workflows.values())
    kept = await (await tables.execute("SELECT task_id, hash FROM ms_workflow_version")).fetchall()
    assert kept == [("etl", workflows["etl"].hash)]


NONSENSE = {
    "every_seconds": ["'NaN'", "'Infinity'", "-1e300"],
    "at": ["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'200000-01-01'"],
    "anchor": ["'infinity'"],
    "starts": ["'-infinity'"],
    "ends": ["'200000-01-01'"],
    "parameters": ["'[]'", "'1'", "jsonb_build_object('a', repeat('x', 1100000))"],
    "window_seconds": ["'NaN'"],
    "jitter_seconds": ["'Infinity'"],
    "except_dates": ["'{}'", "'[1]'", "to_jsonb(repeat('x', 300000))"],
    "overlap": ["'sometimes'"],
}


@pytest.mark.parametrize(
    ("column", "value"), [(column, value) for column, values in NONSENSE.items() for value in values]
)
async def test_nonsense_is_a_named_problem_of_its_row_alone(
    tables: Connection, column: str, value: str
) -> None:
    await schedule(tables)
    others = "" if column in ("every_seconds", "at") else "cron, "
    given = "" if column in ("every_seconds", "at") else "'@daily', "
    await tables.execute(
        f"INSERT INTO ms_schedule (name, task_id, {others}{column})"  # noqa: S608
        f" VALUES ('wrong', 'etl', {given}{value})".encode()
    )
    right, wrong = (await read_schedule_changes(tables, 0)).rows
    assert not right.problems
    assert [problem.field.removesuffix("_ms") for problem in wrong.problems] == [column], wrong.problems


async def test_a_pause_for_failures_is_no_match_for_what_somebody_did_since(tables: Connection) -> None:
    version_now = await schedule(tables)
    ((uid,),) = await (await tables.execute("SELECT uid::text FROM ms_schedule")).fetchall()
    await tables.execute("UPDATE ms_schedule SET pause_after_failures = 3")
    assert not await pause_schedule(tables, uid, version_now, "3 failures in a row", "watcher")
    version_now = await version(tables)
    assert await pause_schedule(tables, uid, version_now, "3 failures in a row", "watcher")
    ((is_paused, reason),) = await (
        await tables.execute("SELECT is_paused, reason FROM ms_schedule")
    ).fetchall()
    assert (is_paused, reason) == (True, "3 failures in a row")
    assert not await pause_schedule(tables, uid, await version(tables), "again", "watcher")
