"""``flower approvals``: what waits for an answer of people; lists, shows, answers."""

from typing import Annotated, Any, cast

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from flower_cli.commands import words
from flower_cli.commands.api_client import connected, print_json
from flower_cli.commands.api_options import (
    FlowArgument,
    JsonOption,
    LimitOption,
    UrlOption,
    VersionOption,
    WorkflowOption,
)
from flower_cli.commands.flow_names import flow_id
from flower_cli.commands.schedule_settings import seconds_of
from flower_cli.commands.signals import AttemptOption, GivenArgument, NoOption, TaskArgument, YesOption
from flower_cli.commands.signals import answer as give_answer
from flower_cli.console import out
from flower_engine.client.api_location import path_part

_app = typer.Typer(invoke_without_command=True)

RoleOption = Annotated[str | None, typer.Option("--role", help="Only those that ask for this name or role")]
ForOption = Annotated[
    str | None, typer.Option("--for", help="Only those that this name may answer, and has not answered yet")
]
MineOption = Annotated[bool, typer.Option("--mine", help="The same for the name of the token")]


def add_to(app: typer.Typer) -> None:
    app.add_typer(_app, name="approvals", rich_help_panel="Flows, over HTTP")


@_app.callback()
def approvals(context: typer.Context, url: UrlOption = None, as_json: JsonOption = False) -> None:
    """List approvals: what waits for an answer."""
    context.obj = (url, as_json)  # flags before the name count, too
    if context.invoked_subcommand is None:
        _list({}, 100, url, as_json)


@_app.command("list")
def list_approvals(
    context: typer.Context,
    workflow: WorkflowOption = None,
    role: RoleOption = None,
    name: ForOption = None,
    mine: MineOption = False,
    limit: LimitOption = 100,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List approvals that wait for an answer, those that were asked last first."""
    if name is not None and mine:
        raise typer.BadParameter("give one of --for and --mine")
    before_url, before_json = context.obj
    asked = {"taskId": workflow, "role": role, "for": name, "mine": True if mine else None}
    _list(asked, limit, url or before_url, as_json or before_json)


def _list(asked: dict[str, Any], limit: int, url: str | None, as_json: bool) -> None:
    given = {name: value for name, value in asked.items() if value is not None}
    with connected(url) as api:
        if as_json:
            print_json(api.get("/approvals", limit=min(limit, 1_000), **given))
            return
        table = Table("flow", "task", "workflow", "asked", "until", "title", "of whom", box=SIMPLE_HEAD)
        for one in api.pages("/approvals", "approvals", limit, **given):
            task = one["taskName"] or str(one["taskExecSeq"])
            times = [words.moment(one["since"]), words.moment(one["until"])]
            title = Text(one["title"] or "")
            table.add_row(one["taskFlowId"], Text(task), Text(one["taskId"]), *times, title, Text(_whom(one)))
    out.print(table if table.row_count else "nothing waits for an answer")


@_app.command()
def show(
    context: typer.Context,
    flow: FlowArgument,
    task: TaskArgument,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show an approval: what it shows, and what its form asks for."""
    before_url, before_json = context.obj
    with connected(url or before_url) as api:
        name = path_part(flow_id(api, flow))
        answer = api.get(f"/flows/{name}/tasks/{path_part(task)}/approval")
    if as_json or before_json:
        print_json(answer)
    else:
        _print(msgspec.json.decode(answer))


def _print(one: dict[str, Any]) -> None:
    name = one["taskName"] or one["taskExecSeq"]
    lines = [
        ("approval", f"{name} of flow {one['taskFlowId']} ({one['taskId']})"),
        ("title", one["title"]),
        ("text", one["text"]),
        ("asked", words.moment(one["since"]) if one["isAsked"] else "not now"),
        ("until", one["until"] and f"{words.moment(one['until'])}, then {_then(one)}"),
        ("of whom", _whom(one)),
        ("attempt", str(one["attempt"])),
        ("form", msgspec.json.encode(one["form"]).decode()),
    ]
    if isinstance(one["shows"], dict):
        shown = cast("dict[str, Any]", one["shows"])
        lines += [(f"shows {key}", _said(value)) for key, value in shown.items()]
    elif one["shows"] is not None:
        lines.append(("shows", _said(one["shows"])))
    lines += [("problem", problem) for problem in one["problems"]]
    for title, said in lines:
        if said:
            out.print(Text(f"{title:<10} {said}"))


def _then(one: dict[str, Any]) -> str:
    return "its default holds" if one["onTimeout"] == "default" else "it is suspended"


def _whom(one: dict[str, Any]) -> str:
    whom = ", ".join(one["roles"]) or "whoever may operate"
    if one["of"] > 1:
        whom = f"{one['of']} of {whom}"
    if one["notRegistrant"]:
        whom += f", not {one['registeredBy']}"
    return f"{whom}; {', '.join(one['answeredBy'])} answered" if one["answeredBy"] else whom


def _said(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


@_app.command()
def link(
    context: typer.Context,
    flow: FlowArgument,
    task: TaskArgument,
    name: Annotated[str, typer.Option("--for", help="In whose name it answers")],
    expires: Annotated[str, typer.Option("--expires", help="How long it works, as 2d")] = "7d",
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a link that answers an approval without an account, once."""
    before_url, before_json = context.obj
    body = {"for": name, "expiresSeconds": seconds_of(expires)}
    with connected(url or before_url) as api:
        path = f"/flows/{path_part(flow_id(api, flow))}/tasks/{path_part(task)}/links"
        made = api.post(path, body)
    if as_json or before_json:
        print_json(made)
    else:
        typer.echo(msgspec.json.decode(made)["url"])  # whole, however narrow the terminal is


@_app.command()
def answer(
    context: typer.Context,
    flow: FlowArgument,
    task: TaskArgument,
    given: GivenArgument = None,
    yes: YesOption = False,
    no: NoOption = False,
    attempt: AttemptOption = None,
    version: VersionOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer an approval; the same as 'flower answer'."""
    before_url, before_json = context.obj
    where = (url or before_url, as_json or before_json)
    give_answer(flow, task, given, yes, no, attempt, version, *where)
