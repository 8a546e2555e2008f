"""What a child process writes, as its worker reads it: two pipes, whose end is known when a job is over.

Whatever was written before the child said that the job is over lies in the pipes by then, so exactly what
they hold at that moment is read, and nothing is waited for.
"""

import array
import asyncio
import contextlib
import fcntl
import os
import secrets
import termios

from flower_engine.runtime.clock import SYSTEM_CLOCK
from flower_engine.runtime.process_forks import hide_from_copies
from flower_engine.task_logs.lines import Stream
from flower_worker.task_logs import frames
from flower_worker.task_logs.attempt_log import AttemptLog
from flower_worker.task_logs.echo import Echo

_PIECE_BYTES = 16 * 1024
_LOUD_BYTES = 128 * 1024  # read at once, where very much is written: some tenths of a millisecond
_LOUD_PIPE_BYTES = 1 << 20
_LOUD_REST = 9  # times as long as a reading took, there is none then
_LEAST_REST_SECONDS = 0.002
_MOST_BEGUN_BYTES = 64 * 1024
_WRITER = -1  # no thread's number: pieces of a pipe belong together


class ChildOutput:
    """Both pipes of one child. All is called where the event loop runs."""

    def __init__(self, echo: Echo) -> None:
        """Raises OSError where there are no descriptors left."""
        self.token = secrets.token_hex(8)
        self._echo = echo
        self._log: AttemptLog | None = None
        self._pipes: list[_Pipe] = []
        self.child_ends: list[int] = []
        self.console = -1
        try:
            for stream in ("out", "err"):
                ours, theirs = os.pipe()
                self._pipes.append(_Pipe(self, stream, ours))
                self.child_ends.append(theirs)
            with contextlib.suppress(OSError):  # it has none
                self.console = os.dup(2)
        except OSError:
            self.close()
            raise

    @property
    def is_open(self) -> bool:
        """Whether somebody may write yet."""
        return any(pipe.descriptor >= 0 for pipe in self._pipes)

    def listen(self) -> None:
        """The child has its ends: from here on it is listened to, until nobody can write any more."""
        self._close_child_ends()
        for pipe in self._pipes:
            pipe.listen()

    def begin(self, log: AttemptLog) -> None:
        """What comes from now on is of this attempt."""
        self._log = log

    def end(self) -> None:
        """The attempt is over: what was written up to now is its, and is read."""
        for pipe in self._pipes:
            pipe.drain()

    def close(self) -> None:
        """Nobody listens any more."""
        self._close_child_ends()
        for pipe in self._pipes:
            pipe.close()

    def take(self, stream: Stream, written: bytes) -> None:
        """Some bytes of a pipe."""
        if self._log is not None:
            self._log.write_bytes(stream, written, writer=_WRITER)

    def show(self, stream: Stream, lines: bytes) -> None:
        """Whole lines of a pipe, to be shown."""
        log = self._log
        if log is None or not log.closed:  # else they are logged
            mask = log and log.mask
            self._echo.show(stream, mask.hide(lines.decode(errors="replace")).encode() if mask else lines)

    def record(self, content: bytes) -> bool:
        """What stands in a frame; whether it is one."""
        record = frames.decode(content)
        if record is not None and self._log is not None:
            self._log.record(record.level, record.logger, record.text, record.ms)
        return record is not None

    @property
    def is_loud(self) -> bool:
        """Whether so much is written that it is to be read in large pieces."""
        return self._log is not None and (self._log.is_loud or self._log.closed)

    def _close_child_ends(self) -> None:
        for descriptor in [*self.child_ends, self.console]:
            if descriptor >= 0:
                os.close(descriptor)
        self.child_ends, self.console = [], -1


class _Pipe:
    """One pipe, and what of its last line and of its last frame has come."""

    def __init__(self, whose: ChildOutput, stream: Stream, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        hide_from_copies(self, lambda pipe: [pipe.descriptor])
        self.descriptor = descriptor
        self._whose = whose
        self._stream: Stream = stream
        self._loop = asyncio.get_running_loop()
        self._sign = frames.sign(whose.token) if stream == "out" else b""
        self._rest = b""  # a frame that is not whole
        self._unshown = b""
        self._is_large = False
        self._later: asyncio.TimerHandle | None = None

    def listen(self) -> None:
        self._later = None
        if self.descriptor >= 0:
            self._loop.add_reader(self.descriptor, self._read)

    def drain(self) -> None:
        """Reads what is there at this moment."""
        left = array.array("i", [0])
        if self.descriptor >= 0:
            fcntl.ioctl(self.descriptor, termios.FIONREAD, left)
        while left[0] > 0 and (count := self._read_once(min(left[0], _LOUD_BYTES))):
            left[0] -= count
        self._take(self._rest)
        self._rest = b""
        if self._unshown:
            self._whose.show(self._stream, self._unshown + b"\n")
            self._unshown = b""

    def close(self) -> None:
        if self.descriptor >= 0:
            self._loop.remove_reader(self.descriptor)
            os.close(self.descriptor)
            self.descriptor = -1
        if self._later is not None:
            self._later.cancel()

    def _read(self) -> None:
        is_loud = self._whose.is_loud
        begin = SYSTEM_CLOCK.monotonic() if is_loud else 0.0
        self._read_once(_LOUD_BYTES if is_loud else _PIECE_BYTES)
        if is_loud and self.descriptor >= 0:
            # The other tasks of the worker come first: a tenth of its time is enough for this one.
            if not self._is_large:
                self._is_large = True
                with contextlib.suppress(OSError, AttributeError):  # not Linux, or no more of such pipes
                    fcntl.fcntl(self.descriptor, fcntl.F_SETPIPE_SZ, _LOUD_PIPE_BYTES)
            self._loop.remove_reader(self.descriptor)
            took = SYSTEM_CLOCK.monotonic() - begin
            self._later = self._loop.call_later(max(_LEAST_REST_SECONDS, _LOUD_REST * took), self.listen)

    def _read_once(self, most: int) -> int:
        try:
            piece = os.read(self.descriptor, most)
        except BlockingIOError:
            return 0
        except OSError:
            piece = b""
        if not piece:  # nobody can write any more
            self.close()
            return 0
        if self._sign and (self._rest or b"\x1e" in piece):
            self._take_framed(self._rest + piece)
        else:
            self._take(piece)
        return len(piece)

    def _take_framed(self, content: bytes) -> None:
        sign, begin = self._sign, 0
        self._rest = b""
        while (at := content.find(sign, begin)) >= 0:
            self._take(content[begin:at])
            begin = at + len(sign)
            end = content.find(b"\n", begin)
            if end < 0:
                if len(content) - begin < frames.MOST_BYTES:
                    self._rest = content[at:]
                    return
                break
            if self._whose.record(content[begin:end]):
                begin = end + 1
        # A sign may have come in part.
        last = content.rfind(b"\x1e", max(begin, len(content) - len(sign)))
        if last >= 0 and sign.startswith(content[last:]):
            self._rest = content[last:]
            self._take(content[begin:last])
        else:
            self._take(content[begin:])

    def _take(self, written: bytes) -> None:
        if not written:
            return
        self._whose.take(self._stream, written)
        whole = written.rfind(b"\n") + 1
        if whole:
            self._whose.show(self._stream, self._unshown + written[:whole])
            self._unshown = written[whole:]
        elif len(self._unshown) < _MOST_BEGUN_BYTES:
            self._unshown += written
