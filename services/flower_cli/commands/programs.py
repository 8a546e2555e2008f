"""``flower programs``: what live workers serve, and what that takes and gives."""

from typing import Annotated, Any

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from flower_cli.commands import words
from flower_cli.commands.api_client import connected, print_json
from flower_cli.commands.api_options import JsonOption, LimitOption, UrlOption
from flower_cli.commands.completion import complete_program
from flower_cli.console import out
from flower_engine.client.api_location import path_part
from flower_engine.model.values.noun_counts import counted


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Flows, over HTTP")(programs)


def programs(
    name: Annotated[
        str | None, typer.Argument(help="Only this program, whole", autocompletion=complete_program)
    ] = None,
    limit: LimitOption = 100,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List programs that workers serve or served lately, and what they take; with a name, all of one."""
    with connected(url) as api:
        if name is not None:
            answer = api.get(f"/programs/{path_part(name)}")
            if as_json:
                print_json(answer)
            else:
                _print_program(msgspec.json.decode(answer))
            return
        if as_json:
            print_json(api.get("/programs", limit=min(limit, 1_000)))
            return
        table = Table("program", "kind", "takes", "workers", "versions", "description", box=SIMPLE_HEAD)
        for program in api.pages("/programs", "programs", limit):
            versions = program["versions"]
            newest: dict[str, Any] = versions[0] if versions else {}
            table.add_row(
                *(Text(program["program"]), newest.get("kind", "")),
                Text(_parameters(newest.get("parametersSchema"))),
                str(sum(version["workerCount"] for version in versions)),
                str(len(versions)),
                Text(newest.get("description", "")),
            )
    out.print(table if table.row_count else "no worker has served any program", markup=False)


def _print_program(program: dict[str, Any]) -> None:
    out.print(Text(program["program"], style="bold"))
    if not program["versions"]:
        out.print(f"no live worker serves it; one did at {words.moment(program['publishedTs'])} UTC")
    for version in program["versions"]:
        out.print()
        who = ", ".join(version["workers"])
        more = version["workerCount"] - len(version["workers"])
        who += f" and {more} more" if more else ""
        if version["hash"] is None:
            out.print(
                f"{counted(version['workerCount'], 'worker')} do not say what it takes: {who}", markup=False
            )
            continue
        _print_version(version, ("workers", who))
    former: list[dict[str, Any]] = program.get("formerVersions") or []
    for version in former:
        out.print()
        _print_version(version, ("last seen", f"{words.moment(version['lastSeenTs'])} UTC"))


def _print_version(version: dict[str, Any], whose: tuple[str, str]) -> None:
    if version["description"]:
        out.print(version["description"], markup=False)
    for label, text in (
        ("version", version["hash"]),
        ("kind", version["kind"]),
        whose,
        ("takes", _schema(version["parametersSchema"])),
        ("gives", _schema(version["resultSchema"])),
    ):
        out.print(f"{label:<10}{text}", markup=False)


def _schema(schema: dict[str, Any] | None) -> str:
    if schema is None:
        return "not known"
    return msgspec.json.encode(schema).decode() if schema else "anything"


def _parameters(schema: dict[str, Any] | None) -> str:
    """Names of parameters; those that are not needed with a question mark, any other as an ellipsis."""
    if schema is None:
        return ""
    required = schema.get("required", [])
    names = [name if name in required else f"{name}?" for name in schema["properties"]]
    return ", ".join(names + ([] if schema.get("additionalProperties") is False else ["..."]))
