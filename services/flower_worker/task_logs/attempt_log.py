"""What an attempt writes to, found by the context that its program runs in."""

import codecs
import logging
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar

from flower_engine.task_logs.chunks import Chunk, encode_only_line
from flower_engine.task_logs.lines import ERR_LEVEL, MAX_TEXT_BYTES, OUT_LEVEL, Line, Stream, line_text
from flower_engine.transitions.worker_transitions import Claim
from flower_worker.task_logs.begun_line import BegunLine, last_writing
from flower_worker.task_logs.kept_lines import KeptLines
from flower_worker.task_logs.line_mask import LineMask
from flower_worker.task_logs.waiting_lines import WaitingLines
from flower_worker.task_logs.written_lines import UnmadeChunk

_log = logging.getLogger(__name__)
_LEVELS: dict[Stream, int] = {"out": OUT_LEVEL, "err": ERR_LEVEL}
_MOST_BEGUN = 64  # lines that are begun at one time, by so many threads
_SHORT_PIECE = 512
_SHORT_LINE = 4096
_REST_SECONDS = 50e-6  # long enough for a thread that waits for the interpreter to have it
_MOST_LATE = 1000  # lines of one piece that comes after the outcome

log_at_work: ContextVar["AttemptLog | None"] = ContextVar("flower_log_at_work", default=None)
"""The log of the attempt whose program runs here. Nothing of it leads back to the attempt, which holds the
context."""

_make_decoder = codecs.getincrementaldecoder("utf-8")
_Writer = tuple[Stream, int]
Show = Callable[[str], object]
"""Where a line is shown, besides: what has secrets hidden cannot be passed on as it is written."""


class AttemptLog:
    """One for each attempt, so there is nothing in it before the first line. For any thread.

    Most attempts that write have one line, or few. The first one stays as it is until a second one comes, its
    time to be sent does, or the attempt ends: then it is encoded with nothing made for it in between.
    """

    __slots__ = (
        *("_begun", "_decoders", "_first", "_first_ms", "_first_of", "_kept", "_late"),
        *("_piece", "_piece_by", "_piece_of", "_waiting"),
        *("claim", "closed", "mask", "waiting_bytes"),
    )

    def __init__(self, claim: Claim, waiting: WaitingLines) -> None:
        self.claim = claim
        self.closed = False
        waiting.open += 1
        self.mask: LineMask | None = None
        self.waiting_bytes = 0  # ``WaitingLines`` counts the first line here
        self._waiting = waiting
        self._kept: KeptLines | None = None
        self._first: str
        self._first_of: Stream
        self._first_ms = 0  # when ``_first`` was written; 0: no line is there as it came
        self._piece: str
        self._piece_of: Stream
        self._piece_by = 0  # who began the line that is ``_piece`` so far; 0: nobody
        self._begun: dict[_Writer, BegunLine] | None = None
        self._decoders: dict[_Writer, codecs.IncrementalDecoder] | None = None
        self._late: list[tuple[Stream, str]] | None = None

    @property
    def is_loud(self) -> bool:
        """Whether its first part is full."""
        return self._kept is not None and self._kept.is_loud

    @property
    def is_of_copy(self) -> bool:
        """Whether this process was forked off by a program: nothing that it writes is kept."""
        return self._waiting.is_copy

    def write(self, stream: Stream, text: str, show: Show | None = None, writer: int = 0) -> None:
        """Takes what is written to a stream, in any pieces; lines of different threads (or of whatever else
        ``writer`` says) are put together apart."""
        waiting = self._waiting
        if waiting.is_copy:
            return
        writer = writer or threading.get_ident()
        with waiting.lock:
            if self._piece_by == writer and self._piece_of == stream:
                text = self._piece + text
                self._piece_by = 0
            end = text.find("\n")
            if end < 0 and not self._piece_by and len(text) < _SHORT_PIECE:
                # ``print`` writes each of its words, and then the end.
                self._piece, self._piece_of, self._piece_by = text, stream, writer
                return
            if (
                0 <= end == len(text) - 1 <= MAX_TEXT_BYTES
                and self._begun is None
                and show is None
                and self.mask is None
                and not self.closed
                and "\r" not in text
            ):  # as nearly all are
                if self._kept is None and not self._first_ms and end < _SHORT_LINE and waiting.is_roomy:
                    waiting.add(self, text)
                    self._first, self._first_of, self._first_ms = text, stream, waiting.now_ms()
                    return
                self._lines().plain(stream, _LEVELS[stream], text)
            else:
                self._take((stream, writer), text, show)
            rests = self._kept is not None and self._kept.take_rest()
        if rests:
            self._rest()
        if self._late is not None:
            self._say_late()

    def write_bytes(self, stream: Stream, written: bytes, show: Show | None = None, writer: int = 0) -> None:
        """The same for bytes: what is no UTF-8 becomes U+FFFD, and a character may come in pieces."""
        key = (stream, writer or threading.get_ident())
        with self._waiting.lock:
            if self._decoders is None:
                self._decoders = {}
            decoder = self._decoders.get(key)
            if decoder is None:
                decoder = self._decoders[key] = _make_decoder("replace")
            text = decoder.decode(written)
        self.write(stream, text, show, writer)

    def record(self, level: int, logger: str, text: str, ms: int) -> None:
        """Takes a message of ``logging``, which may have several lines. One that is late is nothing new:
        the worker logs it anyway."""
        waiting = self._waiting
        if self.closed or waiting.is_copy:
            return
        if self.mask is not None:
            text = self.mask.hide(text)
        with waiting.lock:
            kept = self._lines()
            kept.one("log", level, logger, text[:MAX_TEXT_BYTES], size=len(text), ms=ms)
            rests = kept.take_rest()
        if rests:
            self._rest()

    def close(self) -> None:
        """The attempt has ended: what comes now is late, and goes to the worker's log."""
        if self.closed:
            return
        self._waiting.close_one()
        if self._kept is None and not self._piece_by and self._begun is None and self._decoders is None:
            if not self._first_ms:
                self.closed = True  # it never wrote
                return
            with self._waiting.lock:
                if self._first_ms and not self._piece_by and self._waiting.is_roomy:
                    self._first_ms, ms = 0, self._first_ms
                    self.closed = True
                    member, attempt = self.claim.member, self.claim.attempt
                    only = encode_only_line(member[:36], member[37:], attempt, self._first_line(ms))
                    self._waiting.encoded_of(self, only)
                    return
        with self._waiting.lock:
            if self._piece_by:
                writer, self._piece_by = self._piece_by, 0
                self._take((self._piece_of, writer), self._piece, None)
            for key, decoder in (self._decoders or {}).items():
                self._take(key, decoder.decode(b"", final=True), None)
            begun, self._begun, self._decoders = self._begun, None, None
            for (stream, _), line in (begun or {}).items():
                self._end_line(stream, line, None)
            self.closed = True
            if self._kept is not None or self._first_ms:
                self._lines().end()

    def take_chunks(self) -> list[Chunk | UnmadeChunk]:
        """Its only line so far, which waits no more; the lock is held."""
        return self._lines().take_chunks()

    def _first_line(self, ms: int) -> Line:
        stream = self._first_of
        return Line(1, ms, stream, _LEVELS[stream], "", line_text(self._first[:-1]))

    def _lines(self) -> KeptLines:
        kept = self._kept
        if kept is None:
            kept = self._kept = KeptLines(self.claim, self._waiting)
            if self._first_ms:
                self._first_ms, ms = 0, self._first_ms
                kept.begin(self._first_line(ms))
                self._waiting.hand_over(self, kept)
        return kept

    def _take(self, key: _Writer, text: str, show: Show | None) -> None:
        stream = key[0]
        end = text.find("\n")
        if self._begun and (begun := self._begun.pop(key, None)) is not None:
            begun.go_on(text[:end] if end >= 0 else text, self._most())
            if end < 0:
                self._begun[key] = begun
                return
            if not self._begun:
                self._begun = None
            self._end_line(stream, begun, show)
            begin, end = end + 1, text.find("\n", end + 1)
        else:
            begin = 0
        tries_first = tries_last = show is None and not self.closed  # to take them all at once
        while end >= 0:
            if (self.is_loud and tries_last) or (tries_first and text.find("\n", end + 1) >= 0):
                if self._take_many(stream, text, begin):
                    begin = text.rfind("\n") + 1
                    break
                tries_first, tries_last = False, tries_last and not self.is_loud
            self._end_line(stream, BegunLine(text, begin, end, self._most()), show)
            begin, end = end + 1, text.find("\n", end + 1)
        if begin < len(text):
            self._begin(key, BegunLine(text, begin, len(text), self._most()))

    def _take_many(self, stream: Stream, text: str, begin: int) -> bool:
        """Takes all lines that end there at once, as they are; False: they are to be taken one by one."""
        end = text.rfind("\n") + 1
        lines = text if begin == 0 and end == len(text) else text[begin:end]
        if self.mask is not None:
            lines = self.mask.hide(lines)
        return self._lines().many(stream, _LEVELS[stream], lines)

    def _most(self) -> int:
        """How much of a line has to be known: a secret that begins in what is kept is hidden as a whole."""
        return MAX_TEXT_BYTES if self.mask is None else MAX_TEXT_BYTES + self.mask.longest

    def _begin(self, key: _Writer, line: BegunLine) -> None:
        if self._begun is None:
            self._begun = {}
        self._begun[key] = line
        if len(self._begun) > _MOST_BEGUN:
            first = next(iter(self._begun))
            self._end_line(first[0], self._begun.pop(first), None)

    def _end_line(self, stream: Stream, line: BegunLine, show: Show | None) -> None:
        content, size, mask = line.content, line.size, self.mask
        if mask is not None:
            is_cut = size > len(content)
            content = mask.hide(content)
            if is_cut:  # what stands at the cut may be a part of a secret
                content = content[: len(content) - mask.longest]
            else:
                size = len(content)
        if self.closed:
            self._late = late = self._late or []
            if len(late) < _MOST_LATE:
                late.append((stream, content[:MAX_TEXT_BYTES]))
            return
        if show is not None:
            show(f"{line_text(content, size)}\n")
        self._lines().one(stream, _LEVELS[stream], "", content[:MAX_TEXT_BYTES], size=size)

    def _rest(self) -> None:
        """A thread that writes without end gives the interpreter away only when it is made to, five
        milliseconds after somebody asked; the event loop would wait so long each time it wakes up."""
        if threading.get_ident() != self._waiting.loop_thread:
            time.sleep(_REST_SECONDS)

    def _say_late(self) -> None:
        with self._waiting.lock:
            late, self._late = self._late, None
        for stream, content in late or ():
            text = line_text(last_writing(content))
            _log.warning("%s wrote (%s) after its outcome: %s", self.claim, stream, text)
