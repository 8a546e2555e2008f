"""The rows that a workflow is written as, which was defined in another way."""

from operator import attrgetter
from typing import Any

import msgspec

from flower_engine.errors import DefinitionError, TooLargeError
from flower_engine.model.definitions.definition import TaskDefinition, WorkflowDefinition, plan_flow
from flower_engine.model.definitions.workflow_versions import Version, version_of
from flower_engine.model.tasks.field_types import SPEC_FIELDS
from flower_engine.model.tasks.task_spec import MAX_TASK_SEQ
from flower_engine.model.values.floats import spelled_out
from flower_engine.model.values.storable import is_unstorable, problems_of_parameters
from flower_engine.projection.definitions.definition_of_rows import json_with_references, row_name
from flower_engine.projection.definitions.header_columns import encoded_header, problems_of_storing
from flower_engine.projection.definitions.policy_columns import columns_of
from flower_engine.projection.task_columns import DEFAULTS, PAIRS, PLAIN, columns_of_field

_MAX_INTEGER = 2**31 - 1  # what an element of the column depends_on holds
_PAIR_LENGTH = 1024  # characters that a column of a pair holds
_DEFAULTS = tuple(DEFAULTS[name] for name in PLAIN)
_plain = attrgetter(*PLAIN)
_FREE_TEXTS = [name for name in PLAIN if SPEC_FIELDS[name].type is str and name not in ("program", "queue")]


class EncodedWorkflow(msgspec.Struct, frozen=True):
    """A checked workflow; its rows are one value of JSON that Postgres unpacks, so the statement is fixed.
    ``header``: the same for what is said of it as a whole; None: nothing is."""

    name: str
    rows: str
    tasks: int
    version: Version
    header: str | None = None


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
        row = row_name(definition.name, task.task_seq)
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


def encoded(definition: WorkflowDefinition) -> EncodedWorkflow:
    """The workflow, checked, as it is written.

    Raises:
        DefinitionError: it cannot be run as defined; every problem found is named.
    """
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
    if not 0 < len(key) <= _PAIR_LENGTH >= len(text):
        return False
    return '"$' not in text or json_with_references(text) is None
