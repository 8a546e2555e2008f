"""The ``flower`` command: one file a subject, put together here; what a command line does not
need is not imported."""

import importlib
import inspect
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flower_cli.local.supervised import is_supervised
from flower_cli.reports import report
from flower_engine.errors import FlowerError
from flower_engine.runtime import env_file
from flower_engine.runtime.garbage import uncollected
from flower_engine.runtime.telemetry import hide_secrets_of_tracebacks
from flower_engine.secrets import learn_environment

if TYPE_CHECKING:
    import typer

SERVICES = ("api", "worker", "projector", "watcher")

COMMANDS = {
    "local.up": ("up",),
    "local.services": SERVICES,
    "commands.urls": ("urls",),
    "commands.open_page": ("open",),
    "commands.store_consoles": ("psql", "redis-cli"),
    "local.demo": ("demo",),
    "local.run": ("run",),
    "local.new": ("new",),
    "local.dev": ("dev",),
    "local.bench": ("bench",),
    "commands.doctor": ("doctor",),
    "commands.partitions": ("partitions",),
    "commands.recover": ("recover",),
    "commands.replay": ("replay",),
    "commands.migrate": ("migrate",),
    "commands.verify": ("verify",),
    "commands.prune": ("prune",),
    "commands.register": ("register",),
    "commands.show": ("flows", "show", "why", "errors", "workers"),
    "commands.workflows": ("workflows",),
    "commands.schedules": ("schedules",),
    "commands.backfills": ("backfill",),
    "commands.hooks": ("hooks",),
    "commands.programs": ("programs",),
    "commands.deploy": ("deploy", "export"),
    "commands.logs": ("logs",),
    "commands.events": ("events",),
    "commands.traces": ("traces",),
    "commands.diff": ("diff",),
    "commands.fixture": ("fixture",),
    "commands.operations": (
        *("rerun", "resume", "fork", "ignore", "unignore", "cancel"),
        *("pause", "priority"),
    ),
    "commands.signals": ("signal", "answer"),
    "commands.kept_signals": ("signals",),
    "commands.approvals": ("approvals",),
    "commands.audit": ("audit",),
    "commands.bulk": ("bulk",),
    "commands.flow_control": ("limits", "limit", "hold", "release", "strike", "strikes", "unstrike"),
    "commands.top": ("top",),
    "commands.scaling": ("scaling",),
}
"""Module -> the commands in it, in the order of the help."""


def make_app(words: Sequence[str] = ()) -> "typer.Typer":
    """The command, with what the words of a command line need; with everything where they name no command.

    To import it all takes most of a second, which each service and each script in a loop would pay.
    """
    import typer

    from flower_cli.callback import flower

    app = typer.Typer(
        name="flower", help=inspect.getdoc(flower), no_args_is_help=True, pretty_exceptions_enable=False
    )
    app.callback()(flower)
    if list(words) == ["--version"]:
        return app
    first = words[0] if words else ""
    named = [module for module, commands in COMMANDS.items() if first in commands]
    for module in named or COMMANDS:
        importlib.import_module(f"flower_cli.{module}").add_to(app)
    return app


def main() -> None:
    """Run the command; its exit codes are in docs/cli.md."""
    hide_secrets_of_tracebacks()
    try:
        if not is_supervised():  # else the supervisor has read it for all
            env_file.load(Path.cwd(), os.environ)
        learn_environment(os.environ)
        _run(sys.argv[1:])
    except FlowerError as error:
        sys.exit(report(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        hide_secrets_of_tracebacks()  # typer has put its own way there
        raise


def _run(words: Sequence[str]) -> None:
    if len(words) == 1 and words[0] in SERVICES:
        # As a supervisor starts it: what reads flags and prints help would take a third of its start.
        from flower_cli.local.run_service import run_service

        run_service(words[0])
    else:
        with uncollected():
            app = make_app(words)
        app()
