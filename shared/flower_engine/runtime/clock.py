"""The clock that code is given instead of reading the time itself, and instead of sleeping by itself.

Times inside transitions are Redis' own; this one is for everything around them.
"""

import asyncio
import contextlib
import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time, and lets time pass."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; they never go back."""
        ...

    async def rest(self, seconds: float, stop: asyncio.Event | None = None) -> None:
        """Lets so many seconds pass; fewer, if ``stop`` is set meanwhile."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    async def rest(self, seconds: float, stop: asyncio.Event | None = None) -> None:
        if stop is None or seconds <= 0:
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()


SYSTEM_CLOCK = SystemClock()


class ManualClock:
    """A clock that moves only when told to, for tests."""

    def __init__(self, now_ms: int = 0) -> None:
        self.rests: asyncio.Queue[float] = asyncio.Queue()
        """The seconds of each rest, as it begins; not of those of 0."""
        self._now_ms = now_ms
        self._moved = asyncio.Event()

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic(self) -> float:
        return self._now_ms / 1000

    async def rest(self, seconds: float, stop: asyncio.Event | None = None) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        self.rests.put_nowait(seconds)
        until_ms = self._now_ms + round(seconds * 1000)
        stopping = None if stop is None else asyncio.create_task(stop.wait())
        try:
            while self._now_ms < until_ms and not (stop and stop.is_set()):
                moving = asyncio.create_task(self._moved.wait())
                try:
                    await asyncio.wait(
                        {moving, *([stopping] if stopping else ())}, return_when=asyncio.FIRST_COMPLETED
                    )
                finally:
                    moving.cancel()
        finally:
            if stopping is not None:
                stopping.cancel()

    def advance(self, by_ms: int) -> None:
        """Lets so much time pass; whoever has rested long enough goes on."""
        self._now_ms += by_ms
        self._moved.set()
        self._moved = asyncio.Event()
