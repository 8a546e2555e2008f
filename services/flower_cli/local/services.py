"""``flower api``, ``worker``, ``projector``, ``watcher``: one service in this process."""

from typing import Any

import typer

from flower_cli.options import (
    ConcurrencyOption,
    GraceOption,
    HomeOption,
    HostOption,
    LogLevelOption,
    PortOption,
    ProcessesOption,
    ProgramsOption,
    QueueOption,
)


def add_to(app: typer.Typer) -> None:
    for command in (api, worker, projector, watcher):
        app.command()(command)


def api(
    home: HomeOption = None,
    host: HostOption = None,
    port: PortOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Serve the HTTP API."""
    _run("api", home=home, host=host, port=port, log_level=log_level)


def worker(
    home: HomeOption = None,
    programs: ProgramsOption = None,
    queues: QueueOption = None,
    concurrency: ConcurrencyOption = None,
    processes: ProcessesOption = None,
    grace_seconds: GraceOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Run tasks. Modules of programs are looked for in the current folder, too."""
    _run(
        "worker",
        home=home,
        programs=programs or None,
        queues=queues or None,
        concurrency=concurrency,
        processes=processes,
        grace_seconds=grace_seconds,
        log_level=log_level,
    )


def projector(home: HomeOption = None, log_level: LogLevelOption = None) -> None:
    """Write what happens to Postgres."""
    _run("projector", home=home, log_level=log_level)


def watcher(home: HomeOption = None, log_level: LogLevelOption = None) -> None:
    """Look after timers, lost workers and flow control: start what is due, end leases without heartbeats."""
    _run("watcher", home=home, log_level=log_level)


def _run(name: str, **flags: Any) -> None:
    from flower_cli.local.run_service import run_service

    run_service(name, **flags)
