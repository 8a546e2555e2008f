"""``flower signals``: those that are kept for flows that come to await them; lists, deletes."""

from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from flower_cli.commands import words
from flower_cli.commands.api_client import connected, print_json
from flower_cli.commands.api_options import JsonOption, LimitOption, UrlOption
from flower_cli.console import out
from flower_engine.client.api_location import path_part

_app = typer.Typer(invoke_without_command=True)


def add_to(app: typer.Typer) -> None:
    app.add_typer(_app, name="signals", rich_help_panel="Flows, over HTTP")


@_app.callback()
def signals(
    context: typer.Context, limit: LimitOption = 100, url: UrlOption = None, as_json: JsonOption = False
) -> None:
    """List signals that are kept for flows that come to await them."""
    context.obj = url  # a flag before the name counts, too
    if context.invoked_subcommand is None:
        _list(limit, url, as_json)


@_app.command("list")
def list_signals(
    context: typer.Context, limit: LimitOption = 100, url: UrlOption = None, as_json: JsonOption = False
) -> None:
    """List signals that are kept, the oldest first."""
    _list(limit, url or context.obj, as_json)


def _list(limit: int, url: str | None, as_json: bool) -> None:
    with connected(url) as api:
        if as_json:
            print_json(api.get("/signals", limit=min(limit, 1_000)))
            return
        table = Table("id", "name", "key", "by", "until", "for", "taken", box=SIMPLE_HEAD)
        for one in api.pages("/signals", "signals", limit):
            said = [Text(one[field]) for field in ("id", "name", "key", "by")]
            whom = "the first" if one["first"] else "all"
            table.add_row(*said, words.moment(one["until"]), whom, str(one["taken"]))
    out.print(table if table.row_count else "no signal is kept; 'flower signal NAME --keep 1h' keeps one")


@_app.command()
def delete(
    context: typer.Context,
    identity: Annotated[str, typer.Argument(metavar="ID", help="The id of the signal, as the list has it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
    url: UrlOption = None,
) -> None:
    """Keep a signal no more; flows that took it keep it."""
    with connected(url or context.obj) as api:
        if not yes:
            typer.confirm(f"Delete the kept signal {identity}?", abort=True, err=True)
        api.delete(f"/signals/{path_part(identity)}")
    out.print(f"signal {identity}: it is kept no more", markup=False)
