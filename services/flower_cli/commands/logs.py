"""The command that prints what tasks wrote: logs."""

import contextlib
import time
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import typer
from rich.text import Text

from flower_cli.commands import words
from flower_cli.commands.api_client import EXIT_AWAY, Api, ApiError, connected, print_json
from flower_cli.commands.api_options import FlowArgument, JsonOption, UrlOption
from flower_cli.commands.flow_names import flow_id
from flower_cli.console import err, out
from flower_engine.client.api_location import path_part
from flower_engine.task_logs.shown_text import shown

_AGAIN_SECONDS = 1.0
_PATIENCE_SECONDS = 60.0  # with an API that is away while its lines are followed
_STYLES = ((40, "red"), (30, "yellow"))
_LAST_LINES, _MOST_FAILED = 10, 5
_SECONDS = len("12:34:56")  # a whole second is told without fractions


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Flows, over HTTP")(logs)


def logs(
    flow: FlowArgument,
    task: Annotated[str | None, typer.Argument(help="Only this task (number or name)")] = None,
    attempt: Annotated[int | None, typer.Option("--attempt", min=1, help="Only of this attempt")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on as lines come, until the flow (or the task) is over")
    ] = False,
    level: Annotated[
        str | None, typer.Option("--level", help="From this level on: DEBUG, INFO, WARNING, ERROR, a number")
    ] = None,
    tail: Annotated[int | None, typer.Option("--tail", min=1, help="Only the last so many lines")] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what the tasks of a flow wrote; with --json one line a line.

    Lines come by task and attempt; followed, as they were written. What a program wrote is shown as text:
    nothing of it acts on the terminal.
    """
    query = {"attempt": attempt, "level": level, "tail": tail}
    with connected(url) as api:
        path = f"/flows/{path_part(flow_id(api, flow))}"
        path += "/log" if task is None else f"/tasks/{path_part(task)}/log"
        lines = followed(api, path, query) if follow else _pages(api, path, query)
        for line in lines:
            if as_json:
                print_json(msgspec.json.encode(line))
            else:
                out.print(line_text(line, with_task=task is None))


def print_last_lines(api: Api, flow: dict[str, Any]) -> None:
    """The last lines of the first failed tasks of a flow, where they wrote any, and the API can say."""
    for task in flow["failedTasks"][:_MOST_FAILED]:
        path = f"/flows/{path_part(flow['taskFlowId'])}/tasks/{task['taskExecSeq']}/log"
        with contextlib.suppress(ApiError):
            lines = api.read(path, tail=_LAST_LINES)["lines"]
            if lines:
                out.print()
                out.print(Text(f"task {words.task_title(task)} wrote last:", "bold"))
                for line in lines:
                    out.print(line_text(line, with_task=False))


def line_text(line: dict[str, Any], *, with_task: bool) -> Text:
    """A line as people see it, in colour from WARNING on."""
    clock = words.clock(line["ts"])
    head = f"{clock + '.000' if len(clock) == _SECONDS else clock:<12} "
    if with_task:
        head += f"{line['taskName'] or line['taskExecSeq']}.{line['attempt']} | "
    if line["logger"]:
        head += f"{line['logger']}: "
    style = next((style for level, style in _STYLES if line["level"] >= level), "")
    if line["stream"] == "engine":
        style = "magenta"
    text = shown(line["text"]).replace("\n", "\n" + " " * len(head))
    return Text(head, "dim").append(text, style or "not dim")


def _pages(api: Api, path: str, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    after = None
    while True:
        page = api.read(path, after=after, **query)
        yield from page["lines"]
        after = page["next"]
        if after is None:
            if page["isBehind"]:
                err.print("the last lines may be missing: Redis cannot be read now", style="yellow")
            return


def followed(api: Api, path: str, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Lines as they come. A connection that breaks off is made again, and goes on behind the last line."""
    mark, since = "", time.monotonic()
    has_begun = False
    while True:
        try:
            for event in api.events(path, mark, follow=True, **query):
                has_begun = True
                if event is None:
                    continue
                mark, since = event.mark or mark, time.monotonic()
                data = msgspec.json.decode(event.data)
                if event.kind == "end":
                    if data["problem"]:
                        err.print(data["problem"], style="yellow", markup=False)
                    return
                yield data
        except ApiError as error:
            is_over = not has_begun or time.monotonic() - since > _PATIENCE_SECONDS
            if is_over or error.exit_code != EXIT_AWAY:
                raise
        time.sleep(_AGAIN_SECONDS)
