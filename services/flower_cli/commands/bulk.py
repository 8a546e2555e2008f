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
from flower_cli.commands.completion import complete_flow
from flower_cli.commands.flow_names import flow_id
from flower_cli.console import err, out
from flower_engine.model.values.noun_counts import counted


class Verb(StrEnum):
    """What can be done to many flows."""

    rerun = "rerun"
    resume = "resume"
    ignore = "ignore"
    cancel = "cancel"
    pause = "pause"
    priority = "priority"


_FORETOLD = 20  # flows of which --dry-run says what would become of them


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Flows, over HTTP")(bulk)


def bulk(
    operation: Annotated[
        Verb, typer.Argument(help="rerun and ignore concern the failed tasks of each flow.")
    ],
    flow: Annotated[
        list[str] | None,
        typer.Option("--flow", help="Only this flow; repeatable", autocompletion=complete_flow),
    ] = None,
    trunk: Annotated[
        str | None,
        typer.Option("--trunk", help="Only flows of the tree below this one", autocompletion=complete_flow),
    ] = None,
    workflow: WorkflowOption = None,
    status: StatusOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    match: Annotated[str | None, typer.Option("--match", help="Text in the error of a failed task")] = None,
    dependents: Annotated[
        bool, typer.Option("--dependents", help="Of rerun: all that depends on them")
    ] = False,
    changed: Annotated[
        bool,
        typer.Option(
            "--changed", help="Of rerun: of maps behind them only items that are new or have changed"
        ),
    ] = False,
    workflow_version: WorkflowVersionOption = None,
    keep_answers: Annotated[
        bool, typer.Option("--keep-answers", help="Of rerun: waits that have ended keep what came of them")
    ] = False,
    priority: Annotated[
        int | None, typer.Option("--to", help="Of priority: -20..19, the lower goes first")
    ] = None,
    reason: ReasonOption = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count the flows, and say what would become of the first")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Do the same to many flows: counts them, asks, shows progress. Exit 1 if some refused."""
    if (priority is None) == (operation is Verb.priority):
        raise typer.BadParameter("give --to with priority, and with nothing else")
    if dependents and changed:
        raise typer.BadParameter("--dependents and --changed exclude each other")
    if (dependents or changed or workflow_version or keep_answers) and operation is not Verb.rerun:
        raise typer.BadParameter(
            "give --dependents, --changed, --workflow-version and --keep-answers with rerun alone"
        )
    given: dict[str, Any] = {
        "taskId": workflow,
        "status": status,
        "since": since,
        "until": until,
        "error": match,
    }
    body: dict[str, Any] = {
        "operation": operation.value,
        "filter": {name: value for name, value in given.items() if value},
        "reason": reason,
    }
    scope = "dependents" if dependents else "changed" if changed else None
    more = {"scope": scope, "workflowVersion": workflow_version, "priority": priority}
    more |= {"keepAnswers": keep_answers or None}
    body |= {name: value for name, value in more.items() if value is not None}
    with connected(url) as api:
        ids = [flow_id(api, one) for one in flow or ()]
        body["filter"] |= ({"taskFlowIds": ids} if ids else {}) | (
            {"trunk": flow_id(api, trunk)} if trunk else {}
        )
        shown = {"foretell": _FORETOLD} if dry_run else {}
        count = api.send("/bulk", {**body, "dryRun": True, **shown})
        many = f"{'more than ' if count['more'] else ''}{count['matches']} flows match"
        matches = "1 flow matches" if count["matches"] == 1 else many
        if dry_run:
            if as_json:
                print_json(msgspec.json.encode(count))
            else:
                _print(count, matches)
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


_EFFECTS = (
    ("runs", "will run again"),
    ("reopens", "will wait again"),
    ("within", "will go on with their children"),
    ("passedOver", "will be passed over"),
    ("vanished", "will vanish"),
    ("matched", "will keep what items came to that are the same again"),
    ("cutOff", "will be cut off"),
    ("cleanup", "will clean up"),
    ("withdrawn", "will have to wait"),
    ("runsOn", "will run to an end"),
    ("awaits", "will wait on for time, the world or a child"),
    ("prioritised", "will have the priority"),
    ("heldUp", "will wait for a place, or for the end of a pause"),
)
_DID = {"nothing": "it is paused already", "pause": "it is paused", "resume": "its pause is lifted"}


def _print(count: dict[str, Any], matches: str) -> None:
    out.print(matches)
    for one in count.get("flows", ()):
        said = f"- {one['taskFlowId']} {one['taskId']}: {_effect_of(one)}"
        out.print(said, markup=False, highlight=False)


def _effect_of(one: dict[str, Any]) -> str:
    """What would become of a flow, in words."""
    if (refusal := one.get("refusal")) is not None:
        return f"refused: {refusal}"
    effect = one["effect"]
    # An API of the version before says nothing of some.
    told = [(effect.get(field, 0), words) for field, words in _EFFECTS]
    said = [f"{counted(tasks, 'task')} {words}" for tasks, words in told if tasks]
    said += [f"so of {counted(effect['elsewhere'], 'other flow')} of its tree"] if effect["elsewhere"] else []
    said += ["it ends"] if effect["ends"] else []
    return ", ".join(said) or _DID.get(one["did"], "all its tasks have the priority")


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
