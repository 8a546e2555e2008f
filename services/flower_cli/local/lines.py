"""The log of ``flower up``: the lines of all its services in one stream, each after its service's name."""

import contextlib
import re
import sys
import threading
import time
from typing import TextIO

import msgspec

from flower_engine.runtime.json_lines import decoded_line, moment
from flower_engine.runtime.telemetry import LogFormat
from flower_engine.secrets import hide_secrets

_OWN_LINE = re.compile(r"\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d)\.\d{3}Z (\w+) +[\w-]+ (\S+): (.*)")
_NAME_COLOURS = (36, 35, 34, 32, 33)
_LEVEL_COLOURS = {"WARNING": 33, "ERROR": 31, "CRITICAL": 31}
_NAME_WIDTH = 9


class Lines:
    """Writes lines whole, from any thread; shorter and in colour on a terminal."""

    def __init__(self, stream: TextIO | None = None, form: LogFormat = "text") -> None:
        self._stream = stream or sys.stderr
        self._lock = threading.Lock()
        self._colours: dict[str, int] = {}
        self._form: LogFormat = form

    def write(self, name: str, *lines: str) -> None:
        """Lines that belong together; no other comes between them."""
        made = _for_machines if self._form == "json" else self._made
        text = "".join(f"{made(name, hide_secrets(line))}\n" for line in lines)
        # Nobody may be reading any more; the services must not stop for that.
        with self._lock, contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()

    def as_stream(self, name: str) -> "LinesStream":
        """A stream for logging in this process, under a name like the services'."""
        return LinesStream(self, name)

    def _made(self, name: str, line: str) -> str:
        return (self._for_people if self._stream.isatty() else _for_files)(name, line)

    def _for_people(self, name: str, line: str) -> str:
        colour = self._colours.setdefault(name, _NAME_COLOURS[len(self._colours) % len(_NAME_COLOURS)])
        prefix = f"\x1b[{colour}m{name:<{_NAME_WIDTH}}\x1b[0m | "
        if not (own := _OWN_LINE.fullmatch(line)):
            return prefix + line
        time, level, logger, message = own.groups()
        if level_colour := _LEVEL_COLOURS.get(level):
            message = f"\x1b[{level_colour}m{level} {message}\x1b[0m"
        return f"{prefix}\x1b[2m{time} {logger}\x1b[0m {message}"


def _for_files(name: str, line: str) -> str:
    return f"{name:<{_NAME_WIDTH}} | {line}".rstrip()


def _for_machines(name: str, line: str) -> str:
    """A line of the log of a service, with its name (worker-2) where its kind alone says less; what it
    printed otherwise is made one."""
    told = decoded_line(line) if line.startswith("{") else {}
    told = told or {
        "time": moment(time.time()),
        "level": "INFO",
        "service": name,
        "logger": "",
        "message": line,
    }
    return msgspec.json.encode({**told, "service": name}).decode()


def is_own_line(line: str) -> bool:
    """Whether a service's line is one of its log, and not printed by a program."""
    return _OWN_LINE.fullmatch(line) is not None


class LinesStream:
    """What is written to it becomes lines of one name."""

    def __init__(self, lines: Lines, name: str) -> None:
        self._lines = lines
        self._name = name

    def write(self, text: str, /) -> None:
        if text:  # another end of a line than a newline may stand in JSON
            self._lines.write(self._name, *text.removesuffix("\n").split("\n"))

    def flush(self) -> None:
        """Nothing is held back."""
