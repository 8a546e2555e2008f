"""Redis' half of a verification: what a partition holds at one moment, beside the fold of its events.

The moment has a position, and the fold ends there, so that an engine that goes on working meanwhile gives no
false alarm. Events up to the projected position come from the archive, those behind it from the log.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import msgspec

from flower_engine.errors import HistoryDamagedError, LostError, NewerEventError
from flower_engine.insight.kept_values import read_kept_values
from flower_engine.insight.live_state import read_live_state
from flower_engine.log.client import AsyncRedis
from flower_engine.log.entries import LogEntry
from flower_engine.log.partition import Partition
from flower_engine.log.reader import read_log
from flower_engine.model.events.events import decode_event
from flower_engine.model.events.schedule_events import ScheduleEvent
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.schedule_state import ScheduleState, apply
from flower_engine.model.invariants.invariants import differences
from flower_engine.model.invariants.kept_invariants import value_differences
from flower_engine.model.invariants.partition_state import LiveState
from flower_engine.model.values.positions import as_numbers
from flower_engine.progress import Tell
from flower_engine.projection.archive.archived_events import ArchivedEvent
from flower_engine.projection.archive.histories import state_of
from flower_engine.projection.archive.refused_events import UNREADABLE, flow_and_type
from flower_engine.projection.database import Connection
from flower_engine.projection.maintain import recovery_records
from flower_engine.projection.read.schedule_standing import add_fired, read_standing, schedule_events
from flower_engine.projection.write.projected_positions import Projected, read_positions
from flower_engine.runtime.gap_crossing import refuse_while_crossing

_READ_EVENTS = 5_000
_ALL_MS = (0, 2**63 - 1)


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What a partition held right behind the event at ``position``; ``differences``: sentences, of
    which the first are about the ``damaged`` flows, whose histories do not fold. Of those that are
    ``only_here`` Redis alone knows how they stand."""

    partition: int
    position: str
    flows: int
    differences: list[str]
    damaged: int = 0
    only_here: list[str] = []


async def check_redis(client: AsyncRedis, connection: Connection, row: Projected, tell: Tell) -> Checked:
    """Compares all flows under way, lanes, leases, timers and counters of a partition with its events.

    Raises:
        LostError: the partition is not at the generation of ``row``, or its log lost events.
        RefusedError: more flows are under way than Redis can be kept waiting for, or a gap is crossed.
    """
    partition = Partition(row.partition, row.installation, row.generation)
    await refuse_while_crossing(client, connection, row)
    standing_at, schedules = await read_standing(connection, row.partition)
    live = await read_live_state(client, partition)
    projected, tail = await _behind_the_archive(client, connection, partition, live.position)
    told: dict[str, list[LogEntry]] = {}
    for entry in tail:
        flow, _ = flow_and_type(entry.raw)
        if flow is not None:
            told.setdefault(flow, []).append(entry)
    named = sorted({*live.flows, *told})
    known = {
        flow.flow: flow for flow in await recovery_records.open_or_named(connection, row.partition, named)
    }
    unknown = [recovery_records.OpenFlow(flow, 1, *_ALL_MS) for flow in named if flow not in known]
    found: list[str] = []
    flows: dict[str, FlowState] = {}
    damaged: set[str] = set()
    until = min(as_numbers(projected), as_numbers(live.position))
    every = [*known.values(), *unknown]
    tell("flows", 0, len(every))
    done = 0
    for some in recovery_records.in_batches(every):
        archived = await recovery_records.histories(connection, row.partition, some)
        for flow in (one.flow for one in some):
            entries = [entry for entry in archived[flow] if as_numbers(entry.position) <= until]
            entries += [ArchivedEvent(entry.position, entry.raw) for entry in told.get(flow, ())]
            try:
                flows[flow] = state_of(flow, entries)
            except HistoryDamagedError as error:
                found.append(str(error))
                damaged.add(flow)
        done += len(some)
        tell("flows", done, len(every))
    live.ended.intersection_update(flows)  # of those that ended longer ago, nothing is asked here
    only_here = sorted(damaged.intersection(live.flows))
    for event in await _schedule_events(connection, row.partition, (standing_at, live.position), tail):
        apply(schedules.setdefault(event.schedule, ScheduleState(uid=event.schedule)), event)
    await add_fired(connection, schedules, flows)
    found += differences(flows, live, damaged, schedules)
    found += await _kept_differences(client, partition, flows, live)
    return Checked(
        partition=row.partition,
        position=live.position,
        flows=len(live.flows),
        differences=found,
        damaged=len(damaged),
        only_here=only_here,
    )


async def _schedule_events(
    connection: Connection, partition: int, between: tuple[str, str], tail: Sequence[LogEntry]
) -> list[ScheduleEvent]:
    """What became of schedules since the tables were read, up to the moment at which Redis was."""
    after, until = between
    archived_to = await _archived_to(connection, partition, until)
    events = await schedule_events(connection, partition, after, archived_to)
    behind = max(as_numbers(archived_to), as_numbers(after))
    for entry in tail:
        if as_numbers(entry.position) > behind and b'"schedule.' in entry.raw[:30]:
            with suppress(NewerEventError, *UNREADABLE):
                event = decode_event(entry.raw)
                if isinstance(event, ScheduleEvent):
                    events.append(event)
    return events


async def _archived_to(connection: Connection, partition: int, until: str) -> str:
    """Up to where the archive has what the log has, at most so far."""
    for row in await read_positions(connection):
        if row.partition == partition and row.position is not None:
            return min(row.position, until, key=as_numbers)
    return "0-0"


async def _kept_differences(
    client: AsyncRedis, partition: Partition, flows: Mapping[str, FlowState], live: LiveState
) -> list[str]:
    """Where results that are kept are others than the events have; of flows that have not moved on since, one
    by one, because they may be large."""
    found: list[str] = []
    for name, held in live.flows.items():
        kept = [seq for seq, task in enumerate(held.tasks, start=1) if task.kept]
        if kept and name in flows:
            now = await read_kept_values(client, partition, name, kept)
            if now is not None and now.version == flows[name].version:
                found += value_differences(flows[name], now.payloads)
    return found


async def _behind_the_archive(
    client: AsyncRedis, connection: Connection, partition: Partition, until: str
) -> tuple[str, list[LogEntry]]:
    """The projected position, and what the log has behind it, up to ``until``."""
    while True:
        position = await _position(connection, partition)
        try:
            return position or "", await _read_tail(client, partition, position, until)
        except LostError:
            # Whoever moved the position on may have trimmed the entry since.
            if await _position(connection, partition) == position:
                raise


async def _read_tail(
    client: AsyncRedis, partition: Partition, position: str | None, until: str
) -> list[LogEntry]:
    tail: list[LogEntry] = []
    while as_numbers(position) < as_numbers(until):
        entries = await read_log(client, partition, position, _READ_EVENTS)
        if not entries:
            break
        tail += [entry for entry in entries if as_numbers(entry.position) <= as_numbers(until)]
        position = entries[-1].position
    return tail


async def _position(connection: Connection, partition: Partition) -> str | None:
    for row in await read_positions(connection):
        if row.partition == partition.number:
            return row.position
    raise LostError(f"Postgres has no partition {partition.number} any more")
