"""How services log to standard error: in UTC, with the names of service and logger, secrets hidden.

A record is one line, and as many more as its message and its traceback have.
"""

import logging
import re
import sys
import time
from contextvars import ContextVar
from typing import Protocol

_FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(service)s %(name)s: %(message)s"
_OWN_LOGGERS = "flower_"  # their messages name what they are about
_QUIET = ("httpx", "httpcore", "asyncio", "uvicorn.access")
_PASSWORD_IN_AUTHORITY = re.compile(r"(://[^/?#:@\s]*):[^/?#\s]*@")
_PASSWORD_IN_WORDS = re.compile(r"(password=)[^&\s]+", re.IGNORECASE)


attempt_at_work: ContextVar[object] = ContextVar("flower_attempt_at_work")
"""What a program is run for, while it runs: its words (``str``) stand in every line that it logs."""


class LogStream(Protocol):
    """Where log lines go."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


def configure_logging(service: str, level: str = "INFO", stream: LogStream | None = None) -> None:
    """Send all that is logged in this process to ``stream`` (standard error), replacing what was set up.

    Libraries that log each request or connection are heard from WARNING on only.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Formatter(service))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


class _Formatter(logging.Formatter):
    converter = time.gmtime

    def __init__(self, service: str) -> None:
        super().__init__(_FORMAT, "%Y-%m-%dT%H:%M:%S", defaults={"service": service})

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 # the name of the method there
        attempt = attempt_at_work.get(None)
        if attempt is None or record.name.startswith(_OWN_LOGGERS):
            return super().formatMessage(record)
        # A copy: the record goes to other handlers, too, which may be the program's own.
        named = logging.makeLogRecord({**vars(record), "message": f"{attempt}: {record.message}"})
        return super().formatMessage(named)


def mask_password(address: str) -> str:
    """A URL, or libpq's ``key=value`` words, with the password as ``***``."""
    return _PASSWORD_IN_WORDS.sub(r"\1***", _PASSWORD_IN_AUTHORITY.sub(r"\1:***@", address))
