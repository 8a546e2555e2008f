"""How the loops of a watcher look at partitions of which there are many: at the same moments, and together.

A look at a partition where nothing is due costs little, and to wake for it and to send it costs more. So
those who have no reason for another moment wait until the next beat, at which all others look, too, and what
they ask of a server goes in few round trips.
"""

from flower_engine.log.client import AsyncRedis
from flower_engine.log.gathered_calls import GatheredRedis
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock

_BEAT_SECONDS = 0.1


class Looks:
    """Those of one watcher at one server, or at one partition of a cluster."""

    def __init__(self, client: AsyncRedis, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.client = GatheredRedis(client)
        """For what is asked at each look, and costs little."""
        self._clock = clock
        self._began = clock.monotonic()

    def seconds_until(self, seconds: float) -> float:
        """About so many, until the beat that is nearest then."""
        now = self._clock.monotonic() - self._began
        beat = max(1, round((now + seconds) / _BEAT_SECONDS))
        return max(0.0, beat * _BEAT_SECONDS - now)
