"""What the fixture ``flower`` gives a test: the command, run in this process against the test's own API."""

from collections.abc import Callable

from typer.testing import Result

Flower = Callable[..., Result]
"""``flower("show", "last")``: the words of the command line; what it printed, and its exit code."""
