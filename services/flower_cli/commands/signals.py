"""Commands for what happens in the world: signal, answer."""

import uuid
from typing import Annotated, Any

import msgspec
import typer

from flower_cli.commands import words
from flower_cli.commands.api_client import connected, print_json
from flower_cli.commands.api_options import FlowArgument, JsonOption, UrlOption, VersionOption
from flower_cli.commands.flow_names import flow_id
from flower_cli.commands.schedule_settings import seconds_of
from flower_cli.console import out
from flower_cli.values import value_of
from flower_engine.client.api_location import path_part

TaskArgument = Annotated[str, typer.Argument(help="The approval, by number or name.")]
GivenArgument = Annotated[str | None, typer.Argument(help="The answer, as its form wants it: JSON.")]
YesOption = Annotated[bool, typer.Option("--yes", help="The same as '{\"approved\": true}'")]
NoOption = Annotated[bool, typer.Option("--no", help="The same as '{\"approved\": false}'")]
AttemptOption = Annotated[
    int | None, typer.Option("--attempt", help="Refused if it was asked anew since this attempt")
]


def add_to(app: typer.Typer) -> None:
    for command in (signal, answer):
        app.command(rich_help_panel="Flows, over HTTP")(command)


def signal(
    name: Annotated[str, typer.Argument(help="The name that tasks await.")],
    payload: Annotated[str, typer.Argument(help="What it says: JSON, else a text.")] = "null",
    flow: Annotated[
        str | None,
        typer.Option("--flow", help="The flow that gets it; absent: all in which a task awaits it"),
    ] = None,
    key: Annotated[
        str, typer.Option("--key", help="Which of these it is, such as the number of an order")
    ] = "",
    first: Annotated[bool, typer.Option("--first", help="Only one flow gets it")] = False,
    keep: Annotated[
        str | None, typer.Option("--keep", help="Keep it so long, as 1h, for flows that come to await it")
    ] = None,
    identity: Annotated[
        str | None, typer.Option("--id", help="Sent again with the same id it counts once")
    ] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell a flow, or all that await it, that something happened."""
    if flow and (first or keep):
        raise typer.BadParameter("--first and --keep are for signals to all flows; leave --flow out")
    body: dict[str, Any] = {"name": name, "payload": value_of(payload), "id": identity or uuid.uuid4().hex}
    body |= {"key": key} if key else {}
    with connected(url) as api:
        if flow:
            reply = api.post(f"/flows/{path_part(flow_id(api, flow))}/signals", body)
        else:
            body |= ({"first": True} if first else {}) | ({"keepSeconds": seconds_of(keep)} if keep else {})
            reply = api.post("/signals", body)
    if as_json:
        print_json(reply)
    else:
        out.print(_in_words(msgspec.json.decode(reply)), markup=False)


def answer(
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
    """Answer an approval that awaits it."""
    if (given is not None) + yes + no != 1:
        raise typer.BadParameter("give the answer: --yes, --no, or JSON, one of them")
    body: dict[str, Any] = {"answer": value_of(given) if given is not None else {"approved": yes}}
    body |= {"attempt": attempt} if attempt is not None else {}
    body |= {"version": version} if version is not None else {}
    with connected(url) as api:
        name = path_part(flow_id(api, flow))
        reply = api.post(f"/flows/{name}/tasks/{path_part(task)}/answer", body)
    if as_json:
        print_json(reply)
        return
    is_over = bool(msgspec.json.decode(reply)["tasks"])
    said = "has its answer" if is_over else "has this answer, and needs those of others, too"
    out.print(f"task {task} {said}", markup=False)


def _in_words(reply: dict[str, Any]) -> str:
    if "became" not in reply:
        taken = reply["taken"]
        if not taken:
            return "a flow got it before" if reply["isKnown"] else f"no task awaits it; {_kept(reply)}"
        said = f"taken by {taken} task{'' if taken == 1 else 's'}"
        return f"{said}; {_kept(reply)}" if reply["keptUntil"] else said
    if reply["became"] == "taken":
        return f"taken by task {reply['taskExecSeq']}"
    return "kept until a task awaits it" if reply["became"] == "kept" else "it came before; it counts once"


def _kept(reply: dict[str, Any]) -> str:
    until = reply["keptUntil"]
    return f"it is kept until {words.moment(until)} UTC" if until else "it is not kept"
