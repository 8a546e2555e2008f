"""The command that prints or exports what happened to a flow: events."""

import os
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from flower_cli.commands.api_client import Api, connected, print_json
from flower_cli.commands.api_options import FlowArgument, JsonOption, UrlOption
from flower_cli.commands.flow_names import flow_id
from flower_cli.console import out
from flower_engine.client.api_location import path_part
from flower_engine.model.values.noun_counts import are, counted

_FOLLOW_SECONDS = 0.5


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Flows, over HTTP")(events)


def events(
    flow: FlowArgument,
    follow: Annotated[bool, typer.Option("--follow", help="Go on as events happen, until Ctrl-C")] = False,
    export: Annotated[
        Path | None, typer.Option("--export", help="File to write the history to, one event a line (JSON)")
    ] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a flow's history; with --json one event a line."""
    with connected(url) as api:
        flow = flow_id(api, flow)
        if export is not None:
            _export(api, flow, export)
            return
        after = None
        while True:
            page = api.read(f"/flows/{path_part(flow)}/events", after=after, limit=1_000)
            for entry in page["events"]:
                after = entry["position"]
                _print_event(entry, as_json)
            if page["next"]:
                after = page["next"]
            elif follow:
                time.sleep(_FOLLOW_SECONDS)
            else:
                return


def _export(api: Api, flow: str, path: Path) -> None:
    """Writes the whole history; a file that is there is replaced only when all of it is written."""
    unfinished, count, after = path.with_name(path.name + ".unfinished"), 0, None
    with unfinished.open("wb") as file:
        while True:
            page = api.read(f"/flows/{path_part(flow)}/events", after=after, limit=1_000)
            for entry in page["events"]:
                file.write(msgspec.json.encode(entry) + b"\n")
            count += len(page["events"])
            after = page["next"]
            if not after:
                break
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    out.print(
        f"{counted(count, 'event')} of flow {flow} {are(count)} in {path}", markup=False, highlight=False
    )


def _print_event(entry: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(msgspec.json.encode(entry))
        return
    event = entry["event"]
    if event is None:
        out.print(Text(f"{entry['position']}  refused by Postgres: {entry['error']}", style="red"))
        return
    known = {key: value for key, value in event.items() if key not in ("type", "flow", "at", "tasks")}
    rest = " ".join(f"{key}={msgspec.json.encode(value).decode()[:200]}" for key, value in known.items())
    out.print(Text(f"{entry['position']}  {event['type']:<16} ").append(rest, style="dim"))
