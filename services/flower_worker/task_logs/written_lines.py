"""Lines as they were written: one, or several at once, which are made lines when they are sent."""

import time
from collections.abc import Iterator
from typing import NamedTuple

from flower_engine.task_logs.chunks import Chunk
from flower_engine.task_logs.lines import Line, Stream, line_level, line_text, logger_name
from flower_engine.transitions.worker_transitions import Claim
from flower_worker.task_logs.begun_line import last_writing

BESIDE_TEXT_BYTES = 32  # that a line counts beside its text: an attempt of empty lines has an end, too
_LINES_AT_ONCE = 64  # some tenths of a millisecond
_REST_SECONDS = 50e-6  # long enough for a thread that waits for the interpreter to have it


class Written(NamedTuple):
    """Lines as they were written: one, or several of a stream with their ends."""

    first: int
    lines: int
    ms: int
    stream: Stream
    level: int
    logger: str
    content: str
    size: int  # of the whole line, where ``content`` is only its beginning; -1: of several lines

    @property
    def number(self) -> int:
        """Of the first line."""
        return self.first

    @property
    def cost(self) -> int:
        return len(self.content) + self.lines * BESIDE_TEXT_BYTES


class UnmadeChunk:
    """Consecutive lines of an attempt. There may be thousands, so whoever sends them makes a chunk of them,
    and not whoever waits for what the attempt writes, or for its end."""

    __slots__ = ("_claim", "_lines", "_skipped")

    def __init__(self, claim: Claim, lines: list[Line | Written], skipped: int) -> None:
        """``skipped``: as a chunk has it."""
        self._claim = claim
        self._lines = lines
        self._skipped = skipped

    def chunk(self) -> Chunk:
        """The same as a chunk. The lock of ``WaitingLines`` need not be held."""
        claim = self._claim
        lines: list[Line] = []
        for one in self._lines:
            if isinstance(one, Line):
                lines.append(one)
                continue
            for line in _lines(one):
                lines.append(line)
                if not len(lines) % _LINES_AT_ONCE:
                    time.sleep(_REST_SECONDS)  # whatever runs programs comes first
        return Chunk(claim.flow, claim.task, claim.attempt, lines, self._skipped)


def line_of(written: Written) -> Line:
    """As it is sent; of one line."""
    content = written.content
    missing = written.size - len(content)
    if written.stream in ("out", "err"):
        content = last_writing(content)
    text = line_text(content, len(content) + missing)
    if not written.logger:
        return Line(written.first, written.ms, written.stream, written.level, "", text)
    logger, level = logger_name(written.logger), line_level(written.level)
    return Line(written.first, written.ms, written.stream, level, logger, text)


def _lines(written: Written) -> Iterator[Line]:
    if written.size >= 0:
        yield line_of(written)
        return
    content = written.content
    parts = content.split("\n")
    for index in range(written.lines):
        part = parts[index]
        yield line_of(written._replace(first=written.first + index, lines=1, content=part, size=len(part)))
