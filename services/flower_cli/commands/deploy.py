"""``flower deploy`` and ``flower export``: definitions brought into use from modules and files, and back."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import typer
from rich.markup import escape
from rich.text import Text

from flower_cli.commands import words
from flower_cli.commands.api_client import EXIT_REFUSED, Api, ApiError, connected, print_json
from flower_cli.commands.api_options import JsonOption, UrlOption
from flower_cli.commands.completion import complete_workflow
from flower_cli.console import err, fail, out
from flower_engine.client.api_location import path_part
from flower_engine.model.values.noun_counts import counted

EXIT_WOULD_CHANGE = 6
_MARKS = {"new": "+", "changed": "~", "unchanged": "=", "pruned": "-"}
_COLOURS = {"new": "green", "changed": "yellow", "unchanged": "dim", "pruned": "red"}
_OF_DIFFERENCES = {"added": "green", "removed": "red", "changed": "yellow"}

Plan = dict[str, Any]


def add_to(app: typer.Typer) -> None:
    for command in (deploy, export):
        app.command(rich_help_panel="Flows, over HTTP")(command)


def deploy(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET...",
            help="A module (my.flows, my.flows:nightly), a .py file, or a file of JSON or YAML",
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only show the plan; exit 6 if something would change")
    ] = False,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Delete what an earlier deploy of the same source brought and is gone"),
    ] = False,
    ahead: Annotated[
        bool,
        typer.Option("--ahead", help="Workers that take it come later: what no live one takes is a warning"),
    ] = False,
    source: Annotated[
        str | None, typer.Option("--source", help="What --prune goes by [the targets, as they are written]")
    ] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring workflows and schedules into use: shows what is different, asks, does all of it or nothing."""
    found = [_documents(target) for target in targets]
    body: dict[str, Any] = {
        "source": source or " ".join(targets),
        "workflows": [document for workflows, _ in found for document in workflows],
        "schedules": [document for _, schedules in found for document in schedules],
        "prune": prune,
    }
    if ahead:
        body["ahead"] = True
    with connected(url) as api:
        answer = api.post("/deploy", {**body, "check": True})
        plan: Plan = msgspec.json.decode(answer)
        planned = [*plan["workflows"], *plan["schedules"]]
        changes = [one for one in planned if one["action"] != "unchanged"]
        if not as_json:
            for one in planned:
                _print_change(one)
        if check or not changes:
            if as_json:
                print_json(answer)
            else:
                out.print(
                    f"{'would change' if changes else 'nothing to change'}: {_counts(plan)}", markup=False
                )
            raise typer.Exit(EXIT_WOULD_CHANGE if changes else 0)
        if not yes:
            typer.confirm(f"Deploy this ({_counts(plan)})?", abort=True, err=True)
        expected = {name: plan[name] for name in ("expected", "expectedSchedules")}
        done = api.post("/deploy", {**body, **expected})
    if as_json:
        print_json(done)
    else:
        out.print(f"deployed: {_counts(msgspec.json.decode(done))}", markup=False)


def export(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME...]", help="Workflows; without one: all", autocompletion=complete_workflow
        ),
    ] = None,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="YAML, which is what is written anyway")] = False,
    url: UrlOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of YAML")] = False,
) -> None:
    """Write workflows with their schedules as YAML (or JSON) that 'flower deploy' takes back unchanged."""
    if as_yaml and as_json:
        raise typer.BadParameter("give --yaml or --json")
    with connected(url) as api:
        wanted = names or [one["taskId"] for one in api.pages("/workflows", "workflows", 1_000_000)]
        documents, problems = _exported(api, wanted)
        schedules = _exported_schedules(api, names)
    if as_json:
        every = [*documents, *schedules]
        shown: Any = every[0] if names and len(names) == len(every) == 1 else every
        print_json(msgspec.json.format(msgspec.json.encode(shown), indent=2))
    elif documents or schedules:
        from flower_cli.yaml_documents import yaml_of

        typer.echo(yaml_of([*map(_tasks_last, documents), *schedules]), nl=False)
    for problem in problems:
        fail(problem)
    if problems:
        raise typer.Exit(EXIT_REFUSED)


def _exported(api: Api, names: Sequence[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """The definitions without what has its default, and why some cannot be had."""
    from flower_engine.errors import DefinitionError
    from flower_engine.model.decisions.decision_tasks import with_text
    from flower_engine.model.definitions.workflow_versions import definition_of, plain_document

    documents: list[dict[str, Any]] = []
    problems: list[str] = []
    for name in names:
        try:
            document = plain_document(definition_of(name, api.get(f"/workflows/{path_part(name)}")))
            documents.append({**document, "tasks": [*map(with_text, document["tasks"])]})
        except ApiError as error:
            if error.exit_code != EXIT_REFUSED:
                raise
            problems.append(str(error))
        except DefinitionError as error:
            problems.append(str(error))
    return documents, problems


def _exported_schedules(api: Api, names: Sequence[str] | None) -> list[dict[str, Any]]:
    """The schedules of these workflows (None: all) without what has its default. One that makes no sense is
    told, and left out: no deploy would take it."""
    from flower_engine.schedules.schedule_document import ScheduleDocument, plain_schedule

    documents: list[dict[str, Any]] = []
    for workflow in names or (None,):
        for one in api.pages("/schedules", "schedules", 1_000_000, taskId=workflow):
            if one["state"] == "problem":
                why = "; ".join(problem["detail"] for problem in one["problems"])
                err.print(f"schedule {one['schedule']} is left out: {why}", style="yellow", markup=False)
            else:
                documents.append(plain_schedule(msgspec.convert(one["definition"], ScheduleDocument)))
    return documents


def _tasks_last(document: dict[str, Any]) -> dict[str, Any]:
    return {**{key: document[key] for key in document if key != "tasks"}, "tasks": document["tasks"]}


def _documents(target: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The workflows and schedules of a target."""
    from flower_cli.workflow_targets import targeted
    from flower_engine.errors import DefinitionError, ProgramError

    try:
        found = targeted(target)
    except DefinitionError as error:
        fail("\n".join(error.problems))
    except ProgramError as error:
        fail(str(error))
    else:
        return found.documents, found.schedules
    raise typer.Exit(EXIT_REFUSED)


def _print_change(one: dict[str, Any]) -> None:
    action: str = one["action"]
    is_schedule = "schedule" in one
    more = (
        "" if action in ("unchanged", "pruned") or is_schedule else f", {counted(one['taskCount'], 'task')}"
    )
    name = f"schedule {one['schedule']}" if is_schedule else one["taskId"]
    head = Text(f"{_MARKS[action]} {name}", style=_COLOURS[action])
    out.print(head.append(f"  {action}{more}", style="dim"))
    for difference in one.get("differences", []):
        print_difference(difference)
    if one.get("problem"):
        out.print(Text(f"    as it stands it cannot be used: {one['problem']}", style="red"))
    if one.get("drift"):
        out.print(Text(f"    drift: edited with SQL since {_written(one)}:", style="magenta"))
        for difference in one["drift"]:
            print_difference(difference, indent=6)
    elif action in ("changed", "pruned") and one.get("writtenBy"):
        out.print(f"    [dim]as {escape(_written(one))}[/dim]")


def print_difference(difference: dict[str, Any], *, indent: int = 4) -> None:
    """One difference of two definitions, on a line."""
    colour = _OF_DIFFERENCES[difference["kind"]]
    out.print(Text(" " * indent + difference["text"], style=colour))


def _written(one: dict[str, Any]) -> str:
    when = words.moment(one["writtenTs"])
    if one.get("source"):
        return f"{one['writtenBy']} deployed it from {one['source']} at {when} UTC"
    return f"{one['writtenBy']} defined it over HTTP at {when} UTC"


def _counts(plan: Plan) -> str:
    actions = [one["action"] for one in (*plan["workflows"], *plan["schedules"])]
    told = [f"{actions.count(action)} {action}" for action in _MARKS if action in actions]
    return ", ".join(told) or "no workflows"
