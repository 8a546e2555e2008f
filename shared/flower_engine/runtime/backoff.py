"""Bearing with a store that does not answer, or refuses: how long to wait, and what the log says then."""

import logging
from typing import Protocol

import psycopg

from flower_engine.errors import StoreRefusedError
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.store_faults import Fault, Kind, fault_of, is_refused

_FIRST_SECONDS = 0.05
_LONGEST_SECONDS = 2.0
_REFUSED_SECONDS = 5.0  # somebody has to change something first
_SAY_AGAIN_SECONDS = 30.0
_SAY_REFUSED_AGAIN_SECONDS = 600.0


class Backoff(Protocol):
    """How one caller bears with tries that fail."""

    def failed(self, error: Exception) -> float:
        """Notes a failed try; returns the seconds to wait before the next. Raises, if none is to follow."""
        ...

    def worked(self) -> None:
        """Notes that a try worked; cheap where the one before it did, too."""
        ...


class StoreBackoff:
    """Bears with one store: waits longer each time, and speaks once, not at every try."""

    def __init__(
        self,
        log: logging.Logger,
        store: str,
        *,
        shortest_seconds: float = 0.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """``store`` completes the sentence "... does not answer"."""
        self._log = log
        self._store = store
        self._shortest_seconds = shortest_seconds
        self._clock = clock
        self._delay_seconds = 0.0
        self._since: float | None = None
        self._say_at = 0.0
        self._said: tuple[Kind, str] | None = None

    def failed(self, error: Exception) -> float:
        now = self._clock.monotonic()
        if self._since is None:
            self._since = now
        fault = fault_of(error)
        self._say(fault, now)
        if fault.kind is Kind.REFUSED:
            self._delay_seconds = 0.0
            return _REFUSED_SECONDS
        self._delay_seconds = min(_LONGEST_SECONDS, self._delay_seconds * 2 or _FIRST_SECONDS)
        return max(self._shortest_seconds, self._delay_seconds)

    def worked(self) -> None:
        if self._since is None:
            return
        seconds = self._clock.monotonic() - self._since
        self._log.warning("%s answers again, after %.1f s", self._store, seconds)
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
        self._log.log(level, "%s; trying again", fault.said_of(self._store))


class StoresBackoff:
    """Bears with both stores, each for itself."""

    def __init__(
        self, log: logging.Logger, of: str = "", *, is_start: bool = False, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        """``of`` is said behind the name of the store. At the start of a service (``is_start``) a store that
        refuses what Flower needs is not borne with: ``failed`` raises StoreRefusedError."""
        self._is_start = is_start
        self._redis = StoreBackoff(log, f"Redis{of}", clock=clock)
        self._postgres = StoreBackoff(log, f"Postgres{of}", clock=clock)

    def failed(self, error: Exception) -> float:
        is_postgres = isinstance(error, psycopg.Error)
        if self._is_start and is_refused(error):
            raise StoreRefusedError(
                fault_of(error).said_of("Postgres" if is_postgres else "Redis")
            ) from error
        return (self._postgres if is_postgres else self._redis).failed(error)

    def worked(self) -> None:
        self._redis.worked()
        self._postgres.worked()


class SteadyBackoff:
    """Says each failure, and waits as long after every one: for what is not urgent, and where others say
    already what is waited for."""

    def __init__(
        self, log: logging.Logger, sentence: str, seconds: float, *, level: int = logging.DEBUG
    ) -> None:
        """``sentence`` has a place for the error: ``%s``."""
        self._log = log
        self._sentence = sentence
        self._seconds = seconds
        self._level = level

    def failed(self, error: Exception) -> float:
        self._log.log(self._level, self._sentence, error)
        return self._seconds

    def worked(self) -> None: ...
