"""``flower up``: the whole engine on this machine, in one terminal."""

import logging
from typing import Annotated

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

_log = logging.getLogger(__name__)


def add_to(app: typer.Typer) -> None:
    app.command()(up)


def up(
    home: HomeOption = None,
    host: HostOption = None,
    port: PortOption = None,
    workers: Annotated[int, typer.Option("--workers", min=0, max=64, help="Worker processes")] = 1,
    programs: ProgramsOption = None,
    queues: QueueOption = None,
    concurrency: ConcurrencyOption = None,
    processes: ProcessesOption = None,
    grace_seconds: GraceOption = None,
    log_level: LogLevelOption = None,
) -> None:
    """Run the whole engine in this terminal, with its own Valkey and Postgres unless their URLs are set."""
    from flower_cli.local.engine import Engine, service_commands
    from flower_cli.local.lines import Lines
    from flower_cli.local.signals import StopSignals
    from flower_engine.embedded.home import Home
    from flower_engine.runtime import env_file
    from flower_engine.runtime.settings_loading import load_settings, unknown_variables
    from flower_engine.runtime.telemetry import configure_logging

    settings = load_settings(
        home=home,
        host=host,
        port=port,
        programs=programs or None,
        queues=queues or None,
        concurrency=concurrency,
        processes=processes,
        grace_seconds=grace_seconds,
        log_level=log_level,
    )
    lines = Lines(form=settings.log_format)
    configure_logging("up", settings.log_level, lines.as_stream("up"), settings.log_format)
    for sentence in [*env_file.said(), *unknown_variables()]:
        _log.warning(sentence)
    signals = StopSignals()
    with Home(settings.home) as held, signals.installed():
        Engine(held, settings, service_commands(workers), lines, signals).run()
