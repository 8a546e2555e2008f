"""Commands that operate on one flow: rerun, resume, fork, ignore, unignore, cancel, pause."""

from typing import Annotated, Any

import msgspec
import typer

from flower_cli.client.api import connected, part, print_json
from flower_cli.client.options import (
    FlowArgument,
    JsonOption,
    ParamOption,
    ReasonOption,
    UrlOption,
    VersionOption,
)
from flower_cli.client.values import parameters_of, task_parameters_of
from flower_cli.console import out

TasksArgument = Annotated[
    list[int], typer.Argument(help="Tasks by number, as 'flower show' has them.", min=1)
]
TaskParamOption = Annotated[
    list[str] | None, typer.Option("--task-param", help="TASK:NAME=VALUE, for one task. Repeatable")
]


def add_to(app: typer.Typer) -> None:
    for command in (rerun, resume, fork, ignore, unignore, cancel, pause, priority):
        app.command(rich_help_panel="Flows, over HTTP")(command)


def rerun(
    flow: FlowArgument,
    task: Annotated[list[int] | None, typer.Option("--task", help="This task; repeatable", min=1)] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All that failed")] = False,
    everything: Annotated[bool, typer.Option("--all", help="All tasks")] = False,
    only: Annotated[bool, typer.Option("--only", help="Whatever dependents have done")] = False,
    dependents: Annotated[bool, typer.Option("--dependents", help="And all that depends on them")] = False,
    param: ParamOption = None,
    task_param: TaskParamOption = None,
    version: VersionOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run tasks again, also of a flow that has ended."""
    if bool(task) + failed + everything != 1:
        raise typer.BadParameter("say what is to run again: --task N, --failed or --all, one of them")
    if only and dependents:
        raise typer.BadParameter("--only and --dependents exclude each other")
    body: dict[str, Any] = {"tasks": task} if task else {"selection": "failed" if failed else "all"}
    if only or dependents:
        body["scope"] = "only" if only else "dependents"
    body |= _parameters(param, task_param)
    _operate(flow, "rerun", body, version, url, as_json)


def resume(
    flow: FlowArgument, version: VersionOption = None, url: UrlOption = None, as_json: JsonOption = False
) -> None:
    """Lift a pause; else rerun all that failed, or all that a cancel cut off."""
    _operate(flow, "resume", {}, version, url, as_json)


def fork(
    flow: FlowArgument,
    from_task: Annotated[list[int], typer.Option("--from", help="Begin with this task; repeatable", min=1)],
    param: ParamOption = None,
    task_param: TaskParamOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run from a task on, as a new flow that takes the results before it over; prints its id."""
    with connected(url) as api:
        answer = api.post(
            f"/flows/{part(flow)}/fork", {"fromTasks": from_task, **_parameters(param, task_param)}
        )
    if as_json:
        print_json(answer)
    else:
        out.print(msgspec.json.decode(answer)["taskFlowId"], markup=False)


def ignore(
    flow: FlowArgument,
    tasks: TasksArgument,
    reason: ReasonOption = "",
    version: VersionOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pass over waiting, retrying or suspended tasks; what depends on them goes on."""
    _operate(flow, "ignore", {"tasks": tasks, "reason": reason}, version, url, as_json)


def unignore(
    flow: FlowArgument,
    tasks: TasksArgument,
    version: VersionOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make ignored tasks wait again, while nothing that depends on them has started."""
    _operate(flow, "unignore", {"tasks": tasks}, version, url, as_json)


def cancel(
    flow: FlowArgument,
    reason: ReasonOption = "",
    version: VersionOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a flow: nothing new starts, what runs is told to stop."""
    _operate(flow, "cancel", {"reason": reason}, version, url, as_json)


def pause(
    flow: FlowArgument,
    reason: ReasonOption = "",
    version: VersionOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start nothing more of a flow until it is resumed; what runs may end."""
    _operate(flow, "pause", {"reason": reason}, version, url, as_json)


def priority(
    flow: FlowArgument,
    number: Annotated[int, typer.Argument(help="-20 (first) to 19", min=-20, max=19)],
    version: VersionOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give all tasks of a flow another priority; what waits moves at once. Negative: -- -5."""
    _operate(flow, "priority", {"priority": number}, version, url, as_json)


_DONE = {
    "priority": "has another priority",
    "rerun": "will run again",
    "resume": "is resumed",
    "ignore": "is ignored",
    "unignore": "waits again",
    "cancel": "is cancelled",
    "pause": "is paused",
}


def _operate(  # one call for all of the above
    flow: str, verb: str, body: dict[str, Any], version: int | None, url: str | None, as_json: bool
) -> None:
    if version is not None:
        body["version"] = version
    with connected(url) as api:
        answer = api.post(f"/flows/{part(flow)}/{verb}", body)
    if as_json:
        print_json(answer)
        return
    done = msgspec.json.decode(answer)
    tasks = done["tasks"]
    shown = ", ".join(map(str, tasks[:20])) + (", ..." if len(tasks) > 20 else "")
    what = f"flow {flow}" if not tasks else f"flow {flow} task{'s' if len(tasks) > 1 else ''} {shown}"
    out.print(f"{what}: {_DONE[done['operation']]} (version {done['version']})", markup=False)


def _parameters(param: list[str] | None, task_param: list[str] | None) -> dict[str, Any]:
    given = {"parameters": parameters_of(param), "taskParameters": task_parameters_of(task_param)}
    return {name: value for name, value in given.items() if value}
