"""``flower backfill`` and its like: slots of the past get their flow, with a progress bar."""

import time
from typing import Annotated, Any, Literal

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from flower_cli.commands import words
from flower_cli.commands.api_client import EXIT_REFUSED, Api, connected, print_json
from flower_cli.commands.api_options import JsonOption, LimitOption, ReasonOption, UrlOption
from flower_cli.commands.schedule_slots import NameArgument
from flower_cli.console import err, out
from flower_cli.progress import Bars
from flower_engine.client.api_location import path_part
from flower_engine.model.values.noun_counts import counted

_LOOK_SECONDS = 0.5


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Schedules, over HTTP")(backfill)


def make_backfill(
    context: typer.Context,
    name: NameArgument,
    first: Annotated[str, typer.Option("--from", help="Slots from this time on (ISO, UTC)")],
    last: Annotated[str, typer.Option("--to", help="And up to this one")],
    which: Annotated[
        Literal["missed", "failed", "all"],
        typer.Option("--which", help="Those without a flow; those whose flow failed; all"),
    ] = "missed",
    at_once: Annotated[int, typer.Option("--at-once", help="Flows under way")] = 1,
    newest_first: Annotated[bool, typer.Option("--newest-first", help="Begin at the end")] = False,
    priority: Annotated[
        int | None, typer.Option("--priority", help="Of all tasks of flows that it fires [the lowest, 19]")
    ] = None,
    reason: ReasonOption = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the slots")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Print its id, and do not wait for it")] = False,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give slots of the past their flow, or rerun those that have one. Lists them, asks, shows progress.

    Ctrl-C leaves it to the watchers. Exit 1 if flows failed or slots were refused.
    """
    before_url, before_json = context.obj
    as_json = as_json or before_json
    body: dict[str, Any] = {
        "from": first,
        "to": last,
        "which": which,
        "mostAtOnce": at_once,
        "newestFirst": newest_first,
        "reason": reason,
    } | ({} if priority is None else {"priority": priority})
    path = f"/schedules/{path_part(name)}/backfills"
    with connected(url or before_url) as api:
        listed = api.post(path, {**body, "dryRun": True})
        found = msgspec.json.decode(listed)
        if dry_run and as_json:
            print_json(listed)
            return
        if not as_json:
            _print_slots(found.get("slots", []))
        if dry_run or not found["total"]:
            out.print(f"{counted(found['total'], 'slot')} of schedule {name}", markup=False)
            return
        if not yes:
            typer.confirm(f"Backfill {counted(found['total'], 'slot')}?", abort=True, err=True)
        made = api.send(path, body)
        if detach:
            typer.echo(msgspec.json.encode(made).decode() if as_json else made["id"])
        else:
            _follow(api, made["id"], as_json)


def list_backfills(
    context: typer.Context,
    name: NameArgument,
    limit: LimitOption = 50,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the backfills of a schedule, the newest first."""
    before_url, before_json = context.obj
    with connected(url or before_url) as api:
        answer = api.get(f"/schedules/{path_part(name)}/backfills", limit=min(limit, 1_000))
    if as_json or before_json:
        print_json(answer)
        return
    table = Table("backfill", "from", "to", "which", "state", "slots", "", box=SIMPLE_HEAD)
    for one in msgspec.json.decode(answer)["backfills"]:
        why = Text(one.get("problem") or one["reason"])
        span = (words.moment(one["from"]), words.moment(one["to"]))
        table.add_row(one["id"], *span, one["which"], one["state"], _counts(one), why)
    out.print(table if table.row_count else "it has no backfill")


def backfill(
    backfill: Annotated[str, typer.Argument(metavar="ID", help="The backfill")],
    pause: Annotated[bool, typer.Option("--pause", help="Begin nothing more of it")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Let it go on")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="End it; flows under way go on")] = False,
    reason: ReasonOption = "",
    once: Annotated[bool, typer.Option("--once", help="Show it, and do not wait for its end")] = False,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the progress of a backfill until it ends; or pause, resume or cancel it."""
    asked = {"pause": pause, "resume": resume, "cancel": cancel}
    verbs = [verb for verb in asked if asked[verb]]
    if len(verbs) > 1:
        raise typer.BadParameter("give one of --pause, --resume and --cancel")
    path = f"/backfills/{path_part(backfill)}"
    with connected(url) as api:
        if not verbs and not once:
            _follow(api, backfill, as_json)
            return
        answer = api.post(f"{path}/{verbs[0]}", {"reason": reason}) if verbs else api.get(path)
    if as_json:
        print_json(answer)
    else:
        _print(msgspec.json.decode(answer))


def _follow(api: Api, backfill: str, as_json: bool) -> None:
    path = f"/backfills/{path_part(backfill)}"
    with Bars(err) as bars:
        while True:
            found = api.read(path)
            bars.tell(f"backfill {backfill[:8]}", _over(found), found["total"])
            if found["state"] not in ("open", "paused"):
                break
            time.sleep(_LOOK_SECONDS)
    if as_json:
        print_json(msgspec.json.encode(found))
    else:
        _print(found)
    if found["failed"] or found["refused"] or found["state"] != "finished":
        raise typer.Exit(EXIT_REFUSED)


def _over(found: dict[str, Any]) -> int:
    return int(found["ended"] + found["failed"] + found["refused"])


def _print(found: dict[str, Any]) -> None:
    why = f": {found['problem']}" if found.get("problem") else ""
    out.print(Text(f"backfill {found['id']} {found['state']}, {_counts(found)}{why}"))


def _counts(found: dict[str, Any]) -> str:
    names = ("waiting", "running", "ended", "failed", "refused")
    return ", ".join(f"{found[name]} {name}" for name in names if found[name]) or "no slots"


def _print_slots(slots: list[dict[str, Any]]) -> None:
    for slot in slots[:20]:
        out.print(Text(f"{slot['action']:<6} {words.moment(slot['slot'])} UTC  {slot['flow']}".rstrip()))
    if len(slots) > 20:
        out.print(f"... and {len(slots) - 20} more")
