"""``flower scaling``: what a queue asks for, in slots of workers."""

from typing import Annotated, Any

import msgspec
import typer

from flower_cli.commands.api_client import connected, print_json
from flower_cli.commands.api_options import JsonOption, UrlOption
from flower_cli.console import out
from flower_engine.client.api_location import path_part


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Flow control, over HTTP")(scaling)


def scaling(
    queue: Annotated[str, typer.Argument(help="Its name.")] = "default",
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how many slots of workers a queue could use now."""
    with connected(url) as api:
        answer = api.get(f"/scaling/{path_part(queue)}")
    if as_json:
        print_json(answer)
        return
    out.print(_in_words(queue, msgspec.json.decode(answer)), markup=False)


def _in_words(queue: str, seen: dict[str, Any]) -> str:
    oldest = f", the oldest for {seen['oldestReadySeconds']:,.0f} s" if seen["oldestReadySeconds"] else ""
    return (
        f"queue {queue}: {seen['ready']:,} ready{oldest}; {seen['running']:,} running;"
        f" {seen['desired']:,} slots wanted, {seen['slots']:,} there"
    )
