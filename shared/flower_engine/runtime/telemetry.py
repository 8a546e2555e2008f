"""How services log to standard error: in UTC, with the names of service and logger, secrets hidden.

As text a record is one line, and as many more as its message and its traceback have; as JSON it is one line.
"""

import logging
import sys
import threading
import time
import traceback
from contextvars import ContextVar
from types import TracebackType
from typing import Literal, Protocol

from flower_engine.runtime.json_lines import JsonFormatter
from flower_engine.secrets import hide_secrets

_FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(service)s %(name)s: %(message)s"
_OWN_LOGGERS = "flower_"  # their messages name what they are about
_log = logging.getLogger(__name__)
_QUIET = ("httpx", "httpcore", "asyncio", "uvicorn.access")


attempt_at_work: ContextVar[object] = ContextVar("flower_attempt_at_work")
"""What a program is run for, while it runs: its words (``str``) stand in every line that it logs.

Nothing that leads back to the attempt, which holds the context: each would wait for the garbage collector."""


LogFormat = Literal["text", "json"]

_level = ""
_form: LogFormat = "text"


class LogStream(Protocol):
    """Where log lines go."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


def configure_logging(
    service: str, level: str = "INFO", stream: LogStream | None = None, form: LogFormat = "text"
) -> None:
    """Send all that is logged in this process to ``stream`` (standard error), replacing what was set up.

    Libraries that log each request or connection are heard from WARNING on only.
    """
    global _level, _form  # of the process, as the handlers are
    _level, _form = level, form
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Formatter(service) if form == "text" else _JsonFormatter(service))
    logging.captureWarnings(form == "json")  # Python writes them as several lines of text
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


def log_format() -> LogFormat:
    """How this process logs, whatever programs in it do to ``logging``."""
    return _form


def log_level() -> str:
    """From which level on this process logs."""
    return _level or logging.getLevelName(logging.getLogger().level)


class _JsonFormatter(JsonFormatter):
    def format(self, record: logging.LogRecord) -> str:
        attempt = attempt_at_work.get(None)
        if attempt is None or record.name.startswith(_OWN_LOGGERS):
            return self.told(record, "")
        return self.told(record, str(attempt))


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

    def format(self, record: logging.LogRecord) -> str:
        return hide_secrets(super().format(record))  # with the traceback, if it has one


def hide_secrets_of_tracebacks() -> None:
    """Whatever ends this process or one of its threads is written without secrets."""
    sys.excepthook = _write_traceback
    threading.excepthook = _write_traceback_of_thread


def _write_traceback(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    if log_format() == "json" and error is not None:
        _log.critical("an error that nobody expected: %s", error, exc_info=(kind, error, trace))
    elif sys.stderr:
        sys.stderr.write(hide_secrets("".join(traceback.format_exception(kind, error, trace))))


def _write_traceback_of_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_type is SystemExit:
        return
    if sys.stderr and arguments.thread and log_format() == "text":
        sys.stderr.write(f"Exception in thread {arguments.thread.name}:\n")
    _write_traceback(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
