"""What is kept of the lines of one attempt: the first part at once, the last part when it ends.

All is called with the lock of ``WaitingLines`` held.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

from flower_engine.task_logs.chunks import Chunk
from flower_engine.task_logs.lines import Line, Stream, line_text
from flower_engine.transitions.worker_transitions import Claim
from flower_worker.task_logs.last_part import LastPart
from flower_worker.task_logs.waiting_lines import WaitingLines
from flower_worker.task_logs.written_lines import BESIDE_TEXT_BYTES, UnmadeChunk, Written, line_of

_MOST_TOGETHER_BYTES = 32 * 1024  # become one chunk, unless they were written at once


class KeptLines:
    """The lines of one attempt, from the first that it writes. Most have one, so there is little in it."""

    __slots__ = (
        *("_blocks", "_kept_to", "_last_part", "_number", "_room", "_taken_to", "_to_send", "_waiting"),
        *("claim", "waiting_bytes"),
    )

    def __init__(self, claim: Claim, waiting: WaitingLines) -> None:
        self.claim = claim
        self.waiting_bytes = 0  # ``WaitingLines`` counts here
        self._waiting = waiting
        self._number = 0  # of the last line, kept or not
        self._room = waiting.most_kept_bytes // 2  # of the first part
        self._to_send: list[Line | Written] = []
        self._blocks = False  # whether some of what is to be sent is as it was written
        self._taken_to = 0  # the last line that was sent
        self._kept_to = 0
        self._last_part: LastPart | None = None  # once the first is full

    def begin(self, line: Line) -> None:
        """The first line, which was short, waits already."""
        self._number = self._kept_to = line.number
        self._room -= len(line.text) + BESIDE_TEXT_BYTES
        self._to_send.append(line)

    @property
    def is_loud(self) -> bool:
        """Whether the first part is full: lines go to the last one, and may be handed over many at once."""
        return self._last_part is not None

    def take_rest(self) -> bool:
        """Whether whoever writes is to rest for a moment, which is said once."""
        return self._last_part is not None and self._last_part.take_rest()

    def one(
        self, stream: Stream, level: int, logger: str, content: str, *, size: int = 0, ms: int = 0
    ) -> None:
        """A line. ``content`` may be its beginning only, the whole is ``size`` long then; ``ms``: when it was
        written, 0: now."""
        self._number += 1
        written = Written(
            *(self._number, 1, ms or self._waiting.now_ms(), stream),
            *(level, logger, content, max(size, len(content))),
        )
        if self._last_part is None:
            cost = written.cost
            if cost <= self._room:
                self._room -= cost
                self._send(line_of(written))
                return
            self._room = 0
            self._last_part = LastPart(self._waiting)
        self._last_part.one(written)

    def plain(self, stream: Stream, level: int, text: str) -> None:
        """A whole line of a stream with its end, and with no other; the same as the others, but quicker."""
        cost = len(text) - 1 + BESIDE_TEXT_BYTES
        if cost > self._room:
            if self._last_part is None or not self.many(stream, level, text):
                self.one(stream, level, "", text[:-1])
            return
        self._room -= cost
        self._number = number = self._number + 1
        text = line_text(text[:-1])
        waiting = self._waiting
        if waiting.add(self, text):
            self._to_send.append(Line(number, waiting.now_ms(), stream, level, "", text))
            self._kept_to = number

    def many(self, stream: Stream, level: int, content: str) -> bool:
        """Whole lines of a stream, with their ends; False: they are to be handed over one by one."""
        first, now_ms = self._number + 1, self._waiting.now_ms()
        if self._last_part is not None:
            lines = self._last_part.many(first, stream, level, content, now_ms)
            self._number += lines
            return lines > 0
        written = Written(first, content.count("\n"), now_ms, stream, level, "", content, -1)
        cost = written.cost
        if cost > self._room:
            return False
        self._room -= cost
        self._number += written.lines
        self._send_written(written)
        return True

    def end(self) -> None:
        """The attempt writes no more: its last part follows the first, and what is missing is said."""
        if self._last_part is not None:
            for written in self._last_part.end():
                self._send_written(written)
            self._last_part = None
        if self._kept_to < self._number:
            missing = self._number - self._kept_to
            self._number += 1
            self._kept_to = self._number
            text = f"the last {missing} lines before are missing: Redis did not take what the worker sent"
            now_ms = self._waiting.now_ms()
            self._to_send.append(Line(self._number, now_ms, "engine", 30, "", text))
            self._waiting.add(self, text, is_needed=True)
        self._waiting.no_more_of(self)

    def take_chunks(self) -> list[Chunk | UnmadeChunk]:
        """What waits, as chunks; it waits no more."""
        lines, self._to_send = self._to_send, []
        if self._blocks:
            self._blocks = False
            return [self._unmade(together) for together in _together(lines)]
        claim = self.claim
        flow, task, attempt = claim.flow, claim.task, claim.attempt
        chunks: list[Chunk | UnmadeChunk] = []
        while lines:
            first, last = lines[0].number, lines[-1].number
            # Mostly none is missing between.
            count = len(lines) if last - first < len(lines) else _consecutive(lines)
            ones = cast("list[Line]", lines if count == len(lines) else lines[:count])
            chunks.append(Chunk(flow, task, attempt, ones, first - self._taken_to - 1))
            self._taken_to = first + count - 1
            lines = lines[count:]
        return chunks

    def _unmade(self, together: list[Line | Written]) -> UnmadeChunk:
        skipped = together[0].number - self._taken_to - 1
        self._taken_to = _behind(together[-1]) - 1
        return UnmadeChunk(self.claim, together, skipped)

    def _send(self, line: Line) -> None:
        if self._waiting.add(self, line.text):
            self._to_send.append(line)
            self._kept_to = line.number

    def _send_written(self, written: Written) -> None:
        if self._waiting.add(self, written.content, lines=written.lines):
            self._to_send.append(written)
            self._blocks = True
            self._kept_to = _behind(written) - 1


def _together(lines: Iterable[Line | Written]) -> Iterator[list[Line | Written]]:
    """Those that become one chunk."""
    together: list[Line | Written] = []
    size = 0
    for one in lines:
        own = one.cost if isinstance(one, Written) else len(one.text) + BESIDE_TEXT_BYTES
        if together and (one.number != _behind(together[-1]) or size + own > _MOST_TOGETHER_BYTES):
            yield together
            together, size = [], 0
        together.append(one)
        size += own
    if together:
        yield together


def _behind(one: Line | Written) -> int:
    """The number of the line behind it."""
    return one.first + one.lines if isinstance(one, Written) else one.number + 1


def _consecutive(lines: Sequence[Line | Written]) -> int:
    """How many there are up to the first gap."""
    first = lines[0].number
    return next((index for index, line in enumerate(lines) if line.number != first + index), len(lines))
