"""Bridging: a Postgres that lost a part of the history for good goes on, from what Redis has.

It was restored from a backup that is older than what the log still holds, or begun anew beside a log that
was trimmed. Every flow under way is written into the log as it stands; flows that Postgres takes for open and
that Redis does not know are closed; then ``kr_gap`` says what is lost, and the projector crosses the gap: it
goes on with the first event that the log has, and counts what follows from what is known.

Killed at any moment, it is simply begun again. Work goes on all the while.
"""

import logging
from collections.abc import AsyncGenerator, Sequence

from flower_engine.crash_points import crash_point
from flower_engine.errors import HistoryDamagedError, InstallationError, LostError
from flower_engine.insight.backlog import is_postgres_behind
from flower_engine.insight.known_flows import are_live, ends_of, live_flows, remembered_ends, remembered_keys
from flower_engine.log.client import AsyncRedis
from flower_engine.log.entries import LogEntry
from flower_engine.log.keys import Keys
from flower_engine.log.partition import Partition, read_meta
from flower_engine.log.reader import has_entry, last_position, read_log
from flower_engine.model.events.beginnings import BEGINNING_TYPES
from flower_engine.model.events.event_base import FlowEvent
from flower_engine.model.events.operator_events import FlowCancelled
from flower_engine.model.events.snapshot_events import FlowSnapshot
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.tasks.status import Status
from flower_engine.model.values.positions import as_numbers
from flower_engine.progress import Tell
from flower_engine.projection.archive.archived_events import ArchivedEvent
from flower_engine.projection.archive.histories import events_of, fold_events, read_event
from flower_engine.projection.archive.refused_events import flow_and_type
from flower_engine.projection.database import Connection, connect
from flower_engine.projection.maintain import recovery_records
from flower_engine.projection.maintain.gaps import Gap, LostEnd, add_gap, ends_known
from flower_engine.projection.maintain.migrations import refuse_newer_tables
from flower_engine.projection.write.projected_positions import (
    Projected,
    add_positions,
    lock_positions,
    read_positions,
)
from flower_engine.runtime.bridged_schedules import tell_schedules
from flower_engine.runtime.gap_crossing import gap_to_cross
from flower_engine.runtime.installation import has_its_opening
from flower_engine.runtime.loop import until_there
from flower_engine.runtime.partition_census import already_retired, not_yet_projected
from flower_engine.transitions.snapshot_transitions import close, snapshot

_log = logging.getLogger(__name__)

REASON = "how it went on, and ended or was parked, lies in the part of the history that is lost"
_BY = "flower"
_READ_EVENTS = 5_000
_LOOK_AGAIN_SECONDS = 1.0
_MOST_NAMED = 1_000


async def bridge_gaps(client: AsyncRedis, database_url: str, tell: Tell) -> list[Gap]:
    """Bridges the gap of every partition whose position in Postgres lies before what the log still has.

    Raises:
        LostError, InstallationError: as ``Bridging.run``; or a newer version made the tables, or the keys.
        psycopg.Error, RedisError: a store does not answer; begin again.
    """
    bridged: list[Gap] = []
    async with await connect(database_url, "recovery") as connection:
        await refuse_newer_tables(connection)
        bridged += await _add_forgotten(client, connection, tell)
        for number in [row.partition for row in await read_positions(connection)]:
            await read_meta(client, number)  # refuses keys of a newer layout

            async def is_the_one(partition: int = number) -> bool | None:
                return await recovery_records.try_to_be_the_one(connection, partition) or None

            await until_there(is_the_one, _LOOK_AGAIN_SECONDS)  # somebody else may be at it
            rows = await read_positions(connection, with_retired=True)
            row = rows[number]  # only now nobody else bridges it
            if not row.is_retired and await _has_gap(client, connection, row):
                bridged.append(await Bridging(client, connection, row, tell).run())
    return bridged


async def _add_forgotten(client: AsyncRedis, connection: Connection, tell: Tell) -> list[Gap]:
    """Partitions that Postgres does not know, as it is from a time before they were added, are added."""
    gaps: list[Gap] = []
    async with connection.transaction():
        await lock_positions(connection)
        rows = await read_positions(connection, with_retired=True)
        metas = [await read_meta(client, row.partition) for row in rows if not row.is_retired]
        count = max((meta.count for meta in metas if meta is not None), default=0)
        added: list[Projected] = []
        for number in range(len(rows), count):
            meta = await read_meta(client, number)
            if meta is not None and meta.is_retired:
                added.append(already_retired(number, meta.installation, meta.partitions))
                continue
            if meta is None or not meta.generation:
                break
            partition = Partition(number, meta.installation, meta.generation, meta.partitions)
            row = not_yet_projected(partition)
            added.append(row)
            if not await has_its_opening(client, partition):
                if not await recovery_records.try_to_be_the_one(connection, number):
                    raise LostError(f"a recovery of partition {number} is at work: try again")
                gaps.append(await Bridging(client, connection, row, tell).run())
        await add_positions(connection, added)
    return gaps


async def _has_gap(client: AsyncRedis, connection: Connection, row: Projected) -> bool:
    if row.position is None or await has_entry(client, Keys(row.partition), row.position):
        return False
    if await gap_to_cross(client, connection, row.partition, row.position):
        return False
    return await is_postgres_behind(client, row.partition, row.position)


class Bridging:
    """Bridges the gap between one partition's position in Postgres and the first event of its log.

    Only one may do so at a time: ``recovering.try_to_be_the_one``.
    """

    def __init__(self, client: AsyncRedis, connection: Connection, row: Projected, tell: Tell) -> None:
        self._client = client
        self._connection = connection
        self._row = row
        self._partition = Partition(row.partition, row.installation, row.generation)
        self._tell = tell

    async def run(self) -> Gap:
        """Bridges it.

        Raises:
            LostError: Redis lost its state, or its log is empty.
            InstallationError: ``kr_flow_stat`` lost its rows, so it cannot be said what is open.
        """
        connection, number = self._connection, self._row.partition
        if await recovery_records.has_lost_rows(connection, number):
            raise InstallationError(
                f"kr_flow_stat has no flow of partition {number}, although the archive has: fill the tables"
                " with flower replay first"
            )
        first = await read_log(self._client, self._partition, None, 1)
        if not first:
            raise LostError(f"the log of partition {number} is empty: recover Redis from the archive")
        found = await self._find()
        await tell_schedules(self._client, connection, self._partition)
        crash_point("bridge.found")
        lost = await self._unseen_ends()
        endings, closed = await self._lost_ends()
        closed += await close(self._client, self._partition, endings)
        crash_point("bridge.closed")
        unseen = [one.flow for one in lost if one.known_version is None]
        outdated = [one.flow for one in lost if one.known_version is not None]
        gap = Gap(
            partition=number,
            after=self._row.position,
            before=first[0].position,
            until=await last_position(self._client, self._partition),
            found=found,
            closed=closed,
            unseen=unseen[:_MOST_NAMED],
            unseen_count=len(unseen),
            outdated=outdated[:_MOST_NAMED],
            outdated_count=len(outdated),
        )
        await add_gap(connection, gap, lost)
        return gap

    async def _find(self) -> int:
        """Writes the flows under way into the log; one that begins meanwhile is registered there."""
        keys = await remembered_keys(self._client, self._partition)
        found = 0
        async for flows in live_flows(self._client, self._partition):
            await snapshot(self._client, self._partition, flows, keys)
            found += len(flows)
            self._tell("flows found", found, found)
        return found

    async def _unseen_ends(self) -> list[LostEnd]:
        """Flows that ended and of which neither Postgres nor what is left of the log knows more, or knows an
        earlier end only."""
        # First what ended, then the log: whatever ends meanwhile is told there.
        ends = await remembered_ends(self._client, self._partition)
        names = list(ends)
        known: dict[str, tuple[int, bool]] = {}
        for first in range(0, len(names), _READ_EVENTS):
            known |= await ends_known(self._connection, names[first : first + _READ_EVENTS])
        versions = {flow: version for flow, (version, _) in known.items()}
        begun: set[str | None] = set()
        async for entry in self._tail():
            flow, kind = flow_and_type(entry.raw)
            if kind in BEGINNING_TYPES:
                begun.add(flow)
            if flow in versions:
                versions[flow] = _version_after(flow, versions[flow], entry)
        lost: list[LostEnd] = []
        for flow, end in ends.items():
            if flow not in known:
                if flow not in begun:
                    lost.append(LostEnd(flow, end.version or None, end.at_ms))
            elif known[flow][1] and versions[flow] < end.version:  # one that is open there is closed
                lost.append(LostEnd(flow, end.version, end.at_ms, known[flow][0]))
        return lost

    async def _lost_ends(self) -> tuple[list[FlowCancelled], list[str]]:
        """The closing events of flows that Postgres takes for open, and that are not; and those of them that
        a bridging which broke down has closed already."""
        open_flows = await recovery_records.open_or_named(self._connection, self._row.partition, [])
        gone: list[recovery_records.OpenFlow] = []
        for some in recovery_records.in_batches(open_flows):
            live = await are_live(self._client, self._partition, [flow.flow for flow in some])
            gone += [flow for flow in some if flow.flow not in live]
        # Of those, everything that happened is in the log by now, if it is not lost.
        tail: dict[str, list[LogEntry]] = {flow.flow: [] for flow in gone}
        async for entry in self._tail():
            flow, _ = flow_and_type(entry.raw)
            if flow in tail:
                tail[flow].append(entry)
        endings: list[FlowCancelled] = []
        closed: list[str] = []
        for some in recovery_records.in_batches(gone):
            histories = await recovery_records.histories(self._connection, self._row.partition, some)
            ends = await ends_of(self._client, self._partition, [flow.flow for flow in some])
            for name in (flow.flow for flow in some):
                state = _state_of(name, histories[name], tail[name])
                if state is None:
                    continue
                if state.cancelled and state.cancelled.reason == REASON:
                    closed.append(name)
                elif state.ended_ms is None and not _is_parked(state, ends.get(name)):
                    endings.append(_ending_of(state))
        return endings, closed

    async def _tail(self) -> AsyncGenerator[LogEntry]:
        """All that the log has now; while work goes on, its end would never be reached."""
        until = as_numbers(await last_position(self._client, self._partition))
        position: str | None = None
        while as_numbers(position) < until:
            for entry in await read_log(self._client, self._partition, position, _READ_EVENTS):
                yield entry
                position = entry.position


def _version_after(flow: str, version: int, entry: LogEntry) -> int:
    """Up to which version a flow is known after an entry of it, if it was up to this one."""
    try:
        event = read_event(flow, ArchivedEvent(entry.position, entry.raw))
    except HistoryDamagedError:
        return version
    if isinstance(event, FlowSnapshot) or (isinstance(event, FlowEvent) and event.v == version + 1):
        return event.v
    return version


def _state_of(flow: str, archived: Sequence[ArchivedEvent], tail: Sequence[LogEntry]) -> FlowState | None:
    """How the flow stands by its history and what follows from it; None: its history does not fold."""
    try:
        entries, events = list(archived), events_of(flow, archived)
        version = max((event.v for event in events if isinstance(event, FlowEvent)), default=0)
        for entry in tail:
            further = ArchivedEvent(entry.position, entry.raw)
            event = read_event(flow, further)
            if isinstance(event, FlowSnapshot) or (isinstance(event, FlowEvent) and event.v == version + 1):
                entries.append(further)
                events.append(event)
                version = event.v
        return fold_events(flow, entries, events)
    except HistoryDamagedError as error:
        _log.error("flow %s stays open in Postgres: %s", flow, error)
        return None


def _is_parked(state: FlowState, ended_at: int | None) -> bool:
    """Whether the flow left Redis as it is known; ``ended_at``: the version at which it did, if that is."""
    return state.may_be_parked and ended_at in (None, state.version)


def _ending_of(flow: FlowState) -> FlowCancelled:
    def standing(status: Status) -> tuple[int, ...]:
        return tuple(task.planned.seq for task in flow.tasks if task.status is status)

    return FlowCancelled(
        at=0,
        flow=flow.flow,
        v=flow.version + 1,
        by=_BY,
        reason=REASON,
        waiting=standing(Status.WAIT),
        running=standing(Status.RUNNING),
        suspended=standing(Status.SUSPEND),
    )
