"""Flags that several of these commands take."""

from typing import Annotated

import typer

from flower_cli.commands.completion import (
    complete_flow,
    complete_program,
    complete_schedule,
    complete_status,
    complete_workflow,
)


def _known_status(given: list[str] | None) -> list[str] | None:
    if any(word.lower() == "cancelled" for word in given or ()):
        raise typer.BadParameter("flows that were cancelled have the status Ignore: --status Ignore")
    return given


FlowArgument = Annotated[
    str,
    typer.Argument(
        help="The flow: its id, the first characters of it, or 'last'.", autocompletion=complete_flow
    ),
]
WorkflowArgument = Annotated[
    str, typer.Argument(help="The workflow to run.", autocompletion=complete_workflow)
]
UrlOption = Annotated[
    str | None,
    typer.Option("--url", help="The API [FLOWER_URL, a running 'flower up', http://127.0.0.1:8000]"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs: the API's answer, nothing else.")]
WorkflowOption = Annotated[
    str | None,
    typer.Option("--workflow", help="Only flows of this workflow", autocompletion=complete_workflow),
]
ScheduleOption = Annotated[
    str | None,
    typer.Option("--schedule", help="Only flows that it fired", autocompletion=complete_schedule),
]
StatusOption = Annotated[
    list[str] | None,
    typer.Option(
        "--status",
        help="Wait, Running, Suspend, Finish, Ignore (so are cancelled flows stored) or Failed (ended in"
        " Suspend, with tasks given up); repeatable",
        callback=_known_status,
        autocompletion=complete_status,
    ),
]
ProgramOption = Annotated[
    str | None, typer.Option("--program", help="Only of this program", autocompletion=complete_program)
]
SinceOption = Annotated[str | None, typer.Option("--since", help="Only from this time on (ISO, UTC)")]
UntilOption = Annotated[str | None, typer.Option("--until", help="Only before this time (ISO, UTC)")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="At most so many")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Kept in the history")]
ParamOption = Annotated[
    list[str] | None,
    typer.Option("--param", help="NAME=VALUE; VALUE is JSON, else a string. Repeatable"),
]
WorkflowVersionOption = Annotated[
    str | None,
    typer.Option("--workflow-version", help="Of the workflow: its number, its hash's beginning, or newest"),
]
VersionOption = Annotated[
    int | None, typer.Option("--version", help="Refuse if the flow has moved on since this version")
]
