"""``client.schedules``, for code with asyncio."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from flower_engine.client import backfill_calls, schedule_calls
from flower_engine.client.api_calls import Patience, Steps
from flower_engine.client.flow_queries import time_text
from flower_engine.client.flow_values import Backfill, PreviewedSlot, Schedule, ScheduleSlot, SlotStory

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

    async def preview(
        self,
        schedule: "str | Mapping[str, Any] | Scheduled[...]",
        *,
        count: int = 10,
        after: datetime | str | None = None,
        other_zone: str = "UTC",
    ) -> list[PreviewedSlot]:
        """The next slots: of one that is set, by its name, or of one in Python or its document, which need
        not be. On its clock and that of ``other_zone``, with what changes of clocks do to them."""
        said = schedule if isinstance(schedule, str | Mapping) else schedule.document()
        query = {"count": count, "after": time_text(after), "otherTimezone": other_zone}
        return await self._client.run(schedule_calls.preview(said, query, self._client.patience()))

    async def slot(self, name: str, slot: datetime | str) -> SlotStory:
        """What became of one slot, and why."""
        at = time_text(slot) or ""
        return await self._client.run(schedule_calls.slot(name, at, self._client.patience()))

    async def backfill(
        self,
        name: str,
        first: datetime | str,
        last: datetime | str,
        which: backfill_calls.Which = "missed",
        *,
        most_at_once: int = 1,
        newest_first: bool = False,
        priority: int | None = None,
        reason: str = "",
        dry_run: bool = False,
    ) -> Backfill:
        """Gives slots from ``first`` to ``last`` their flow: those without one (``missed``), those whose flow
        ``failed``, or ``all``. Watchers work it off: see ``client.backfills``. ``dry_run``: only says which.

        Raises:
            ScheduleError: the range or another thing makes no sense; names it.
        """
        more = {"mostAtOnce": most_at_once, "newestFirst": newest_first, "priority": priority}
        body = backfill_calls.body_of(first, last, which, **more, reason=reason, dryRun=dry_run)
        return await self._client.run(backfill_calls.make(name, body, self._client.patience()))

    async def backfills(self, name: str) -> list[Backfill]:
        """The backfills of a schedule, the newest first."""
        return await self._client.run(backfill_calls.of_schedule(name, self._client.patience()))

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
