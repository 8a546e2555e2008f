"""``flower register``: starts a flow, and waits for its end if asked to."""

import time
from typing import Annotated, Any

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from flower_cli.commands import words
from flower_cli.commands.api_client import Api, ApiError, connected, print_json
from flower_cli.commands.api_options import (
    JsonOption,
    ParamOption,
    UrlOption,
    WorkflowArgument,
    WorkflowVersionOption,
)
from flower_cli.commands.show import print_flow
from flower_cli.console import err, out
from flower_cli.options import finite
from flower_cli.values import parameters_of, task_parameters_of, texts_of
from flower_engine.client.api_location import path_part
from flower_engine.client.flow_values import Flow, is_for_others
from flower_engine.model.parameters.parameter_texts import value_of_text

EXIT_SUSPENDED, EXIT_CANCELLED, EXIT_TIMEOUT = 1, 3, 4
_EXITS = {"Finish": 0, "Suspend": EXIT_SUSPENDED, "Ignore": EXIT_CANCELLED}
_LOOK_SECONDS = 0.2
_WAIT_SECONDS = 1.0  # for the flow to move; why nothing runs may change meanwhile
_MOST_REASONS = 5


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Flows, over HTTP")(register)


def register(
    workflow: WorkflowArgument,
    values: Annotated[
        list[str] | None,
        typer.Argument(help="Parameters of the flow, as its workflow takes them.", metavar="[NAME=VALUE]..."),
    ] = None,
    param: ParamOption = None,
    task_param: Annotated[
        list[str] | None,
        typer.Option("--task-param", help="TASK:NAME=VALUE, for one task (taskSeq or name). Repeatable"),
    ] = None,
    priority: Annotated[
        int | None, typer.Option("--priority", help="Of all tasks, -20 (first) to 19")
    ] = None,
    delay: Annotated[
        float | None, typer.Option("--delay", callback=finite, help="Seconds before anything starts")
    ] = None,
    start_at: Annotated[
        str | None, typer.Option("--start-at", help="Time (ISO, UTC) before which not")
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help="The same key gives the same flow")] = None,
    workflow_version: WorkflowVersionOption = None,
    traceparent: Annotated[
        str | None,
        typer.Option("--traceparent", help="The span (W3C Trace Context) that its trace gets a link to"),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until it ends or a task is suspended")] = False,
    timeout: Annotated[
        float | None, typer.Option("--timeout", callback=finite, help="Wait so many seconds at most")
    ] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start a flow. With --wait: exit 0 when it finished, 1 suspended, 3 cancelled, 4 after the timeout."""
    given: dict[str, Any] = {
        "taskParameters": task_parameters_of(task_param) or None,
        "priority": priority,
        "delaySeconds": delay,
        "startAt": start_at,
        "key": key,
        "workflowVersion": workflow_version,
        "traceparent": traceparent,
    }
    body = {name: value for name, value in given.items() if value is not None}
    parameters, texts = parameters_of(param), texts_of(values)
    if twice := parameters.keys() & texts.keys():
        raise typer.BadParameter(f"the parameter {min(twice)!r} is given twice")
    with connected(url) as api:
        if texts:
            schema = api.read(f"/workflows/{path_part(workflow)}").get("parametersSchema")
            parameters |= {name: value_of_text(text, schema, name) for name, text in texts.items()}
        if parameters:
            body["parameters"] = parameters
        try:
            registered = api.send(f"/register/{path_part(workflow)}", body)
        except ApiError as error:
            if b'"no tasks registered"' in error.body:
                api.get(f"/workflows/{path_part(workflow)}")  # which says what is near
            raise
        flow_id = registered["taskFlowId"]
        if not wait:
            if as_json:
                print_json(_encode(registered))
            else:
                known = " (its key was known)" if registered.get("duplicate") else ""
                out.print(f"{flow_id}{known}", markup=False)
            return
        flow = _watch(api, flow_id, timeout)
        if as_json:
            print_json(api.get(f"/flows/{flow_id}"))
    if not as_json:
        print_flow(flow)
    raise typer.Exit(_EXITS.get(flow["status"], EXIT_TIMEOUT))


def _watch(api: Api, flow_id: str, timeout: float | None) -> dict[str, Any]:
    """The flow, when it has ended or stands still or the time is over; shows progress on standard error."""
    deadline = None if timeout is None else time.monotonic() + timeout
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as progress:
        bar = progress.add_task(flow_id, total=None)
        said, before, told = "", "", ""
        version, seconds = 0, 0.0
        while True:
            began = time.monotonic()
            flow = api.read(f"/flows/{flow_id}", atLeast=version + 1, until="version", wait=seconds)
            version = flow["version"]
            done = flow["finished"] + flow["ignored"]
            progress.update(bar, total=flow["taskCount"], completed=done)
            line = f"{flow_id} {words.status_word(flow)}: {words.counts(flow)}"
            if not err.is_terminal and line != said:
                err.print(line, markup=False)
                said = line
            is_over = msgspec.convert(flow, Flow).is_over
            is_late = deadline is not None and time.monotonic() >= deadline
            why = "" if is_over or flow["running"] else why_nothing_runs(flow)
            if why and why != told and (why == before or is_late):  # what passes at once is not worth a line
                progress.console.print(why, markup=False)
                told = why
            before = why
            if is_over or is_late:
                return flow
            left = _WAIT_SECONDS if deadline is None else max(0.0, deadline - time.monotonic())
            seconds = round(min(_WAIT_SECONDS, left), 3)
            time.sleep(max(0.0, _LOOK_SECONDS - (time.monotonic() - began)))


def why_nothing_runs(flow: dict[str, Any]) -> str:
    """Why its tasks wait, as ``flower why`` says it, but for those that wait for others; a few of them."""
    waiting: list[dict[str, Any]] = [task for task in flow["tasks"] if task["waitReason"]]
    lines = [words.why_line(task) for task in waiting if not is_for_others(task["waitReason"])]
    more = [f"... and {len(lines) - _MOST_REASONS} more"] if len(lines) > _MOST_REASONS else []
    return "\n".join([*lines[:_MOST_REASONS], *more])


def _encode(value: Any) -> bytes:
    return msgspec.json.encode(value)
