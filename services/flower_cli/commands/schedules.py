"""``flower schedules``: when flows begin by themselves; lists, shows, sets, pauses, previews, triggers."""

from typing import Annotated, Any

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from flower_cli.commands import words
from flower_cli.commands.api_client import connected, print_json
from flower_cli.commands.api_options import JsonOption, LimitOption, ReasonOption, UrlOption
from flower_cli.commands.backfills import list_backfills, make_backfill
from flower_cli.commands.completion import complete_schedule, complete_workflow
from flower_cli.commands.schedule_settings import seconds_of, set_schedule
from flower_cli.commands.schedule_slots import NameArgument, slots
from flower_cli.console import out
from flower_engine.client.api_location import path_part

_COLOURS = {"active": "green", "paused": "yellow", "finished": "dim", "problem": "red"}

_OfWorkflow = Annotated[
    str | None,
    typer.Option("--workflow", help="Only schedules of this workflow", autocompletion=complete_workflow),
]
CountOption = Annotated[int, typer.Option("--count", min=1, max=1_000, help="So many slots")]


class _ShowsByName(TyperGroup):
    """``flower schedules NAME`` is short for ``flower schedules show NAME``."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = args[0] in self.commands
        return super().resolve_command(ctx, args if known else ["show", *args])


_app = typer.Typer(cls=_ShowsByName, invoke_without_command=True)
_app.command("set")(set_schedule)
_app.command()(slots)
_app.command("backfill")(make_backfill)
_app.command("backfills")(list_backfills)


def add_to(app: typer.Typer) -> None:
    app.add_typer(_app, name="schedules", rich_help_panel="Schedules, over HTTP")


@_app.callback()
def schedules(
    context: typer.Context,
    workflow: _OfWorkflow = None,
    limit: LimitOption = 100,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List schedules; 'flower schedules NAME' shows one."""
    context.obj = (url, as_json)  # flags before the name count, too
    if context.invoked_subcommand is None:
        _list(workflow, limit, url, as_json)


@_app.command("list")
def list_schedules(
    context: typer.Context,
    workflow: _OfWorkflow = None,
    limit: LimitOption = 100,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List schedules by name: whether they fire, why not, and when next."""
    before_url, before_json = context.obj
    _list(workflow, limit, url or before_url, as_json or before_json)


def _list(workflow: str | None, limit: int, url: str | None, as_json: bool) -> None:
    with connected(url) as api:
        if as_json:
            print_json(api.get("/schedules", limit=min(limit, 1_000), taskId=workflow))
            return
        table = Table("schedule", "workflow", "when", "state", "next (UTC)", "", box=SIMPLE_HEAD)
        for one in api.pages("/schedules", "schedules", limit, taskId=workflow):
            table.add_row(
                Text(one["schedule"]),
                Text(one["taskId"]),
                Text(when_of(one["definition"])),
                Text(one["state"], style=_COLOURS[one["state"]]),
                words.moment(one["next"][0]) if one["next"] and one["state"] == "active" else "",
                _why(one),
            )
    out.print(table if table.row_count else "no schedule is set; 'flower schedules set NAME' does")


@_app.command()
def show(
    context: typer.Context, name: NameArgument, url: UrlOption = None, as_json: JsonOption = False
) -> None:
    """Show a schedule: what it says, how it stands, its next slots."""
    before_url, before_json = context.obj
    with connected(url or before_url) as api:
        answer = api.get(_path(name))
    if as_json or before_json:
        print_json(answer)
    else:
        _print_schedule(msgspec.json.decode(answer))


@_app.command()
def preview(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="The schedule", autocompletion=complete_schedule),
    ] = None,
    count: CountOption = 10,
    after: Annotated[
        str | None, typer.Option("--after", help="Behind this time (ISO, UTC) instead of now")
    ] = None,
    zone: Annotated[str, typer.Option("--zone", help="The other clock to show")] = "UTC",
    cron: Annotated[str | None, typer.Option("--cron", help="Instead of NAME: of such a one")] = None,
    every: Annotated[str | None, typer.Option("--every", help="Instead of NAME: an interval, as 15m")] = None,
    timezone: Annotated[str, typer.Option("--timezone", help="Of --cron")] = "UTC",
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the next slots of a schedule on two clocks, and what changes of clocks do to them."""
    before_url, before_json = context.obj
    if (name is None) == (cron is None and every is None):
        raise typer.BadParameter("give the NAME of a schedule, or --cron or --every")
    with connected(url or before_url) as api:
        query = {"count": count, "after": after, "otherTimezone": zone}
        if name is not None:
            answer = api.get(f"{_path(name)}/preview", **query)
        else:
            said = {"taskId": "-", "cron": cron, "everySeconds": seconds_of(every), "timezone": timezone}
            answer = api.post("/schedule-preview", said, **query)
    if as_json or before_json:
        print_json(answer)
        return
    found = msgspec.json.decode(answer)
    table = Table(f"slot ({found['timezone']})", f"slot ({found['otherTimezone']})", "", box=SIMPLE_HEAD)
    for slot in found["slots"]:
        table.add_row(slot["local"], slot["other"], Text(slot.get("shift") or "", style="yellow"))
    out.print(table if table.row_count else "no slot is to come", markup=False)


@_app.command()
def pause(
    context: typer.Context,
    name: NameArgument,
    reason: ReasonOption = "",
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Skip the slots of a schedule until it is resumed; flows under way go on."""
    _act(context, name, "pause", {"reason": reason}, url, as_json)


@_app.command()
def resume(
    context: typer.Context, name: NameArgument, url: UrlOption = None, as_json: JsonOption = False
) -> None:
    """Let a paused schedule go on from its next slot. Exit 1 if it is not paused."""
    _act(context, name, "resume", {}, url, as_json)


@_app.command()
def trigger(
    context: typer.Context,
    name: NameArgument,
    slot: Annotated[
        str | None,
        typer.Option("--slot", help="The moment (ISO, UTC) that its parameters take for the slot [now]"),
    ] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a flow with a schedule's parameters now, beside its slots; prints its id."""
    before_url, before_json = context.obj
    with connected(url or before_url) as api:
        answer = api.post(f"{_path(name)}/trigger", {} if slot is None else {"slot": slot})
    if as_json or before_json:
        print_json(answer)
    else:
        typer.echo(msgspec.json.decode(answer)["taskFlowId"])


@_app.command()
def delete(
    context: typer.Context,
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
    url: UrlOption = None,
) -> None:
    """Take a schedule away; its flows go on."""
    with connected(url or context.obj[0]) as api:
        if not yes:
            typer.confirm(f"Take schedule {name} away?", abort=True, err=True)
        api.delete(_path(name))
    out.print(f"schedule {name}: gone", markup=False)


def _act(
    context: typer.Context, name: str, verb: str, body: dict[str, Any], url: str | None, as_json: bool
) -> None:
    before_url, before_json = context.obj
    with connected(url or before_url) as api:
        answer = api.post(f"{_path(name)}/{verb}", body)
    if as_json or before_json:
        print_json(answer)
    else:
        found = msgspec.json.decode(answer)
        out.print(Text(f"schedule {name}: {found['state']}", style=_COLOURS[found["state"]]), _next_of(found))


def when_of(definition: dict[str, Any]) -> str:
    """When a schedule fires, in a few words."""
    zone = "" if definition["timezone"] == "UTC" else f" {definition['timezone']}"
    if definition["cron"] is not None:
        return f"{definition['cron']}{zone}"
    if definition["everySeconds"] is not None:
        from flower_engine.model.definitions.definition_differences import duration_in_words

        return f"every {duration_in_words(definition['everySeconds'])}"
    return f"at {words.moment(definition['at'])}" if definition["at"] is not None else ""


def _print_schedule(one: dict[str, Any]) -> None:
    head = Text(one["schedule"], style="bold")
    out.print(head.append(f"  {one['state']}", style=_COLOURS[one["state"]]), _why(one))
    definition = {
        name: value for name, value in one["definition"].items() if value not in (None, [], {}, "schedule")
    }
    for name, value in definition.items():
        if name != "schedule":
            said = value if isinstance(value, str) else msgspec.json.encode(value).decode()
            out.print(Text(f"  {name:<20} {said}"))
    source = f" from {one['source']}" if one["source"] else ""
    out.print(
        Text(f"  {'changed':<20} {words.moment(one['changedTs'])} by {one['changedBy'] or 'SQL'}{source}")
    )
    fates = ", ".join(f"{one[fate]:,} {fate}" for fate in ("fired", "skipped", "missed"))
    out.print(Text(f"  {'slots':<20} {fates}"))
    if one["failures"]:
        out.print(Text(f"  {'failures in a row':<20} {one['failures']:,}", style="red"))
    if one["lastSlot"]:
        out.print(Text(f"  {'fired last':<20} {words.moment(one['lastSlot'])} UTC, flow {one['lastFlow']}"))
    for slot in one["next"]:
        out.print(Text(f"  {'next':<20} {words.moment(slot)} UTC"))


def _why(one: dict[str, Any]) -> Text:
    if one.get("problems"):
        return Text("; ".join(problem["detail"] for problem in one["problems"]), style="red")
    return Text(one["reason"] if one["isPaused"] else "", style="yellow")


def _next_of(found: dict[str, Any]) -> Text:
    is_told = found["next"] and found["state"] == "active"
    return Text(f"next {words.moment(found['next'][0])} UTC" if is_told else "", style="dim")


def _path(name: str) -> str:
    return f"/schedules/{path_part(name)}"
