"""Waiting for a store that does not answer, or refuses: how long, and what the log says meanwhile."""

import logging
import time

from flower_engine.store_faults import Fault, Kind, fault_of

_FIRST_SECONDS = 0.05
_LONGEST_SECONDS = 2.0
_REFUSED_SECONDS = 5.0  # somebody has to change something first
_SAY_AGAIN_SECONDS = 30.0
_SAY_REFUSED_AGAIN_SECONDS = 600.0


class Patience:
    """How one caller bears failures: waits longer each time, and speaks once, not at every try."""

    def __init__(self, log: logging.Logger, waits_for: str) -> None:
        """``waits_for`` completes the sentence "... does not answer"."""
        self._log = log
        self._waits_for = waits_for
        self._delay_seconds = 0.0
        self._since: float | None = None
        self._say_at = 0.0
        self._said: tuple[Kind, str] | None = None

    def failed(self, error: BaseException) -> float:
        """Notes a failed try; returns how many seconds to wait before the next."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        fault = fault_of(error)
        self._say(fault, now)
        if fault.kind is Kind.REFUSED:
            self._delay_seconds = 0.0
            return _REFUSED_SECONDS
        self._delay_seconds = min(_LONGEST_SECONDS, self._delay_seconds * 2 or _FIRST_SECONDS)
        return self._delay_seconds

    def worked(self) -> None:
        """Notes that a try worked; cheap where the one before it did, too."""
        if self._since is None:
            return
        self._log.warning("%s answers again, after %.1f s", self._waits_for, time.monotonic() - self._since)
        self._delay_seconds, self._since, self._said = 0.0, None, None

    def _say(self, fault: Fault, now: float) -> None:
        said = (fault.kind, fault.what)
        if said == self._said and now < self._say_at:
            return
        refused = fault.kind is Kind.REFUSED
        self._said = said
        self._say_at = now + (_SAY_REFUSED_AGAIN_SECONDS if refused else _SAY_AGAIN_SECONDS)
        # An error: somebody must do something about it.
        level = logging.WARNING if fault.kind is Kind.AWAY else logging.ERROR
        self._log.log(level, "%s; trying again", fault.said_of(self._waits_for))
