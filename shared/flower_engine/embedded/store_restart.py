"""A store that ended by itself (a crash, a kill, a full disk) is started again, however often."""

import logging
import time
from collections.abc import Callable
from enum import Enum, auto

from flower_engine.embedded.server import Server
from flower_engine.errors import StoreError

_log = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_STEADY_SECONDS = 30.0  # a store that answered for so long has what ended it before behind it


class _State(Enum):
    UP = auto()
    RESTING = auto()
    STARTING = auto()


class Restarting:
    """Looks after one server that was started. No step waits for it, so that all else goes on meanwhile."""

    def __init__(self, server: Server, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._monotonic = monotonic
        self._state = _State.UP
        self._since = monotonic()  # when it began to be up, or when resting ends
        self._pause_seconds = 0.0  # the first time it is started again at once

    def run_once(self) -> bool:
        """One step; True: the server answers again, at its old address."""
        server, now = self._server, self._monotonic()
        try:
            if self._state is _State.STARTING:
                if server.is_ready():
                    _log.warning("%s answers again", server.name)
                    self._state, self._since = _State.UP, now
                    return True
            elif self._state is _State.RESTING:
                if now >= self._since:
                    self._state = _State.STARTING
                    server.begin()
            elif server.has_ended():
                if now >= self._since + _STEADY_SECONDS:
                    self._pause_seconds = 0.0
                self._rest(f"{server.name} ended by itself ({server.why_ended()})", now)
        except (StoreError, OSError) as error:
            self._rest(str(error), now)
        return False

    def _rest(self, why: str, now: float) -> None:
        pause_seconds = self._pause_seconds
        when = f"in {pause_seconds:.2g} s" if pause_seconds else "at once"
        _log.error("%s; starting it again %s", why, when)
        self._state, self._since = _State.RESTING, now + pause_seconds
        self._pause_seconds = min(max(_FIRST_PAUSE_SECONDS, pause_seconds * 2), _LONGEST_PAUSE_SECONDS)
