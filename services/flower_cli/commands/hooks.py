"""``flower hooks``: who is told when a flow fails, ends or is late; lists, shows, adds, removes, tries."""

import time
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from flower_cli.commands import words
from flower_cli.commands.api_client import Api, connected, print_json
from flower_cli.commands.api_options import JsonOption, LimitOption, UrlOption
from flower_cli.commands.completion import complete_hook, complete_workflow
from flower_cli.commands.schedule_settings import seconds_of
from flower_cli.console import out
from flower_engine.client.api_location import path_part

_COLOURS = {"delivered": "green", "waiting": "yellow", "given_up": "red"}
_POLL_SECONDS = 0.2

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The hook", autocompletion=complete_hook)]


class State(StrEnum):
    """How a delivery stands."""

    waiting = "waiting"
    delivered = "delivered"
    given_up = "given_up"


_app = typer.Typer(invoke_without_command=True)


def add_to(app: typer.Typer) -> None:
    app.add_typer(_app, name="hooks", rich_help_panel="Hooks, over HTTP")


@_app.callback()
def hooks(
    context: typer.Context, limit: LimitOption = 100, url: UrlOption = None, as_json: JsonOption = False
) -> None:
    """List hooks: who is told when a flow fails, ends or is late."""
    context.obj = (url, as_json)  # flags before the name count, too
    if context.invoked_subcommand is None:
        _list(limit, url, as_json)


@_app.command("list")
def list_hooks(
    context: typer.Context, limit: LimitOption = 100, url: UrlOption = None, as_json: JsonOption = False
) -> None:
    """List hooks by name: of what they tell whom, and how that goes."""
    before_url, before_json = context.obj
    _list(limit, url or before_url, as_json or before_json)


def _list(limit: int, url: str | None, as_json: bool) -> None:
    with connected(url) as api:
        if as_json:
            print_json(api.get("/hooks", limit=min(limit, 1_000)))
            return
        table = Table("hook", "workflow", "tells of", "to", "waiting", "given up", "", box=SIMPLE_HEAD)
        for one in api.pages("/hooks", "hooks", limit):
            counts = [str(one[name]) if one[name] else "" for name in ("waiting", "givenUp")]
            tells = Text(", ".join(one["occasions"]))
            whom = Text(f"{one['kind']} {one['target']}")
            table.add_row(Text(one["hook"]), Text(one["taskId"] or "all"), tells, whom, *counts, _why(one))
    out.print(table if table.row_count else "no hook is set; 'flower hooks add NAME' does")


@_app.command()
def show(
    context: typer.Context, name: NameArgument, url: UrlOption = None, as_json: JsonOption = False
) -> None:
    """Show a hook."""
    before_url, before_json = context.obj
    with connected(url or before_url) as api:
        answer = api.get(_path(name))
    if as_json or before_json:
        print_json(answer)
    else:
        _print(msgspec.json.decode(answer))


@_app.command()
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", autocompletion=complete_hook)],
    occasions: Annotated[
        list[str],
        typer.Option(
            "--on",
            help="flow.failed, flow.finished, flow.cancelled, flow.late, slot.missed, approval.asked,"
            " approval.reminder, approval.escalated. Repeatable",
        ),
    ],
    webhook: Annotated[str | None, typer.Option("--webhook", help="Call this URL")] = None,
    command: Annotated[
        str | None, typer.Option("--command", help="Run this one of FLOWER_HOOK_COMMANDS")
    ] = None,
    python: Annotated[
        str | None, typer.Option("--python", help="Call this one of FLOWER_HOOK_MODULES")
    ] = None,
    workflow: Annotated[
        str | None,
        typer.Option("--workflow", help="Of flows of this one [all]", autocompletion=complete_workflow),
    ] = None,
    secret: Annotated[
        str | None, typer.Option("--secret", help="Sign webhooks with the secret of this name")
    ] = None,
    late_after: Annotated[
        str | None, typer.Option("--late-after", help="When a flow is late, as 90m: for flow.late")
    ] = None,
    paused: Annotated[
        bool | None, typer.Option("--paused/--resumed", help="Tell nothing; tell again")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why it is paused")] = "",
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add a hook, or replace the one of this name."""
    given = {
        kind: target
        for kind, target in (("webhook", webhook), ("command", command), ("python", python))
        if target is not None
    }
    if len(given) != 1:
        raise typer.BadParameter("give one of --webhook, --command and --python")
    ((kind, target),) = given.items()
    body = {
        "taskId": workflow,
        "occasions": occasions,
        "kind": kind,
        "target": target,
        "secret": secret,
        "lateAfterSeconds": seconds_of(late_after),
        "isPaused": paused,
        "reason": reason,
    }
    before_url, before_json = context.obj
    with connected(url or before_url) as api:
        answer = api.put(_path(name), body)
    if as_json or before_json:
        print_json(answer)
    else:
        _print(msgspec.json.decode(answer))


@_app.command()
def remove(
    context: typer.Context,
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
    url: UrlOption = None,
) -> None:
    """Take a hook away; what it has not delivered yet is given up."""
    with connected(url or context.obj[0]) as api:
        if not yes:
            typer.confirm(f"Take hook {name} away?", abort=True, err=True)
        api.delete(_path(name))
    out.print(f"hook {name}: gone", markup=False)


@_app.command()
def test(
    context: typer.Context,
    name: NameArgument,
    seconds: Annotated[float, typer.Option("--wait", min=0, help="So many seconds for the outcome")] = 30.0,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have a projector deliver a test, and wait for what becomes of it. Exit 1 if it does not work."""
    before_url, before_json = context.obj
    with connected(url or before_url) as api:
        made = msgspec.json.decode(api.post(f"{_path(name)}/test", {}))
        found = _outcome(api, made["id"], seconds)
    if as_json or before_json:
        print_json(msgspec.json.encode(found))
    else:
        _print_delivery(found)
    if found["state"] != "delivered":
        raise typer.Exit(1)


def _outcome(api: Api, number: str, seconds: float) -> dict[str, Any]:
    """A delivery after its first attempt, or as it is when so much time is over."""
    until = time.monotonic() + seconds
    while True:
        found: dict[str, Any] = api.read(f"/hook-deliveries/{path_part(number)}")
        if found["state"] != "waiting" or found["error"] or time.monotonic() >= until:
            return found
        time.sleep(_POLL_SECONDS)


@_app.command()
def deliveries(
    context: typer.Context,
    name: NameArgument,
    state: Annotated[list[State] | None, typer.Option("--state", help="Only these. Repeatable")] = None,
    limit: LimitOption = 50,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what a hook told, or is to tell, the newest first."""
    before_url, before_json = context.obj
    path, query = f"{_path(name)}/deliveries", {"state": [one.value for one in state or ()] or None}
    with connected(url or before_url) as api:
        if as_json or before_json:
            print_json(api.get(path, limit=min(limit, 1_000), **query))
            return
        table = Table("when (UTC)", "id", "of", "flow", "state", "attempts", "", box=SIMPLE_HEAD)
        for one in api.pages(path, "deliveries", limit, **query):
            table.add_row(
                words.moment(one["createdTs"]),
                one["id"],
                Text(one["occasion"]),
                one["taskFlowId"] or "",
                Text(one["state"], style=_COLOURS.get(one["state"], "")),
                str(one["attempts"]),
                Text(one["error"]),
            )
    out.print(table if table.row_count else "it has told nothing yet")


@_app.command()
def redeliver(
    context: typer.Context,
    number: Annotated[str, typer.Argument(metavar="ID", help="The delivery")],
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell something again, now, under the same id."""
    before_url, before_json = context.obj
    with connected(url or before_url) as api:
        answer = api.post(f"/hook-deliveries/{path_part(number)}/redeliver", {})
    if as_json or before_json:
        print_json(answer)
    else:
        _print_delivery(msgspec.json.decode(answer))


def _print(one: dict[str, Any]) -> None:
    out.print(Text(one["hook"], style="bold"), _why(one))
    shown = {
        "workflow": one["taskId"] or "all",
        "tells of": ", ".join(one["occasions"]),
        one["kind"]: one["target"],
        "signed with": one["secret"] or ("nothing" if one["kind"] == "webhook" else None),
        "late after": None if one["lateAfterSeconds"] is None else f"{one['lateAfterSeconds']:g} s",
        "waiting": one["waiting"] or None,
        "given up": one["givenUp"] or None,
        "last error": one["lastError"] or None,
        "changed by": one["changedBy"] or "SQL",
    }
    for name, value in shown.items():
        if value is not None:
            out.print(Text(f"  {name:<12} {value}"))


def _print_delivery(one: dict[str, Any]) -> None:
    line = Text(f"{one['id']}  {one['occasion']}  ")
    line.append(one["state"], style=_COLOURS.get(one["state"], ""))
    said = one["error"] or (one["answer"].partition("\n")[0] if one["state"] == "delivered" else "")
    if not said and one["state"] == "waiting":
        said = "no projector has tried it yet" if not one["attempts"] else "it is under way"
    out.print(line.append(f"  {said}"))


def _why(one: dict[str, Any]) -> Text:
    if one.get("problems"):
        return Text("; ".join(problem["detail"] for problem in one["problems"]), style="red")
    if one["isPaused"]:
        return Text(f"paused {one['reason']}".rstrip(), style="yellow")
    return Text(one["lastError"], style="red")


def _path(name: str) -> str:
    return f"/hooks/{path_part(name)}"
