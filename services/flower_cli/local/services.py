"""``flower api``, ``worker``, ``projector``, ``watcher``: one service in this process."""

import logging
import sys
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from flower_engine.runtime.lifecycle import Last, Serve


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
    from flower_api.service import serve

    _run("api", serve, home=home, host=host, port=port, log_level=log_level)


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
    sys.path.insert(0, "")
    from flower_worker.service import WorkerService

    service = WorkerService()
    _run(
        "worker",
        service.serve,
        service.hand_back,
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
    from flower_projector.service import serve

    _run("projector", serve, home=home, log_level=log_level)


def watcher(home: HomeOption = None, log_level: LogLevelOption = None) -> None:
    """Look after timers, lost workers and flow control: start what is due, end leases without heartbeats."""
    from flower_watcher.service import serve

    _run("watcher", serve, home=home, log_level=log_level)


def _run(service: str, serve: "Serve", last: "Last | None" = None, **flags: Any) -> None:
    from flower_cli.addresses import with_stores
    from flower_cli.console import report_as_line
    from flower_cli.local.supervised import is_supervised
    from flower_engine.runtime import env_file
    from flower_engine.runtime.lifecycle import run
    from flower_engine.runtime.settings import load_settings, unknown_variables
    from flower_engine.runtime.telemetry import configure_logging

    settings = load_settings(**flags)
    configure_logging(service, settings.log_level)
    if not is_supervised():  # else the supervisor has said it for all
        for sentence in [*env_file.said(), *unknown_variables()]:
            logging.getLogger(__name__).warning(sentence)
    run(serve, with_stores(settings), report_as_line, last)
