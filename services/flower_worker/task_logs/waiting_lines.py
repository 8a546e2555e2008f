"""Lines that wait to be sent, of all attempts of a worker: bounded in bytes, whatever programs do."""

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Protocol, overload

from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.task_logs.chunks import Chunk, encode_chunk

_MOST_BYTES = 8 << 20  # of memory, that wait while Redis does not take them
_MOST_ENDS_BYTES = 16 << 20  # of memory, of the last parts of all loud attempts
_MUCH_BYTES = 128 << 10  # of memory, with which the sender does not wait for its time
_TAKEN_BYTES = 1 << 20
_BESIDE_TEXT_BYTES = 200  # of memory, for a line beside its text
_BESIDE_CHUNK_BYTES = 50  # of memory, for an encoded chunk beside its bytes
_MOST_ENCODED_BYTES = 8 << 10  # of memory, of an attempt's lines that are encoded as soon as it ends


Piece = Chunk | bytes
"""A chunk, or one that is encoded."""


class BecomesChunk(Protocol):
    """Lines that are yet to be made a chunk."""

    def chunk(self) -> Chunk:
        """These lines; the lock need not be held."""
        ...


class HasLines(Protocol):
    """An attempt with lines to send."""

    waiting_bytes: int  # of memory, that its lines take here

    def take_chunks(self) -> Sequence[Chunk | BecomesChunk]:
        """Its lines, which wait no more; the lock is held."""
        ...


def memory_of(text: str) -> int:
    """Roughly what a line takes."""
    return len(text) + _BESIDE_TEXT_BYTES


class WaitingLines:
    """What is to be sent, and the one lock for all that programs write in this process.

    The lock may be taken again by whoever holds it: handlers of signals and finalizers print, too.
    """

    def __init__(
        self, most_kept_bytes: int, most_bytes: int = _MOST_BYTES, *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        """``most_kept_bytes`` of an attempt are kept. To be made by the thread of the event loop."""
        self.loop_thread = threading.get_ident()
        self.now_ms = clock.now_ms
        self.lock = threading.RLock()
        self.most_kept_bytes = most_kept_bytes
        self.some = threading.Event()  # there is something to send
        self.much = threading.Event()  # there is so much that it is to be sent at once
        self.is_copy = False  # this process was forked off: nothing is sent from here
        self.open = 0  # attempts that have a log and are not at their end
        self.when_closed: Callable[[bool], None] | None = None  # called then; whether no other is open
        self.dropped = 0  # lines that found no room, since the sender last said so
        self.is_roomy = True  # lines may be encoded early: JSON can be longer than what it stands for
        self._most_bytes = most_bytes
        self._much_bytes = min(_MUCH_BYTES, most_bytes // 2)
        self._bytes = 0
        self._is_much = False
        self._whose: dict[HasLines, None] = {}
        self._encoded: list[bytes] = []  # chunks of attempts that have ended
        self._ends_bytes = 0
        self._ends = 0
        _all.add(self)

    def close_one(self) -> None:
        """An attempt that has a log is at its end."""
        self.open -= 1
        if self.when_closed is not None:
            self.when_closed(not self.open)

    def add(self, whose: HasLines, text: str, *, lines: int = 1, is_needed: bool = False) -> bool:
        """A line of this text, or several in one, wants to wait at its attempt; False: there is no room, and
        it is counted as dropped. ``is_needed``: for this one there is."""
        size = len(text) + lines * _BESIDE_TEXT_BYTES
        if self._bytes + size > self._most_bytes and not is_needed:
            self.dropped += lines
            return False
        self._bytes += size
        if whose.waiting_bytes:
            whose.waiting_bytes += size
        else:
            whose.waiting_bytes = size
            if not self._whose and not self._encoded:
                self.some.set()
            self._whose[whose] = None
        if self._bytes > self._much_bytes:
            self.is_roomy = self._bytes <= self._most_bytes // 2
            if not self._is_much:
                self._is_much = True
                self.much.set()
        return True

    def no_more_of(self, whose: HasLines) -> None:
        """An attempt that may have lines here has ended."""
        if 0 < whose.waiting_bytes <= _MOST_ENCODED_BYTES and self.is_roomy:
            for chunk in whose.take_chunks():
                self.encoded_of(whose, encode_chunk(_made(chunk)))

    def encoded_of(self, whose: HasLines, encoded: bytes) -> None:
        """What waited of an attempt that has ended, encoded: it waits as one small object then, and not as a
        dozen, whose memory is cold when the sender comes to it, and for this thread afterwards."""
        if whose.waiting_bytes:
            del self._whose[whose]
        self._bytes += len(encoded) + _BESIDE_CHUNK_BYTES - whose.waiting_bytes
        whose.waiting_bytes = 0
        self._encoded.append(encoded)

    def hand_over(self, whose: HasLines, to: HasLines) -> None:
        """What waits of the one waits of the other from now on, if it still does."""
        if whose.waiting_bytes:
            del self._whose[whose]
            self._whose[to] = None
            to.waiting_bytes, whose.waiting_bytes = whose.waiting_bytes, 0

    def take(self) -> list[Piece]:
        """Some of what waits, of whoever came first; [] where nothing does."""
        return [_made(one) for one in self._take()]

    def _take(self) -> list[Piece | BecomesChunk]:
        with self.lock:
            count, size = _first(map(_memory_of_encoded, self._encoded))
            pieces: list[Piece | BecomesChunk] = [*self._encoded[:count]]
            del self._encoded[:count]
            self._bytes -= size
            # Beside them, and not behind: many short attempts must not hold up those that run long.
            count, size = _first(whose.waiting_bytes for whose in self._whose)
            for whose in [*islice(self._whose, count)]:
                del self._whose[whose]
                whose.waiting_bytes = 0
                pieces += whose.take_chunks()
            self._bytes -= size
            if not self._whose and not self._encoded:
                self.some.clear()
            self._is_much = False
            self.is_roomy = self._bytes <= self._most_bytes // 2
            self.much.clear()
            return pieces

    def take_dropped(self) -> int:
        """How many lines found no room since it was last asked."""
        with self.lock:
            dropped, self.dropped = self.dropped, 0
            return dropped

    def end_grows(self, size: int, *, is_first: bool = False) -> None:
        """The last part of a loud attempt takes so many bytes more; ``is_first``: it begins."""
        self._ends += is_first
        self._ends_bytes += size

    def end_goes(self, size: int) -> None:
        """An attempt's last part, of so many bytes, is over."""
        self._ends -= 1
        self._ends_bytes -= size

    def must_shrink(self, size: int) -> bool:
        """Whether a last part of so many bytes takes more than its share of the memory there is for all."""
        return self._ends_bytes > _MOST_ENDS_BYTES and size > _MOST_ENDS_BYTES // max(1, self._ends)

    def become_copy(self) -> None:
        """This process was forked off."""
        self.is_copy = True
        self.lock = threading.RLock()  # a thread that is not here may have held it


@overload
def _made(piece: Chunk | BecomesChunk) -> Chunk: ...
@overload
def _made(piece: Piece | BecomesChunk) -> Piece: ...
def _made(piece: Piece | BecomesChunk) -> Piece:
    return piece if isinstance(piece, Chunk | bytes) else piece.chunk()


def _memory_of_encoded(chunk: bytes) -> int:
    return len(chunk) + _BESIDE_CHUNK_BYTES


def _first(sizes: Iterable[int]) -> tuple[int, int]:
    """How many of the first are to be taken at once, and how large they are together."""
    count = size = 0
    for one in sizes:
        if size > _TAKEN_BYTES:
            break
        size += one
        count += 1
    return count, size


_all: "weakref.WeakSet[WaitingLines]" = weakref.WeakSet()


def _become_copies() -> None:
    for one in list(_all):
        one.become_copy()


os.register_at_fork(after_in_child=_become_copies)
