"""A log record as one line of JSON, for whoever collects logs by machine."""

import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from flower_engine.secrets import hide_secrets

_NAMED = re.compile(
    r"\bflow (?P<flow>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b"
    r"(?:,? task (?P<task>\d+)\b(?:,? attempt (?P<attempt>\d+)\b)?)?"
)
_NUMBERS = ("task", "attempt")


class JsonFormatter(logging.Formatter):
    """``time`` (UTC), ``level``, ``service``, ``logger`` and ``message``; ``flow``, ``task`` and ``attempt``
    where the record is about one; ``traceback`` where it has one. No secrets."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        return self.told(record, "")

    def told(self, record: logging.LogRecord, attempt: str) -> str:
        """The same of a record of a program that runs for this attempt; "": of none."""
        message = _message(record)
        line: dict[str, Any] = {
            "time": moment(record.created),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": _clean(message),
            **named_in(attempt or message),
        }
        if record.exc_info:
            line["traceback"] = _clean(self.formatException(record.exc_info))
        elif record.exc_text:
            line["traceback"] = _clean(record.exc_text)
        if record.stack_info:
            line["stack"] = _clean(record.stack_info)
        return msgspec.json.encode(line).decode()


def moment(seconds: float) -> str:
    """A Unix time as lines have it: UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def decoded_line(line: str) -> dict[str, Any]:
    """What such a line holds; {}: it is none."""
    try:
        found = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError):
        return {}
    return found if isinstance(found.get("service"), str) and isinstance(found.get("message"), str) else {}


def named_in(text: str) -> Mapping[str, str | int]:
    """The flow, the task and the attempt that a text names first, as far as it does."""
    found = _NAMED.search(text)
    if found is None:
        return {}
    named = {name: given for name, given in found.groupdict().items() if given is not None}
    return {name: int(given) if name in _NUMBERS else given for name, given in named.items()}


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 # of a program's own making: logging itself would print many lines
        return f"{record.msg!r} % {record.args!r}"


def _clean(text: str) -> str:
    """Without secrets, and without what UTF-8 has no bytes for."""
    return hide_secrets(text).encode("utf-8", "backslashreplace").decode()
