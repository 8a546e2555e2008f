"""Workflow definitions in ``ms_task_definition``: the rows that people and the API write.

A task's parameters stand in two places that are read as one: the seed's five pairs of columns, which hold
strings, and ``parameters`` (jsonb), which holds everything else. Where both name a parameter, jsonb wins:
it is the typed one. People edit these rows with SQL, so reading trusts nothing and names the row.
"""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any

import msgspec

from flower_engine.errors import DefinitionError, TooLargeError
from flower_engine.model.decisions.decision_tasks import CONDITION, said_trees
from flower_engine.model.definitions.definition import Keying, TaskDefinition, WorkflowDefinition, plan_flow
from flower_engine.model.definitions.workflow_versions import Version, version_of
from flower_engine.model.parameters.references import holds_references
from flower_engine.model.tasks.field_types import SPEC_FIELDS
from flower_engine.model.tasks.rule_texts import normal_on_failure
from flower_engine.model.tasks.task_names import branches_of
from flower_engine.model.tasks.task_spec import MAX_TASK_SEQ, MAX_TASKS
from flower_engine.model.values.floats import spelled_out
from flower_engine.model.values.storable import is_unstorable, problems_of_parameters
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.acting import act_as
from flower_engine.projection.definitions.header_columns import (
    NO_HEADER,
    encoded_header,
    header_of,
    problems_of_storing,
)
from flower_engine.projection.definitions.policy_columns import (
    columns_of,
    retry_of,
    stand_in_of,
    timeout_of,
)
from flower_engine.projection.definitions.version_rows import (
    LOCK_WORKFLOW,
    forget_origin,
    write_origin,
    write_version,
)
from flower_engine.projection.task_columns import (
    DEFAULTS,
    DEFINITION_COLUMNS,
    PAIRS,
    PLAIN,
    columns_of_field,
)

CHANNEL = "flower_definitions"  # a trigger notifies it with the task_id of each changed workflow
_MAX_INTEGER = 2**31 - 1  # what an element of the column depends_on holds
MAX_SHOWN = 100  # characters of what a sentence quotes
PAIR_LENGTH = 1024  # characters that a column of a pair holds
_MANY_ROWS = 500  # from here on the event loop goes on while a thread reads them

_TOO_MANY = f"it has more than {MAX_TASKS} tasks, which is what a flow may have"

Row = tuple[Any, ...]

_POLICY = [
    column.name for field in ("retry", "timeout_ms", "queue_timeout_ms") for column in columns_of_field(field)
]
_PAIRS = [column.name for column in columns_of_field("parameters")[1:]]
_WHEN = 3
_POLICY_END = len(_POLICY)
_PAIRS_END = _POLICY_END + len(_PAIRS)
_DEFAULTS = tuple(DEFAULTS[name] for name in PLAIN)
_plain = attrgetter(*PLAIN)
# What _task_of unpacks, in its order: fields that need a hand, then those that are their columns.
_COLUMNS = ", ".join(
    [
        "task_seq",
        "task_priority",
        "depends_on",
        "when_is::text",
        "parameters::text",
        "stand_in::text",
        *_POLICY,
        *_PAIRS,
        *(columns_of_field(name)[0].name for name in PLAIN),
    ]
)
_FREE_TEXTS = [name for name in PLAIN if SPEC_FIELDS[name].type is str and name not in ("program", "queue")]
_READ = f"SELECT {_COLUMNS} FROM ms_task_definition WHERE task_id = %s ORDER BY task_seq LIMIT %s".encode()  # noqa: S608

_READ_MANY = f"""
SELECT task_id, {_COLUMNS} FROM ms_task_definition WHERE task_id = ANY(%s) ORDER BY task_id, task_seq
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


class EncodedWorkflow(msgspec.Struct, frozen=True):
    """A checked workflow; its rows are one value of JSON that Postgres unpacks, so the statement is fixed.
    ``header``: the same for what is said of it as a whole; None: nothing is."""

    name: str
    rows: str
    tasks: int
    version: Version
    header: str | None = None


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
        definition = await asyncio.to_thread(_definition_of, name, rows, header)
    else:
        definition = _definition_of(name, rows, header)
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
                    definition = _definition_of(name, own, headers.get(name, NO_HEADER))
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
    return {name: _keying_of([*of_programs, own[name]] if name in own else of_programs) for name in names}


async def read_keying(connection: Connection, name: str) -> Keying:
    """Which parameters tell flows of a workflow of this name apart, whether it is defined or not."""
    return _keying_of(await (await connection.execute(_READ_KEYING, (name,))).fetchall())


async def encode_workflow(definition: WorkflowDefinition) -> EncodedWorkflow:
    """The workflow as :func:`put_workflow` takes it.

    Raises:
        DefinitionError: it cannot be run as defined; every problem found is named.
    """
    if len(definition.tasks) > _MANY_ROWS:
        return await asyncio.to_thread(_encoded, definition)
    return _encoded(definition)


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
                plan_flow(_definition_of(name, own, headers.get(name, NO_HEADER)))
            except DefinitionError as error:
                others = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
                found[name] = error.problems[0] + others
        return found

    return await asyncio.to_thread(check)


def check_definition(definition: WorkflowDefinition) -> None:
    """Refuses what :func:`plan_flow` refuses, and parameters that the tables cannot keep.

    Raises:
        DefinitionError: every problem found, each naming its row.
    """
    problems: list[str] = []
    try:
        plan_flow(definition)
    except TooLargeError:
        raise
    except DefinitionError as error:
        problems += error.problems
    problems += problems_of_storing(definition)
    for task in definition.tasks:
        row = _row_name(definition.name, task.task_seq)
        if abs(task.task_seq) > MAX_TASK_SEQ:
            problems.append(f"{row} has a task_seq beyond {MAX_TASK_SEQ}")
        if any(abs(dependency) > _MAX_INTEGER for dependency in task.depends_on or ()):
            problems.append(f"{row} depends on a task_seq beyond {_MAX_INTEGER}: use smaller task_seqs")
        problems += (
            f"{row} has a {name} that holds a NUL or a surrogate, which Postgres cannot keep"
            for name in _FREE_TEXTS
            if is_unstorable(getattr(task, name) or "")
        )
        problems += (f"{row} {problem}" for problem in problems_of_parameters(task.parameters))
    if problems:
        raise DefinitionError(definition.name, problems)


def _encoded(definition: WorkflowDefinition) -> EncodedWorkflow:
    check_definition(definition)
    rows = spelled_out(msgspec.json.encode([_row_of(task) for task in definition.tasks]))
    version, header = version_of(definition), encoded_header(definition)
    return EncodedWorkflow(definition.name, rows.decode(), len(definition.tasks), version, header)


def _row_of(task: TaskDefinition) -> dict[str, Any]:
    row: dict[str, Any] = {
        "task_seq": task.task_seq,
        "task_priority": task.priority,
        "depends_on": task.depends_on,
        "stand_in": task.stand_in,
        "when_is": task.when,
        **columns_of(task),
        **{
            columns_of_field(name)[0].name: value
            for name, value, default in zip(PLAIN, _plain(task), _DEFAULTS, strict=True)
            if value != default
        },
    }
    others: dict[str, Any] = {}
    pair = 0
    for key, value in task.parameters.items():
        if pair < PAIRS and isinstance(value, str) and _fits_pair(key, value):
            pair += 1
            row[f"param{pair}_key"], row[f"param{pair}_value"] = key, value
        else:
            others[key] = value
    row["parameters"] = others or None
    return row


def _fits_pair(key: str, text: str) -> bool:
    """Whether a pair of columns can hold this; what would be read as a reference there must stay text."""
    if not 0 < len(key) <= PAIR_LENGTH >= len(text):
        return False
    return '"$' not in text or _json_with_references(text) is None


def _definition_of(name: str, rows: Sequence[Row], header: Row) -> WorkflowDefinition:
    problems: list[str] = []
    said = header_of(header, problems)
    problems = [f"its row in ms_workflow {problem}" for problem in problems]
    tasks = [_task_of(name, row, problems) for row in rows]
    whens = [_when_of(name, row, problems) for row in rows]
    if problems:
        raise DefinitionError(name, problems)
    if any(whens):
        named = zip(tasks, whens, strict=True)
        branches = branches_of(name, [(task.task_seq, task.task_name, when) for task, when in named])
        tasks = [
            msgspec.structs.replace(task, when=branch) for task, branch in zip(tasks, branches, strict=True)
        ]
    return WorkflowDefinition(name=name, tasks=tuple(tasks), **said)


def _keying_of(rows: Sequence[Row]) -> Keying:
    fair_by = limit_by = None
    programs: dict[str, str] = {}
    for scope, name, its_fair_by, its_limit_by in rows:
        if scope == "workflow":
            fair_by, limit_by = its_fair_by, its_limit_by
        else:
            programs[name] = its_limit_by
    return Keying(fair_by=fair_by, limit_by=limit_by, programs=programs)


def _task_of(name: str, row: Row, problems: list[str]) -> TaskDefinition:
    """The task that a row defines; what cannot be understood is added to ``problems``."""
    seq_number, priority_number, depends_on, _, parameters, stand_in, *others = row
    said = len(problems)
    seq = _whole(seq_number)
    if seq is None:
        problems.append(f"has a task_seq that is not a whole number up to {MAX_TASK_SEQ}")
    priority = _whole(priority_number)
    if priority is None:
        problems.append(f"has priority {_shown(priority_number)}, which is not a whole number")
    dependencies: list[Any] = [] if depends_on is None else depends_on
    if not all(isinstance(dependency, int) for dependency in dependencies):
        problems.append("has a depends_on that is not a plain list of task_seqs")
    merged = _pairs_of(others[_POLICY_END:_PAIRS_END], problems)
    if parameters is not None:
        merged |= _parameters_of(parameters, problems)
    retry = retry_of(others[: _POLICY_END - 2], problems)
    timeout_ms = timeout_of(others[_POLICY_END - 2], "timeout_seconds", problems)
    queue_timeout_ms = timeout_of(others[_POLICY_END - 1], "queue_timeout_seconds", problems)
    plain = {
        field: value for field, value in zip(PLAIN, others[_PAIRS_END:], strict=True) if value is not None
    }
    if "on_failure" in plain:
        plain["on_failure"] = normal_on_failure(plain["on_failure"])
    stand_in = stand_in_of(stand_in, problems)
    row_name = _row_name(name, _shown(seq_number) if seq is None else seq)
    problems[said:] = (f"{row_name} {problem}" for problem in problems[said:])
    if CONDITION in merged:
        merged = said_trees(row_name, plain.get("program", ""), merged, problems)
    return TaskDefinition(
        task_seq=seq or 0,
        priority=priority or 0,
        parameters=merged,
        depends_on=None if depends_on is None else tuple(dependencies),
        retry=retry,
        timeout_ms=timeout_ms,
        queue_timeout_ms=queue_timeout_ms,
        stand_in=stand_in,
        **plain,
    )


def _when_of(name: str, row: Row, problems: list[str]) -> list[Any] | None:
    """The column ``when_is``, as a list of anything."""
    text = row[_WHEN]
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=list[Any])
    except (msgspec.DecodeError, RecursionError):
        problems.append(f'{_row_name(name, _shown(row[0]))} has a when_is that is no list like ["big", true]')
        return None


def _shown(number: Decimal) -> str:
    """The number for a sentence; a column may hold 130,000 digits."""
    text = str(number)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _whole(number: Decimal) -> int | None:
    if not number.is_finite() or abs(number) > MAX_TASK_SEQ or number != number.to_integral_value():
        return None
    return int(number)


def _pairs_of(pairs: Sequence[str | None], problems: list[str]) -> dict[str, Any]:
    """The pairs of columns as parameters. A key without a value is a null, neither of both is no pair."""
    found: dict[str, Any] = {}
    for number in range(1, PAIRS + 1):
        key, value = pairs[2 * number - 2 : 2 * number]
        if not key:
            if value:
                problems.append(f"has param{number}_value but no param{number}_key")
        elif key in found:
            problems.append(
                f"has the parameter {key[:MAX_SHOWN]!r} twice, the second time as param{number}_key"
            )
        else:
            found[key] = _text_or_reference(key, value, problems)
    return found


def _text_or_reference(key: str, value: str | None, problems: list[str]) -> Any:
    """A text of a pair; one that is JSON with a reference in it is that JSON."""
    found = _json_with_references(value) if value and '"$' in value else None
    if found is None:
        return value
    problems += problems_of_parameters({key: found})
    return found


def _json_with_references(text: str) -> Any:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if holds_references(found) else None


def _parameters_of(text: str, problems: list[str]) -> dict[str, Any]:
    """The column ``parameters`` as parameters."""
    try:
        parameters = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        problems.append(f"has parameters that are not a JSON object of usable values: {error}")
        return {}
    problems += problems_of_parameters(parameters)
    return parameters


def _row_name(name: str, seq: object) -> str:
    return f"row (task_id {name!r}, task_seq {seq})"
