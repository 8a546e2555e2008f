"""From the archive to the ledger of hooks: what hooks are to tell, once for each thing and hook."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any

from redis.exceptions import RedisError

from flower_engine.errors import LostError, NewerEventError
from flower_engine.hooks.hook import Hook
from flower_engine.hooks.notifications import FlowFacts, body_of, notification_id
from flower_engine.hooks.occasions import WANTED, Moment, moments_of
from flower_engine.log.client import AsyncRedis, apart, one_server, send
from flower_engine.log.partition import Partition
from flower_engine.log.reader import last_position
from flower_engine.model.events.events import AnyEvent
from flower_engine.model.values.positions import as_numbers
from flower_engine.projection.archive.archived_events import UNCOUNTED
from flower_engine.projection.archive.followers import ArchiveFollower, FollowedEvent, Page
from flower_engine.projection.archive.histories import FAULTS
from flower_engine.projection.archive.refused_events import UNREADABLE, event_of
from flower_engine.projection.database import Connection, connect
from flower_engine.projection.hooks.deliveries import NewDelivery, add_deliveries
from flower_engine.projection.hooks.hook_rows import read_hooks
from flower_engine.projection.hooks.reminded_approvals import due_reminders
from flower_engine.projection.hooks.told_flows import (
    ToldFlow,
    forget_late,
    forget_suspended,
    late_flows,
    move_late,
    read_flows,
    read_schedules,
    read_suspended,
    read_tasks,
    write_suspended,
)
from flower_engine.projection.write.projected_positions import read_positions
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.settings import Settings
from flower_engine.store_faults import STORE_ERRORS

_log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 1.0
_NOBODY_SECONDS = 2.0  # where there is no hook
_SKIP_SECONDS = 10.0  # where nobody is told of anything, what happens is passed over this often
_LATE_SECONDS = 5.0
_PAGE_EVENTS = 1_000
_MOST_LATE = 1_000
_REMINDERS = {"approval.reminder": "remind_seconds", "approval.escalated": "escalate_seconds"}
_BREATH = 100  # notifications between which the loop of the projector goes on


class NoticeLoop:
    """Notes what is to be told. Any number of these may run; one of them does, the others stand by."""

    def __init__(
        self,
        client: AsyncRedis,
        partitions: Sequence[Partition],
        settings: Settings,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._client = client
        self._partitions = partitions
        self._settings = settings
        self._clock = clock
        self._connection: Connection | None = None
        self._follower: ArchiveFollower | None = None
        self._skip_at = self._late_at = clock.monotonic()
        self._said: dict[str, str] = {}

    async def run_once(self) -> float:
        """Notes what there is, or a page of it; returns the seconds to rest.

        Raises:
            psycopg.Error, OSError: Postgres is away; the next call begins with a new connection.
        """
        try:
            return await self._run_once()
        except _OvertakenError:
            await self.close()
            return _INTERVAL_SECONDS
        except STORE_ERRORS:
            await self.close()
            raise

    async def close(self) -> None:
        """Lets another one go on."""
        if self._connection is not None:
            await self._connection.close()
        self._connection = self._follower = None

    async def _run_once(self) -> float:
        connection, follower = await self._connected()
        if not await follower.hold():
            return _INTERVAL_SECONDS
        hooks = await self._usable_hooks(connection)
        now = self._clock.monotonic()
        if not hooks:
            if now >= self._skip_at:
                self._skip_at = now + _SKIP_SECONDS
                await follower.skip()
                await forget_suspended(connection)
                await forget_late(connection, [])
            return _NOBODY_SECONDS
        if now >= self._late_at:
            self._late_at = now + _LATE_SECONDS
            await self._tell_late(connection, hooks)
            await self._remind(connection, hooks)
        page = await follower.read()
        if page is None:
            return _INTERVAL_SECONDS
        await self._tell(connection, follower, page, hooks)
        return 0.0

    async def _connected(self) -> tuple[Connection, ArchiveFollower]:
        if self._connection is None or self._follower is None:
            assert self._settings.database_url is not None
            self._connection = await connect(self._settings.database_url, "hooks")
            self._follower = ArchiveFollower(
                self._connection, "hooks", begin="now", wanted=WANTED, most_events=_PAGE_EVENTS
            )
        return self._connection, self._follower

    async def _usable_hooks(self, connection: Connection) -> list[Hook]:
        """Those that tell; what is wrong with others is said once."""
        usable: list[Hook] = []
        said: dict[str, str] = {}
        for row in await read_hooks(connection):
            name = row.hook.name
            if row.problems:
                said[name] = "; ".join(f"{one.field}: {one.detail}" for one in row.problems)
                if said[name] != self._said.get(name):
                    _log.warning("hook %.100r tells nothing: %s", name, said[name])
            elif not row.hook.is_paused:
                usable.append(row.hook)
        self._said = said
        return usable

    async def _tell(
        self, connection: Connection, follower: ArchiveFollower, page: Page, hooks: Sequence[Hook]
    ) -> None:
        events = list(_decoded(page.events))
        flows = {flow for event in events if (flow := getattr(event, "flow", ""))}
        before = await read_suspended(connection, flows) if flows else {}
        suspended = dict(before)
        wanted = {occasion for hook in hooks for occasion in hook.occasions}
        moments = [one for one in _moments(events, suspended) if one.occasion in wanted]
        new = await _notifications(connection, hooks, moments)
        async with connection.transaction():
            await add_deliveries(connection, new)
            await write_suspended(connection, before, suspended)
            if not await follower.move(page):
                raise _OvertakenError  # the transaction is undone
        if new:
            _log.debug("%d notifications of hooks are to be delivered", len(new))

    async def _tell_late(self, connection: Connection, hooks: Sequence[Hook]) -> None:
        of_late = [hook for hook in hooks if "flow.late" in hook.occasions]
        await forget_late(connection, [hook.name for hook in of_late])
        if not of_late:
            return
        known_ms = await self._known_ms(connection)
        for hook in of_late:
            after = hook.late_after_seconds or 0.0
            async with connection.transaction():
                late = await late_flows(connection, hook.name, hook.workflow, after, _MOST_LATE)
                moments = [
                    Moment(occasion="flow.late", at=since_ms + int(after * 1_000), flow=flow)
                    for flow, since_ms in late
                ]
                await add_deliveries(connection, await _notifications(connection, [hook], moments))
                if len(late) < _MOST_LATE:
                    await move_late(connection, hook.name, after, known_ms)

    async def _remind(self, connection: Connection, hooks: Sequence[Hook]) -> None:
        """Tells of approvals that still wait. What was told is in the ledger, under an id that says which
        reminder it was; so nothing is kept of where this came to, and what passed while nobody told is not
        made up for."""
        for occasion, parameter in _REMINDERS.items():
            for hook in hooks:
                if occasion not in hook.occasions:
                    continue
                due = await due_reminders(connection, parameter, hook.workflow, _MOST_LATE)
                is_once = occasion == "approval.escalated"
                moments = [
                    Moment(
                        occasion=occasion,
                        at=one.since_ms + one.every_ms * (1 if is_once else one.times),
                        flow=one.flow,
                        task=one.task,
                        until=one.until_ms,
                        attempt=one.attempt,
                        reminder=1 if is_once else one.times,
                    )
                    for one in due
                ]
                await add_deliveries(connection, await _notifications(connection, [hook], moments))

    async def _known_ms(self, connection: Connection) -> int:
        """Every flow that was registered before is projected; 0: that is not known now."""
        try:
            # The earliest: each server of a cluster has a clock of its own.
            clocks = [
                await send(one_server(self._client, number), "TIME")
                for number in await apart(self._client, (one.number for one in self._partitions))
            ]
            last = {one.number: await last_position(self._client, one) for one in self._partitions}
        except (LostError, RedisError, OSError):
            return 0
        known_ms = min(int(seconds) for seconds, _ in clocks) * 1_000
        for held in await read_positions(connection):
            behind = as_numbers(held.position)
            if behind < as_numbers(last.get(held.partition)):
                known_ms = min(known_ms, behind[0])
        return known_ms


class _OvertakenError(Exception):
    """Somebody else follows under the same name; begin with a new connection."""


def _decoded(events: Iterable[FollowedEvent]) -> Iterable[AnyEvent]:
    """What can be read and counts."""
    for event in events:
        if event.error == UNCOUNTED or not event.raw:
            continue
        try:
            yield event_of(event.raw, event.error)
        except (NewerEventError, *UNREADABLE):
            _log.debug("no hook is told of event %s: it cannot be read", event.position)


def _moments(events: Iterable[AnyEvent], suspended: dict[str, int]) -> Iterable[Moment]:
    for event in events:
        try:
            found = moments_of(event, suspended)
        except FAULTS as error:
            _log.debug("no hook is told of an event that makes no sense: %s", error)
        else:
            if found is not None:
                yield found


async def _notifications(
    connection: Connection, hooks: Sequence[Hook], moments: Sequence[Moment]
) -> list[NewDelivery]:
    """What the hooks are to tell of these moments."""
    if not moments:
        return []
    flows = await read_flows(connection, [one.flow for one in moments if one.flow])
    named = [(one.flow, one.task) for one in moments if one.task is not None]
    tasks = await read_tasks(connection, named) if named else {}
    uids = [one.schedule for one in moments if one.schedule]
    schedules = await read_schedules(connection, uids) if uids else {}
    new: list[NewDelivery] = []
    for index, moment in enumerate(moments, start=1):
        facts = _facts(moment, flows, tasks, schedules)
        for hook in hooks:
            if hook.tells_of(moment.occasion, facts.workflow):
                number = notification_id(hook.name, moment)
                body = body_of(hook.name, number, moment, facts)
                new.append(NewDelivery(number, hook.name, moment.occasion, moment.flow or None, body))
        if index % _BREATH == 0:
            await asyncio.sleep(0)
    return new


def _facts(
    moment: Moment,
    flows: dict[str, ToldFlow],
    tasks: dict[tuple[str, int], dict[str, Any]],
    schedules: dict[str, tuple[str, str | None]],
) -> FlowFacts:
    if moment.schedule:
        name, workflow = schedules.get(moment.schedule, ("", None))
        return FlowFacts(workflow=workflow, schedule=name or moment.schedule)
    flow = flows.get(moment.flow)
    if flow is None:  # pruned meanwhile
        return FlowFacts()
    return FlowFacts(
        workflow=flow.workflow,
        registered_ms=flow.registered_ms,
        schedule=flow.schedule,
        slot_ms=flow.slot_ms,
        task=None if moment.task is None else tasks.get((moment.flow, moment.task)),
    )
