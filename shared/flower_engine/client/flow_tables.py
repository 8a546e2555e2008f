"""A flow as a table: for terminals (rich), and as HTML for notebooks.

All of its text is somebody's data: it is escaped in the one, and never read as markup in the other.
"""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

MARKS = {"Wait": "·", "Running": "▶", "Suspend": "✘", "Finish": "✔", "Ignore": "⤼"}
COLOURS = {"Wait": "dim", "Running": "yellow", "Finish": "green", "Suspend": "red", "Ignore": "blue"}
_HTML_COLOURS = {"Running": "#b58900", "Finish": "#2e7d32", "Suspend": "#c62828", "Ignore": "#1565c0"}
_HEADS = ("task", "program", "status", "seconds", "")
_STATUS = 2


class Lines(NamedTuple):
    """What of a flow is shown: a title, a row a task (number and name, program, status, seconds, why it waits
    or failed), and how many more there are."""

    title: str
    rows: Sequence[Sequence[str]]
    left: int


def as_table(lines: Lines) -> Table:
    """For a terminal."""
    table = Table(*_HEADS, box=SIMPLE_HEAD, title=Text(lines.title), title_justify="left")
    for row in lines.rows:
        status = row[_STATUS]
        cells = [Text(cell) for cell in row]
        cells[_STATUS] = Text(f"{MARKS.get(status, '')} {status}", style=COLOURS.get(status, ""))
        table.add_row(*cells)
    if lines.left:
        table.caption = Text(f"and {lines.left} more")
    return table


def as_html(lines: Lines) -> str:
    """For a notebook."""
    heads = "".join(f"<th style='text-align:left'>{head}</th>" for head in _HEADS)
    rows = "".join(map(_html_row, lines.rows))
    more = f"<p>and {lines.left} more</p>" if lines.left else ""
    return (
        f"<div><b>{escape(lines.title)}</b>"
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{more}</div>"
    )


def _html_row(row: Sequence[str]) -> str:
    status = row[_STATUS]
    colour = _HTML_COLOURS.get(status, "inherit")
    cells = [f"<td style='text-align:left'>{escape(cell)}</td>" for cell in row]
    shown = f"{MARKS.get(status, '')} {escape(status)}"
    cells[_STATUS] = f"<td style='text-align:left;color:{colour}'>{shown}</td>"
    return f"<tr>{''.join(cells)}</tr>"
