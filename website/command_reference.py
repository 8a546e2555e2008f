"""Every command as a page, from what its ``--help`` is made of."""

import inspect
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from flower_cli.main import make_app

_INTRODUCTION = """# Commands

Made from the texts of `--help`. [The command line](../cli.md) tells them by what one wants to do, with
the exit codes.
"""


def command_page() -> str:
    """Every command with its arguments and options."""
    return "\n".join([_INTRODUCTION, *_commands("flower", get_command(make_app()))])


def _commands(name: str, command: Any) -> Iterator[str]:
    if getattr(command, "hidden", False):
        return
    inner = getattr(command, "commands", {})
    if not inner or getattr(command, "invoke_without_command", False):
        yield from _command(name, command)
    for word, one in sorted(inner.items()):
        yield from _commands(f"{name} {word}", one)


def _command(name: str, command: Any) -> Iterator[str]:
    yield f"## {name}\n"
    yield f"{inspect.cleandoc(command.help or '').replace('``', '`')}\n"
    shown = [one for one in command.params if not one.hidden]
    if shown:
        yield "| what is given | what it says |\n|---|---|"
        yield from (f"| {_given(one)} | {_cell(one.help or '')} |" for one in shown)
        yield ""


def _given(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        word = parameter.metavar or parameter.name.upper()
        return f"`{word}`" if parameter.required or word.startswith("[") else f"`[{word}]`"
    return ", ".join(f"`{flag}`" for flag in (*parameter.opts, *parameter.secondary_opts))


def _cell(text: str) -> str:
    return " ".join(text.replace("``", "`").split()).replace("|", "\\|")
