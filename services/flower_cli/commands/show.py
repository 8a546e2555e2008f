"""Commands that show: flows, show, errors, workers."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from flower_cli.commands import words
from flower_cli.commands.api_client import EXIT_REFUSED, connected, print_json, say_warnings
from flower_cli.commands.api_options import (
    FlowArgument,
    JsonOption,
    LimitOption,
    ProgramOption,
    ScheduleOption,
    SinceOption,
    StatusOption,
    UntilOption,
    UrlOption,
    WorkflowOption,
)
from flower_cli.commands.failures import print_attempts, print_failure, print_traceback
from flower_cli.commands.flow_names import flow_id
from flower_cli.commands.logs import print_last_lines
from flower_cli.commands.tree import tree_lines
from flower_cli.console import fail, out
from flower_engine.client.api_location import path_part
from flower_engine.model.tasks.task_spec import MAX_ROUNDS
from flower_engine.model.values.noun_counts import counted

_ROUNDS = 1_000  # where a definition says no other number
_MOST_ITEMS = 5  # of a map, that are shown with their errors


def add_to(app: typer.Typer) -> None:
    for command in (flows, show, why, errors, workers):
        app.command(rich_help_panel="Flows, over HTTP")(command)


def flows(
    workflow: WorkflowOption = None,
    schedule: ScheduleOption = None,
    status: StatusOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    parent: Annotated[
        str | None, typer.Option("--parent", help="Children of this flow (its id, or how that begins)")
    ] = None,
    children: Annotated[
        bool, typer.Option("--children", help="Flows that are children of others, too")
    ] = False,
    limit: LimitOption = 20,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List flows, newest first; children of others only where they are asked for, or a workflow is."""
    with connected(url) as api:
        query = {"taskId": workflow, "schedule": schedule, "status": status, "since": since, "until": until}
        if parent is not None:
            query["parent"] = flow_id(api, parent)
        elif not children and workflow is None:
            query["children"] = "false"
        if as_json:
            answer = api.get("/flows", limit=min(limit, 1_000), **query)
            say_warnings(answer)
            print_json(answer)
            return
        table = Table("flow", "workflow", "status", "tasks", "registered", "ended", box=SIMPLE_HEAD)
        for flow in api.pages("/flows", "flows", limit, **query):
            status_text = words.status_text(flow)
            if flow["pausedTs"]:
                status_text.append(" paused", style="yellow")
            if words.is_ending(flow) and flow["status"] == "Suspend":
                status_text.append(" ending", style="yellow")
            table.add_row(
                *(flow["taskFlowId"], Text(flow["taskId"]), status_text, words.counts(flow)),
                *(words.moment(flow["registeredTs"]), words.moment(flow["finishedTs"])),
            )
        out.print(table)


def show(
    flow: FlowArgument,
    task: Annotated[
        str | None, typer.Option("--task", help="One task (number or name) with all its attempts")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", help="As it was at this time (ISO, UTC) or behind this position")
    ] = None,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="All frames of tracebacks, those of libraries, too")
    ] = False,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a flow: its tasks as a tree with why each waits, then what failed and why."""
    with connected(url) as api:
        path = f"/flows/{path_part(flow_id(api, flow))}" + (
            "" if task is None else f"/tasks/{path_part(task)}"
        )
        answer = api.get(path, at=at)
        if as_json:
            print_json(answer)
        elif task is not None:
            print_task(msgspec.json.decode(answer), whole=traceback)
        else:
            found = msgspec.json.decode(answer)
            print_flow(found, whole=traceback)
            if at is None:
                print_last_lines(api, found)


def why(
    flow: FlowArgument,
    task: Annotated[str | None, typer.Argument(help="Only this task (number or name)")] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say why tasks of a flow wait or are held, as it is at this moment, and why rules passed over others or
    nobody needs them."""
    with connected(url) as api:
        flow = flow_id(api, flow)
        found = api.read(f"/flows/{path_part(flow)}")
    tasks = [one for one in found["tasks"] if task in (None, str(one["taskExecSeq"]), one.get("taskName"))]
    if not tasks:
        fail(f"flow {flow} has no task {task}; its tasks are 1 to {len(found['tasks'])}")
        raise typer.Exit(EXIT_REFUSED)
    if as_json:
        reasons = {str(one["taskExecSeq"]): reason for one in tasks if (reason := _reason_of(one))}
        print_json(msgspec.json.encode(reasons))
        return
    if task is None:  # of items their map tells
        tasks = [one for one in tasks if one.get("itemOf") is None]
    told = [one for one in tasks if _reason_of(one) or (task and one.get("endedAs"))]
    for one in told:
        out.print(words.why_line(one), markup=False)
    if all(_reason_of(one).get("reason") in ("notTaken", "unneeded") for one in told) and not (task and told):
        standing = (
            f"task {task} is {tasks[0]['status']}" if task else f"flow {flow} is {words.status_word(found)}"
        )
        out.print(f"{standing}: nothing of it waits", markup=False)


def _reason_of(task: dict[str, Any]) -> dict[str, Any]:
    """Why a task waits, is held, was passed over by its rule, or is not needed; {}: nothing of it is told."""
    if task["waitReason"]:
        return task["waitReason"]
    if task["status"] == "Suspend" and not words.is_given_up(task):
        return {"reason": "held", "error": task["error"], "givesUpTs": task.get("givesUpTs")}
    if task.get("endedAs") == "unneeded":
        return {"reason": "unneeded", "notNeededBy": task.get("notNeededBy") or []}
    return {"reason": "notTaken", **task["notTaken"]} if task.get("notTaken") else {}


def errors(
    workflow: WorkflowOption = None,
    program: ProgramOption = None,
    match: Annotated[str | None, typer.Option("--match", help="Text in the error's type or message")] = None,
    retrying: Annotated[
        bool, typer.Option("--retrying", help="Tasks that wait for their next attempt")
    ] = False,
    held: Annotated[bool, typer.Option("--held", help="Only those that wait for a decision")] = False,
    given_up: Annotated[
        bool, typer.Option("--given-up", help="Only those that their flows went on without")
    ] = False,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = 50,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List failed tasks of all flows, newest first."""
    if held + given_up + retrying > 1:
        raise typer.BadParameter("--held, --given-up and --retrying exclude each other")
    query = {
        "status": "retrying" if retrying else "held" if held else "givenup" if given_up else "suspend",
        "taskId": workflow,
        "program": program,
        "error": match,
        "since": since,
        "until": until,
    }
    with connected(url) as api:
        if as_json:
            answer = api.get("/tasks", limit=min(limit, 1_000), **query)
            say_warnings(answer)
            print_json(answer)
            return
        table = Table("when", "flow", "workflow", "task", "attempt", "error", box=SIMPLE_HEAD)
        for task in api.pages("/tasks", "tasks", limit, **query):
            table.add_row(
                *(words.moment(task["suspendedTs"] or task["retryTs"]), task["taskFlowId"]),
                *(
                    Text(task["taskId"]),
                    Text(words.task_title(task)),
                    str(task["attempt"]),
                ),
                Text(
                    words.error_line(task["error"]) + (" (given up)" if task.get("isGivenUp") else ""),
                    style="red",
                ),
            )
        is_asked = any((workflow, program, match, since, until))
        nothing = "nothing has failed" + (" that fits what was asked for" if is_asked else "")
        out.print(table if table.row_count else nothing, markup=False)


def workers(url: UrlOption = None, as_json: JsonOption = False) -> None:
    """List live workers, what they run, what is stuck, cannot be started, or was changed meanwhile."""
    with connected(url) as api:
        answer = api.get("/workers")
    say_warnings(answer)
    if as_json:
        print_json(answer)
        return
    table = Table(
        "worker", "host", "pid", "runs", "slots", "queues", "programs", "stuck", "transfers", box=SIMPLE_HEAD
    )
    remarks: list[str] = []
    for worker in msgspec.json.decode(answer)["workers"]:
        table.add_row(
            *(Text(worker["worker"]), Text(worker["host"]), str(worker["pid"]), str(worker["running"])),
            *(str(worker["slots"]), Text(", ".join(worker["queues"])), Text(", ".join(worker["programs"]))),
            Text("\n".join(worker["stuck"]), style="red"),
            Text("\n".join(worker["transfers"])),
        )
        name = worker["worker"]
        remarks += [f"{name} cannot start {program}: {why}" for program, why in worker["unable"].items()]
        if files := worker["outdated"]:
            remarks.append(f"{name} began before these files were changed: {', '.join(files)}")
    out.print(table if table.row_count else "no worker is alive", markup=False)
    for line in remarks:
        out.print(Text(line, style="red"))


def print_flow(flow: dict[str, Any], *, whole: bool = False) -> None:
    """A flow as ``flower show`` shows it; ``whole``: with all frames of tracebacks."""
    head = Text(f"{flow['taskId']} ", style="bold")
    head.append(flow["taskFlowId"], style="")
    head.append("  ").append_text(words.status_text(flow))
    out.print(head.append(f"  ({words.counts(flow)})", style="dim"))
    for label, name in (
        ("registered", "registered"),
        ("starts", "start"),
        ("started", "started"),
        ("ended", "finished"),
        ("paused", "paused"),
        ("cancelled", "cancelled"),
    ):
        if flow[f"{name}Ts"]:
            by = flow.get(f"{name}By")
            out.print(
                f"{label:<11}{words.moment(flow[f'{name}Ts'])} UTC{f' by {by}' if by else ''}", markup=False
            )
    if words.is_ending(flow):
        why = words.ENDING_CAUSES[flow["endingCause"]]
        until = f", until {words.moment(flow['endingUntilTs'])} UTC at most" if flow["endingUntilTs"] else ""
        out.print(f"{'ending':<11}{why}; its cleanup goes on{until}", markup=False)
    _print_origin(flow)
    if flow["workflowVersion"]:
        out.print(f"{'version':<11}{flow['workflowVersion'][:12]} of {flow['taskId']}", markup=False)
    for version, tasks in _other_versions(flow["tasks"]).items():
        out.print(f"{'':<11}{version[:12]} for {words.tasks_in_words(tasks)}, by a rerun", markup=False)
    if flow["parameters"]:
        out.print(f"parameters {msgspec.json.encode(flow['parameters']).decode()}", markup=False)
    for why in flow.get("unreadable") or ():
        out.print(Text(f"not known: {why}", style="yellow"))
    out.print()
    for line in tree_lines(flow["tasks"]):
        out.print(line)
    if flow["resultProblem"]:
        out.print(Text(f"\nno result: {flow['resultProblem']}", style="yellow"))
    elif blob := flow.get("resultBlob"):
        where = (
            f"GET /blobs/{blob['sha256']}" if blob["store"] == "api" else f"{blob['store']}, {blob['sha256']}"
        )
        out.print(f"\nresult     {blob['bytes']} bytes, a blob: {where}", markup=False)
    elif flow["result"] is not None:
        out.print(f"\nresult     {msgspec.json.encode(flow['result']).decode()}", markup=False)
    print_failures(flow["failedTasks"], whole=whole)


def print_failures(tasks: Sequence[dict[str, Any]], *, whole: bool) -> None:
    """What failed; of the items of a map the first few."""
    by_map: dict[int, int] = {}
    for task in tasks:
        of = task.get("itemOf")
        if of is not None:
            by_map[of] = by_map.get(of, 0) + 1
            if by_map[of] > _MOST_ITEMS:
                continue
        out.print()
        print_failure(task, whole=whole)
    for of, count in by_map.items():
        if count > _MOST_ITEMS:
            out.print(Text(f"\n{count - _MOST_ITEMS} more items of task {of} failed", style="red"))


def _print_origin(flow: dict[str, Any]) -> None:
    if flow["slotTs"]:
        name = flow["schedule"] or flow["scheduleUid"]
        out.print(f"{'slot':<11}{words.moment(flow['slotTs'])} UTC of schedule {name}", markup=False)
    if flow["parentFlowId"]:
        where = f"task {flow['parentTask']} of flow {flow['parentFlowId']}"
        out.print(
            f"{'child of':<11}{where}, attempt {flow['parentAttempt']}{words.round_of_parent(flow)}",
            markup=False,
        )
    if flow["forkedFrom"]:
        out.print(f"{'forked from':<11} {flow['forkedFrom']}", markup=False)
    if flow.get("rounds"):
        out.print(f"{'loops':<11}{counted(flow['rounds'], 'round')} of at most {MAX_ROUNDS:,}", markup=False)


def _other_versions(tasks: Sequence[dict[str, Any]]) -> dict[str, list[int]]:
    """By hash of a version that reruns gave tasks, which."""
    found: dict[str, list[int]] = {}
    for task in tasks:
        if task["workflowVersion"]:
            found.setdefault(task["workflowVersion"], []).append(task["taskExecSeq"])
    return found


def _print_round(task: dict[str, Any]) -> None:
    """Of a task that loops, and of one that may so often."""
    if task.get("round"):
        given = msgspec.json.encode(task["given"]).decode()
        out.print(
            f"{'round':<11}{task['round']} of at most {task['maxRounds']:,}, with {given}", markup=False
        )
    elif task.get("maxRounds", _ROUNDS) != _ROUNDS:
        out.print(f"{'rounds':<11}at most {task['maxRounds']:,}", markup=False)


def print_task(task: dict[str, Any], *, whole: bool = False) -> None:
    """A task with its attempts; ``whole``: with all frames of tracebacks."""
    out.print(Text(f"{task['taskId']} {task['taskFlowId']} task {words.task_title(task)}", "bold"))
    out.print(Text(f"{words.mark(task['status'])} {task['status']}", words.COLOURS.get(task["status"], "")))
    if reason := words.why_it_waits(task["waitReason"]) or words.end_of_task(task):
        out.print(reason, markup=False)
    if task["workflowVersion"]:
        out.print(f"{'version':<11}{task['workflowVersion'][:12]}, by a rerun", markup=False)
    if task.get("childFlowId"):
        out.print(f"{'child':<11}{task['childFlowId']}", markup=False)
    if task["whenIs"]:
        out.print(f"{'branch':<11}if {words.branch(task['whenIs'])}", markup=False)
    if condition := words.condition(task):
        out.print(f"{'condition':<11}{condition}", markup=False)
    else:
        out.print(f"parameters {msgspec.json.encode(task['parameters']).decode()}", markup=False)
    _print_round(task)
    for label, name, default in (("rule", "rule", "ready"), ("on failure", "onFailure", "hold")):
        if (said := task.get(name, default)) != default:
            out.print(f"{label:<11}{said}", markup=False)
    if task.get("finally"):
        out.print(f"{'finally':<11}True: a cancel and the flow's timeout spare it", markup=False)
    if task["status"] == "Finish":
        out.print(f"result     {msgspec.json.encode(task['result']).decode()}", markup=False)
    print_attempts(task["attempts"])
    if task["error"]:
        print_traceback(task["error"], whole=whole)
