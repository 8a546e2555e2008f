"""Deploys: many workflows brought to what somebody has, in one transaction, or only compared with it."""

import hashlib
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Literal

import msgspec

from flower_engine.errors import DefinitionError
from flower_engine.model.definitions.definition import WorkflowDefinition
from flower_engine.model.definitions.definition_differences import Difference, differences
from flower_engine.model.definitions.workflow_versions import (
    Version,
    definition_of,
    plain_document,
    version_of,
)
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.definition_rows import (
    erase_workflow,
    read_workflows,
    write_workflow,
)
from flower_engine.projection.definitions.rows_of_definition import EncodedWorkflow
from flower_engine.projection.definitions.version_rows import find_versions, write_version

Action = Literal["new", "changed", "unchanged", "pruned"]

_LOCK_DEPLOYS = "SELECT pg_advisory_xact_lock(7304)"  # one deploy after the other
_LOCK_WORKFLOWS = """
SELECT pg_advisory_xact_lock(hashtextextended(task_id, 7303))
FROM (SELECT unnest(%s::text[]) AS task_id ORDER BY 1 OFFSET 0) AS sorted
"""
# Those who edit rows with SQL are kept out, and those who are at it waited for, but not for long.
_WAIT = "SET LOCAL lock_timeout = '5s'"
_KEEP_OUT = "LOCK TABLE ms_task_definition, ms_workflow, ms_schedule IN SHARE ROW EXCLUSIVE MODE"
_ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
_BROUGHT_BY = "SELECT task_id FROM kr_workflow_origin WHERE source = %s ORDER BY task_id"
_ORIGINS = """
SELECT task_id, hash, source, written_ts, written_by FROM kr_workflow_origin WHERE task_id = ANY(%s)
"""
_RAW_ROWS = """
SELECT coalesce(string_agg(said::text, ' ' ORDER BY said.task_seq), '') ||
    coalesce((SELECT whole::text FROM ms_workflow AS whole WHERE whole.task_id = %(task_id)s), '')
FROM ms_task_definition AS said WHERE said.task_id = %(task_id)s
"""


class Origin(msgspec.Struct, frozen=True):
    """What the API wrote last of a workflow; ``source``: of the deploy that brought it."""

    hash: str
    source: str | None
    written_ts: datetime
    written_by: str


class PlannedChange(msgspec.Struct, kw_only=True):
    """What a deploy does to a workflow, or would do.

    ``standing`` tells what the plan is based on apart: the hash of the definition as it stands, None where
    there is none. ``drift``: what SQL changed since the API wrote it last. ``problem``: why its rows, edited
    with SQL, cannot be understood.
    """

    workflow: str
    action: Action
    hash: str | None
    standing: str | None
    tasks: int
    differences: list[Difference] = []
    drift: list[Difference] = []
    origin: Origin | None = None
    problem: str = ""


class _Standing(msgspec.Struct):
    """A workflow as it stands. ``document`` None: there is none, or (``problem``) it cannot be understood."""

    token: str | None
    document: dict[str, object] | None = None
    canonical: str = ""
    tasks: int = 0
    problem: str = ""


@asynccontextmanager
async def deploying(
    connection: Connection, source: str, workflows: Sequence[EncodedWorkflow], *, prune: bool, check: bool
) -> AsyncGenerator[list[PlannedChange]]:
    """What the deploy does, one by one, in the order given, those that it prunes at the end.

    All of it happens when the context ends without an error; with ``check`` nothing does. Until then nobody
    else changes a definition or a schedule, neither over the API nor with SQL.

    Raises:
        psycopg.errors.LockNotAvailable, DeadlockDetected: somebody has changed definitions with SQL, and
            does not end their transaction.
    """
    async with connection.transaction():
        if check:
            await connection.execute(_ONE_MOMENT)
            gone = await _to_prune(connection, source, workflows) if prune else []
        else:
            await connection.execute(_LOCK_DEPLOYS)
            names = [workflow.name for workflow in workflows]
            before = await _to_prune(connection, source, workflows) if prune else []
            await connection.execute(_LOCK_WORKFLOWS, [[*names, *before]])
            await connection.execute(_WAIT)
            await connection.execute(_KEEP_OUT)
            gone = await _to_prune(connection, source, workflows) if prune else []
        changes = await _changes(connection, workflows, gone)
        yield changes


async def carry_out(
    connection: Connection,
    source: str,
    workflows: Sequence[EncodedWorkflow],
    changes: Sequence[PlannedChange],
    by: str,
) -> None:
    """Does what was planned, in the transaction that it was planned in. What it replaces of rows that were
    edited with SQL is kept as a version."""
    by_name = {workflow.name: workflow for workflow in workflows}
    for change in changes:
        if change.action == "unchanged":
            continue
        if change.origin is None or change.origin.hash != change.standing:
            standing = (await _standings(connection, [change.workflow]))[change.workflow]
            if standing.token is not None and standing.canonical:
                kept = Version(standing.token, standing.canonical)
                await write_version(connection, change.workflow, kept, None)
        if change.action == "pruned":
            await erase_workflow(connection, change.workflow)
        else:
            await write_workflow(connection, by_name[change.workflow], by, source)


async def _to_prune(connection: Connection, source: str, workflows: Sequence[EncodedWorkflow]) -> list[str]:
    named = {workflow.name for workflow in workflows}
    brought = await (await connection.execute(_BROUGHT_BY, [source])).fetchall()
    return [name for (name,) in brought if name not in named]


async def _changes(
    connection: Connection, workflows: Sequence[EncodedWorkflow], gone: Collection[str]
) -> list[PlannedChange]:
    names = [*(workflow.name for workflow in workflows), *gone]
    rows = await (await connection.execute(_ORIGINS, [names])).fetchall()
    origins: Mapping[str, Origin] = {name: Origin(*origin) for name, *origin in rows}
    standings = await _standings(connection, names)
    changes: list[PlannedChange] = []
    for workflow in workflows:
        standing = standings[workflow.name]
        change = PlannedChange(
            workflow=workflow.name,
            action="new" if standing.token is None else "changed",
            hash=workflow.version.hash,
            standing=standing.token,
            tasks=workflow.tasks,
            origin=origins.get(workflow.name),
            problem=standing.problem,
        )
        if standing.token == workflow.version.hash:
            change.action = "unchanged"
        elif standing.document is not None:
            wanted = plain_document(definition_of(workflow.name, workflow.version.canonical))
            change.differences = differences(standing.document, wanted)
        change.drift = await _drift(connection, change, standing)
        changes.append(change)
    for name in gone:
        standing = standings[name]
        change = PlannedChange(
            workflow=name,
            action="pruned",
            hash=None,
            standing=standing.token,
            tasks=standing.tasks,
            origin=origins.get(name),
            problem=standing.problem,
        )
        change.drift = await _drift(connection, change, standing)
        changes.append(change)
    return changes


async def _standings(connection: Connection, workflows: Sequence[str]) -> dict[str, _Standing]:
    """How these workflows stand, read in a few queries for all."""
    found: dict[str, _Standing] = {}
    for workflow, read in (await read_workflows(connection, workflows)).items():
        try:
            if isinstance(read, DefinitionError):
                raise read
            found[workflow] = _Standing(None) if read is None else _standing_of(read)
        except DefinitionError as error:
            row = await (await connection.execute(_RAW_ROWS, {"task_id": workflow})).fetchone()
            assert row is not None
            token = "unreadable-" + hashlib.sha256(str(row[0]).encode()).hexdigest()
            found[workflow] = _Standing(token, problem=str(error))
    return found


def _standing_of(definition: WorkflowDefinition) -> _Standing:
    version = version_of(definition)
    return _Standing(version.hash, plain_document(definition), version.canonical, len(definition.tasks))


async def _drift(connection: Connection, change: PlannedChange, standing: _Standing) -> list[Difference]:
    """What SQL changed since the API wrote the workflow last."""
    if change.origin is None or change.origin.hash == standing.token:
        return []
    if standing.token is None:
        return [Difference("removed", "all its rows were deleted with SQL")]
    if standing.document is None:
        return [Difference("changed", "its rows were edited with SQL so that they cannot be understood")]
    for kept in await find_versions(connection, change.workflow, change.origin.hash):
        return differences(plain_document(definition_of(change.workflow, kept.canonical)), standing.document)
    return [Difference("changed", "its rows were edited with SQL")]
