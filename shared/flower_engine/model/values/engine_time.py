"""Engine time: what every time that is stored is in. It follows Redis' clock and never goes back with it.

The clock of Redis goes back after a failover to a machine that is behind, or when NTP corrects it; it jumps
ahead; it stands still. This is the model of ``lua/lib/engine_time.lua`` and of the tick in
``lua/watcher/lapse.lua``.
"""

import msgspec

SLOWER = 10
"""Engine time that is ahead of the clock runs slower by this part, until the clock has caught up."""


class EngineTime(msgspec.Struct, frozen=True, kw_only=True):
    """What ``meta`` holds of the time; all in milliseconds.

    ``tick``: when a watcher looked last; ``skew``: by how much engine time was ahead of the clock then;
    ``horizon``: up to where time counts for timeouts if nobody looks again; ``held``: how much time did not
    count for them; ``grace``: until when no lease lapses, and nothing times out.
    """

    tick: int = 0
    skew: int = 0
    horizon: int | None = None
    held: int = 0
    grace: int = 0

    def now(self, clock_ms: int, last_event_ms: int = 0) -> int:
        """Engine time when Redis' clock shows this; ``last_event_ms``: when something happened last."""
        now_ms = clock_ms + self.skew
        if now_ms < self.tick:  # the clock went back
            return max(self.tick, last_event_ms)
        return now_ms - min(max(0, self.skew), (now_ms - self.tick) // SLOWER)

    def steady(self, now_ms: int) -> int:
        """What timeouts count in, at an engine time."""
        return (now_ms if self.horizon is None else min(now_ms, self.horizon)) - self.held

    def ticked(self, clock_ms: int, *, lease_ms: int, gap_ms: int, last_event_ms: int = 0) -> "EngineTime":
        """After a look of a watcher; watchers that look less often than every ``gap_ms`` are a stall."""
        now_ms = self.now(clock_ms, last_event_ms)
        grace, held = self.grace, self.held
        if now_ms - self.tick > gap_ms:
            grace = now_ms + lease_ms
            held += now_ms - self.tick if self.tick else 0
        return EngineTime(
            tick=now_ms, skew=now_ms - clock_ms, horizon=now_ms + gap_ms, held=held, grace=grace
        )
