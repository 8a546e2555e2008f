"""``client.schedules``, for code with asyncio."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from flower_engine.client import schedule_calls
from flower_engine.client.api_calls import Patience, Steps
from flower_engine.client.flow_queries import time_text
from flower_engine.client.flow_values import Schedule, ScheduleSlot

if TYPE_CHECKING:
    from flower_engine.authoring.scheduled import Scheduled

T = TypeVar("T")


class Runner(Protocol):
    """What makes the calls: a client."""

    async def run(self, steps: Steps[T]) -> T: ...

    def patience(self) -> Patience: ...


class AsyncSchedules:
    """The schedules; ``client.schedules``. docs/schedules.md says what they mean."""

    def __init__(self, client: Runner) -> None:
        self._client = client

    async def __aiter__(self) -> AsyncIterator[Schedule]:
        """Every schedule, by name."""
        cursor = None
        while True:
            page, cursor = await self._client.run(schedule_calls.page(cursor, self._client.patience()))
            for entry in page:
                yield entry
            if cursor is None:
                return

    async def get(self, name: str) -> Schedule:
        """The schedule as it stands; raises UnknownScheduleError."""
        return await self._client.run(schedule_calls.get(name, self._client.patience()))

    async def put(self, schedule: "Mapping[str, Any] | Scheduled[...]") -> Schedule:
        """Sets a schedule (in Python, or its document), or replaces it as a whole; a pause stays.

        Raises:
            ScheduleError: it cannot be so; names every field.
        """
        document = schedule if isinstance(schedule, Mapping) else schedule.document()
        return await self._client.run(schedule_calls.put(document, self._client.patience()))

    async def delete(self, name: str) -> bool:
        """Takes it away, not its flows; False if there was none."""
        return await self._client.run(schedule_calls.delete(name, self._client.patience()))

    async def pause(self, name: str, *, reason: str = "") -> Schedule:
        """Its slots are skipped until it is resumed; flows under way go on."""
        return await self._client.run(schedule_calls.pause(name, reason, self._client.patience()))

    async def resume(self, name: str) -> Schedule:
        """It goes on from its next slot; raises RefusedError where it is not paused."""
        return await self._client.run(schedule_calls.resume(name, self._client.patience()))

    async def trigger(self, name: str, *, slot: datetime | str | None = None) -> str:
        """Starts a flow with its parameters now, beside its slots; its id, for ``client.flow``. ``slot``:
        what they take for the slot, instead of now."""
        return await self._client.run(schedule_calls.trigger(name, time_text(slot), self._client.patience()))

    async def slots(
        self,
        name: str,
        *,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> AsyncIterator[ScheduleSlot]:
        """What became of its slots, the newest first; page after page, as far as one reads."""
        query: dict[str, Any] = {"since": time_text(since), "until": time_text(until), "cursor": None}
        while True:
            page, query["cursor"] = await self._client.run(
                schedule_calls.slots_page(name, query, self._client.patience())
            )
            for entry in page:
                yield entry
            if query["cursor"] is None:
                return
