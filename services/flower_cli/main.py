"""The ``flower`` command: one file a subject, put together here; what a command line does not
need is not imported."""

import importlib
import inspect
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from flower_cli.console import out, report
from flower_cli.local.supervised import is_supervised
from flower_engine.errors import FlowerError
from flower_engine.runtime import env_file
from flower_engine.runtime.telemetry import hide_secrets_of_tracebacks
from flower_engine.secrets import learn_environment

COMMANDS = {
    "local.up": ("up",),
    "local.services": ("api", "worker", "projector", "watcher"),
    "commands.urls": ("urls",),
    "commands.store_consoles": ("psql", "redis-cli"),
    "local.demo": ("demo",),
    "local.bench": ("bench",),
    "commands.recover": ("recover",),
    "commands.replay": ("replay",),
    "commands.verify": ("verify",),
    "commands.prune": ("prune",),
    "commands.register": ("register",),
    "commands.show": ("flows", "show", "why", "errors", "workers"),
    "commands.workflows": ("workflows",),
    "commands.events": ("events",),
    "commands.diff": ("diff",),
    "commands.operations": (
        *("rerun", "resume", "fork", "ignore", "unignore", "cancel"),
        *("pause", "priority"),
    ),
    "commands.bulk": ("bulk",),
    "commands.flow_control": ("limits", "limit", "hold", "release", "strike", "strikes", "unstrike"),
    "commands.top": ("top",),
}
"""Module -> the commands in it, in the order of the help."""


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        out.print(f"flower {version('flower-engine')}")
        raise typer.Exit


def make_app(words: Sequence[str] = ()) -> typer.Typer:
    """The command, with what the words of a command line need; with everything where they name no command.

    To import it all takes most of a second, which each service and each script in a loop would pay.
    """
    app = typer.Typer(
        name="flower", help=inspect.getdoc(flower), no_args_is_help=True, pretty_exceptions_enable=False
    )
    app.callback()(flower)
    first = words[0] if words else ""
    named = [module for module, commands in COMMANDS.items() if first in commands]
    for module in named or COMMANDS:
        importlib.import_module(f"flower_cli.{module}").add_to(app)
    return app


def flower(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Flower, a workflow engine. Settings come from FLOWER_* variables; flags override them."""


def main() -> None:
    """Run the command; its exit codes are in docs/cli.md."""
    hide_secrets_of_tracebacks()
    try:
        if not is_supervised():  # else the supervisor has read it for all
            env_file.load(Path.cwd(), os.environ)
        learn_environment(os.environ)
        make_app(sys.argv[1:])()
    except FlowerError as error:
        sys.exit(report(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        hide_secrets_of_tracebacks()  # typer has put its own way there
        raise
