"""``flower diff``: two flows, or one at two moments, side by side."""

from collections.abc import Iterable
from datetime import datetime
from itertools import zip_longest
from typing import Annotated, Any

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from flower_cli.commands import words
from flower_cli.commands.api_client import Api, connected, print_json
from flower_cli.commands.api_options import JsonOption, UrlOption
from flower_cli.commands.completion import complete_flow
from flower_cli.commands.flow_names import flow_id
from flower_cli.console import out
from flower_engine.client.api_location import path_part
from flower_engine.model.values.noun_counts import counted

_COMPARED = ("status", "program", "dependsOn", "parameters", "result", "error")
_MOST_CHARACTERS = 400  # of a parameter or result; --json has it whole

Task = dict[str, Any]


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Flows, over HTTP")(diff)


def diff(
    a: Annotated[
        str,
        typer.Argument(
            metavar="FLOW_A[@MOMENT]",
            help="A flow, as it is or as it was then",
            autocompletion=complete_flow,
        ),
    ],
    b: Annotated[
        str | None,
        typer.Argument(
            metavar="[FLOW_B[@MOMENT]]",
            help="What to compare with [FLOW_A, now]",
            autocompletion=complete_flow,
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Also the tasks that do not differ")] = False,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two flows, or one at two moments (a time or a position): task by task, side by side."""
    with connected(url) as api:
        flows = [_read(api, a), _read(api, b or a.partition("@")[0])]
    pairs = compare(*flows)
    shown = [pair for pair in pairs if every or pair["differs"]]
    if as_json:
        heads = [{key: value for key, value in flow.items() if key != "tasks"} for flow in flows]
        print_json(msgspec.json.encode({"a": heads[0], "b": heads[1], "tasks": shown}))
        return
    table = Table("task", "", "A", "B", box=SIMPLE_HEAD)
    table.add_row("flow", "id", *(Text(flow["taskFlowId"]) for flow in flows))
    if flows[0]["taskId"] != flows[1]["taskId"]:
        table.add_row("", "workflow", *(Text(flow["taskId"]) for flow in flows))
    table.add_row("", "status", *(_status(flow) for flow in flows))
    table.add_row("", "duration", *(_seconds(duration_of(flow)) for flow in flows))
    for pair in shown:
        _add_rows(table, pair)
    out.print(table)
    same = sum(not pair["differs"] for pair in pairs)
    different = len(pairs) - same
    verb = "differs" if different == 1 else "differ"
    out.print(f"{different} of {counted(len(pairs), 'task')} {verb}", markup=False)


def compare(a: dict[str, Any], b: dict[str, Any]) -> list[dict[str, Any]]:
    """Each task of either flow: its taskExecSeq, in what it differs, and what it is in A and in B (null where
    a flow has no such task)."""
    of_a: list[Task] = a["tasks"]
    of_b: list[Task] = b["tasks"]
    both: Iterable[tuple[Task | None, Task | None]] = zip_longest(of_a, of_b)
    return [
        {
            "taskExecSeq": seq,
            "differs": _differences(*sides),
            "a": _side(sides[0]),
            "b": _side(sides[1]),
        }
        for seq, sides in enumerate(both, start=1)
    ]


def duration_of(what: dict[str, Any]) -> float | None:
    """Seconds from start to end of a task or flow; None: it has not ended, or never started."""
    if not what["startedTs"] or not what["finishedTs"]:
        return None
    started, ended = (datetime.fromisoformat(what[name]) for name in ("startedTs", "finishedTs"))
    return max(0.0, (ended - started).total_seconds())  # a clock may have gone back between


def _read(api: Api, which: str) -> dict[str, Any]:
    flow, _, moment = which.partition("@")
    return api.read(f"/flows/{path_part(flow_id(api, flow))}", at=moment or None)


def _differences(a: Task | None, b: Task | None) -> list[str]:
    if a is None or b is None:
        return ["existence"]
    return [name for name in _COMPARED if _compared(a, name) != _compared(b, name)]


def _compared(task: Task, name: str) -> Any:
    """An error's traceback names lines and addresses; type and message tell whether it is another one."""
    if name == "error" and task["error"]:
        return task["error"]["type"], task["error"]["message"]
    return task[name]


def _side(task: Task | None) -> dict[str, Any] | None:
    if task is None:
        return None
    return {name: task[name] for name in (*_COMPARED, "attempt")} | {"durationSeconds": duration_of(task)}


def _add_rows(table: Table, pair: dict[str, Any]) -> None:
    sides: list[Task | None] = [pair["a"], pair["b"]]
    programs = list(dict.fromkeys(side["program"] for side in sides if side))
    table.add_row(
        Text(f"{pair['taskExecSeq']} {' / '.join(programs)}"), "status", *(_status(side) for side in sides)
    )
    table.add_row("", "duration", *(_seconds(side["durationSeconds"] if side else None) for side in sides))
    for name in pair["differs"]:
        if name not in ("status", "existence"):
            table.add_row("", name, *(_value(side, name) for side in sides))


def _status(what: dict[str, Any] | None) -> Text:
    if what is None:
        return Text("no such task", style="dim")
    return words.status_text(what)


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3f} s"


def _value(side: Task | None, name: str) -> Text:
    if side is None:
        return Text("")
    if name == "error":
        return Text(words.error_line(side["error"]), style="red")
    text = msgspec.json.encode(side[name]).decode()
    return Text(text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + "...")
