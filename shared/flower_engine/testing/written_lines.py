"""What programs print and log while a test runs them: they run one after another, so what is written
meanwhile is of the one that runs."""

import io
import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Literal, TextIO, cast

import msgspec

from flower_engine.task_logs.lines import ERR_LEVEL, OUT_LEVEL

LineStream = Literal["out", "err", "log"]
_LEVELS: dict[LineStream, int] = {"out": OUT_LEVEL, "err": ERR_LEVEL}


class RunLine(msgspec.Struct, frozen=True):
    """A line that a task wrote: ``stream`` is standard output (``out``), standard error (``err``), or the
    library logging (``log``), then with the name of its ``logger``. ``level`` is a number of logging; output
    counts as INFO, error output as WARNING."""

    task: str
    attempt: int
    text: str
    stream: LineStream = "out"
    level: int = OUT_LEVEL
    logger: str = ""

    def __str__(self) -> str:
        return self.text


class WrittenLines:
    """The lines of one attempt, in the order of writing."""

    def __init__(self, task: str, attempt: int) -> None:
        self._task = task
        self._attempt = attempt
        self.lines: list[RunLine] = []

    @contextmanager
    def taken(self) -> Generator[None]:
        """Takes what is written meanwhile; it goes where it went before, too."""
        before = sys.stdout, sys.stderr
        tees = _Tee(self, "out", before[0]), _Tee(self, "err", before[1])
        handler = _Handler(self)
        logging.getLogger().addHandler(handler)
        sys.stdout, sys.stderr = (cast("TextIO", tee) for tee in tees)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before
            logging.getLogger().removeHandler(handler)
            for tee in tees:
                tee.end()

    def add(self, stream: LineStream, text: str, level: int = 0, logger: str = "") -> None:
        """A line is written."""
        level = level or _LEVELS[stream]
        self.lines.append(RunLine(self._task, self._attempt, text, stream, level, logger))


class _Tee(io.TextIOBase):
    """In the place of a standard stream."""

    def __init__(self, lines: WrittenLines, stream: LineStream, original: TextIO) -> None:
        self._lines = lines
        self._stream: LineStream = stream
        self._original = original
        self._begun = ""

    def write(self, text: str, /) -> int:
        self._original.write(text)
        *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            self._lines.add(self._stream, _last_writing(line))
        return len(text)

    def end(self) -> None:
        """Nothing more is written."""
        if self._begun:
            self._lines.add(self._stream, _last_writing(self._begun))
            self._begun = ""

    def flush(self) -> None:
        self._original.flush()

    def close(self) -> None:
        """Nothing: the stream is that of the test."""

    def isatty(self) -> bool:
        return self._original.isatty()

    def fileno(self) -> int:
        return self._original.fileno()

    def writable(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


class _Handler(logging.Handler):
    def __init__(self, lines: WrittenLines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.add("log", self.format(record), record.levelno, record.name)
        except Exception:  # noqa: BLE001 # arguments are people's: their __str__ may raise anything
            self.handleError(record)


def _last_writing(line: str) -> str:
    """What is left of a line that is written over, as progress bars do."""
    return line.rstrip("\r").rpartition("\r")[2]
