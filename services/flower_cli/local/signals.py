"""Signals that ask ``flower up`` to stop, as a count: the first asks, the second presses."""

import contextlib
import signal
from collections.abc import Generator
from types import FrameType

_ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StopSignals:
    """Counts the signals. Only code inside ``interruptible`` is interrupted by one, by KeyboardInterrupt."""

    def __init__(self) -> None:
        self.count = 0
        self._interrupts = False

    @property
    def asked(self) -> bool:
        return self.count > 0

    @property
    def pressed(self) -> bool:
        return self.count > 1

    @contextlib.contextmanager
    def installed(self) -> Generator[None]:
        """Take the signals while inside. For the main thread."""
        before = {number: signal.signal(number, self._on_signal) for number in _ASKING}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def interruptible(self) -> Generator[None]:
        """For what may take long and cleans up after itself."""
        self._interrupts = True
        try:
            yield
        finally:
            self._interrupts = False

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self._interrupts:
            self._interrupts = False
            raise KeyboardInterrupt
