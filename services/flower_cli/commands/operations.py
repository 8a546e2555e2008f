"""Commands that operate on one flow: rerun, resume, fork, ignore, unignore, cancel, pause."""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import typer

from flower_cli.commands import words
from flower_cli.commands.api_client import connected, print_json
from flower_cli.commands.api_options import (
    FlowArgument,
    JsonOption,
    ParamOption,
    ReasonOption,
    UrlOption,
    VersionOption,
    WorkflowVersionOption,
)
from flower_cli.commands.flow_names import flow_id
from flower_cli.console import out
from flower_cli.values import parameters_of, task_parameters_of, value_of
from flower_engine.client.api_location import path_part
from flower_engine.model.values.noun_counts import counted

TasksArgument = Annotated[
    list[str], typer.Argument(help="Tasks by number, as 'flower show' has them, or by name.")
]
TaskParamOption = Annotated[
    list[str] | None, typer.Option("--task-param", help="TASK:NAME=VALUE, for one task. Repeatable")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Only say what it would do to the flow as it stands")
]
UnsetOption = Annotated[
    list[str] | None, typer.Option("--unset", help="Take this parameter away from the tasks. Repeatable")
]


def add_to(app: typer.Typer) -> None:
    for command in (rerun, resume, fork, ignore, unignore, cancel, pause):
        app.command(rich_help_panel="Flows, over HTTP")(command)
    # A negative number is no option: without this it would have to stand behind "--".
    numbers = {"ignore_unknown_options": True}
    app.command(rich_help_panel="Flows, over HTTP", context_settings=numbers)(priority)


def rerun(
    flow: FlowArgument,
    task: Annotated[
        list[str] | None, typer.Option("--task", help="This task (number or name); repeatable")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All that failed")] = False,
    everything: Annotated[bool, typer.Option("--all", help="All tasks")] = False,
    only: Annotated[bool, typer.Option("--only", help="Whatever dependents have done")] = False,
    dependents: Annotated[bool, typer.Option("--dependents", help="And all that depends on them")] = False,
    changed: Annotated[
        bool,
        typer.Option("--changed", help="Of maps behind them only items that are new or have changed"),
    ] = False,
    param: ParamOption = None,
    task_param: TaskParamOption = None,
    unset: UnsetOption = None,
    workflow_version: WorkflowVersionOption = None,
    keep_answers: Annotated[
        bool,
        typer.Option("--keep-answers", help="Waits that have ended and are not named keep what came of them"),
    ] = False,
    new_children: Annotated[
        bool,
        typer.Option("--new-children", help="Tasks held because of their children begin others"),
    ] = False,
    up: Annotated[
        bool, typer.Option("--up", help="Of a child whose parent's task has ended: open that again, too")
    ] = False,
    dry_run: DryRunOption = False,
    version: VersionOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run tasks again, also of a flow that has ended; as they are, or as another version has them."""
    if bool(task) + failed + everything != 1:
        raise typer.BadParameter("say what is to run again: --task N, --failed or --all, one of them")
    if only + dependents + changed > 1:
        raise typer.BadParameter("--only, --dependents and --changed exclude each other")
    body: dict[str, Any] = {"tasks": _numbers(task)} if task else {"selection": "failed" if failed else "all"}
    if only or dependents or changed:
        body["scope"] = "only" if only else "dependents" if dependents else "changed"
    body |= _parameters(param, task_param, unset)
    if workflow_version:
        body["workflowVersion"] = workflow_version
    if keep_answers:
        body["keepAnswers"] = True
    body |= {**({"newChildren": True} if new_children else {}), **({"up": True} if up else {})}
    _operate(flow, "rerun", body | _dry(dry_run), version, url, as_json)


def resume(
    flow: FlowArgument,
    dry_run: DryRunOption = False,
    version: VersionOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lift a pause; else rerun all that failed, or all that a cancel cut off."""
    _operate(flow, "resume", _dry(dry_run), version, url, as_json)


def fork(
    flow: FlowArgument,
    from_task: Annotated[
        list[str] | None, typer.Option("--from", help="Begin with this task (number or name); repeatable")
    ] = None,
    param: ParamOption = None,
    task_param: TaskParamOption = None,
    unset: UnsetOption = None,
    workflow_version: WorkflowVersionOption = None,
    flow_param: Annotated[
        list[str] | None,
        typer.Option("--flow-param", help="NAME=VALUE of the flow, with a version. Repeatable"),
    ] = None,
    dry_run: DryRunOption = False,
    version: VersionOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run from a task on, or what another version has otherwise, as a new flow that takes the rest over."""
    if not from_task and not workflow_version:
        raise typer.BadParameter("say where it begins: --from TASK, or --workflow-version, or both")
    of_flow = parameters_of(flow_param)
    body = {
        **({"fromTasks": _numbers(from_task)} if from_task else {}),
        **_parameters(param, task_param, unset),
        **({"workflowVersion": workflow_version} if workflow_version else {}),
        **({"flowParameters": of_flow} if of_flow else {}),
    }
    if dry_run:
        _operate(flow, "fork", body | _dry(dry_run), version, url, as_json)
        return
    if version is not None:
        body["version"] = version
    with connected(url) as api:
        answer = api.post(f"/flows/{path_part(flow_id(api, flow))}/fork", body)
    if as_json:
        print_json(answer)
    else:
        out.print(msgspec.json.decode(answer)["taskFlowId"], markup=False)


def ignore(
    flow: FlowArgument,
    tasks: TasksArgument,
    reason: ReasonOption = "",
    result: Annotated[
        str | None,
        typer.Option("--result", help="What those get that read the task's result: JSON, else a text"),
    ] = None,
    cascade: Annotated[
        bool, typer.Option("--cascade", help="And all that cannot do without their results")
    ] = False,
    dry_run: DryRunOption = False,
    version: VersionOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pass over waiting, retrying or suspended tasks; what depends on them goes on."""
    body: dict[str, Any] = {"tasks": _numbers(tasks), "reason": reason}
    if result is not None:
        body["result"] = value_of(result)
    body |= {**({"cascade": True} if cascade else {}), **_dry(dry_run)}
    _operate(flow, "ignore", body, version, url, as_json)


def unignore(
    flow: FlowArgument,
    tasks: TasksArgument,
    dry_run: DryRunOption = False,
    version: VersionOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make ignored tasks wait again, while nothing that depends on them has started."""
    _operate(flow, "unignore", {"tasks": _numbers(tasks), **_dry(dry_run)}, version, url, as_json)


def cancel(
    flow: FlowArgument,
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
    version: VersionOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a flow: nothing new starts, what runs is told to stop."""
    _operate(flow, "cancel", {"reason": reason, **_dry(dry_run)}, version, url, as_json)


def pause(
    flow: FlowArgument,
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
    version: VersionOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start nothing more of a flow until it is resumed; what runs may end."""
    _operate(flow, "pause", {"reason": reason, **_dry(dry_run)}, version, url, as_json)


def priority(
    flow: FlowArgument,
    number: Annotated[int, typer.Argument(help="-20 (first) to 19", min=-20, max=19)],
    dry_run: DryRunOption = False,
    version: VersionOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give all tasks of a flow another priority; what waits moves at once."""
    _operate(flow, "priority", {"priority": number, **_dry(dry_run)}, version, url, as_json)


# What became of the flow, or of the tasks that the answer names.
_OF_FLOW = {
    "priority": "has another priority",
    "resume": "is resumed",
    "cancel": "is cancelled",
    "pause": "is paused",
}
_OF_TASKS = {
    "rerun": ("will run again", "will run again"),
    "resume": ("will run again", "will run again"),
    "ignore": ("is ignored", "are ignored"),
    "unignore": ("waits again", "wait again"),
    "cancel": ("is passed over", "are passed over"),
}


def _operate(  # one call for all of the above
    flow: str, verb: str, body: dict[str, Any], version: int | None, url: str | None, as_json: bool
) -> None:
    if version is not None:
        body["version"] = version
    with connected(url) as api:
        flow = flow_id(api, flow)
        answer = api.post(f"/flows/{path_part(flow)}/{verb}", body)
    if as_json:
        print_json(answer)
        return
    done = msgspec.json.decode(answer)
    if effect := done.get("effect"):
        out.print(f"flow {flow}, of version {done['version']}; nothing was done:", markup=False)
        if verb == "fork":
            out.print("  the tasks of the new flow, by their numbers there:", markup=False)
        for line in _foretold(effect):
            out.print(f"  {line}", markup=False)
        for warning in done.get("warnings", ()):
            out.print(f"  {warning}", markup=False)
        for other in done.get("tree", ()):
            out.print(f"  flow {other['taskFlowId']}:", markup=False)
            for line in _foretold(other["effect"]):
                out.print(f"    {line}", markup=False)
        if more := done.get("moreInTree"):
            out.print(f"  and {counted(more, 'child', 'children')} more, with what is below", markup=False)
        return
    for one in (*done.get("tree", ()), done):
        what = _said(one["operation"], one["tasks"])
        out.print(f"flow {one['taskFlowId']}: {what} (version {one['version']})", markup=False)


_EFFECTS = {
    "runs": "run again from the start",
    "reopens": "were passed over, and wait again",
    "askedAgain": "ask the world anew",
    "passedOver": "are passed over",
    "vanished": "vanish, as their maps are expanded anew",
    "matched": "keep what items came to that are the same again",
    "within": "go on with their children, in which tasks run again",
    "cutOff": "are cut off",
    "cleanup": "clean up before the flow ends",
    "kept": "have ended, and are kept",
    "ready": "may start at once",
    "withdrawn": "might start, and must wait then",
    "runsOn": "run, and may end",
    "awaits": "await what comes all the same: time, the world, or a child",
    "prioritised": "have another priority",
    "moved": "wait for a worker, and move at once",
    "held": "are held because of their child",
    "givenUp": "are given up because of their child",
}


def _dry(dry_run: bool) -> dict[str, Any]:
    """What is said of an operation that is only to say what it would do."""
    return {"dryRun": True} if dry_run else {}


def _foretold(effect: dict[str, Any]) -> Iterator[str]:
    """What an operation would do, line by line."""
    for name, what in _EFFECTS.items():
        if tasks := effect.get(name):
            yield f"{what}: {words.tasks_in_words(tasks)}"
    for one in effect.get("heldUp", ()):  # an API of the version before says nothing of these
        why = words.why_it_waits(one["reason"])
        yield f"would start, but wait: {words.tasks_in_words(one['tasks'])}: {why}"
    if effect["ends"]:
        yield "the flow ends"


def _said(operation: str, tasks: list[int]) -> str:
    said = [_OF_FLOW[operation]] if operation in _OF_FLOW else []
    if tasks:
        one, many = _OF_TASKS.get(operation, ("is concerned", "are concerned"))
        said.append(f"{words.tasks_in_words(tasks)} {one if len(tasks) == 1 else many}")
    return ", ".join(said) or "nothing had to be done"


def _numbers(tasks: list[str]) -> list[int | str]:
    return [words.task_number(task) for task in tasks]


def _parameters(
    param: list[str] | None, task_param: list[str] | None, unset: list[str] | None
) -> dict[str, Any]:
    given = {
        "parameters": parameters_of(param),
        "taskParameters": task_parameters_of(task_param),
        "unset": unset or [],
    }
    return {name: value for name, value in given.items() if value}
