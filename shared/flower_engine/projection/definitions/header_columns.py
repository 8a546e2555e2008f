"""What is said of a workflow as a whole, as columns of ``ms_workflow`` and back."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from flower_engine.model.definitions.definition import WorkflowDefinition
from flower_engine.model.values.floats import spelled_out
from flower_engine.model.values.storable import is_unstorable, problem_of_value
from flower_engine.projection.definitions.policy_columns import timeout_of

NO_HEADER: tuple[Any, ...] = (None,) * 7
"""The columns of a workflow that has no row."""


def header_of(columns: Sequence[Any], problems: list[str]) -> dict[str, Any]:
    """The fields of a :class:`WorkflowDefinition` that the columns give: flow_timeout_seconds; as texts of
    JSON parameters_schema, returns, labels; description; cleanup_timeout_seconds; pin. What makes no sense is
    added to ``problems``."""
    seconds: Decimal | None = columns[0]
    schema, returns, labels = (
        _decoded(text, kind, what, name, problems)
        for text, kind, what, name in (
            (columns[1], dict[str, Any], "an object", "parameters_schema"),
            (columns[2], Any, "usable JSON", "returns"),
            (columns[3], dict[str, str], "an object of texts", "labels"),
        )
    )
    return {
        "timeout_ms": timeout_of(seconds, "flow_timeout_seconds", problems),
        "cleanup_timeout_ms": timeout_of(columns[5], "cleanup_timeout_seconds", problems),
        "parameters_schema": schema,
        "returns": returns,
        "labels": labels or {},
        "description": columns[4],
        "pin": columns[6],
    }


def encoded_header(definition: WorkflowDefinition) -> str | None:
    """The row of ``ms_workflow`` as JSON; None: nothing is said, and no row is needed."""
    said = {
        "timeout_ms": definition.timeout_ms,
        "cleanup_timeout_ms": definition.cleanup_timeout_ms,
        "parameters_schema": definition.parameters_schema,
        "returns": definition.returns,
        "labels": definition.labels or None,
        "description": definition.description,
        "pin": definition.pin,
    }
    known = {name: value for name, value in said.items() if value is not None}
    return spelled_out(msgspec.json.encode(known)).decode() if known else None


def problems_of_storing(definition: WorkflowDefinition) -> Iterator[str]:
    """What the tables cannot keep of it, as sentences."""
    said = {
        "parametersSchema": definition.parameters_schema,
        "returns": definition.returns,
        "labels": definition.labels,
    }
    for name, value in said.items():
        problem = problem_of_value(value)
        if problem:
            yield f"workflow {definition.name!r}: {name}: it {problem}"
    if is_unstorable(definition.description or ""):
        problem = "it holds a NUL or a surrogate, which Postgres cannot keep"
        yield f"workflow {definition.name!r}: description: {problem}"


def _decoded(text: str | None, kind: Any, what: str, column: str, problems: list[str]) -> Any:
    if text is None or text == "null":
        return None
    try:
        found = msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, RecursionError):
        problems.append(f"has a {column} that is not {what}")
        return None
    problem = problem_of_value(found)
    if problem:
        problems.append(f"has a {column} that {problem}")
    return found
