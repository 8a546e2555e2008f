"""What the demo shows: the tasks of a flow, live on a terminal and as plain lines elsewhere."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table

_COLOURS = {"Wait": "dim", "Running": "yellow", "Finish": "green", "Suspend": "red", "Ignore": "blue"}


Read = Callable[[], dict[str, Any]]
"""Reads the flow as the API shows it."""


def watch_tasks(console: Console, read: Read, pause: Callable[[], None]) -> dict[str, Any]:
    """Show a flow until it ends or stands still; returns it as it was read last."""
    if not console.is_terminal:
        return _watch_in_lines(console, read, pause)
    with Live(console=console, auto_refresh=False) as live:
        while True:
            flow = read()
            live.update(_task_table(flow), refresh=True)
            if is_over(flow):
                return flow
            pause()


def is_over(flow: dict[str, Any]) -> bool:
    """Whether nothing more happens to a flow by itself."""
    return flow["status"] in {"Finish", "Suspend"}


def row_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """Rows of a database table, side by side: its many columns fit no terminal.

    Of times, only the time of day is shown.
    """
    table = Table(box=SIMPLE_HEAD)
    table.add_column(columns[0], no_wrap=True)
    for row in rows:
        table.add_column(_cell(row[0]), overflow="fold", max_width=36)
    for number, name in enumerate(columns[1:], start=1):
        table.add_row(name, *(_cell(row[number]) for row in rows))
    return table


def _watch_in_lines(console: Console, read: Read, pause: Callable[[], None]) -> dict[str, Any]:
    shown: dict[int, str] = {}
    while True:
        flow = read()
        for task in flow["tasks"]:
            if shown.get(task["taskExecSeq"]) != task["status"]:
                shown[task["taskExecSeq"]] = task["status"]
                console.print(f"task {task['taskExecSeq']} {task['program']}: {task['status']}", markup=False)
        if is_over(flow):
            return flow
        pause()


def _task_table(flow: dict[str, Any]) -> Table:
    table = Table("task", "program", "status", "waits for", "started", "finished", box=SIMPLE_HEAD)
    for task in flow["tasks"]:
        status = str(task["status"])
        table.add_row(
            str(task["taskExecSeq"]),
            str(task["program"]),
            f"[{_COLOURS.get(status, 'default')}]{status}",
            _waits_for(task["waitReason"]),
            _clock(task["startedTs"]),
            _clock(task["finishedTs"]),
        )
    return table


def _waits_for(reason: dict[str, Any] | None) -> str:
    match reason:
        case {"reason": "dependencies", "dependsOn": tasks}:
            return "task " + ", ".join(str(task) for task in tasks)
        case {"reason": "ready"}:
            return "a free slot"
        case {"reason": "noWorker", "program": program}:
            return f"a worker that serves {program}"
        case {"reason": "cannotStart", "program": program}:
            return f"a worker that can start {program}"
        case _:
            return ""


def _clock(timestamp: str | None) -> str:
    """The time of day of an ISO 8601 timestamp."""
    return timestamp[11:23].rstrip("Z+-") if timestamp else ""


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return f"{value.astimezone(UTC):%H:%M:%S.%f}"[:-3]
        case dict():
            return json.dumps(value)
        case _:
            return str(value)
