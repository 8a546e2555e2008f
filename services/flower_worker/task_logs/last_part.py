"""The last part of a loud attempt: what is kept of its lines behind the first part, until it ends.

All is called with the lock of ``WaitingLines`` held.
"""

from collections import deque
from collections.abc import Iterable

from flower_engine.task_logs.lines import Stream
from flower_worker.task_logs.waiting_lines import WaitingLines, memory_of
from flower_worker.task_logs.written_lines import BESIDE_TEXT_BYTES, Written

_MOST_BLOCK_BYTES = 8 * 1024
_REST_BYTES = 32 * 1024  # that are written between two rests: some tenths of a millisecond
_BLOCK_MS = 20  # lines of a block count as written at one time


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


class LastPart:
    """There is one from the moment on when the first part is full."""

    __slots__ = ("_block", "_cost", "_kept", "_memory", "_most", "_unrested", "_waiting")

    def __init__(self, waiting: WaitingLines) -> None:
        self._waiting = waiting
        self._most = waiting.most_kept_bytes // 2
        self._kept: deque[Written] = deque()
        self._block: _Block | None = None  # the newest lines
        self._cost = 0
        self._memory = 0
        self._unrested = 0
        waiting.end_grows(0, is_first=True)

    def take_rest(self) -> bool:
        """Whether so much was written that whoever writes is to rest for a moment, which is said once."""
        if self._unrested < _REST_BYTES:
            return False
        self._unrested = 0
        return True

    def one(self, written: Written) -> None:
        """Takes a line."""
        self._unrested += written.cost
        self._end_block()
        self._push(written)

    def many(self, first: int, stream: Stream, level: int, content: str, ms: int) -> int:
        """Takes whole lines of a stream, with their ends, the first of which has this number; how many there
        are. 0: they are to be handed over one by one."""
        ends = lines = content.count("\n")
        cost = len(content) + ends * BESIDE_TEXT_BYTES
        self._unrested += cost
        if cost <= _MOST_BLOCK_BYTES:
            block = self._block
            if block is None or not block.takes(stream, cost, ms):
                self._end_block()
                block = self._block = _Block(first, stream, level, ms)
            block.pieces.append(content)
            block.lines += ends
            block.cost += cost
            return lines
        self._end_block()
        begin = 0
        while (cost := len(content) - begin + ends * BESIDE_TEXT_BYTES) > self._most:
            # They would push each other out again, and all that was before.
            most = (len(content) - begin) * self._most // cost
            behind = content.find("\n", len(content) - most) + 1
            if not 0 < behind < len(content):
                return 0
            ends -= content.count("\n", begin, behind)
            begin = behind
        if begin:
            while self._kept:
                self._count(self._kept.popleft(), -1)
        self._push(Written(first + lines - ends, ends, ms, stream, level, "", content[begin:], -1))
        return lines

    def end(self) -> Iterable[Written]:
        """The attempt writes no more: these are its last lines."""
        self._end_block()
        self._waiting.end_goes(self._memory)
        return self._kept

    def _end_block(self) -> None:
        if self._block is not None:
            block, self._block = self._block, None
            content = "".join(block.pieces)
            self._push(
                Written(block.first, block.lines, block.ms, block.stream, block.level, "", content, -1)
            )

    def _push(self, written: Written) -> None:
        kept = self._kept
        kept.append(written)
        self._count(written, 1)
        while kept and (too_much := self._cost - self._most) > 0:
            first = kept.popleft()
            self._count(first, -1)
            rest = _behind(first, too_much) if first.lines > 1 and first.cost > too_much else None
            if rest is not None:
                kept.appendleft(rest)
                self._count(rest, 1)
        while kept and self._waiting.must_shrink(self._memory):
            self._count(kept.popleft(), -1)

    def _count(self, written: Written, sign: int) -> None:
        memory = sign * memory_of(written.content)
        self._cost += sign * written.cost
        self._memory += memory
        self._waiting.end_grows(memory)


def _behind(written: Written, cost: int) -> Written | None:
    """What is left of lines, when enough of the first ones go that they cost less by this."""
    content = written.content
    begin = content.find("\n", len(content) * cost // written.cost) + 1
    if not 0 < begin < len(content):
        return None
    gone = content.count("\n", 0, begin)
    return written._replace(first=written.first + gone, lines=written.lines - gone, content=content[begin:])
