"""``flower workflows versions`` and ``flower workflows diff``: what a workflow was and is."""

from typing import Annotated, Any

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from flower_cli.commands import words
from flower_cli.commands.api_client import EXIT_REFUSED, Api, connected, print_json
from flower_cli.commands.api_options import JsonOption, LimitOption, UrlOption
from flower_cli.commands.completion import complete_workflow
from flower_cli.commands.deploy import print_difference
from flower_cli.console import fail, out
from flower_engine.client.api_location import path_part

NameArgument = Annotated[
    str, typer.Argument(help="The workflow's name.", metavar="NAME", autocompletion=complete_workflow)
]
_VERSION = "Its number, its hash or 8 and more characters of that, or 'newest'"


def versions(
    context: typer.Context,
    name: NameArgument,
    limit: LimitOption = 20,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the versions of a workflow, the highest number first."""
    before_url, before_json = context.obj
    with connected(url or before_url) as api:
        path = f"/workflows/{path_part(name)}/versions"
        if as_json or before_json:
            print_json(api.get(path, limit=min(limit, 1_000)))
            return
        table = Table("version", "hash", "tasks", "since", "by", "", box=SIMPLE_HEAD)
        for one in api.pages(path, "versions", limit):
            table.add_row(
                *(str(one["number"]), one["hash"][:12], str(one["taskCount"])),
                *(words.moment(one["createdTs"]), Text(one["createdBy"] or "SQL")),
                Text("newest" if one["isNewest"] else "", style="green"),
            )
    out.print(table)


def diff(
    context: typer.Context,
    name: NameArgument,
    old: Annotated[str | None, typer.Argument(metavar="[A]", help=_VERSION)] = None,
    new: Annotated[str, typer.Argument(metavar="[B]", help=_VERSION)] = "newest",
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is different between two versions of a workflow; without A from the one before the newest."""
    from flower_engine.model.definitions.definition_differences import differences
    from flower_engine.model.definitions.workflow_versions import definition_of, plain_document

    before_url, before_json = context.obj
    with connected(url or before_url) as api:
        after = _version(api, name, new)
        before = _version(api, name, old if old is not None else _before(api, name, after))
    documents = (
        plain_document(definition_of(name, msgspec.json.encode(one.pop("definition"))))
        for one in (before, after)
    )
    found = differences(*documents)
    if as_json or before_json:
        print_json(msgspec.json.encode({"taskId": name, "from": before, "to": after, "differences": found}))
        return
    out.print(
        f"{name}: version {before['number']} ({before['hash'][:12]}) ->"
        f" {after['number']} ({after['hash'][:12]})",
        markup=False,
    )
    for difference in found:
        print_difference({"kind": difference.kind, "text": difference.text})
    if not found:
        out.print("    nothing is different")


def _version(api: Api, name: str, which: str) -> dict[str, Any]:
    return api.read(f"/workflows/{path_part(name)}/versions/{path_part(which)}")


def _before(api: Api, name: str, version: dict[str, Any]) -> str:
    """The version with the highest number but for this one."""
    listed = api.read(f"/workflows/{path_part(name)}/versions", limit=2)["versions"]
    for one in listed:
        if one["number"] != version["number"]:
            return str(one["number"])
    fail(f"workflow {name} has only one version")
    raise typer.Exit(EXIT_REFUSED)
