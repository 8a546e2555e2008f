"""Bridging: a Postgres that lost a part of the history for good goes on, from what Redis has.

It was restored from a backup that is older than what the log still holds, or begun anew beside a log that
was trimmed. Every flow under way is written into the log as it stands; flows that Postgres takes for open and
that Redis does not know are closed; then ``kr_gap`` says what is lost, and the projector crosses the gap: it
goes on with the first event that the log has, and counts what follows from what is known.

Killed at any moment, it is simply begun again. Work goes on all the while.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from flower_engine.crash_points import crash_point
from flower_engine.errors import InstallationError, LostError, NewerEventError
from flower_engine.log.backlog import is_postgres_behind
from flower_engine.log.client import AsyncRedis
from flower_engine.log.keys import Keys
from flower_engine.log.partition import Partition
from flower_engine.log.reading import LogEntry, has_entry, read_log
from flower_engine.log.snapshots import (
    are_live,
    close,
    last_position,
    live_flows,
    remembered_ends,
    remembered_keys,
    snapshot,
)
from flower_engine.model.events import AnyEvent, FlowCancelled, FlowEvent
from flower_engine.model.fold import FlowState, FoldError, fold
from flower_engine.model.status import Status
from flower_engine.progress import Tell
from flower_engine.projection import recovering
from flower_engine.projection.database import Connection, connect
from flower_engine.projection.gaps import Gap, add_gap, gap_at, versions_of
from flower_engine.projection.positions import Projected, read_positions
from flower_engine.projection.refused import UNREADABLE, event_of, flow_and_type

REASON = "how it ended lies in the part of the history that is lost"
_BY = "flower"
_READ_EVENTS = 5_000
_LOOK_AGAIN_SECONDS = 1.0


async def bridge_gaps(client: AsyncRedis, database_url: str, tell: Tell) -> list[Gap]:
    """Bridges the gap of every partition whose position in Postgres lies before what the log still has.

    Raises:
        LostError, InstallationError: as ``Bridging.run``.
        psycopg.Error, RedisError: a store does not answer; begin again.
    """
    bridged: list[Gap] = []
    async with await connect(database_url, "recovery") as connection:
        for row in await read_positions(connection):
            while await _has_gap(client, connection, row):
                gap = await Bridging(client, connection, row, tell).run()
                if gap is not None:
                    bridged.append(gap)
                    break
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)  # somebody else is at it
    return bridged


async def _has_gap(client: AsyncRedis, connection: Connection, row: Projected) -> bool:
    keys = Keys(row.partition)
    if row.position is None or await has_entry(client, keys, row.position):
        return False
    gap = await gap_at(connection, row.partition, row.position)
    if gap and await has_entry(client, keys, gap.until):
        return False
    return await is_postgres_behind(client, row.partition, row.position)


class Bridging:
    """Bridges the gap between one partition's position in Postgres and the first event of its log."""

    def __init__(self, client: AsyncRedis, connection: Connection, row: Projected, tell: Tell) -> None:
        self._client = client
        self._connection = connection
        self._row = row
        self._partition = Partition(row.partition, row.installation, row.generation)
        self._tell = tell

    async def run(self) -> Gap | None:
        """Bridges it; None: somebody else is at it, or recovers the partition.

        Raises:
            LostError: Redis lost its state, or its log is empty.
            InstallationError: ``kr_flow_stat`` lost its rows, so it cannot be said what is open.
        """
        connection, number = self._connection, self._row.partition
        if not await recovering.try_to_be_the_one(connection, number):
            return None
        if await recovering.has_lost_rows(connection, number):
            raise InstallationError(
                f"kr_flow_stat has no flow of partition {number}, although the archive has: fill the tables"
                " with flower replay first"
            )
        first = await read_log(self._client, self._partition, None, 1)
        if not first:
            raise LostError(f"the log of partition {number} is empty: recover Redis from the archive")
        unseen = await self._unseen_ends()
        found = await self._find()
        crash_point("bridge.found")
        endings, closed = await self._lost_ends()
        closed += await close(self._client, self._partition, endings)
        crash_point("bridge.closed")
        gap = Gap(
            partition=number,
            after=self._row.position,
            before=first[0].position,
            until=await last_position(self._client, self._partition),
            found=found,
            closed=closed,
            unseen=unseen,
        )
        await add_gap(connection, gap)
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

    async def _unseen_ends(self) -> list[str]:
        """Flows that ended and of which neither Postgres nor what is left of the log knows the beginning."""
        ended = await remembered_ends(self._client, self._partition)
        known = set(await versions_of(self._connection, ended))
        async for entry in self._tail():
            flow, kind = flow_and_type(entry.raw)
            if flow is not None and kind == "flow.registered":
                known.add(flow)
        return [flow for flow in ended if flow not in known]

    async def _lost_ends(self) -> tuple[list[FlowCancelled], list[str]]:
        """The closing events of flows that Postgres takes for open, and that are not; and those of them that
        a bridging which broke down has closed already."""
        open_flows = await recovering.open_or_named(self._connection, self._row.partition, [])
        tail: dict[str, list[LogEntry]] = {flow.flow: [] for flow in open_flows}
        async for entry in self._tail():
            flow, _ = flow_and_type(entry.raw)
            if flow in tail:
                tail[flow].append(entry)
        endings: list[FlowCancelled] = []
        closed: list[str] = []
        for some in recovering.in_batches(open_flows):
            names = [flow.flow for flow in some]
            live = await are_live(self._client, self._partition, names)
            histories = await recovering.histories(self._connection, self._row.partition, some)
            for name in names:
                if name not in live:
                    archived = [(one.raw, one.error) for one in histories[name]]
                    state = _state_of(name, archived, tail[name])
                    if state is None:
                        continue
                    if state.cancelled and state.cancelled.reason == REASON:
                        closed.append(name)
                    elif state.ended_ms is None and not state.may_be_parked:
                        endings.append(_ending_of(state))
        return endings, closed

    async def _tail(self) -> AsyncGenerator[LogEntry]:
        """All that the log has."""
        position: str | None = None
        while entries := await read_log(self._client, self._partition, position, _READ_EVENTS):
            for entry in entries:
                yield entry
            position = entries[-1].position


def _state_of(
    flow: str, archived: Sequence[tuple[bytes, str | None]], tail: Sequence[LogEntry]
) -> FlowState | None:
    """How the flow stands by its history and what follows from it; None: its history does not fold."""
    try:
        events: list[AnyEvent] = [event_of(raw, error) for raw, error in archived]
        version = max((event.v for event in events if isinstance(event, FlowEvent)), default=0)
        for entry in tail:
            event = event_of(entry.raw, None)
            if isinstance(event, FlowEvent) and event.v == version + 1:
                events.append(event)
                version += 1
        return fold(events).get(flow)
    except (FoldError, NewerEventError, *UNREADABLE):
        return None


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
