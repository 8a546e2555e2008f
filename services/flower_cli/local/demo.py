"""``flower demo``: the seed's example workflow, from its definition to its rows, in a throwaway folder."""

import signal
import sys
import time
from types import FrameType
from typing import Any

import typer

from flower_cli.console import out

_WORKFLOW = "example"
_POLL_SECONDS = 0.1
_NEXT_STEPS = """\
Go on:
  make run        the engine with its data in .flower/; Ctrl-C stops it
  then            http://127.0.0.1:8000/docs has all calls of the API, and in another terminal
                  curl -X PUT localhost:8000/workflows/hello -H 'Content-Type: application/json' \\
                       -d '{"tasks": [{"taskSeq": 1, "program": "EchoRandomTimeSleep"}]}'
                  curl -X POST localhost:8000/register/hello
                  curl localhost:8000/flows
  README.md       how to write programs of your own, and to use servers that you have"""


def add_to(app: typer.Typer) -> None:
    app.command()(demo)


def demo() -> None:
    """Show the whole engine at work: one workflow from its definition to its end; nothing is kept."""
    from flower_cli.local.demo_engine import ROW_COLUMNS, DemoEngine, DemoFailedError
    from flower_cli.local.demo_view import row_table, watch_tasks
    from flower_cli.local.echo_server import echo_server

    signal.signal(signal.SIGTERM, _end)  # so that what is open below is closed
    began = time.monotonic()
    out.print("starting Valkey, Postgres, API, worker, projector and watcher in a throwaway folder ...")
    with echo_server() as echo_url, DemoEngine.demonstrating() as engine:
        out.print(f"up after {time.monotonic() - began:.1f} s, API on {engine.client.base_url}", markup=False)
        tasks = example_tasks(echo_url)
        engine.define(_WORKFLOW, tasks)
        flow_id = engine.register(_WORKFLOW)
        out.print(f"PUT /workflows/{_WORKFLOW} with {len(tasks)} tasks, POST /register/{_WORKFLOW}:")
        out.print(f"flow {flow_id}")
        flow = watch_tasks(out, lambda: engine.flow(flow_id), lambda: time.sleep(_POLL_SECONDS))
        if flow["status"] != "Finish":
            raise DemoFailedError(f"flow {flow_id} did not finish: {_errors(flow)}")
        rows = engine.task_rows(flow_id, len(tasks))
        out.print(f"\nSELECT ... FROM kr_task_stat WHERE task_flow_id = '{flow_id}'")
        out.print(row_table(ROW_COLUMNS, rows))
    out.print(f"done in {time.monotonic() - began:.1f} s; everything is stopped and removed\n")
    out.print(_NEXT_STEPS, markup=False)


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
