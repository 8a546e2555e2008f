"""Errors of Flower that end a command or a service: what is said, and the exit code."""

from flower_engine.errors import FlowerError, SettingsError

_USAGE = 2


def report(error: FlowerError) -> int:
    """Says an error to the person at the terminal; returns the exit code: 2 for settings, else 1."""
    return _say(error, str(error))


def report_as_line(error: FlowerError) -> int:
    """The same for a service: on one line, as everything in its log, by which ``error_of`` knows it."""
    return _say(error, " ".join(str(error).split()))


def _say(error: FlowerError, message: str) -> int:
    from flower_cli.console import fail  # a service without an error prints nothing

    fail(message)
    return _USAGE if isinstance(error, SettingsError) else 1
