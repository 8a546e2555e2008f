"""How services log: one line a record to standard error, in UTC, with the service's name, secrets hidden."""

import logging
import re
import sys
import time
from typing import Protocol

_FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(service)s: %(message)s"
_QUIET = ("httpx", "httpcore", "asyncio", "uvicorn.access")
_PASSWORD_IN_AUTHORITY = re.compile(r"(://[^/?#:@\s]*):[^/?#\s]*@")
_PASSWORD_IN_WORDS = re.compile(r"(password=)[^&\s]+", re.IGNORECASE)


class LogStream(Protocol):
    """Where log lines go."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


def configure_logging(service: str, level: str = "INFO", stream: LogStream | None = None) -> None:
    """Send all that is logged in this process to ``stream`` (standard error), replacing what was set up.

    Libraries that log each request or connection are heard from WARNING on only.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_OneLine(service))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


class _OneLine(logging.Formatter):
    """A line a record; only a traceback has more."""

    converter = time.gmtime

    def __init__(self, service: str) -> None:
        super().__init__(_FORMAT, "%Y-%m-%dT%H:%M:%S", defaults={"service": service})

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 # the name of the method there
        record.message = " ".join(line.strip() for line in record.message.splitlines())
        return super().formatMessage(record)


def mask_password(address: str) -> str:
    """A URL, or libpq's ``key=value`` words, with the password as ``***``."""
    return _PASSWORD_IN_WORDS.sub(r"\1***", _PASSWORD_IN_AUTHORITY.sub(r"\1:***@", address))
