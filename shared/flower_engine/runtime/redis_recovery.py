"""Recovery: a Redis that lost its state, or went back in time, is rebuilt from the archive in Postgres.

A recovery first raises the partition's generation in Postgres, which stops every projector of an older one
and so fixes the archived position, then fences Redis off under it (``fence.lua``). What the lost log holds
beyond the archive is kept as a fork. All the rest is removed, the log begins again behind the archived
position, and every flow that has not ended is put back as its events left it; what ran waits for a new
attempt. Registrations that only the fork has are registered again. Only the last step, ``seal.lua``, lets
anybody work.

Killed at any moment, it is simply begun again: by a newer generation, which fences the older one off.
"""

import logging
from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple

import msgspec

from flower_engine.crash_points import crash_point
from flower_engine.errors import HistoryDamagedError, InstallationError, LostError, NewerEventError
from flower_engine.log.client import AsyncRedis
from flower_engine.model.events.events import FlowRegistered, encode_event
from flower_engine.model.flow_control.lanes import suspect_lane
from flower_engine.model.folding.flow_state import FlowState
from flower_engine.model.folding.fold import fold_one
from flower_engine.model.folding.recovery_events import lapses_of_recovery, timeout_due_ms
from flower_engine.model.invariants.invariants import PLACES_OF_ITEMS
from flower_engine.own_version import UPGRADE_OR_GO_BACK, own_version
from flower_engine.progress import Tell
from flower_engine.projection.archive.archived_events import ArchivedEvent
from flower_engine.projection.archive.histories import FAULTS, events_of, fold_events, read_event, told
from flower_engine.projection.archive.refused_events import flow_and_type
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.flow_control_rows import read_controls
from flower_engine.projection.maintain import recovery_records
from flower_engine.projection.write.batch import make_batch
from flower_engine.projection.write.projected_positions import Projected, read_census
from flower_engine.projection.write.tables import READING, WRITING
from flower_engine.projection.write.writer import Writer
from flower_engine.runtime.recovered_slots import slots_after_loss
from flower_engine.transitions.flow_control_transitions import Shares, limits_of
from flower_engine.transitions.recovery_transitions import Ended, Rebuilding, Returning, Taken
from flower_engine.transitions.restored_flow import Restored

_log = logging.getLogger(__name__)

_MOST_NAMED = 20


class Recovered(msgspec.Struct, kw_only=True):
    """What a recovery of a partition came to. ``running``: tasks that wait for a new attempt; ``forked``:
    events that only the lost log had, of which ``registered_again`` were registrations; ``damaged``: flows
    whose history does not fold, which are not put back, and why (a sentence). ``rewound``: Redis had gone
    back in time, and so many outcomes had come for flows that it did not know (None: that was not why)."""

    partition: int
    generation: str
    flows: int = 0
    running: int = 0
    forked: int = 0
    registered_again: int = 0
    damaged: dict[str, str] = {}
    rewound: int | None = None

    def __str__(self) -> str:
        """One sentence for people."""
        text = (
            f"partition {self.partition} is recovered as generation {self.generation}: {self.flows} flows,"
            f" {self.running} running tasks wait for a new attempt"
        )
        if self.forked:
            text += (
                f"; {self.forked} events that only Redis had are kept in kr_fork_event,"
                f" {self.registered_again} of them registered again"
            )
        if self.rewound is not None:
            text += (
                "; Redis had gone back in time: what it had acknowledged since and nobody archived is lost,"
                f" {self.rewound} outcomes came for flows that it did not know (the workers' logs name such)"
            )
        if self.damaged:
            some = list(self.damaged.values())[:_MOST_NAMED]
            more = len(self.damaged) - len(some)
            text += f"; {len(self.damaged)} flows are NOT put back: {'; '.join(some)}"
            text += f"; and {more} more (the log names them)" if more else ""
        return text


class PutBack(NamedTuple):
    """A flow as a recovery puts it back; ``next_order``: the order of a flow behind it."""

    returning: Returning
    next_order: int


def put_back(flow_id: str, entries: Sequence[ArchivedEvent], now_ms: int, max_lost: int) -> PutBack:
    """How a flow that has not ended comes back, from its history; what ran waits for a new attempt.

    Raises:
        HistoryDamagedError: its history does not fold.
    """
    events = events_of(flow_id, entries)
    state = fold_events(flow_id, entries, events)
    lapses = lapses_of_recovery(state, now_ms)
    try:
        for lapse in lapses:
            fold_one({flow_id: state}, lapse)
        fields = list(Restored.of(state).fields)
        due_ms = timeout_due_ms(events)
    except FAULTS as error:
        raise HistoryDamagedError(flow_id, told(error)) from error
    _mark_suspects(state, fields, max_lost)
    returning = Returning(flow_id, fields, [encode_event(lapse) for lapse in lapses], due_ms)
    return PutBack(returning, state.order + len(state.tasks) + PLACES_OF_ITEMS)


def _mark_suspects(state: FlowState, fields: list[str | bytes | int], max_lost: int) -> None:
    """Tasks that may lose no further worker wait apart, as ``lua/lib/suspects.lua`` has it."""
    suspects = {f"l{task.planned.seq}" for task in state.tasks if 0 < task.lost == max_lost - 1}
    for index in range(0, len(fields), 2):
        if fields[index] in suspects:
            fields[index + 1] = suspect_lane(str(fields[index + 1]))


class Recovery:
    """One recovery of one partition, over a connection of its own."""

    def __init__(
        self,
        client: AsyncRedis,
        connection: Connection,
        *,
        installation: str,
        partition: int,
        max_lost: int,
        remember_seconds: float,
        tell: Tell,
        is_repair: bool = False,
    ) -> None:
        """``max_lost`` as workers have it; ``remember_seconds``: how long ended flows and keys are known;
        ``is_repair``: the log is whole, so what the archive does not have of it yet is no fork."""
        self._client = client
        self._connection = connection
        self._installation = installation
        self._partition = partition
        self._max_lost = max_lost
        self._remember_seconds = remember_seconds
        self._tell = tell
        self._is_repair = is_repair
        self._order = 0

    async def run(self) -> Recovered | None:
        """Recovers the partition; None: another recovery of it is at work.

        Raises:
            LostError: a newer recovery took over, or Redis was lost again; or the tables lost their rows.
            InstallationError: the stores do not belong together.
            NewerEventError: a flow that has not ended has an event of a newer version; nothing was changed.
            psycopg.Error, RedisError: a store does not answer; begin again.
        """
        connection, number = self._connection, self._partition
        if not await recovery_records.try_to_be_the_one(connection, number):
            return None
        if await recovery_records.has_lost_rows(connection, number):
            raise LostError(
                f"partition {number} cannot be recovered: kr_flow_stat, which says what flows are open, is"
                " empty, and the archive has flows. Run flower replay, which fills it; then this goes on"
            )
        await self._refuse_newer_events()
        held = await recovery_records.take_generation(connection, number, self._installation)
        if held is None:
            raise InstallationError(f"Postgres has no partition {number} of {self._installation}")
        _log.warning("recovering partition %d as generation %s", number, held.generation)
        crash_point("recovery.generation")
        rebuilding = Rebuilding(self._client, number, held.generation)
        census = await read_census(connection)
        await rebuilding.fence(held.installation, held.partitions, census.ever, census.retired)
        crash_point("recovery.fenced")
        if self._is_repair:
            held = await self._archive_the_rest(rebuilding, held)
        result = Recovered(partition=number, generation=held.generation)
        result.forked = await self._keep_fork(rebuilding, held)
        crash_point("recovery.forked")
        await rebuilding.wipe()
        crash_point("recovery.wiped")
        await self._reopen(rebuilding, held)
        crash_point("recovery.reopened")
        await self._put_back(rebuilding, result)
        crash_point("recovery.put-back")
        await rebuilding.seal(self._order)
        crash_point("recovery.sealed")
        _log.warning("%s", result)
        return result

    async def _refuse_newer_events(self) -> None:
        found = await recovery_records.newer_event(self._connection, self._partition)
        if found is not None:
            raise NewerEventError(
                f"partition {self._partition} cannot be recovered by {own_version()}, which would lose flow"
                f" {found.flow}: its event {found.position} is of type {found.type!r}, which only a newer"
                f" version knows. Nothing was changed: recover with that version. {UPGRADE_OR_GO_BACK}"
            )

    async def _archive_the_rest(self, rebuilding: Rebuilding, held: Projected) -> Projected:
        """Projects what the log holds behind the position; nobody else does, and nothing is added to it."""
        if held.position is not None and not await rebuilding.has_entry(held.position):
            raise LostError(
                f"the log of partition {held.partition} no longer has its entry {held.position}, which is"
                " projected: this is no repair but a recovery (flower recover)"
            )
        await self._connection.configure(WRITING)
        writer = Writer(self._connection, held)
        while entries := await rebuilding.read_log(writer.position):
            if not await writer.write(await make_batch(held.partition, entries)):
                raise LostError(f"a newer recovery of partition {held.partition} took over")
        await self._connection.configure(READING)
        return msgspec.structs.replace(held, position=writer.position)

    async def _keep_fork(self, rebuilding: Rebuilding, held: Projected) -> int:
        kept, after = 0, None
        while entries := await rebuilding.read_log(after):
            kept += await recovery_records.keep_fork(self._connection, held, entries)
            after = entries[-1].position
        return kept

    async def _reopen(self, rebuilding: Rebuilding, held: Projected) -> None:
        controls = await read_controls(self._connection)
        census = await read_census(self._connection)
        shares = Shares(census.rank(held.partition), len(census.at_work), is_empty=True)
        wanted = limits_of(controls.rows, controls.strikes, shares, controls.pins)
        limits = {name: value for name, (value, _) in wanted.items()}
        entry = b""
        if held.position is not None:
            found = await recovery_records.entry_at(self._connection, held.partition, held.position)
            if found is None:
                raise InstallationError(
                    f"kr_event has no event at position {held.position} of partition {held.partition}, which"
                    " kr_projection says is projected: Postgres lost rows. Restore it from a backup"
                )
            entry = found
        at_ms = recovery_records.time_of(entry)
        await rebuilding.reopen(position=held.position, entry=entry, at_ms=at_ms, limits=limits)
        keep = (self._connection, held.partition, self._remember_seconds)
        ended = [Ended(*row) for row in await recovery_records.ended_lately(*keep)]
        taken = [Taken(*row) for row in await recovery_records.taken_lately(*keep)]
        await rebuilding.remember(ended, taken)

    async def _put_back(self, rebuilding: Rebuilding, result: Recovered) -> None:
        now_ms = await rebuilding.now_ms()
        total = await recovery_records.count_open_flows(self._connection, self._partition)
        self._tell("flows", 0, total)
        async for flows in self._in_batches():
            found = await recovery_records.histories(self._connection, self._partition, flows)
            returning: list[Returning] = []
            for flow in flows:
                try:
                    returning.append(self._returning(flow.flow, found[flow.flow], now_ms, result))
                except HistoryDamagedError as error:
                    _log.error("flow %s cannot be put back: %s", flow.flow, error)
                    result.damaged[flow.flow] = str(error)
            await rebuilding.restore(returning)
            crash_point("recovery.some-put-back")
            result.flows += len(returning)
            self._tell("flows", result.flows + len(result.damaged), total)
        await self._register_again(rebuilding, now_ms, result)
        known = await recovery_records.slots_known(self._connection, self._partition)
        forked = await recovery_records.forked_slots(self._connection, self._partition)
        await rebuilding.remember_slots(slots_after_loss(known, forked))
        crash_point("recovery.slots")

    async def _in_batches(self) -> AsyncGenerator[Sequence[recovery_records.OpenFlow]]:
        async for page in recovery_records.open_flows(self._connection, self._partition):
            for batch in recovery_records.in_batches(page):
                yield batch

    def _returning(
        self, flow_id: str, entries: Sequence[ArchivedEvent], now_ms: int, result: Recovered
    ) -> Returning:
        one = put_back(flow_id, entries, now_ms, self._max_lost)
        result.running += len(one.returning.events)
        self._order = max(self._order, one.next_order)
        return one.returning

    async def _register_again(self, rebuilding: Rebuilding, now_ms: int, result: Recovered) -> None:
        returning: list[Returning] = []
        taken: list[Taken] = []
        for raw in await recovery_records.forked_registrations(self._connection, self._partition):
            flow, _ = flow_and_type(raw)
            try:
                entry = ArchivedEvent("", raw)
                event = read_event(flow or "", entry)
                assert isinstance(event, FlowRegistered)
                one = self._returning(event.flow, [entry], now_ms, result)
            except (AssertionError, HistoryDamagedError) as error:
                _log.error("a registration that only Redis had cannot be read: %s: %r", error, raw[:200])
                continue
            returning.append(msgspec.structs.replace(one, events=[raw]))
            if event.key:
                taken.append(Taken(event.key, event.flow, event.workflow, event.at))
        await rebuilding.restore(returning)
        await rebuilding.remember([], taken)
        result.registered_again = len(returning)
