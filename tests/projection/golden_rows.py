"""The golden rows: what each event does to the tables, written down by hand (tests/golden/README.md)."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from psycopg.sql import SQL, Identifier

from flower_engine.log.entries import LogEntry
from flower_engine.model.events.events import AnyEvent, decode_event
from flower_engine.projection.database import Connection

FOLDER = Path(__file__).parents[1] / "golden" / "rows"
NAMES = sorted(str(file.relative_to(FOLDER).with_suffix("")) for file in FOLDER.rglob("*.json"))
TYPES = sorted(str(kind.__struct_config__.tag) for kind in get_args(AnyEvent))

Row = dict[str, Any]
Tables = dict[str, dict[str, Row]]
"""By table, by key ("" for the flow, or the task's number): what its columns hold, but for those that are
NULL. Times are milliseconds; a JSON null is "json null"."""

_ROWS = SQL(
    "SELECT {key}, to_jsonb(held) || CASE WHEN {json} = 'null'"
    " THEN '{{\"result\": \"json null\"}}'::jsonb ELSE '{{}}' END FROM {table} AS held"
)


def golden(name: str) -> dict[str, Any]:
    """What a file holds."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def story(name: str) -> list[dict[str, Any]]:
    """The files of the events that led there, and of the event itself, in log order."""
    return [golden(before) for before in golden(name)["after"]] + [golden(name)]


def entries(files: Sequence[dict[str, Any]]) -> list[LogEntry]:
    """Their events as they lie in the log, each at the moment that it tells."""
    return [
        LogEntry(f"{file['event']['at']}-0", json.dumps(file["event"], ensure_ascii=False).encode())
        for file in files
    ]


def events(files: Sequence[dict[str, Any]]) -> list[AnyEvent]:
    """Their events."""
    return [decode_event(entry.raw) for entry in entries(files)]


def rows_after(files: Sequence[dict[str, Any]]) -> Tables:
    """What the tables hold after these events, as written; what a file says of the rows before its event must
    be what the files before it made of them."""
    tables: Tables = {"kr_flow_stat": {}, "kr_task_stat": {}}
    for file in files:
        for table, written in file.get("new", {}).items():
            tables[table] |= {"": dict(written)} if table == "kr_flow_stat" else written
        for table, written in file.get("changed", {}).items():
            changes = {"": written} if table == "kr_flow_stat" else written
            for key, columns in changes.items():
                _change(tables[table][key], columns, file["event"]["type"])
    return tables


def _change(row: Row, columns: dict[str, tuple[Any, Any]], kind: str) -> None:
    for column, (before, after) in columns.items():
        assert row.get(column) == before, f"{kind}: {column} was {row.get(column)} before, not {before}"
        assert before != after, f"{kind}: {column} is {before} before and after"
        row[column] = after
        if after is None:
            del row[column]


async def held(connection: Connection) -> Tables:
    """What the tables hold of the one flow that they hold."""
    tables: Tables = {}
    for table, key, value in (
        ("kr_flow_stat", SQL("''"), SQL("''")),
        ("kr_task_stat", SQL("task_exec_seq::text"), SQL("result")),
    ):
        statement = _ROWS.format(key=key, json=value, table=Identifier(table))
        rows = await (await connection.execute(statement)).fetchall()
        tables[table] = {
            number: {name: _plain(name, value) for name, value in row.items() if value is not None}
            for number, row in rows
        }
    return tables


async def archived(connection: Connection) -> list[Row]:
    """What the archive holds, in log order."""
    rows = await connection.execute(
        "SELECT to_jsonb(e) FROM kr_event AS e ORDER BY position_ms, position_seq"
    )
    return [row async for (row,) in rows]


def archive_after(files: Sequence[dict[str, Any]]) -> list[Row]:
    """What the archive must hold of these events: each as it is, with the columns that are written down."""
    head = {"partition": 0, "position_seq": 0, "raw": None, "error": None}
    return [
        {**head, "position_ms": file["event"]["at"], "event": file["event"], **file["kr_event"]}
        for file in files
    ]


def _plain(column: str, value: Any) -> Any:
    if column.endswith("_ts"):
        return round(datetime.fromisoformat(value).timestamp() * 1000)
    return value
