"""What people write on the command line, as JSON."""

from collections.abc import Iterable
from typing import Any

import msgspec
import typer


def parameters_of(given: Iterable[str] | None) -> dict[str, Any]:
    """``NAME=VALUE`` texts as parameters; a value is JSON if it can be read as JSON, else a string.

    Raises:
        typer.BadParameter: there is no "=".
    """
    return {name: value_of(text) for name, text in texts_of(given).items()}


def texts_of(given: Iterable[str] | None) -> dict[str, str]:
    """The names and values of ``NAME=VALUE`` texts.

    Raises:
        typer.BadParameter: there is no "=".
    """
    found: dict[str, str] = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"{text!r} is not NAME=VALUE")
        found[name] = value
    return found


def task_parameters_of(given: Iterable[str] | None) -> dict[str, dict[str, Any]]:
    """``TASK:NAME=VALUE`` texts as parameters by task.

    Raises:
        typer.BadParameter: there is no ":" or "=".
    """
    found: dict[str, dict[str, Any]] = {}
    for text in given or ():
        task, colon, rest = text.partition(":")
        if not task or not colon:
            raise typer.BadParameter(f"{text!r} is not TASK:NAME=VALUE")
        found.setdefault(task, {}).update(parameters_of([rest]))
    return found


def value_of(text: str) -> Any:
    """The JSON that the text is, else the text itself."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
