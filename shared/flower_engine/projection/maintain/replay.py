"""Replay: both tables built anew from the archive, as temporary tables of one transaction.

They write no WAL, and are gone with the transaction whatever happens to it. Every statement names them
(``pg_temp.``), and while they are filled the transaction may write to nothing else, so that the live tables
cannot be meant by mistake: behind a pooler another transaction may be in another session. They are filled
flow by flow, each from all of its events, so that every row is written once; what was archived meanwhile is
then added in log order, until nothing is missing. ``table_comparison.py`` puts them beside the live tables.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Sequence
from itertools import groupby

import msgspec
import psycopg
from psycopg import AsyncServerCursor
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Composable, Identifier, Literal

from flower_engine.crash_points import crash_point
from flower_engine.errors import HistoryDamagedError
from flower_engine.model.events.beginnings import BEGINNING_TYPES, restates
from flower_engine.model.events.events import AnyEvent, FlowRegistered
from flower_engine.progress import Tell
from flower_engine.projection.archive.archived_events import UNCOUNTED
from flower_engine.projection.archive.histories import FAULTS, told
from flower_engine.projection.blobs.uses import Use, blobs_in
from flower_engine.projection.database import Connection
from flower_engine.projection.maintain import replayed_slots
from flower_engine.projection.maintain.replayed_events import Reading, counted
from flower_engine.projection.maintain.version_order import Ordering
from flower_engine.projection.write.changes import Changes
from flower_engine.projection.write.flow_changes import FlowChange
from flower_engine.projection.write.projected_versions import versions_of
from flower_engine.projection.write.tables import BY_KEY, write_changes
from flower_engine.projection.write.target_tables import BUILT
from flower_engine.projection.write.writer import VALUE_ERRORS, blames_a_value

_log = logging.getLogger(__name__)

TABLES = ("kr_flow_stat", "kr_task_stat", "kr_schedule", "kr_schedule_slot")
_OF_FLOWS = TABLES[:2]
_READ_EVENTS = 2_000
_CHUNK_EVENTS = 10_000  # of flows that are written together
_ROUND_EVENTS = 5_000  # of what was archived meanwhile

_BUFFERS = "SET LOCAL temp_buffers = '64MB'"
_ARCHIVED: Composable = SQL(
    "SELECT partition, task_flow_id, position_ms, position_seq,"
    " coalesce(raw, convert_to(event::text, 'UTF8')), error FROM kr_event"
)
# A first choice only: what the events say decides (``Selection.has``).
_CHOSEN: Composable = SQL(
    "task_flow_id IN (SELECT task_flow_id FROM kr_event WHERE type = ANY({beginnings})"
    " AND (event IS NULL OR type <> 'flow.registered' OR ("
    "(%(workflow)s::text IS NULL OR event ->> 'workflow' = %(workflow)s)"
    " AND (%(since_ms)s::bigint IS NULL OR event -> 'at' >= to_jsonb(%(since_ms)s::bigint))"
    " AND (%(until_ms)s::bigint IS NULL OR event -> 'at' < to_jsonb(%(until_ms)s::bigint)))))"
).format(beginnings=Literal(list(BEGINNING_TYPES)))
_ALL: Composable = SQL("task_flow_id IS NOT NULL")
_AFTER: Composable = SQL(
    " WHERE partition = %s AND (position_ms, position_seq) > (%s, %s)"
    " AND (task_flow_id IS NOT NULL OR type LIKE 'schedule.%%')"
    " ORDER BY position_ms, position_seq LIMIT %s"
)

Positions = dict[int, tuple[int, int]]
"""By partition: up to which event, (ms, seq)."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which flows: of a workflow, registered from a moment on, or before one; None: whichever."""

    workflow: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether every flow is among them."""
        return self == Selection()

    def has(self, registered: FlowRegistered) -> bool:
        """Whether the flow of this registration is among them."""
        return (
            self.workflow in (None, registered.workflow)
            and (self.since_ms is None or registered.at >= self.since_ms)
            and (self.until_ms is None or registered.at < self.until_ms)
        )

    def values(self) -> dict[str, object]:
        """The parameters of statements that choose."""
        return msgspec.structs.asdict(self)


class Rebuilt(msgspec.Struct, kw_only=True):
    """What was built: ``headless`` flows have events but no registration in the archive, and ``refused`` ones
    have a value that the tables do not take. Of ``damaged`` ones an event cannot be read, or does not follow
    from those before it; a sentence says which. Those of them that are ``unbuilt``, as headless and refused
    ones, are not in the tables that were built, so nothing is known of what their rows must be. ``uses`` are
    the blobs that the events name."""

    positions: Positions
    events: int = 0
    flows: int = 0
    headless: list[str] = []
    refused: list[str] = []
    damaged: dict[str, str] = {}
    unbuilt: set[str] = set()
    uses: set[Use] = set()

    def lose(self, flow: str, why: str) -> None:
        """The history of a flow cannot be read on; ``why``: a sentence."""
        self.damaged.setdefault(flow, why)
        self.unbuilt.add(flow)

    @property
    def left_out(self) -> set[str]:
        """The flows whose rows stay as they are."""
        return {*self.headless, *self.refused, *self.unbuilt}


@contextlib.asynccontextmanager
async def rebuild_tables(
    connection: Connection,
    reader: Connection,
    chosen: Selection,
    tell: Tell,
    *,
    at_one_moment: bool,
    is_thorough: bool = False,
) -> AsyncGenerator[tuple["Replaying", Rebuilt]]:
    """The tables as the events say, as long as this lasts: a transaction, which is committed at its end.

    ``at_one_moment``: it sees all of the database as it is now, for ``find_differences``; else each statement
    as it is then, for ``swap_in``. ``is_thorough``: see ``Replaying``.
    """
    async with connection.transaction():
        if at_one_moment:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        replaying = Replaying(connection, reader, chosen, tell, is_thorough=is_thorough)
        yield replaying, await replaying.build()
    if not at_one_moment:
        crash_point("replay.committed")


class Replaying:
    """Builds the tables in ``connection``'s transaction; reads the archive over another one.

    ``is_thorough``: whether each event follows from those before it is asked for, too. Where it is not, only
    what would be in the way of the rows is noticed: events that cannot be read, or name what is not there.
    """

    def __init__(
        self,
        connection: Connection,
        reader: Connection,
        chosen: Selection,
        tell: Tell,
        *,
        is_thorough: bool = False,
    ) -> None:
        self._is_thorough = is_thorough
        self._connection = connection
        self._reader = reader
        self._chosen = chosen
        self._tell = tell
        self._ordering = Ordering()

    async def build(self) -> Rebuilt:
        """Fills the tables as the archive is now; then adds what was archived meanwhile, if that is much.

        In a transaction that sees all of the database at one moment, they are built as of that moment.
        """
        connection = self._connection
        moment = await _moment(connection)
        # Not where somebody else had temporary tables in the session before.
        with contextlib.suppress(psycopg.errors.InvalidParameterValue):
            async with connection.transaction():
                await connection.execute(_BUFFERS)
        await connection.configure(BY_KEY)
        for table in _OF_FLOWS:
            # The live table's columns and defaults, its key, and none of the indexes that nobody asks here.
            await connection.execute(
                SQL("CREATE TEMP TABLE {0} (LIKE {0} INCLUDING DEFAULTS) ON COMMIT DROP").format(
                    Identifier(table)
                )
            )
        if self._chosen.is_whole:
            await replayed_slots.make_tables(connection, await schema_of(connection))
        async with connection.transaction():
            await connection.execute("SET TRANSACTION READ ONLY")  # temporary tables may be written to
            rebuilt = await self._fill(moment)
        for table, key in (("kr_flow_stat", "task_flow_id"), ("kr_task_stat", "task_flow_id, task_exec_seq")):
            await self._connection.execute(
                SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(
                    Identifier("pg_temp", table), SQL(", ").join(map(Identifier, key.split(", ")))
                )
            )
            await self._connection.execute(SQL("ANALYZE {}").format(Identifier("pg_temp", table)))
        await self.catch_up(rebuilt)
        return rebuilt

    async def catch_up(self, rebuilt: Rebuilt) -> None:
        """Adds what was archived since."""
        for partition in rebuilt.positions:
            while await self._catch_up_round(rebuilt, partition) == _ROUND_EVENTS:
                pass

    async def _catch_up_round(self, rebuilt: Rebuilt, partition: int) -> int:
        rows = await (
            await self._connection.execute(
                _ARCHIVED + _AFTER, [partition, *rebuilt.positions[partition], _ROUND_EVENTS], binary=True
            )
        ).fetchall()
        if not rows:
            return 0
        found: list[tuple[str, int, AnyEvent | None]] = []
        if self._chosen.is_whole:
            of_schedules = [(ms, raw, error) for _, flow, ms, _, raw, error in rows if flow is None]
            await replayed_slots.write(self._connection, of_schedules, partition)
        named = {flow for _, flow, *_ in rows if flow is not None}
        self._ordering.know(await versions_of(self._connection, list(named), BUILT))
        for _, flow, ms, seq, raw, error in rows:
            if flow is None:
                continue
            rebuilt.uses.update((sha256, flow) for sha256 in blobs_in(bytes(raw or b"")))
            try:
                event = counted(flow, ms, seq, raw, error)
            except HistoryDamagedError as damage:
                rebuilt.lose(flow, str(damage))
                continue
            found.append((flow, ms, event))
            if error != UNCOUNTED:
                self._ordering.add(flow, (ms, seq), event)
        # As a projector has them (``make_batch``).
        for _, some in groupby(found, key=lambda one: restates(one[2])):
            changes = Changes()
            for flow, ms, event in some:
                if flow not in rebuilt.unbuilt:
                    _add(changes, flow, ms, event)
            flows = await self._of_selection(list(changes.flows.values()))
            await self._write(rebuilt, {partition: flows})
        rebuilt.events += len(rows)
        rebuilt.positions[partition] = (rows[-1][2], rows[-1][3])
        rebuilt.damaged |= self._ordering.broken
        return len(rows)

    async def _of_selection(self, flows: list[FlowChange]) -> list[FlowChange]:
        if self._chosen.is_whole:
            return flows
        names = [flow.flow for flow in flows if flow.registered is None]
        rows = await self._connection.execute(
            "SELECT task_flow_id FROM pg_temp.kr_flow_stat WHERE task_flow_id = ANY(%s)", [names]
        )
        known = {name async for (name,) in rows}
        return [
            flow
            for flow in flows
            if flow.flow in known or (flow.registered is not None and self._chosen.has(flow.registered))
        ]

    async def _fill(self, moment: str | None) -> Rebuilt:
        """Fills the tables from one snapshot of the archive, and of how far it goes; that of the moment, if
        there is one."""
        where = SQL(" WHERE ") + (_ALL if self._chosen.is_whole else _CHOSEN)
        reader = self._reader
        async with reader.transaction():
            await reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            if moment is not None:
                await reader.execute(SQL("SET TRANSACTION SNAPSHOT {}").format(Literal(moment)))
            # In the order of the index: sorting would keep everybody waiting before the first row comes.
            await reader.execute("SET LOCAL enable_sort = off")
            positions = await _positions(reader)
            counted = await reader.execute(
                SQL("SELECT count(*) FROM kr_event") + where, self._chosen.values()
            )
            total = int((await counted.fetchone() or (0,))[0])
            rebuilt = Rebuilt(positions=positions)
            self._tell("events", 0, total)
            writing: asyncio.Task[None] | None = None
            try:
                async for events, chunk in self._chunks(where, rebuilt):
                    if writing is not None:
                        await writing
                    writing = asyncio.create_task(self._write(rebuilt, self._wanted(rebuilt, chunk)))
                    rebuilt.damaged |= self._ordering.broken
                    rebuilt.events += events
                    self._tell("events", rebuilt.events, total)
            finally:
                if writing is not None:
                    await writing
            if self._chosen.is_whole:
                await reader.execute("SET LOCAL enable_sort = on")
                rebuilt.events += await replayed_slots.fill(self._connection, reader)
        return rebuilt

    def _wanted(self, rebuilt: Rebuilt, chunk: dict[int, list[FlowChange]]) -> dict[int, list[FlowChange]]:
        wanted: dict[int, list[FlowChange]] = {}
        for partition, flows in chunk.items():
            rebuilt.headless += [flow.flow for flow in flows if flow.registered is None and flow.version]
            wanted[partition] = [
                flow for flow in flows if flow.registered is not None and self._chosen.has(flow.registered)
            ]
        return wanted

    async def _chunks(
        self, where: Composable, rebuilt: Rebuilt
    ) -> AsyncGenerator[tuple[int, dict[int, list[FlowChange]]]]:
        """Whole flows by partition, some thousand events at a time, with the number of these; less those that
        are damaged, which are added there."""
        statement = _ARCHIVED + where + SQL(" ORDER BY task_flow_id, position_ms, position_seq")
        async with self._reader.cursor(name="archived", binary=True) as cursor:
            await cursor.execute(statement, self._chosen.values())
            changes, events, last = dict[int, Changes](), 0, ""
            reading = Reading("", is_thorough=self._is_thorough)
            async for rows in _pages(cursor):
                for partition, flow, ms, seq, raw, error in rows:
                    if flow != last:
                        self._ordering.know({})
                        if events >= _CHUNK_EVENTS:
                            yield events, _flows_of(changes)
                            changes, events = {}, 0
                        last, reading = flow, Reading(flow, is_thorough=self._is_thorough)
                    events += 1
                    rebuilt.uses.update((sha256, flow) for sha256 in blobs_in(bytes(raw or b"")))
                    if reading.is_damaged:
                        continue
                    counting = changes.get(partition)
                    if counting is None:
                        counting = changes[partition] = Changes()
                    try:
                        event = counted(flow, ms, seq, raw, error)
                        if error != UNCOUNTED:
                            self._ordering.add(flow, (ms, seq), event)
                        reading.add(event, f"{ms}-{seq}")
                        _add(counting, flow, ms, event)
                    except (HistoryDamagedError, *FAULTS) as damage:
                        reading.is_damaged = True
                        counting.flows.pop(flow, None)
                        rebuilt.lose(flow, _sentence(flow, ms, seq, damage))
            if changes:
                yield events, _flows_of(changes)

    async def _write(self, rebuilt: Rebuilt, flows: dict[int, list[FlowChange]]) -> None:
        for partition, some in flows.items():
            await self._write_some(rebuilt, partition, some)
            rebuilt.flows += sum(flow.registered is not None for flow in some)

    async def _write_some(self, rebuilt: Rebuilt, partition: int, flows: Sequence[FlowChange]) -> None:
        """Writes the flows; those that the tables refuse are left out, one by one."""
        try:
            async with self._connection.transaction():
                await write_changes(self._connection, [(partition, flows)], BUILT)
        except VALUE_ERRORS as error:
            if not blames_a_value(error):
                raise
            if len(flows) == 1:
                _log.warning("flow %s is left out, the tables refuse it: %s", flows[0].flow, error)
                rebuilt.refused.append(flows[0].flow)
                return
            middle = len(flows) // 2
            await self._write_some(rebuilt, partition, flows[:middle])
            await self._write_some(rebuilt, partition, flows[middle:])


async def schema_of(connection: Connection) -> str:
    """Where the live tables are."""
    row = await (await connection.execute("SELECT current_schema()")).fetchone()
    assert row is not None
    return str(row[0])


async def _moment(connection: Connection) -> str | None:
    """The moment that the transaction sees, for others to see, too; None: each statement sees its own."""
    row = await (await connection.execute("SHOW transaction_isolation")).fetchone()
    if row != ("repeatable read",):
        return None
    row = await (await connection.execute("SELECT pg_export_snapshot()")).fetchone()
    assert row is not None
    return str(row[0])


def _flows_of(changes: dict[int, Changes]) -> dict[int, list[FlowChange]]:
    return {partition: list(one.flows.values()) for partition, one in changes.items()}


async def _pages(cursor: AsyncServerCursor[TupleRow]) -> AsyncGenerator[list[TupleRow]]:
    """The rows, page by page; Postgres makes the next one ready while one is worked on."""
    next_page = asyncio.create_task(cursor.fetchmany(_READ_EVENTS))
    try:
        while rows := await next_page:
            next_page = asyncio.create_task(cursor.fetchmany(_READ_EVENTS))
            await asyncio.sleep(0)  # so that it is asked for
            yield rows
    finally:
        next_page.cancel()
        await asyncio.gather(next_page, return_exceptions=True)


async def _positions(connection: Connection) -> Positions:
    """How far each partition is archived; (-1, 0): nothing yet."""
    rows = await connection.execute("SELECT partition, position FROM kr_projection ORDER BY partition")
    found: Positions = {}
    async for partition, position in rows:
        ms, _, seq = (position or "-1-0").rpartition("-")
        found[partition] = (int(ms), int(seq))
    return found


def _add(changes: Changes, flow: str, ms: int, event: AnyEvent | None) -> None:
    """Counts an archived event of the flow."""
    if event is None:
        changes.touch(flow, ms)
    else:
        changes.add(event, ms)


def _sentence(flow: str, ms: int, seq: int, damage: Exception) -> str:
    if isinstance(damage, HistoryDamagedError):
        return str(damage)
    return str(HistoryDamagedError(flow, told(damage), f"{ms}-{seq}"))
