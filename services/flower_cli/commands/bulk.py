"""``flower bulk``: the same operation on every flow that a filter matches."""

from enum import StrEnum
from typing import Annotated, Any

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flower_cli.commands.api_client import EXIT_REFUSED, Api, ApiError, connected, print_json
from flower_cli.commands.api_options import (
    JsonOption,
    ReasonOption,
    SinceOption,
    StatusOption,
    UntilOption,
    UrlOption,
    WorkflowOption,
    WorkflowVersionOption,
)
from flower_cli.console import err, out


class Verb(StrEnum):
    """What can be done to many flows."""

    rerun = "rerun"
    resume = "resume"
    ignore = "ignore"
    cancel = "cancel"
    pause = "pause"


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Flows, over HTTP")(bulk)


def bulk(
    operation: Annotated[
        Verb, typer.Argument(help="rerun and ignore concern the failed tasks of each flow.")
    ],
    workflow: WorkflowOption = None,
    status: StatusOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    match: Annotated[str | None, typer.Option("--match", help="Text in the error of a failed task")] = None,
    dependents: Annotated[
        bool, typer.Option("--dependents", help="Of rerun: all that depends on them")
    ] = False,
    workflow_version: WorkflowVersionOption = None,
    reason: ReasonOption = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count the flows")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Do the same to many flows: counts them, asks, shows progress. Exit 1 if some refused."""
    given = {"taskId": workflow, "status": status, "since": since, "until": until, "error": match}
    body: dict[str, Any] = {
        "operation": operation.value,
        "filter": {name: value for name, value in given.items() if value},
        "reason": reason,
    }
    if dependents:
        body["scope"] = "dependents"
    if workflow_version:
        body["workflowVersion"] = workflow_version
    with connected(url) as api:
        count = api.send("/bulk", {**body, "dryRun": True})
        many = f"{'more than ' if count['more'] else ''}{count['matches']} flows match"
        matches = "1 flow matches" if count["matches"] == 1 else many
        if dry_run:
            if as_json:
                print_json(msgspec.json.encode(count))
            else:
                out.print(matches)
            return
        if not yes:
            typer.confirm(f"{matches}. {operation.value.capitalize()} them?", abort=True, err=True)
        result = _work_off(api, body)
    if as_json:
        print_json(msgspec.json.encode(result))
    else:
        out.print(f"{result['done']} done, {result['refused']} refused")
        for refusal in result["refusals"]:
            out.print(f"- {refusal['detail']}", markup=False)
    if result["refused"] or result["ended"] != "finished":
        raise typer.Exit(EXIT_REFUSED)


def _work_off(api: Api, body: dict[str, Any]) -> dict[str, Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as progress:
        bar = progress.add_task(body["operation"], total=None)
        for line in api.lines("/bulk", body):
            if line["kind"] == "result":
                return line
            progress.update(bar, total=line["of"], completed=line["done"] + line["refused"])
            if not err.is_terminal:
                err.print(f"{line['done']} done, {line['refused']} refused of {line['of']}")
    raise ApiError("the API ended its answer early; the same command goes on with the rest", EXIT_REFUSED)
