"""The log of ``flower up``: the lines of all its services in one stream, each after its service's name."""

import contextlib
import re
import sys
import threading
from typing import TextIO

from flower_engine.secrets import hide_secrets

_OWN_LINE = re.compile(r"\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d)\.\d{3}Z (\w+) +[\w-]+ (\S+): (.*)")
_NAME_COLOURS = (36, 35, 34, 32, 33)
_LEVEL_COLOURS = {"WARNING": 33, "ERROR": 31, "CRITICAL": 31}
_NAME_WIDTH = 9


class Lines:
    """Writes lines whole, from any thread; shorter and in colour on a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._lock = threading.Lock()
        self._colours: dict[str, int] = {}

    def write(self, name: str, *lines: str) -> None:
        """Lines that belong together; no other comes between them."""
        made = self._for_people if self._stream.isatty() else _for_files
        text = "".join(f"{made(name, hide_secrets(line))}\n" for line in lines)
        # Nobody may be reading any more; the services must not stop for that.
        with self._lock, contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()

    def as_stream(self, name: str) -> "LinesStream":
        """A stream for logging in this process, under a name like the services'."""
        return LinesStream(self, name)

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


def is_own_line(line: str) -> bool:
    """Whether a service's line is one of its log, and not printed by a program."""
    return _OWN_LINE.fullmatch(line) is not None


class LinesStream:
    """What is written to it becomes lines of one name."""

    def __init__(self, lines: Lines, name: str) -> None:
        self._lines = lines
        self._name = name

    def write(self, text: str, /) -> None:
        if lines := text.splitlines():
            self._lines.write(self._name, *lines)

    def flush(self) -> None:
        """Nothing is held back."""
