"""``flower demo``: a workflow in Python whose tasks hand data on, and the seed's example from its definition
to its rows, in a throwaway folder."""

import json
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from flower_cli.console import out

if TYPE_CHECKING:
    from flower_cli.local.demo_engine import DemoEngine

_PYTHON = "flower_cli.local.demo_workflow"
_PARAMETERS = {"day": "2026-01-05", "at_least": 10}
_WORKFLOW = "example"
_POLL_SECONDS = 0.1
_NEXT_STEPS = """\
Go on:
  flower new orders, flower run orders/orders.py day=2026-01-05
                  a workflow of your own, and its result; docs/tutorial.md goes on from there
  make run        the engine with its data in .flower/; Ctrl-C stops it
  then            http://127.0.0.1:8000/docs has all calls of the API, and in another terminal
                  curl -X PUT localhost:8000/workflows/hello -H 'Content-Type: application/json' \\
                       -d '{"tasks": [{"taskSeq": 1, "program": "EchoRandomTimeSleep"}]}'
                  curl -X POST localhost:8000/register/hello
                  curl localhost:8000/flows
  README.md       what there is besides, and how to use servers that you have"""


def add_to(app: typer.Typer) -> None:
    app.command()(demo)


def demo() -> None:
    """Show the whole engine at work: two workflows from their definitions to their ends; nothing is kept."""
    from flower_cli.local.demo_engine import ROW_COLUMNS, DemoEngine
    from flower_cli.local.demo_view import row_table
    from flower_cli.local.echo_server import echo_server

    signal.signal(signal.SIGTERM, _end)  # so that what is open below is closed
    began = time.monotonic()
    out.print("starting Valkey, Postgres, API, worker, projector and watcher in a throwaway folder ...")
    with echo_server() as echo_url, DemoEngine.demonstrating("--programs", _PYTHON) as engine:
        out.print(f"up after {time.monotonic() - began:.1f} s, API on {engine.client.base_url}", markup=False)
        _show_python(engine)
        out.print("\n[bold]The same without Python[/]: programs that come along, a definition in JSON")
        tasks = example_tasks(echo_url)
        engine.define(_WORKFLOW, tasks)
        flow_id = engine.register(_WORKFLOW)
        out.print(f"PUT /workflows/{_WORKFLOW} with {len(tasks)} tasks, POST /register/{_WORKFLOW}:")
        _watch(engine, flow_id)
        rows = engine.task_rows(flow_id, len(tasks))
        out.print(f"\nSELECT ... FROM kr_task_stat WHERE task_flow_id = '{flow_id}'")
        out.print(row_table(ROW_COLUMNS, rows))
    out.print(f"done in {time.monotonic() - began:.1f} s; everything is stopped and removed\n")
    out.print(_NEXT_STEPS, markup=False)


def _show_python(engine: "DemoEngine") -> None:
    """Defines the workflow in Python, runs it, and shows both."""
    from flower_cli.local import demo_workflow

    sales = demo_workflow.sales
    out.print("\n[bold]A workflow in Python[/]: tasks hand on what they return")
    out.print(_code_of(demo_workflow.__file__), markup=False, highlight=False)
    engine.define(sales.name, **sales.document())
    flow_id = engine.register(sales.name, _PARAMETERS)
    flow = _watch(engine, flow_id)
    for task in flow["tasks"]:
        out.print(f"{task['taskName']} returned {json.dumps(task['result'])}", markup=False)
    given = " ".join(f"{name}={value}" for name, value in _PARAMETERS.items())
    out.print(f"the flow of {sales.name} {given} returned {json.dumps(flow['result'])}", markup=False)


def _code_of(file: str | None) -> str:
    """A module's text, without what it says of itself."""
    text = Path(file or "").read_text()
    return "\n".join(f"    {line}".rstrip() for line in text[text.index("@program(") :].splitlines())


def _watch(engine: "DemoEngine", flow_id: str) -> dict[str, Any]:
    """Shows a flow until it has finished; as it was read last."""
    from flower_cli.local.demo_engine import DemoFailedError
    from flower_cli.local.demo_view import watch_tasks

    out.print(f"flow {flow_id}")
    flow = watch_tasks(out, lambda: engine.flow(flow_id), lambda: time.sleep(_POLL_SECONDS))
    if flow["status"] != "Finish":
        raise DemoFailedError(f"flow {flow_id} did not finish: {_errors(flow)}")
    return flow


def example_tasks(echo_url: str) -> list[dict[str, Any]]:
    """The seed's example: three tasks, one after the other."""
    parameters: list[tuple[str, dict[str, str]]] = [
        ("EchoRandomTimeSleep", {}),
        ("EchoParamTimeSleep", {"SLEEP_TIME_SECOND": "3"}),
        ("HTTPPostRequest", {"URL": echo_url, "BODY": '{"id": "test"}'}),
    ]
    return [
        {"taskSeq": number, "program": program, "taskPriority": 10, "parameters": values}
        for number, (program, values) in enumerate(parameters, start=1)
    ]


def _errors(flow: dict[str, Any]) -> str:
    return "; ".join(
        f"task {task['taskExecSeq']} ({task['program']}): {task['error']['type']}: {task['error']['message']}"
        for task in flow["failedTasks"]
    )


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
