"""Flows of schedules keep the versions of the workflows below theirs, as those that are registered do."""

import asyncio
from functools import partial
from typing import Any

import psycopg
import pytest

from flower_engine.model.definitions.workflow_versions import version_of
from flower_engine.model.folding.schedule_state import ScheduleState
from flower_engine.projection.definitions.definition_rows import read_workflow
from flower_engine.projection.definitions.version_rows import list_versions
from watcher.test_firing import Watched, watched
from worker.running import PATIENCE_SECONDS

__all__ = ["watched"]

_CHILD = """INSERT INTO ms_task_definition (task_id, task_seq, program, task_priority, parameters)
    VALUES (%s, 1, '@flow', 0, jsonb_build_object('workflow', %s::text))"""
_EDIT = "UPDATE ms_task_definition SET task_name = %s WHERE task_id = 'etl'"


async def _tree(watched: Watched) -> None:
    """``week`` has a child of ``day``, which has one of ``etl``."""
    await watched.tables.execute(_CHILD, ["day", "etl"])
    await watched.tables.execute(_CHILD, ["week", "day"])


async def _hash(watched: Watched, name: str) -> str:
    definition = await read_workflow(watched.tables, name)
    assert definition is not None
    return version_of(definition).hash


async def _newest(watched: Watched, state: ScheduleState) -> dict[str, Any]:
    """The parameters of the task of the flow that was fired last."""
    newest = max((one for one in state.fates.values() if one.flow), key=lambda one: one.slot)
    return (await watched.engine.flow(newest.flow)).tasks[0].planned.parameters


async def _until_of(watched: Watched, uid: str, version: str) -> dict[str, Any]:
    """What a slot began with once the version of ``etl`` in it is this."""
    fired = 0
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            state = await watched.until(partial(_has_more, fired), uid)
            fired = state.counts()["fired"]
            found = await _newest(watched, state)
            if found["versions"]["etl"] == version:
                return found


def _has_more(fired: int, state: ScheduleState) -> bool:
    return state.counts()["fired"] > fired


async def test_a_slot_fixes_the_versions_of_all_below_it_and_they_are_kept(watched: Watched) -> None:
    await _tree(watched)
    uid = await watched.define(task_id="week")
    found = await _newest(watched, await watched.until(lambda now: now.counts()["fired"] >= 1, uid))
    day, etl = await _hash(watched, "day"), await _hash(watched, "etl")
    assert found == {"workflow": "day", "version": day, "versions": {"etl": etl}}
    for name, version in (("week", await _hash(watched, "week")), ("day", day), ("etl", etl)):
        kept = await list_versions(watched.tables, name, limit=10)
        assert [one.hash for one in kept] == [version]


async def test_an_edit_far_below_holds_for_slots_that_come(watched: Watched) -> None:
    await _tree(watched)
    uid = await watched.define(task_id="week")
    await _until_of(watched, uid, await _hash(watched, "etl"))
    await watched.tables.execute(_EDIT, ["other"])
    await _until_of(watched, uid, await _hash(watched, "etl"))


async def test_a_watcher_that_begins_hears_of_an_edit_that_nobody_saw(watched: Watched) -> None:
    await _tree(watched)
    uid = await watched.define(task_id="week")
    await watched.bring()
    await watched.tables.execute(_EDIT, ["other"])
    watched.sync = watched.new_sync()
    await _until_of(watched, uid, await _hash(watched, "etl"))


async def test_an_edit_is_not_forgotten_where_what_is_below_cannot_be_read_just_then(
    watched: Watched,
) -> None:
    await _tree(watched)
    await watched.define(task_id="week")
    assert await watched.bring() == 1
    await watched.tables.execute(_EDIT, ["other"])
    await watched.tables.execute("ALTER TABLE ms_task_definition RENAME TO away")
    with pytest.raises(psycopg.errors.UndefinedTable):
        await watched.bring()
    await watched.tables.execute("ALTER TABLE away RENAME TO ms_task_definition")
    assert [await watched.bring() for _ in range(3)] == [0, 1, 0]


@pytest.mark.parametrize("is_new", [False, True])
async def test_something_below_that_is_gone_is_a_problem_until_it_is_there_again(
    watched: Watched, is_new: bool
) -> None:
    await _tree(watched)
    uid = await watched.define(task_id="week")
    await watched.bring()
    await watched.tables.execute("DELETE FROM ms_task_definition WHERE task_id = 'etl'")
    if is_new:
        watched.sync = watched.new_sync()
    state = await watched.until(lambda now: now.state == "problem", uid)
    assert "'etl', which does not exist" in state.problem
    await watched.tables.execute(
        "INSERT INTO ms_task_definition (task_id, task_seq, program, task_priority) VALUES ('etl', 1, 'B', 0)"
    )
    await watched.until(lambda now: now.state == "active", uid)


async def test_looking_changes_nothing_where_nothing_below_has_changed(watched: Watched) -> None:
    await _tree(watched)
    await watched.define(task_id="week")
    assert await watched.bring() == 1
    watched.sync = watched.new_sync()
    assert await watched.bring() == 1
    await watched.tables.execute(_CHILD, ["month", "week"])
    assert [await watched.bring() for _ in range(2)] == [0, 0]
