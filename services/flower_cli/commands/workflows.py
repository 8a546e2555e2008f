"""``flower workflows``: lists, shows, defines and deletes definitions."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from flower_cli.commands import words
from flower_cli.commands.api_client import EXIT_REFUSED, Api, ApiError, connected, print_json
from flower_cli.commands.api_options import JsonOption, LimitOption, UrlOption
from flower_cli.commands.workflow_versions import NameArgument, diff, versions
from flower_cli.console import fail, out
from flower_cli.definition_files import workflows_and_schedules_in
from flower_engine.client.api_location import path_part
from flower_engine.model.values.noun_counts import counted


class _ShowsByName(TyperGroup):
    """``flower workflows NAME`` is short for ``flower workflows show NAME``."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = args[0] in self.commands
        return super().resolve_command(ctx, args if known else ["show", *args])


_app = typer.Typer(cls=_ShowsByName, invoke_without_command=True)
for _command in (versions, diff):
    _app.command()(_command)


def add_to(app: typer.Typer) -> None:
    app.add_typer(_app, name="workflows", rich_help_panel="Flows, over HTTP")


@_app.callback()
def workflows(
    context: typer.Context, limit: LimitOption = 100, url: UrlOption = None, as_json: JsonOption = False
) -> None:
    """List workflows; 'flower workflows NAME' shows one."""
    if context.invoked_subcommand is not None:
        context.obj = (url, as_json)  # flags before the name count, too
        return
    with connected(url) as api:
        if as_json:
            print_json(api.get("/workflows", limit=min(limit, 1_000)))
            return
        table = Table("workflow", "tasks", "", box=SIMPLE_HEAD)
        for workflow in api.pages("/workflows", "workflows", limit):
            problem = Text(workflow.get("problem", ""), style="red")
            table.add_row(Text(workflow["taskId"]), str(workflow["taskCount"]), problem)
    out.print(table if table.row_count else "no workflow is defined; 'flower workflows apply FILE' does")


@_app.command()
def show(
    context: typer.Context, name: NameArgument, url: UrlOption = None, as_json: JsonOption = False
) -> None:
    """Show the definition of a workflow; with --json it is what 'apply' takes."""
    before_url, before_json = context.obj
    with connected(url or before_url) as api:
        answer = api.get(f"/workflows/{path_part(name)}")
    if as_json or before_json:
        print_json(answer)
    else:
        _print_definition(msgspec.json.decode(answer))


@_app.command()
def apply(
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help='JSON or YAML: {"taskId": ..., "tasks": [...]}, or a list of such; -: input',
        ),
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="The workflow's name, where the file has no taskId")
    ] = None,
    url: UrlOption = None,
) -> None:
    """Define workflows, or replace them as a whole. Flows under way keep the definition they began with."""
    read = [workflows_and_schedules_in(file, name) for file in files]
    found = [one for workflows, _ in read for one in workflows]
    left = sum(len(schedules) for _, schedules in read)
    if left:
        fail(f"{counted(left, 'schedule')} left alone: 'flower deploy' takes workflows and schedules")
    refused = 1 if left and not found else 0
    with connected(url or context.obj[0]) as api:
        for workflow, body in found:
            try:
                out.print(f"workflow {workflow}: {_apply(api, workflow, body)}", markup=False)
            except ApiError as error:
                if error.exit_code != EXIT_REFUSED:
                    raise
                refused += 1
                fail(str(error))
    if refused:
        raise typer.Exit(EXIT_REFUSED)


@_app.command()
def delete(
    context: typer.Context,
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
    url: UrlOption = None,
) -> None:
    """Delete a workflow's definition; its flows stay, and those under way go on."""
    with connected(url or context.obj[0]) as api:
        if not yes:
            typer.confirm(f"Delete the definition of workflow {name}?", abort=True, err=True)
        api.delete(f"/workflows/{path_part(name)}")
    out.print(f"workflow {name}: deleted", markup=False)


def _apply(api: Api, workflow: str, body: dict[str, Any]) -> str:
    is_new = api.put_new(f"/workflows/{path_part(workflow)}", body)
    return f"{'defined' if is_new else 'replaced'}, {counted(len(body['tasks']), 'task')}"


def _print_definition(workflow: dict[str, Any]) -> None:
    for label, name in (
        ("", "description"),
        ("labels", "labels"),
        ("parameters", "parametersSchema"),
        ("returns", "returns"),
    ):
        said = workflow.get(name)
        if said:
            text = said if name == "description" else msgspec.json.encode(said).decode()
            out.print(f"{label} {text}".lstrip(), markup=False)
    table = Table(
        "taskSeq", "name", "program", "depends on", "priority", "queue", "parameters", box=SIMPLE_HEAD
    )
    for task in workflow["tasks"]:
        depends = "the one before" if task["dependsOn"] is None else ", ".join(map(str, task["dependsOn"]))
        if task["when"]:
            depends += f"{', ' if depends else ''}if {words.branch(task['when'])}"
        parameters = words.condition(task) or msgspec.json.encode(task["parameters"]).decode()
        table.add_row(
            *(
                str(task["taskSeq"]),
                Text(task.get("taskName") or ""),
                Text(task["program"]),
                depends,
                str(task["taskPriority"]),
            ),
            *(Text(task["queue"]), Text(parameters)),
        )
    out.print(table)
