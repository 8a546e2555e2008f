"""Shows what child processes write where a worker's own output goes, without waiting for whoever reads it."""

import contextlib
import sys
import threading
from collections import deque

from flower_engine.task_logs.lines import Stream
from flower_worker.task_logs.program_streams import ProgramStream

_MOST_BYTES = 1 << 20


class Echo:
    """Writes on a thread of its own, that is made with the first thing to write."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[Stream, bytes]] = deque()
        self._bytes = 0
        self._left_out = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def show(self, stream: Stream, piece: bytes) -> None:
        """Whole lines; where too many wait, these are left out, and that is said."""
        with self._changed:
            if self._bytes > _MOST_BYTES:
                self._left_out += len(piece)
                return
            if self._left_out:
                said = f"... {self._left_out} bytes that tasks wrote are left out here ...\n".encode()
                piece, self._left_out = said + piece, 0
            self._pieces.append((stream, piece))
            self._bytes += len(piece)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="echo", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def end(self, seconds: float) -> None:
        """Waits until all is written, for so long at most: who reads it may have stopped to."""
        with self._changed:
            self._changed.wait_for(lambda: not self._bytes, seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._pieces:
                    self._changed.wait()
                stream, piece = self._pieces.popleft()
            _write(stream, piece)
            with self._changed:
                self._bytes -= len(piece)
                self._changed.notify_all()


def _write(stream: Stream, piece: bytes) -> None:
    there = sys.stderr if stream == "err" else sys.stdout
    with contextlib.suppress(OSError, ValueError, AttributeError):  # nobody reads it, or it is closed
        if isinstance(there, ProgramStream):
            there.write_bytes(piece)
        else:
            there.write(piece.decode(errors="replace"))
        there.flush()
