"""``sys.stdout`` and ``sys.stderr`` of a worker: what a program writes there goes to the log of its attempt,
and on to where it went before."""

import contextlib
import io
from collections.abc import Iterable
from typing import Any, TextIO

from flower_engine.task_logs.lines import Stream
from flower_worker.task_logs.attempt_log import AttemptLog, log_at_work


class ProgramStream(io.TextIOBase):
    """In the place of a standard stream; what is no program's passes through."""

    def __init__(self, stream: Stream, original: TextIO) -> None:
        self.original = original
        self._stream: Stream = stream
        self._bytes = _ProgramBytes(self)

    def write(self, text: str, /) -> int:
        log = log_at_work.get()
        if log is None:
            return self.original.write(text)
        if log.mask is None and not log.closed:
            try:  # noqa: SIM105 # contextlib.suppress takes longer than the rest
                self.original.write(text)
            except (OSError, ValueError):  # nobody reads it any more: a program does not fail for that
                pass
            log.write(self._stream, text)
        else:
            self._pass_on(log, text)
        return len(text)

    def _pass_on(self, log: AttemptLog, text: str) -> None:
        if log.is_of_copy:
            self._show(text if log.mask is None else log.mask.hide(text))
        else:  # line by line, with its secrets hidden; or late
            log.write(self._stream, text, None if log.closed else self._show)

    def write_bytes(self, written: bytes) -> int:
        """The same for what is written to ``buffer``."""
        log = log_at_work.get()
        if log is None or (log.mask is None and not log.closed):
            self._show_bytes(written)
        if log is not None and not log.is_of_copy:
            shown = log.closed or log.mask is None
            log.write_bytes(self._stream, written, None if shown else self._show)
        return len(written)

    def _show(self, text: str) -> None:
        """Where it went before; a program does not fail because nobody reads that any more."""
        with contextlib.suppress(OSError, ValueError):
            self.original.write(text)

    def _show_bytes(self, written: bytes) -> None:
        with contextlib.suppress(OSError, ValueError):
            if hasattr(self.original, "buffer"):
                self.original.flush()
                self.original.buffer.write(written)
            else:
                self.original.write(written.decode(errors="replace"))

    def writelines(self, lines: Iterable[str], /) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self.original.flush()
        except (OSError, ValueError):
            if log_at_work.get() is None:
                raise

    def close(self) -> None:
        """Nothing: the stream is everybody's."""

    def detach(self) -> Any:
        raise io.UnsupportedOperation("a worker's stream is everybody's: it cannot be detached")

    def fileno(self) -> int:
        return self.original.fileno()

    def isatty(self) -> bool:
        return self.original.isatty()

    def writable(self) -> bool:
        return True

    @property
    def buffer(self) -> "_ProgramBytes":
        return self._bytes

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.original.encoding

    @property
    def errors(self) -> str | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.original.errors

    @property
    def newlines(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.original.newlines

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


class _ProgramBytes(io.BufferedIOBase):
    """``buffer`` of such a stream."""

    def __init__(self, stream: ProgramStream) -> None:
        self._of = stream

    def write(self, data: Any, /) -> int:
        return self._of.write_bytes(bytes(memoryview(data)))

    def flush(self) -> None:
        self._of.flush()

    def close(self) -> None:
        """Nothing: the stream is everybody's."""

    def fileno(self) -> int:
        return self._of.fileno()

    def isatty(self) -> bool:
        return self._of.isatty()

    def writable(self) -> bool:
        return True
