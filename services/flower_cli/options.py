"""Flags that several commands take; each overrides the variable of the same name."""

import math
from pathlib import Path
from typing import Annotated

import typer


def finite(value: float | None) -> float | None:
    """For options that are a number: typer takes inf and nan for one, whatever its bounds."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no number that can be meant")
    return value


HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Data folder of the embedded stores [FLOWER_HOME, .flower]")
]
HostOption = Annotated[
    str | None, typer.Option("--host", help="Address the API listens on [FLOWER_HOST, 127.0.0.1]")
]
PortOption = Annotated[
    int | None, typer.Option("--port", help="Port the API listens on; 0: any free one [FLOWER_PORT, 8000]")
]
ProgramsOption = Annotated[
    list[str] | None,
    typer.Option("--programs", help="Module with programs of yours; repeatable [FLOWER_PROGRAMS]"),
]
QueueOption = Annotated[
    list[str] | None,
    typer.Option("--queue", help="Queue to serve, or NAME=WEIGHT; repeatable [FLOWER_QUEUES, default]"),
]
ConcurrencyOption = Annotated[
    int | None, typer.Option("--concurrency", help="Task slots of a worker [FLOWER_CONCURRENCY, 100]")
]
ProcessesOption = Annotated[
    int | None,
    typer.Option(
        "--processes", help="Processes for CPU-bound programs; 0: a core each [FLOWER_PROCESSES, 0]"
    ),
]
GraceOption = Annotated[
    float | None,
    typer.Option(
        "--grace-seconds", help="Seconds a stopping worker lets attempts go on [FLOWER_GRACE_SECONDS, 10]"
    ),
]
LogLevelOption = Annotated[
    str | None, typer.Option("--log-level", help="DEBUG, INFO, WARNING or ERROR [FLOWER_LOG_LEVEL, INFO]")
]
