"""Errors of Flower that end a command or a service: what is said, and the exit code."""

import logging

from flower_engine.errors import FlowerError, SettingsError
from flower_engine.runtime.telemetry import log_format

_log = logging.getLogger(__name__)  # by which ``error_of`` knows what ended a service
_USAGE = 2


def report(error: FlowerError) -> int:
    """Says an error to the person at the terminal; returns the exit code: 2 for settings, else 1."""
    return _say(error, str(error))


def report_as_line(error: FlowerError) -> int:
    """The same for a service: on one line, as everything in its log, by which ``error_of`` knows it."""
    return _say(error, " ".join(str(error).split()))


def _say(error: FlowerError, message: str) -> int:
    from flower_cli.console import fail  # a service without an error prints nothing

    if log_format() == "json":
        _log.critical("%s", message)
    else:
        fail(message)
    return _USAGE if isinstance(error, SettingsError) else 1
