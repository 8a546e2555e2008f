"""Which columns of ``ms_task_definition`` and ``kr_task_stat`` hold the fields of a task's specification.

Both lists follow from the fields of ``TaskSpec``. A field that is named nowhere here has a column of its
own name in both tables, where NULL means its default.
"""

from typing import Any, NamedTuple

from flower_engine.model.tasks.field_types import SPEC_FIELDS

PAIRS = 5
"""The seed's pairs of columns: parameters that are strings."""


class Column(NamedTuple):
    """A column of ``ms_task_definition``, and the type under which a row of JSON is unpacked."""

    name: str
    type: str


_POLICY_COLUMNS = (
    Column("max_attempts", "integer"),
    Column("retry_delay_seconds", "numeric"),
    Column("retry_backoff", "numeric"),
    Column("retry_max_delay_seconds", "numeric"),
    Column("retry_jitter", "numeric"),
    Column("no_retry_on", "text[]"),
)
_PAIR_COLUMNS = tuple(
    Column(f"param{number}_{part}", "text") for number in range(1, PAIRS + 1) for part in ("key", "value")
)
_ODD: dict[str, tuple[Column, ...]] = {
    "seq": (),  # a definition has none
    "task_seq": (Column("task_seq", "numeric"),),
    "priority": (Column("task_priority", "numeric"),),
    "depends_on": (Column("depends_on", "integer[]"),),
    "when": (Column("when_is", "jsonb"),),  # WHEN is a word of SQL
    "parameters": (Column("parameters", "jsonb"), *_PAIR_COLUMNS),
    "retry": _POLICY_COLUMNS,
    "timeout_ms": (Column("timeout_seconds", "numeric"),),
    "queue_timeout_ms": (Column("queue_timeout_seconds", "numeric"),),
    "stand_in": (Column("stand_in", "jsonb"),),
}
"""Fields whose columns are not simply themselves."""

NOT_IN_FLOWS = {
    "seq": "task_exec_seq, which is the row's key",
    "retry": "failures and retry_ts say what came of it",
    "timeout_ms": "the error of the task says that it was over",
    "queue_timeout_ms": "the error of the task says that it was over",
    "units": "the limit that the task waits for says so",
    "stand_in": "the result of the task is it, once it was passed over",
}
"""Fields that a row of ``kr_task_stat`` does not show, each with the reason."""

SELDOM = ("max_rounds", "rule", "on_failure", "finally_")
"""Fields of which a row of ``kr_task_stat`` has NULL for the default, as nearly every task has that."""

_POSTGRES_TYPES = {str: "text", int: "integer", bool: "boolean", float: "double precision"}

PLAIN = tuple(name for name in SPEC_FIELDS if name not in _ODD)
"""Fields with a column of their own name."""
DEFAULTS: dict[str, Any] = {name: SPEC_FIELDS[name].default for name in PLAIN}


def columns_of_field(name: str) -> tuple[Column, ...]:
    """The columns of ``ms_task_definition`` that hold a field; "_" ends what is a word of Python."""
    if name in _ODD:
        return _ODD[name]
    return (Column(name.removesuffix("_"), _POSTGRES_TYPES[SPEC_FIELDS[name].type]),)


DEFINITION_COLUMNS = tuple(column for name in SPEC_FIELDS for column in columns_of_field(name))
"""All columns of ``ms_task_definition`` but ``task_id``."""


FLOW_COLUMNS_OF = {name: columns_of_field(name)[0].name for name in SPEC_FIELDS if name not in NOT_IN_FLOWS}
"""Field -> the column of ``kr_task_stat`` that shows it."""
