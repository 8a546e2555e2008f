"""A projected table as one list of columns, from which its COPY, its UPDATE and what packs both follow."""

from collections.abc import Callable, Sequence
from typing import Any, LiteralString, NamedTuple

import msgspec

from flower_engine.model.events.attempt_events import TaskProgressed
from flower_engine.model.events.wait_events import TaskAwaiting, TaskLifted
from flower_engine.model.tasks.task_error import TaskError
from flower_engine.model.values.blob_ref import BlobRef
from flower_engine.model.values.made_functions import function_of
from flower_engine.projection import binary_fields
from flower_engine.projection.binary_fields import NULL, array
from flower_engine.projection.database import Packed

_encode = msgspec.json.Encoder().encode


class Kind(NamedTuple):
    """A type of columns, and how a value is packed; ``pack`` None: it is packed already."""

    sql: LiteralString
    oid: int
    pack: Callable[[Any], bytes] | None


class Column(NamedTuple):
    """A column.

    ``copied`` is its value in a new row, and ``sent`` what is sent of it for a row that is there: Python,
    with the names that the table's functions have ("": nothing). ``becomes`` is what it is then, in SQL, of
    ``known``, the row, and ``change``, what is sent; ``{0}`` is its name ("": it does not change).
    """

    name: LiteralString
    kind: Kind
    copied: str = ""
    sent: str = ""
    becomes: LiteralString = ""
    may_be_null: bool = False


def error_field(error: TaskError) -> bytes:
    """An error as it is stored."""
    return binary_fields.jsonb(_encode(error))


def blob_field(blob: BlobRef) -> bytes:
    """Where a result lies, as it is stored."""
    return binary_fields.jsonb(_encode(blob))


def progress_field(progress: TaskProgressed) -> bytes:
    """What a program said of its progress, as it is stored."""
    return binary_fields.jsonb(_encode({"fraction": progress.fraction, "note": progress.note}))


def awaiting_field(awaiting: TaskAwaiting | TaskLifted) -> bytes:
    """What a task awaits, since when and until when (ms; 0: for ever), as it is stored."""
    said = {"kind": awaiting.kind, "since_ms": awaiting.at, "until_ms": awaiting.until_ms}
    return binary_fields.jsonb(_encode(said))


def names_field(names: tuple[str, ...]) -> bytes:
    """Names, as they are stored."""
    return binary_fields.jsonb(_encode(names))


def json_field(value: dict[str, Any]) -> bytes:
    """Parameters as they are stored."""
    return binary_fields.json(_encode(value))


INTEGER = Kind("integer", binary_fields.INTEGER, binary_fields.integer)
BOOLEAN = Kind("boolean", binary_fields.BOOLEAN, binary_fields.boolean)
BIGINT = Kind("bigint", binary_fields.BIGINT, binary_fields.bigint)
NUMERIC = Kind("numeric", binary_fields.NUMERIC, binary_fields.numeric)
TIME = Kind("timestamptz", binary_fields.TIMESTAMPTZ, binary_fields.timestamptz)
TEXT = Kind("text", binary_fields.TEXT, binary_fields.text)
WORD = Kind("text", binary_fields.TEXT, binary_fields.short_text)
ID = Kind("varchar", binary_fields.VARCHAR, binary_fields.text)
PACKED_ID = Kind("varchar", binary_fields.VARCHAR, None)
RESULT = Kind("jsonb", binary_fields.JSONB, binary_fields.jsonb)
BLOB = Kind("jsonb", binary_fields.JSONB, blob_field)
ERROR = Kind("jsonb", binary_fields.JSONB, error_field)
PROGRESS = Kind("jsonb", binary_fields.JSONB, progress_field)
AWAITING = Kind("jsonb", binary_fields.JSONB, awaiting_field)
NAMES = Kind("jsonb", binary_fields.JSONB, names_field)
PARAMETERS = Kind("json", binary_fields.JSON, json_field)


def copied_names(columns: Sequence[Column]) -> tuple[LiteralString, ...]:
    """The columns that new rows have."""
    return tuple(column.name for column in columns if column.copied)


def copy_statement(table: LiteralString, columns: Sequence[Column]) -> LiteralString:
    """The COPY of new rows."""
    names: LiteralString = ", ".join(copied_names(columns))
    return f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)"


def update_statement(
    table: LiteralString, columns: Sequence[Column], keys: Sequence[Column]
) -> LiteralString:
    """The UPDATE of rows that are there, by an array for each of the keys and each column that is sent."""
    sent = [*keys, *(column for column in columns if column.sent)]
    becomes: LiteralString = ",\n    ".join(
        column.name + " = " + column.becomes.format(column.name) for column in columns if column.becomes
    )
    arrays: LiteralString = ", ".join("%b::" + column.kind.sql + "[]" for column in sent)
    names: LiteralString = ", ".join(column.name for column in sent)
    same: LiteralString = " AND ".join("known." + key.name + " = change." + key.name for key in keys)
    return (
        f"UPDATE {table} AS known SET\n    {becomes}\n"
        f"FROM unnest({arrays}) AS change ({names})\nWHERE {same}\n"
    )


def fields_function(columns: Sequence[Column], parameters: str) -> Callable[..., bytes]:
    """The function that packs the fields that a new row has in these columns."""
    fields = [_field(column, column.copied) for column in columns if column.copied]
    return function_of([f"return b''.join(({', '.join(fields)},))"], parameters, _names(columns))


def arrays_function(columns: Sequence[Column], item: str) -> Callable[..., list[Packed]]:
    """The function that packs the arrays of an UPDATE: of many items, in the columns that are sent."""
    arrays = [_array(column, item) for column in columns if column.sent]
    return function_of([f"return [{', '.join(arrays)}]"], "items", _names(columns))


def _names(columns: Sequence[Column]) -> dict[str, Any]:
    packs = {f"pack_{column.name}": column.kind.pack for column in columns}
    return {**packs, "NULL": NULL, "full": _full, "sparse": _sparse}


def _field(column: Column, value: str) -> str:
    if column.kind.pack is None:
        return value
    if column.may_be_null:
        return f"NULL if (value := {value}) is None else pack_{column.name}(value)"
    return f"pack_{column.name}({value})"


def _array(column: Column, item: str) -> str:
    values = f"[{column.sent} for {item} in items]"
    return f"{'sparse' if column.may_be_null else 'full'}({column.kind.oid}, pack_{column.name}, {values})"


def _full(element_type: int, pack: Callable[[Any], bytes], values: Sequence[Any]) -> Packed:
    return array(element_type, [pack(value) for value in values])


def _sparse(element_type: int, pack: Callable[[Any], bytes], values: Sequence[Any]) -> Packed:
    """An array; where no value is said at all, an empty one, which unnest fills up with NULL."""
    if all(value is None for value in values):
        return array(element_type, [])
    return array(element_type, [NULL if value is None else pack(value) for value in values])
