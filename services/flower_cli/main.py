"""The ``flower`` command: one file a subject, put together here."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from flower_cli.commands import (
    bulk,
    diff,
    events,
    flow_control,
    operations,
    prune,
    recover,
    register,
    replay,
    show,
    store_consoles,
    top,
    urls,
    verify,
    workflows,
)
from flower_cli.console import out, report
from flower_cli.local import bench, demo, services, up
from flower_cli.local.supervisor import SUPERVISED
from flower_engine.errors import FlowerError
from flower_engine.runtime import env_file
from flower_engine.runtime.telemetry import hide_secrets_of_tracebacks
from flower_engine.secrets import learn_environment

app = typer.Typer(
    name="flower",
    help="Flower, a workflow engine. Settings come from FLOWER_* variables; flags override them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        out.print(f"flower {version('flower-engine')}")
        raise typer.Exit


@app.callback()
def flower(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Flower, a workflow engine. Settings come from FLOWER_* variables; flags override them."""


up.add_to(app)
services.add_to(app)
urls.add_to(app)
store_consoles.add_to(app)
demo.add_to(app)
bench.add_to(app)
recover.add_to(app)
replay.add_to(app)
verify.add_to(app)
prune.add_to(app)
register.add_to(app)
show.add_to(app)
workflows.add_to(app)
events.add_to(app)
diff.add_to(app)
operations.add_to(app)
bulk.add_to(app)
flow_control.add_to(app)
top.add_to(app)


def main() -> None:
    """Run the command; its exit codes are in docs/cli.md."""
    hide_secrets_of_tracebacks()
    try:
        if SUPERVISED not in os.environ:  # else the supervisor has read it for all
            env_file.load(Path.cwd(), os.environ)
        learn_environment(os.environ)
        app()
    except FlowerError as error:
        sys.exit(report(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        hide_secrets_of_tracebacks()  # typer has put its own way there
        raise
