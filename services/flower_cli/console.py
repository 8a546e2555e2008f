"""How the command talks to the person at the terminal."""

import sys

from rich.console import Console

ERROR = "error: "
"""How an error's line begins; ``flower up`` knows the errors of its services by it."""

_FILE_WIDTH = 150
"""How wide tables are in a file or pipe, which has no width of its own."""

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _FILE_WIDTH)
err = Console(highlight=False, soft_wrap=True, stderr=True)


def fail(message: str) -> None:
    """One clear line (or a few) on standard error."""
    err.print(f"{ERROR}{message}", style="red", markup=False)
