"""``client.backfills``, for code with asyncio."""

from collections.abc import AsyncIterator

from flower_engine.client import backfill_calls
from flower_engine.client.async_schedules import Runner
from flower_engine.client.flow_values import Backfill, BackfillSlot


class AsyncBackfills:
    """Backfills by their id; ``client.schedules`` makes and lists them."""

    def __init__(self, client: Runner, retry_seconds: float | None) -> None:
        self._client = client
        self._retry_seconds = retry_seconds

    async def get(self, backfill: str) -> Backfill:
        """How it stands; raises UnknownBackfillError."""
        return await self._client.run(backfill_calls.get(backfill, self._client.patience()))

    async def slots(self, backfill: str) -> AsyncIterator[BackfillSlot]:
        """Its slots, the oldest first; page after page, as far as one reads."""
        cursor = None
        while True:
            page, cursor = await self._client.run(
                backfill_calls.slots_page(backfill, cursor, self._client.patience())
            )
            for entry in page:
                yield entry
            if cursor is None:
                return

    async def wait(self, backfill: str, timeout: float | None = None) -> Backfill:  # noqa: ASYNC109 # as of flows
        """The backfill once it is over.

        Raises:
            BackfillTimeoutError: so many seconds are over before; it says how far it is.
        """
        return await self._client.run(backfill_calls.wait(backfill, timeout, self._retry_seconds))

    async def pause(self, backfill: str, *, reason: str = "") -> Backfill:
        """Begins nothing more of it; its flows under way go on."""
        return await self._client.run(backfill_calls.act(backfill, "pause", reason, self._client.patience()))

    async def resume(self, backfill: str, *, reason: str = "") -> Backfill:
        """Lets it go on; raises RefusedError where it is not paused."""
        return await self._client.run(backfill_calls.act(backfill, "resume", reason, self._client.patience()))

    async def cancel(self, backfill: str, *, reason: str = "") -> Backfill:
        """Ends it for good; its flows under way go on."""
        return await self._client.run(backfill_calls.act(backfill, "cancel", reason, self._client.patience()))
