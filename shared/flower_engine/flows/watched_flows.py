"""The flows that somebody in this process watches: what becomes of them is read once, whoever watches.

It is read from the archive, four times a second at most, and only while somebody watches and Postgres moves.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress

import msgspec

from flower_engine.errors import HistoryDamagedError, StoreError, StoreUnavailableError
from flower_engine.flows.history import find_flow
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.watched_flow import Frame, WatchedFlow
from flower_engine.model.values.positions import as_numbers
from flower_engine.model.values.seen_position import SeenPosition
from flower_engine.projection.archive.archived_events import ArchivedEvent
from flower_engine.projection.archive.histories import FAULTS, read_event, told
from flower_engine.projection.read.flow_steps import read_steps
from flower_engine.projection.read.standings import Standing, read_moved, read_standings
from flower_engine.runtime.backoff import SteadyBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import Loop
from flower_engine.store_faults import STORE_ERRORS

_log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 15.0
_LOOK_SECONDS = 0.25  # so nobody is sent more than four frames a second
_MOST_EVENTS = 2_000  # of a flow, read and folded at one time
_BREATH_EVENTS = 200  # between these, others have a turn
_RETRY_SECONDS = 5
_AWAY = (*STORE_ERRORS, StoreError)
_EVER = (2**63 - 1, 2**63 - 1)

WAITING = Frame("waiting", "", b'{"store":"Postgres"}')
HEARTBEAT = Frame("", "", b"")


class _Watched:
    """A flow with those who watch it. ``problem``: why it cannot be followed any more."""

    def __init__(self, flow: str) -> None:
        self.flow = WatchedFlow(flow)
        self.watchers: set[_Watcher] = set()
        self.problem: str | None = None

    def wake(self) -> None:
        for watcher in self.watchers:
            watcher.woken.set()


class _Watcher:
    """One who watches."""

    def __init__(self) -> None:
        self.woken = asyncio.Event()


class WatchedFlows:
    """Follows flows for those who watch them. ``most``: so many at one time; others are refused."""

    def __init__(self, stores: PostgresStores, most: int, clock: Clock = SYSTEM_CLOCK) -> None:
        self._stores = stores
        self._most = most
        self._clock = clock
        self._watched: dict[str, _Watched] = {}
        self._count = 0
        self._somebody = asyncio.Event()
        self._positions: dict[int, str | None] = {}
        self._new: set[str] = set()
        self._is_closed = False
        self._is_away = False
        self.seen: SeenPosition | None = None
        """How far those who watch are told; None: there is no replica that could be behind."""
        backoff = SteadyBackoff(_log, "following flows that are watched: %s", 1.0)
        self._loop = Loop(
            "follows flows", self.run_once, _LOOK_SECONDS, backoff, heals=_AWAY, is_watched=False
        )

    async def run(self) -> None:
        """Follows for as long as somebody watches, until cancelled."""
        await self._loop.run()

    def close(self) -> None:
        """Nobody is told anything any more."""
        self._is_closed = True
        self._wake_all()

    async def begin(self, flow: str) -> None:
        """Returns if the flow can be watched now.

        Raises:
            UnknownFlowError: there is no such flow.
            StoreUnavailableError: too many watch already.
        """
        if self._is_closed or self._count >= self._most:
            raise StoreUnavailableError("the API", "as many watch flows as may", _RETRY_SECONDS)
        if flow not in self._watched or not self._watched[flow].flow.table.version:
            with suppress(HistoryDamagedError):
                await find_flow(self._stores, flow)

    async def watch(self, flow: str, behind: str | None) -> AsyncGenerator[Frame]:
        """Frames of the flow, from a table of all of it on, or going on behind a position; ``HEARTBEAT``
        while nothing comes; ``problem`` is the last one, where its history cannot be followed."""
        watched = self._watched.setdefault(flow, _Watched(flow))
        watcher = _Watcher()
        watched.watchers.add(watcher)
        self._count += 1
        self._new.add(flow)
        self._somebody.set()
        try:
            async with aclosing(self._frames(watched, watcher, behind)) as frames:
                async for frame in frames:
                    yield frame
        finally:
            self._count -= 1
            watched.watchers.discard(watcher)
            if not watched.watchers and self._watched.get(flow) is watched:
                del self._watched[flow]

    async def _frames(
        self, watched: _Watched, watcher: _Watcher, behind: str | None
    ) -> AsyncGenerator[Frame]:
        number: int | None = None  # of the last change that was told
        following: WatchedFlow | None = None
        was_away = False
        while not self._is_closed:
            watcher.woken.clear()
            if watched.problem is not None:
                yield Frame("problem", "", _quoted(watched.problem))
                return
            flow = watched.flow
            if following is not flow:  # the first, or one that was read anew
                following, number = flow, None
            if flow.number:
                if number is None:
                    frame = await self._first(flow, behind)
                    number, behind = flow.number, None
                    if frame is not None:
                        yield frame
                elif number < flow.number:
                    frame, number = flow.frame_after(number), flow.number
                    yield frame
            if self._is_away != was_away:
                was_away = self._is_away
                yield WAITING if was_away else Frame("current", "", b"{}")
            if number is None or number == watched.flow.number:
                if await _woken(watcher.woken, HEARTBEAT_SECONDS):
                    continue
                yield HEARTBEAT

    async def _first(self, flow: WatchedFlow, behind: str | None) -> Frame | None:
        """What somebody is told first who has seen all up to a position; None: nothing is new to him."""
        if behind is None:
            return flow.frame_after(0)
        number = flow.number_at(behind)
        if number is None:
            return await self._read_behind(flow, behind)
        return flow.frame_after(number) if number < flow.number else None

    async def _read_behind(self, flow: WatchedFlow, behind: str) -> Frame:
        """The same from the archive, where it is not known any more what changed since."""
        position, numbers = flow.position, as_numbers(behind)
        if numbers > as_numbers(position):
            return flow.frame_after(0)  # he saw what is not there: Postgres was set back
        again = WatchedFlow(flow.flow)
        try:
            if not await self._read(again, numbers) or again.position != behind:
                return flow.frame_after(0)
            again.settle()
            await self._read(again, as_numbers(position))
        except (HistoryDamagedError, *_AWAY):
            return flow.frame_after(0)
        again.settle()
        # As it stands now: it may have gone on meanwhile, and what came is among the changes that are known.
        number = flow.number_at(position)
        tasks = again.tasks_after(1)
        more = None if number is None else flow.tasks_after(number)
        return flow.frame_of(None if tasks is None or more is None else tasks | more)

    async def _read(self, flow: WatchedFlow, until: tuple[int, int]) -> bool:
        """Adds what the archive has up to a position; whether there was anything."""
        has_more, is_new = True, False
        while has_more:
            async with self._stores.postgres() as connection:
                entries = await read_steps(connection, flow.flow, as_numbers(flow.position), _MOST_EVENTS)
                if entries:
                    self.seen = await self._stores.seen_on(connection)
            has_more = len(entries) == _MOST_EVENTS and as_numbers(entries[-1].position) <= until
            is_new |= await _add([one for one in entries if as_numbers(one.position) <= until], flow)
        return is_new

    async def run_once(self) -> None:
        """Reads what became of the flows that are watched.

        Raises:
            psycopg.Error, StoreUnavailableError: Postgres is away; those who watch are told.
        """
        if not self._watched:
            self._somebody.clear()
        await self._somebody.wait()
        try:
            await self._look()
        except _AWAY:
            self._is_away = True
            self._wake_all()
            raise
        if self._is_away:
            self._is_away = False
            self._wake_all()

    async def _look(self) -> None:
        async with self._stores.postgres() as connection:
            positions = await read_moved(connection)
            moved = {one for one, position in positions.items() if position != self._positions.get(one)}
            new = self._new
            asked = [flow for flow in self._watched if flow in new or self._partition(flow) in moved]
            found: Mapping[str, Standing] = await read_standings(connection, asked) if asked else {}
        for flow in asked:
            watched = self._watched.get(flow)
            if watched is not None and watched.problem is None and flow in found:
                await self._advance(watched, found[flow].version)
        self._new -= {flow for flow in asked if flow in found}
        self._positions = positions

    async def _advance(self, watched: _Watched, version: int) -> None:
        flow = watched.flow
        if flow.table.version > version:  # Postgres was set back
            flow = WatchedFlow(flow.flow)
        elif flow.table.version == version:
            return
        try:
            is_new = await self._read(flow, _EVER)
        except HistoryDamagedError as error:
            watched.problem = str(error)
            watched.wake()
            return
        if is_new:
            flow.settle()
            watched.flow = flow
            watched.wake()

    def _partition(self, flow: str) -> int:
        return self._stores.partition_of(flow).number

    def _wake_all(self) -> None:
        for watched in self._watched.values():
            watched.wake()


async def _add(entries: Sequence[ArchivedEvent], flow: WatchedFlow) -> bool:
    """Adds these events to their flow; whether there are any."""
    for index, entry in enumerate(entries):
        event = read_event(flow.flow, entry)
        try:
            flow.add(entry.position, event)
        except FAULTS as error:
            raise HistoryDamagedError(flow.flow, told(error), entry.position) from error
        if index % _BREATH_EVENTS == _BREATH_EVENTS - 1:
            await asyncio.sleep(0)
    return bool(entries)


async def _woken(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _quoted(text: str) -> bytes:
    return msgspec.json.encode({"detail": text})
