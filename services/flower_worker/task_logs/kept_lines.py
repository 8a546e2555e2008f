"""What is kept of the lines of one attempt: the first part at once, the last part when it ends.

All is called with the lock of ``WaitingLines`` held.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from flower_engine.task_logs.chunks import Chunk
from flower_engine.task_logs.lines import Line, Stream, line_level, line_text, logger_name
from flower_engine.transitions.worker_transitions import Claim
from flower_worker.task_logs.begun_line import last_writing
from flower_worker.task_logs.waiting_lines import WaitingLines, memory_of

_BESIDE_TEXT_BYTES = 32  # that a line counts beside its text: an attempt of empty lines has an end, too

_MOST_BLOCK_BYTES = 8 * 1024
_BLOCK_MS = 20  # lines of a block count as written at one time


class _Written(NamedTuple):
    """Lines of the last part, as they were written: one, or several of a stream with their ends."""

    first: int
    lines: int
    ms: int
    stream: Stream
    level: int
    logger: str
    content: str
    size: int  # of the whole line, where ``content`` is only its beginning; -1: of several lines

    @property
    def cost(self) -> int:
        return len(self.content) + self.lines * _BESIDE_TEXT_BYTES


class _Block:
    """Lines that come one soon after the other, to be dealt with together."""

    __slots__ = ("cost", "first", "level", "lines", "ms", "pieces", "stream")

    def __init__(self, first: int, stream: Stream, level: int, ms: int) -> None:
        self.first = first
        self.stream: Stream = stream
        self.level = level
        self.ms = ms
        self.pieces: list[str] = []
        self.lines = 0
        self.cost = 0

    def takes(self, stream: Stream, cost: int, ms: int) -> bool:
        """Whether lines that come now may join."""
        return stream == self.stream and ms - self.ms < _BLOCK_MS and self.cost + cost <= _MOST_BLOCK_BYTES


class KeptLines:
    """The lines of one attempt, from the first that it writes."""

    __slots__ = (
        *("_block", "_end", "_end_cost", "_end_memory", "_half", "_kept_to", "_now_ms", "_number", "_room"),
        *("_taken_to", "_to_send", "_waiting", "claim"),
    )

    def __init__(self, claim: Claim, waiting: WaitingLines) -> None:
        self.claim = claim
        self._waiting = waiting
        self._now_ms = waiting.clock.now_ms
        self._number = 0  # of the last line, kept or not
        self._half = waiting.most_kept_bytes // 2
        self._room = self._half  # of the first part
        self._to_send: list[Line] = []
        self._taken_to = 0  # the last line that was sent
        self._kept_to = 0
        self._end: deque[_Written] | None = None  # the last part, once the first is full
        self._block: _Block | None = None  # the newest lines of it
        self._end_cost = 0
        self._end_memory = 0

    @property
    def is_loud(self) -> bool:
        """Whether the first part is full: lines go to the last one, and may be handed over many at once."""
        return self._end is not None

    def one(
        self, stream: Stream, level: int, logger: str, content: str, *, size: int = 0, ms: int = 0
    ) -> None:
        """A line. ``content`` may be its beginning only, the whole is ``size`` long then; ``ms``: when it was
        written, 0: now."""
        self._end_block()
        self._number += 1
        written = _Written(
            *(self._number, 1, ms or self._now_ms(), stream),
            *(level, logger, content, max(size, len(content))),
        )
        if self._end is None:
            cost = written.cost
            if cost <= self._room:
                self._room -= cost
                self._send(_line(written))
                return
            self._begin_end()
        self._push(written)

    def plain(self, stream: Stream, level: int, text: str) -> None:
        """A whole line of a stream with its end, and with no other; the same as the others, but quicker."""
        cost = len(text) - 1 + _BESIDE_TEXT_BYTES
        if cost > self._room:
            if self._end is None or not self.many(stream, level, text):
                self.one(stream, level, "", text[:-1])
            return
        self._room -= cost
        self._number = number = self._number + 1
        text = line_text(text[:-1])
        if self._waiting.add(self, text):
            self._to_send.append(Line(number, self._now_ms(), stream, level, "", text))
            self._kept_to = number

    def many(self, stream: Stream, level: int, content: str) -> bool:
        """Whole lines of a stream of a loud attempt, with their ends; False: they are to be handed over one
        by one."""
        begin = 0
        ends = content.count("\n")
        cost = len(content) + ends * _BESIDE_TEXT_BYTES
        ms = self._now_ms()
        if cost <= _MOST_BLOCK_BYTES:
            block = self._block
            if block is None or not block.takes(stream, cost, ms):
                self._end_block()
                block = self._block = _Block(self._number + 1, stream, level, ms)
            block.pieces.append(content)
            block.lines += ends
            block.cost += cost
            self._number += ends
            return True
        self._end_block()
        while (cost := len(content) - begin + ends * _BESIDE_TEXT_BYTES) > self._half:
            # They would push each other out again.
            most = (len(content) - begin) * self._half // cost
            behind = content.find("\n", len(content) - most) + 1
            if not 0 < behind < len(content):
                return False
            passed = content.count("\n", begin, behind)
            self._pass_over(passed)
            begin, ends = behind, ends - passed
        first = self._number + 1
        self._number += ends
        self._push(_Written(first, ends, ms, stream, level, "", content[begin:], -1))
        return True

    def end(self) -> None:
        """The attempt writes no more: its last part follows the first, and what is missing is said."""
        self._end_block()
        if self._end is not None:
            for written in self._end:
                for line in _lines(written):
                    self._send(line)
            self._waiting.end_goes(self._end_memory)
            self._end, self._end_memory = None, 0
        if self._kept_to < self._number:
            missing = self._number - self._kept_to
            self._number += 1
            self._kept_to = self._number
            text = f"the last {missing} lines before are missing: Redis did not take what the worker sent"
            line = Line(self._number, self._now_ms(), "engine", 30, "", text)
            self._to_send.append(line)
            self._waiting.add(self, text, is_needed=True)

    def take_chunks(self) -> list[Chunk]:
        """What waits, as chunks; it waits no more."""
        lines, self._to_send = self._to_send, []
        claim = self.claim
        flow, task, attempt = claim.flow, claim.task, claim.attempt
        chunks: list[Chunk] = []
        while lines:
            first, last = lines[0].number, lines[-1].number
            # Mostly none is missing between.
            count = len(lines) if last - first < len(lines) else _consecutive(lines)
            chunks.append(Chunk(flow, task, attempt, lines[:count], first - self._taken_to - 1))
            self._taken_to = first + count - 1
            lines = lines[count:]
        return chunks

    def _send(self, line: Line) -> None:
        if self._waiting.add(self, line.text):
            self._to_send.append(line)
            self._kept_to = line.number

    def _begin_end(self) -> None:
        self._room = 0
        self._end = deque()
        self._waiting.end_grows(0, is_first=True)

    def _end_block(self) -> None:
        if self._block is not None:
            block, self._block = self._block, None
            content = "".join(block.pieces)
            self._push(
                _Written(block.first, block.lines, block.ms, block.stream, block.level, "", content, -1)
            )

    def _pass_over(self, count: int) -> None:
        """So many lines are left out, and with them those before."""
        self._number += count
        while self._end:
            self._drop(self._end.popleft())

    def _push(self, written: _Written) -> None:
        end = self._end
        assert end is not None
        end.append(written)
        self._count(written, 1)
        while end and (too_much := self._end_cost - self._half) > 0:
            first = end.popleft()
            self._drop(first)
            rest = _behind(first, too_much) if first.lines > 1 and first.cost > too_much else None
            if rest is not None:
                end.appendleft(rest)
                self._count(rest, 1)
        while end and self._waiting.must_shrink(self._end_memory):
            self._drop(end.popleft())

    def _drop(self, written: _Written) -> None:
        self._count(written, -1)

    def _count(self, written: _Written, sign: int) -> None:
        memory = sign * memory_of(written.content)
        self._end_cost += sign * written.cost
        self._end_memory += memory
        self._waiting.end_grows(memory)


def _consecutive(lines: list[Line]) -> int:
    """How many there are up to the first gap."""
    first = lines[0].number
    return next((index for index, line in enumerate(lines) if line.number != first + index), len(lines))


def _behind(written: _Written, cost: int) -> _Written | None:
    """What is left of lines, when enough of the first ones go that they cost less by this."""
    content = written.content
    begin = content.find("\n", len(content) * cost // written.cost) + 1
    if not 0 < begin < len(content):
        return None
    gone = content.count("\n", 0, begin)
    return written._replace(first=written.first + gone, lines=written.lines - gone, content=content[begin:])


def _line(written: _Written) -> Line:
    content = written.content
    missing = written.size - len(content)
    if written.stream in ("out", "err"):
        content = last_writing(content)
    text = line_text(content, len(content) + missing)
    if not written.logger:
        return Line(written.first, written.ms, written.stream, written.level, "", text)
    logger, level = logger_name(written.logger), line_level(written.level)
    return Line(written.first, written.ms, written.stream, level, logger, text)


def _lines(written: _Written) -> Iterator[Line]:
    if written.size >= 0:
        yield _line(written)
        return
    content = written.content
    parts = content.split("\n")
    for index in range(written.lines):
        part = parts[index]
        yield _line(written._replace(first=written.first + index, lines=1, content=part, size=len(part)))
