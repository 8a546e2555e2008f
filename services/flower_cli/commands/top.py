"""``flower top``: what the engine is busy with, live."""

import time
from typing import Annotated, Any

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from flower_cli.commands.api_client import Api, connected
from flower_cli.commands.api_options import JsonOption, UrlOption
from flower_cli.console import out
from flower_cli.options import finite
from flower_engine.flows.wait_words import scope_in_words

_LANES_SHOWN = 15


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Flow control, over HTTP")(top)


def top(
    once: Annotated[bool, typer.Option("--once", help="Show it once, and end")] = False,
    interval: Annotated[
        float, typer.Option("--interval", min=0.1, callback=finite, help="Seconds between looks")
    ] = 1.0,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Watch queues, lanes, limits and workers, until Ctrl-C."""
    with connected(url) as api:
        if as_json:
            out.print_json(msgspec.json.encode(_look(api)).decode())
        elif once:
            out.print(render(_look(api)))
        elif not out.is_terminal:
            while True:
                out.print(render(_look(api)))
                time.sleep(interval)
        else:
            with Live(render(_look(api)), console=out, screen=True, auto_refresh=False) as live:
                while True:
                    time.sleep(interval)
                    live.update(render(_look(api)), refresh=True)


def _look(api: Api) -> dict[str, Any]:
    return {**api.read("/top"), "workers": api.read("/workers")["workers"]}


def render(seen: dict[str, Any]) -> RenderableType:
    """One frame: what ``/top`` and ``/workers`` say."""
    head = Text(
        f"starts {seen['startsPerSecond']:,.0f}/s   finishes {seen['finishesPerSecond']:,.0f}/s"
        f"   workers {len(seen['workers'])}"
    )
    missing = seen.get("missingPartitions")
    if missing:
        numbers = ", ".join(map(str, missing))
        head.append(f"   partitions that stand still, of which nothing is shown: {numbers}", style="red")
    elif not seen["isWhole"]:
        head.append("   (too many lanes to count all)", style="yellow")
    if retiring := seen.get("retiringPartitions"):
        numbers = ", ".join(map(str, retiring))
        head.append(f"   retired, gone when empty: {numbers}", style="yellow")
    return Group(head, _queues(seen), _lanes(seen), _limits(seen), _workers(seen), _projectors(seen))


def _queues(seen: dict[str, Any]) -> Table:
    table = Table("queue", "waiting", "running", box=SIMPLE_HEAD)
    for row in seen["queues"]:
        table.add_row(Text(row["queue"]), f"{row['waiting']:,}", f"{row['running']:,}")
    return table


def _lanes(seen: dict[str, Any]) -> Table:
    table = Table("lane", "priority", "waiting", "first", "set aside by", box=SIMPLE_HEAD)
    for row in seen["lanes"][:_LANES_SHOWN]:
        name = " ".join(filter(None, (row["queue"], row["workflow"], row["program"], row["key"])))
        table.add_row(
            *(Text(name), str(row["priority"]), f"{row['waiting']:,}", f"{row['firstSeconds']:,.0f} s"),
            Text(row["setAsideBy"], style="yellow"),
        )
    hidden = len(seen["lanes"][_LANES_SHOWN:]) + seen["lanesLeftOut"]
    if hidden:
        table.add_row(f"... and {hidden:,} more", "", "", "", "")
    return table


def _limits(seen: dict[str, Any]) -> Table:
    table = Table("limit", "in use", "rate", "", box=SIMPLE_HEAD)
    for row in seen["limits"]:
        of = scope_in_words(row["scope"], row["name"]) + (f" ({row['key']})" if row["key"] else "")
        use = "" if row["most"] is None else f"{row['running']} of {row['most']}"
        rate = "" if row["rate"] is None else f"{row['rate']} in {row['periodSeconds']:g} s"
        table.add_row(Text(of), use, rate, Text("PAUSED" if row["isPaused"] else "", style="yellow"))
    return table


def _workers(seen: dict[str, Any]) -> Table:
    table = Table("worker", "runs", "slots", "queues", "stuck", box=SIMPLE_HEAD)
    for row in seen["workers"]:
        table.add_row(
            *(Text(row["worker"]), str(row["running"]), str(row["slots"]), Text(", ".join(row["queues"]))),
            Text(str(len(row["stuck"]) or ""), style="red"),
        )
    return table


def _projectors(seen: dict[str, Any]) -> Table:
    live = seen.get("projectors")  # an older API does not say
    table = Table("projector", "partitions", "would take", box=SIMPLE_HEAD)
    for row in live or ():
        numbers = ", ".join(map(str, row["partitions"]))
        table.add_row(Text(row["name"]), numbers or "none", f"{row['wants']} more" if row["wants"] else "")
    if live is None:
        table.add_row(Text("not known: Postgres does not answer", style="yellow"), "", "")
    return table
