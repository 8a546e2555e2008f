"""How the command talks to the person at the terminal."""

import re
import sys

from rich.console import Console

from flower_engine.runtime.json_lines import decoded_line
from flower_engine.secrets import hide_secrets

ERROR = "error: "
"""How an error's line begins; ``flower up`` knows the errors of its services by it."""

OF_ERRORS = "flower_cli.reports"
"""The logger of the same, where services log as JSON."""

_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_FILE_WIDTH = 150
"""How wide tables are in a file or pipe, which has no width of its own."""

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _FILE_WIDTH)
err = Console(highlight=False, soft_wrap=True, stderr=True)


def fail(message: str) -> None:
    """One clear line (or a few) on standard error."""
    err.print(hide_secrets(f"{ERROR}{message}"), style="red", markup=False)


def error_of(line: str) -> str | None:
    """The message, if a line of a service is its error as ``report_as_line`` says it."""
    if line.startswith("{"):
        told = decoded_line(line)
        return told["message"] if told.get("logger") == OF_ERRORS else None
    plain = _COLOUR.sub("", line)  # FORCE_COLOR colours what goes to a pipe, too
    return plain.removeprefix(ERROR) if plain.startswith(ERROR) else None
