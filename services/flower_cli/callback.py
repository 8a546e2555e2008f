"""``flower`` itself: what may stand before a command."""

from typing import Annotated

import typer


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"flower {version('flower-engine')}")
        raise typer.Exit


def flower(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Flower, a workflow engine. Settings come from FLOWER_* variables; flags override them."""
