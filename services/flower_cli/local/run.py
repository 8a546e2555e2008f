"""``flower run``: a workflow from its code or file to its result, with an engine of its own."""

import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from flower_cli.console import err, fail
from flower_cli.options import HomeOption, finite
from flower_cli.values import parameters_of, texts_of

if TYPE_CHECKING:
    from flower_cli.local.own_engine import OwnEngine
    from flower_cli.workflow_targets import Targeted
    from flower_engine.client import Client, Flow

EXIT_SUSPENDED, EXIT_CANCELLED, EXIT_TIMEOUT, EXIT_AWAY = 1, 3, 4, 5
_WORKER_SECONDS = 60.0
_POLL_SECONDS = 0.05
_MOST_FAILURES = 3


def add_to(app: typer.Typer) -> None:
    app.command()(run)


def run(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="module:workflow, or a file with one (.json, .yaml)")
    ],
    given: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME=VALUE]...", help="Its parameters, as its schema has them"),
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", help="NAME=JSON, the same. Repeatable")
    ] = None,
    programs: Annotated[
        list[str] | None, typer.Option("--programs", help="Module with programs that it needs; repeatable")
    ] = None,
    home: HomeOption = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the data folder, and say where it is")] = False,
    timeout: Annotated[
        float | None, typer.Option("--timeout", callback=finite, help="End after so many seconds at most")
    ] = None,
) -> None:
    """Run a workflow here, from start to result; needs nothing else to run.

    Starts an engine in a throwaway folder, prints each task as it ends, and the result as JSON on standard
    output. Exit 0: it finished, 1: a task failed, 3: it was cancelled, 4: the time was over.
    """
    from flower_cli.local.own_engine import OwnEngine
    from flower_cli.workflow_targets import one_of, targeted
    from flower_engine.client import ApiUnavailableError, Client, flow_calls
    from flower_engine.model.parameters.parameter_texts import value_of_text

    signal.signal(signal.SIGTERM, _end)  # so that what is open below is closed
    found = targeted(target, programs or ())
    document = one_of(found, target)
    schema = document.get("parametersSchema")
    parameters = {name: value_of_text(text, schema, name) for name, text in texts_of(given).items()}
    parameters |= parameters_of(param)
    _check(schema, parameters)
    folder = Path(tempfile.mkdtemp(prefix="flower-run-")) / "home" if keep and home is None else home
    words = [word for module in found.modules for word in ("--programs", module)]
    words += [word for queue in found.queues for word in ("--queue", queue)]
    err.print("starting an engine ...", style="dim")
    with OwnEngine.started(*words, home=folder) as engine, Client(engine.url, retry_seconds=10.0) as client:
        try:
            flow = _run(engine, client, found, document, parameters, timeout)
            flow = client.run(flow_calls.whole(flow, client.patience()))
        except ApiUnavailableError as error:
            fail(str(engine.failure(str(error))))
            raise typer.Exit(EXIT_AWAY) from None
        code = _tell(flow)
    if folder is not None:
        err.print(f"its data is in {folder}: flower up --home {folder}", markup=False)
    raise typer.Exit(code)


def _check(schema: Any, parameters: dict[str, Any]) -> None:
    """Says what is wrong with parameters before anything is started; a wrong schema the API refuses."""
    from flower_engine.model.parameters.parameters_schema import ParametersSchema, problems_of_schema

    if schema is None or problems_of_schema(schema):
        return
    _, faults = ParametersSchema(schema).checked(parameters, "")
    for detail, pointer in faults:
        fail(f"parameter {detail}" if pointer else detail)
    if faults:
        raise typer.Exit(EXIT_SUSPENDED)


def _run(
    engine: "OwnEngine",
    client: "Client",
    found: "Targeted",
    document: dict[str, Any],
    parameters: dict[str, Any],
    timeout: float | None,
) -> "Flow":
    from flower_cli.local.task_watch import PrintedLines, watch
    from flower_engine.client import flow_calls, named

    for one in (*found.below, document):
        client.workflows.put(one)
    until_served(engine, client, found.programs)
    flow = client.register(named(document["taskId"]), **parameters)
    err.print(f"{document['taskId']}: flow {flow.id}", markup=False)

    def read(version: int, seconds: float) -> "Flow":
        return client.run(flow_calls.moved(flow.id, client.patience(), version, seconds))

    return watch(err, read, PrintedLines(engine.log, err), timeout)


def until_served(engine: "OwnEngine", client: "Client", programs: set[str]) -> None:
    """Returns when a worker serves these programs.

    Raises:
        ProgramError: none does, and none will.
        EngineFailedError: no worker comes, or the engine ended.
    """
    from flower_engine.errors import ProgramError

    deadline = time.monotonic() + _WORKER_SECONDS
    while not (workers := client.workers()):
        engine.check_alive()
        if time.monotonic() >= deadline:
            raise engine.failure(f"no worker was there after {_WORKER_SECONDS:g} s")
        time.sleep(_POLL_SECONDS)
    served = {program for worker in workers for program in worker.programs}
    unable = {program: why for worker in workers for program, why in worker.unable.items()}
    if missing := sorted(programs - served):
        reasons = "; ".join(unable[one] for one in missing if one in unable)
        raise ProgramError(
            f"no module that was loaded has the program {', '.join(map(repr, missing))}"
            + (f": {reasons}" if reasons else "; name the module that has it with --programs")
        )


def _tell(flow: "Flow") -> int:
    """Prints the result, or what failed; the exit code."""
    if flow.word == "Cancelled":
        fail(f"flow {flow.id} was cancelled by {flow.cancelled_by or 'somebody'}")
        return EXIT_CANCELLED
    if flow.suspended and flow.is_over:
        for failed in flow.failed[:_MOST_FAILURES]:
            fail(f"{failed}\n{failed.traceback}".rstrip())
        return EXIT_SUSPENDED
    if not flow.is_over:
        fail(f"the time is over: {flow.word}, {flow.why_it_waits}")
        return EXIT_TIMEOUT
    if flow.result_problem:
        fail(f"flow {flow.id} finished without its result: {flow.result_problem}")
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(flow.result)).decode() + "\n")
    return 0


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)
