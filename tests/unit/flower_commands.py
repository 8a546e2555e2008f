"""The commands of ``flower``, as it has them."""

from collections.abc import Iterator
from typing import Any

from typer.core import TyperGroup
from typer.main import get_command

from flower_cli.main import make_app


def _commands(command: Any, name: str = "flower") -> Iterator[tuple[str, Any]]:
    if isinstance(command, TyperGroup):
        for word, child in command.commands.items():
            if not child.hidden:
                yield from _commands(child, f"{name} {word}")
    if name != "flower" and (not isinstance(command, TyperGroup) or command.invoke_without_command):
        yield name, command


def flags_of(command: Any) -> set[str]:
    """The long flags of a command, ``--no-...`` included."""
    options = [option for option in command.params if option.param_type_name == "option"]
    flags = {flag for option in options for flag in [*option.opts, *option.secondary_opts]}
    return {flag for flag in flags if flag.startswith("--")}


COMMANDS: dict[str, Any] = dict(_commands(get_command(make_app())))
"""By what is typed: ``flower bulk``."""
