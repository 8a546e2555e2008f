"""Waiting for something outside that does not answer: how long, and what the log says meanwhile."""

import logging
import time

_FIRST_SECONDS = 0.05
_LONGEST_SECONDS = 2.0
_SAY_AGAIN_SECONDS = 30.0


class Patience:
    """How one caller bears failures: waits longer each time, and speaks once, not at every try."""

    def __init__(self, log: logging.Logger, waits_for: str) -> None:
        """``waits_for`` completes the sentence "... does not answer"."""
        self._log = log
        self._waits_for = waits_for
        self._delay_seconds = 0.0
        self._since: float | None = None
        self._said = 0.0

    def failed(self, error: BaseException) -> float:
        """Notes a failed try; returns how many seconds to wait before the next."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        if not self._said or now - self._said >= _SAY_AGAIN_SECONDS:
            self._said = now
            self._log.warning(
                "%s does not answer; trying again (%s: %s)", self._waits_for, type(error).__name__, error
            )
        self._delay_seconds = min(_LONGEST_SECONDS, self._delay_seconds * 2 or _FIRST_SECONDS)
        return self._delay_seconds

    def worked(self) -> None:
        """Notes that a try worked; cheap where the one before it did, too."""
        if self._since is None:
            return
        self._log.warning("%s answers again, after %.1f s", self._waits_for, time.monotonic() - self._since)
        self._delay_seconds, self._since, self._said = 0.0, None, 0.0
