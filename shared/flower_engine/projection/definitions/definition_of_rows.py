"""What the rows of a workflow define.

A task's parameters stand in two places that are read as one: the seed's five pairs of columns, which hold
strings, and ``parameters`` (jsonb), which holds everything else. Where both name a parameter, jsonb wins:
it is the typed one. People edit these rows with SQL, so reading trusts nothing and names the row.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from flower_engine.errors import DefinitionError
from flower_engine.model.decisions.decision_tasks import CONDITION, said_trees
from flower_engine.model.definitions.definition import Keying, TaskDefinition, WorkflowDefinition
from flower_engine.model.parameters.references import holds_references
from flower_engine.model.tasks.rule_texts import normal_on_failure
from flower_engine.model.tasks.task_names import branches_of
from flower_engine.model.tasks.task_spec import MAX_TASK_SEQ
from flower_engine.model.values.storable import problems_of_parameters
from flower_engine.projection.definitions.header_columns import header_of
from flower_engine.projection.definitions.policy_columns import retry_of, stand_in_of, timeout_of
from flower_engine.projection.task_columns import PAIRS, PLAIN, columns_of_field

Row = tuple[Any, ...]

_MAX_SHOWN = 100  # characters of what a sentence quotes
_POLICY = [
    column.name for field in ("retry", "timeout_ms", "queue_timeout_ms") for column in columns_of_field(field)
]
_PAIRS = [column.name for column in columns_of_field("parameters")[1:]]
_WHEN = 3
_POLICY_END = len(_POLICY)
_PAIRS_END = _POLICY_END + len(_PAIRS)
# What _task_of unpacks, in its order: fields that need a hand, then those that are their columns.
COLUMNS = ", ".join(
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


def definition_of(name: str, rows: Sequence[Row], header: Row) -> WorkflowDefinition:
    """The workflow of these rows, and of its row in ``ms_workflow``; not yet validated as a whole.

    Raises:
        DefinitionError: rows that cannot be understood; every one is named.
    """
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


def keying_of(rows: Sequence[Row]) -> Keying:
    """What rows of ``ms_flow_control`` say of a workflow and of programs."""
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
    named = row_name(name, _shown(seq_number) if seq is None else seq)
    problems[said:] = (f"{named} {problem}" for problem in problems[said:])
    if CONDITION in merged:
        merged = said_trees(named, plain.get("program", ""), merged, problems)
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
        problems.append(f'{row_name(name, _shown(row[0]))} has a when_is that is no list like ["big", true]')
        return None


def _shown(number: Decimal) -> str:
    """The number for a sentence; a column may hold 130,000 digits."""
    text = str(number)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


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
                f"has the parameter {key[:_MAX_SHOWN]!r} twice, the second time as param{number}_key"
            )
        else:
            found[key] = _text_or_reference(key, value, problems)
    return found


def _text_or_reference(key: str, value: str | None, problems: list[str]) -> Any:
    """A text of a pair; one that is JSON with a reference in it is that JSON."""
    found = json_with_references(value) if value and '"$' in value else None
    if found is None:
        return value
    problems += problems_of_parameters({key: found})
    return found


def json_with_references(text: str) -> Any:
    """What a text is that is JSON with a reference in it; None: it is none."""
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


def row_name(name: str, seq: object) -> str:
    """A row, as problems name it."""
    return f"row (task_id {name!r}, task_seq {seq})"
