"""Workflow definitions in ``ms_task_definition``: what people and the API define, read and written."""

import asyncio
from collections.abc import Sequence

import msgspec

from flower_engine.errors import DefinitionError, TooLargeError
from flower_engine.model.definitions.definition import Keying, WorkflowDefinition, plan_flow
from flower_engine.model.tasks.task_spec import MAX_TASKS
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.acting import act_as
from flower_engine.projection.definitions.definition_of_rows import COLUMNS, Row, definition_of, keying_of
from flower_engine.projection.definitions.header_columns import NO_HEADER
from flower_engine.projection.definitions.rows_of_definition import EncodedWorkflow, encoded
from flower_engine.projection.definitions.version_rows import (
    LOCK_WORKFLOW,
    forget_origin,
    write_origin,
    write_version,
)
from flower_engine.projection.task_columns import DEFINITION_COLUMNS

CHANNEL = "flower_definitions"  # a trigger notifies it with the task_id of each changed workflow
_MANY_ROWS = 500  # from here on the event loop goes on while a thread reads them

_TOO_MANY = f"it has more than {MAX_TASKS} tasks, which is what a flow may have"

_READ = f"SELECT {COLUMNS} FROM ms_task_definition WHERE task_id = %s ORDER BY task_seq LIMIT %s".encode()  # noqa: S608

_READ_MANY = f"""
SELECT task_id, {COLUMNS} FROM ms_task_definition WHERE task_id = ANY(%s) ORDER BY task_id, task_seq
""".encode()  # noqa: S608

_HEADER = (
    "flow_timeout_seconds, parameters_schema::text, returns::text, labels::text, description,"
    " cleanup_timeout_seconds, pin"
)
_READ_HEADERS = f"SELECT task_id, {_HEADER} FROM ms_workflow WHERE task_id = ANY(%s)".encode()  # noqa: S608

_READ_HEADER = f"SELECT {_HEADER} FROM ms_workflow WHERE task_id = %s".encode()  # noqa: S608

_READ_KEYING = """
SELECT scope, name, fair_by, limit_by FROM ms_flow_control
WHERE (scope = 'workflow' AND name = %s) OR (scope = 'program' AND limit_by IS NOT NULL)
"""

_READ_KEYINGS = """
SELECT scope, name, fair_by, limit_by FROM ms_flow_control
WHERE (scope = 'workflow' AND name = ANY(%s)) OR (scope = 'program' AND limit_by IS NOT NULL)
"""
_COUNT = "SELECT task_id, count(*) FROM ms_task_definition WHERE task_id = ANY(%s) GROUP BY task_id"

_DELETE = "DELETE FROM ms_task_definition WHERE task_id = %s"

_DELETE_WORKFLOW = "DELETE FROM ms_workflow WHERE task_id = %s"

_WRITE_WORKFLOW = """
INSERT INTO ms_workflow (
    task_id, flow_timeout_seconds, cleanup_timeout_seconds, parameters_schema, returns, labels, description,
    pin
)
SELECT %s, (said ->> 'timeout_ms')::numeric / 1000, (said ->> 'cleanup_timeout_ms')::numeric / 1000,
    said -> 'parameters_schema', said -> 'returns', said -> 'labels', said ->> 'description',
    said ->> 'pin'
FROM (VALUES (%s::text::jsonb)) AS header (said)
"""

_NAMES = ", ".join(column.name for column in DEFINITION_COLUMNS)
_TYPED = ", ".join(f"{column.name} {column.type}" for column in DEFINITION_COLUMNS)
_WRITE = f"""
INSERT INTO ms_task_definition (task_id, {_NAMES})
SELECT %s, {_NAMES} FROM jsonb_to_recordset(%s::text::jsonb) AS row ({_TYPED})
""".encode()  # noqa: S608

_LIST = """
SELECT task_id, count(*) FROM ms_task_definition WHERE task_id > %s
GROUP BY task_id ORDER BY task_id LIMIT %s
"""
_LIST_FIRST = "SELECT task_id, count(*) FROM ms_task_definition GROUP BY task_id ORDER BY task_id LIMIT %s"
_MOST_CHECKED = 2_000  # rows of a list that are looked at: some 30 ms


class WorkflowSummary(msgspec.Struct, frozen=True):
    """A workflow's name, how many task definitions it has, and why it cannot be run, if that is known."""

    name: str
    tasks: int
    problem: str = ""


async def read_workflow(connection: Connection, name: str) -> WorkflowDefinition | None:
    """The workflow of this name as its rows define it, or None; not yet validated as a whole.

    Raises:
        TooLargeError: it has more rows than a flow may have tasks.
        DefinitionError: rows that cannot be understood; every one is named.
    """
    cursor = await connection.execute(_READ, (name, MAX_TASKS + 1))
    rows = await cursor.fetchall()
    if not rows:
        return None
    if len(rows) > MAX_TASKS:
        raise TooLargeError(name, [_TOO_MANY])
    header: Row = await (await connection.execute(_READ_HEADER, (name,))).fetchone() or NO_HEADER
    keying = await read_keying(connection, name)
    if len(rows) > _MANY_ROWS:
        definition = await asyncio.to_thread(definition_of, name, rows, header)
    else:
        definition = definition_of(name, rows, header)
    return msgspec.structs.replace(definition, keying=keying)


async def read_workflows(
    connection: Connection, names: Sequence[str]
) -> dict[str, WorkflowDefinition | DefinitionError | None]:
    """The same of many workflows, in few queries: each as its rows define it, why it cannot be understood, or
    None."""
    counted = await (await connection.execute(_COUNT, (list(names),))).fetchall()
    found: dict[str, WorkflowDefinition | DefinitionError | None] = dict.fromkeys(names)
    keyings = await _read_keyings(connection, names)
    batches: list[list[str]] = [[]]
    rows = 0
    for name, tasks in counted:
        if tasks > MAX_TASKS:
            found[name] = TooLargeError(name, [_TOO_MANY])
            continue
        if rows + tasks > MAX_TASKS:
            batches.append([])
            rows = 0
        rows += tasks
        batches[-1].append(name)
    for batch in filter(None, batches):
        read, headers = await _read_rows(connection, batch)

        def define(
            read: dict[str, list[Row]] = read, headers: dict[str, Row] = headers
        ) -> dict[str, WorkflowDefinition | DefinitionError | None]:
            made: dict[str, WorkflowDefinition | DefinitionError | None] = {}
            for name, own in read.items():
                try:
                    definition = definition_of(name, own, headers.get(name, NO_HEADER))
                    made[name] = msgspec.structs.replace(definition, keying=keyings[name])
                except DefinitionError as error:
                    made[name] = error
            return made

        found |= await asyncio.to_thread(define)
    return found


async def _read_keyings(connection: Connection, names: Sequence[str]) -> dict[str, Keying]:
    rows = await (await connection.execute(_READ_KEYINGS, (list(names),))).fetchall()
    of_programs = [row for row in rows if row[0] == "program"]
    own = {row[1]: row for row in rows if row[0] == "workflow"}
    return {name: keying_of([*of_programs, own[name]] if name in own else of_programs) for name in names}


async def read_keying(connection: Connection, name: str) -> Keying:
    """Which parameters tell flows of a workflow of this name apart, whether it is defined or not."""
    return keying_of(await (await connection.execute(_READ_KEYING, (name,))).fetchall())


async def encode_workflow(definition: WorkflowDefinition) -> EncodedWorkflow:
    """The workflow as :func:`put_workflow` takes it.

    Raises:
        DefinitionError: it cannot be run as defined; every problem found is named.
    """
    if len(definition.tasks) > _MANY_ROWS:
        return await asyncio.to_thread(encoded, definition)
    return encoded(definition)


async def put_workflow(connection: Connection, workflow: EncodedWorkflow, by: str) -> bool:
    """Defines the workflow anew, replacing all its rows in one transaction; True if it did not exist.

    Raises:
        psycopg.errors.UniqueViolation: somebody wrote one of its rows with SQL at the same moment.
    """
    async with connection.transaction():
        await connection.execute(LOCK_WORKFLOW, (workflow.name,))
        await act_as(connection, by)
        return await write_workflow(connection, workflow, by, None)


async def write_workflow(
    connection: Connection, workflow: EncodedWorkflow, by: str, source: str | None
) -> bool:
    """The same for a caller who has a transaction and the workflow's lock; ``source``: of a deploy."""
    deleted = await connection.execute(_DELETE, (workflow.name,))
    await connection.execute(_WRITE, (workflow.name, workflow.rows))
    await connection.execute(_DELETE_WORKFLOW, (workflow.name,))
    if workflow.header is not None:
        await connection.execute(_WRITE_WORKFLOW, (workflow.name, workflow.header))
    await write_version(connection, workflow.name, workflow.version, by)
    await write_origin(connection, workflow.name, workflow.version.hash, by, source)
    return deleted.rowcount == 0


async def delete_workflow(connection: Connection, name: str, by: str = "") -> bool:
    """Deletes the workflow's definition, not its flows; False if there was none."""
    async with connection.transaction():
        await connection.execute(LOCK_WORKFLOW, (name,))
        await act_as(connection, by)
        return await erase_workflow(connection, name)


async def erase_workflow(connection: Connection, name: str) -> bool:
    """The same for a caller who has a transaction and the workflow's lock; its versions stay."""
    await connection.execute(_DELETE_WORKFLOW, (name,))
    await forget_origin(connection, name)
    return (await connection.execute(_DELETE, (name,))).rowcount > 0


async def list_workflows(
    connection: Connection, *, after: str | None = None, limit: int
) -> list[WorkflowSummary]:
    """Up to ``limit`` workflows whose names sort after ``after`` (None: from the first), by name.

    Each with why it cannot be run, as far as the workflows before it in the list have at most 2,000 rows.
    """
    if after is None:
        cursor = await connection.execute(_LIST_FIRST, (limit,))
    else:
        cursor = await connection.execute(_LIST, (after, limit))
    counted: list[tuple[str, int]] = await cursor.fetchall()
    checked: list[str] = []
    left = _MOST_CHECKED
    for name, tasks in counted:
        left -= tasks if tasks <= MAX_TASKS else 0
        if left >= 0 and tasks <= MAX_TASKS:
            checked.append(name)
    problems = await _problems_of(connection, checked) if checked else {}
    problems |= {name: _TOO_MANY for name, tasks in counted if tasks > MAX_TASKS}
    return [WorkflowSummary(name, tasks, problems.get(name, "")) for name, tasks in counted]


async def _read_rows(
    connection: Connection, names: Sequence[str]
) -> tuple[dict[str, list[Row]], dict[str, Row]]:
    """The rows of these workflows and, where there is one, that of each as a whole."""
    rows = await (await connection.execute(_READ_MANY, (list(names),))).fetchall()
    found = await (await connection.execute(_READ_HEADERS, (list(names),))).fetchall()
    headers: dict[str, Row] = {name: tuple(header) for name, *header in found}
    by_name: dict[str, list[Row]] = {}
    for name, *row in rows:
        by_name.setdefault(name, []).append(tuple(row))
    return by_name, headers


async def _problems_of(connection: Connection, names: Sequence[str]) -> dict[str, str]:
    by_name, headers = await _read_rows(connection, names)

    def check() -> dict[str, str]:
        found: dict[str, str] = {}
        for name, own in by_name.items():
            try:
                plan_flow(definition_of(name, own, headers.get(name, NO_HEADER)))
            except DefinitionError as error:
                others = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
                found[name] = error.problems[0] + others
        return found

    return await asyncio.to_thread(check)
