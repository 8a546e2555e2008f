"""The ``flower`` command with all that it can do, for tests that run it in their own process."""

import functools
from typing import Any

from typer import testing

from flower_cli.main import make_app

app = make_app()

# A runner takes every command apart for each line that it runs: a tenth of a second of CPU, which is most of
# what such a test would take. What it finds keeps nothing of the line.
_testing: Any = testing
_testing._get_command = functools.cache(_testing._get_command)
