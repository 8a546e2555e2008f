"""``flower audit``: who did what, and when."""

from typing import Annotated, Any, cast

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from flower_cli.commands import words
from flower_cli.commands.api_client import connected, print_json
from flower_cli.commands.api_options import (
    JsonOption,
    LimitOption,
    SinceOption,
    UntilOption,
    UrlOption,
    WorkflowOption,
)
from flower_cli.commands.completion import complete_flow
from flower_cli.commands.flow_names import flow_id
from flower_cli.console import out

ByOption = Annotated[str | None, typer.Option("--by", help="Only by this token, or sql:NAME")]
WhatOption = Annotated[
    list[str] | None,
    typer.Option("--what", help="Only this act, or what it begins with: schedule; repeatable"),
]
FlowOption = Annotated[
    str | None, typer.Option("--flow", help="Only to this flow", autocompletion=complete_flow)
]


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Flows, over HTTP")(audit)


def audit(
    by: ByOption = None,
    what: WhatOption = None,
    flow: FlowOption = None,
    workflow: WorkflowOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = 100,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what people did, the newest first: operations, answers, changes of definitions and limits."""
    with connected(url) as api:
        asked: dict[str, Any] = {
            "by": by,
            "what": what or None,
            "taskFlowId": None if flow is None else flow_id(api, flow),
            "taskId": workflow,
            "since": since,
            "until": until,
        }
        given = {name: value for name, value in asked.items() if value is not None}
        if as_json:
            print_json(api.get("/audit", limit=min(limit, 1_000), **given))
            return
        table = Table("when", "who", "did", "to", "workflow", "", box=SIMPLE_HEAD)
        for one in api.pages("/audit", "acts", limit, **given):
            to = one["name"] or one["taskFlowId"] or ""
            said = [Text(one[name] or "") for name in ("by", "act")]
            table.add_row(
                words.moment(one["at"]), *said, Text(to), Text(one["taskId"] or ""), Text(_rest_of(one))
            )
    out.print(table if table.row_count else "nobody did anything like that")


def _both(value: Any) -> list[Any]:
    """What a value was and is, where both are told."""
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def _rest_of(one: dict[str, Any]) -> str:
    said: list[str] = []
    if one["task"] is not None:
        said.append(f"task {one['task']}")
    if one["tasks"] is not None:
        said.append(f"{one['tasks']} tasks" if one["tasks"] != 1 else "1 task")
    details: dict[str, Any] = one["details"] or {}
    for name, value in details.items():
        told = [msgspec.json.encode(part).decode() for part in _both(value)]
        said.append(f"{name} {' -> '.join(part for part in told if part != 'null') or '...'}")
    return "; ".join([*said, *([one["reason"]] if one["reason"] else [])])
