"""``flower schedules slots``: what became of slots, and why."""

from enum import StrEnum
from typing import Annotated, Any

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from flower_cli.commands import words
from flower_cli.commands.api_client import connected, print_json
from flower_cli.commands.api_options import JsonOption, LimitOption, SinceOption, UntilOption, UrlOption
from flower_cli.commands.completion import complete_schedule
from flower_cli.console import out
from flower_engine.client.api_location import path_part

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="The schedule", autocompletion=complete_schedule)
]


class Fate(StrEnum):
    """What became of a slot."""

    fired = "fired"
    skipped = "skipped"
    missed = "missed"
    held = "held"


_COLOURS = {"fired": "green", "skipped": "yellow", "missed": "red", "held": "cyan"}


def slots(
    context: typer.Context,
    name: NameArgument,
    slot: Annotated[
        str | None, typer.Argument(metavar="[SLOT]", help="One slot (ISO, UTC): what became of it, and why")
    ] = None,
    state: Annotated[
        list[Fate] | None,
        typer.Option("--state", help="Only these. Repeatable"),
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = 50,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what became of a schedule's slots, the newest first; or of one slot, and why."""
    before_url, before_json = context.obj
    as_json = as_json or before_json
    path = f"/schedules/{path_part(name)}/slots"
    with connected(url or before_url) as api:
        if slot is not None:
            answer = api.get(f"{path}/{path_part(slot)}")
            if as_json:
                print_json(answer)
            else:
                _print_slot(msgspec.json.decode(answer))
            return
        query = {"state": [one.value for one in state or ()] or None, "since": since, "until": until}
        if as_json:
            print_json(api.get(path, limit=min(limit, 1_000), **query))
            return
        table = Table("slot (UTC)", "state", "reason", "late", "flow", "", box=SIMPLE_HEAD)
        for one in api.pages(path, "slots", limit, **query):
            many = f" .. {words.moment(one['until'])} ({one['count']})" if one["count"] > 1 else ""
            more = f"backfill {one['backfill']}" if one["backfill"] else one["detail"]
            late = "" if one["backfill"] else _late(one["lateMs"])
            state_text = Text(one["state"], style=_COLOURS.get(one["state"], ""))
            reason = "" if one["backfill"] else one["reason"]
            table.add_row(words.moment(one["slot"]) + many, state_text, reason, late, one["flow"], Text(more))
    out.print(table if table.row_count else "no slot of it has a fate yet")


def _late(ms: int) -> str:
    """So much after its time: of a minute and more in whole seconds."""
    if ms < 60_000:
        return f"{ms / 1000:g} s" if ms else ""
    from flower_engine.model.definitions.definition_differences import duration_in_words

    return duration_in_words(ms // 1000)


def _print_slot(one: dict[str, Any]) -> None:
    head = Text(f"{words.moment(one['slot'])} UTC  ")
    out.print(head.append(one["state"], style=_COLOURS.get(one["state"], "dim")))
    out.print(Text(f"  {one['said']}"))
