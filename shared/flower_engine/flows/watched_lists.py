"""Lists of flows that somebody in this process watches: which flows changed, read once, whoever watches.

A position is that of every partition: ``0:<ms>-<n>,1:<ms>-<n>``.
"""

import asyncio
import logging
import re
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from flower_engine.errors import StoreError, StoreUnavailableError
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.model.values.positions import as_numbers
from flower_engine.model.values.seen_position import SeenPosition
from flower_engine.projection.database import Connection
from flower_engine.projection.read.flow_steps import flows_changed
from flower_engine.projection.read.queries import read_summaries
from flower_engine.projection.read.standings import read_moved
from flower_engine.projection.read.views import FlowSummary
from flower_engine.runtime.backoff import SteadyBackoff
from flower_engine.runtime.clock import SYSTEM_CLOCK, Clock
from flower_engine.runtime.loop import Loop
from flower_engine.store_faults import STORE_ERRORS

_log = logging.getLogger(__name__)

_HEARTBEAT_SECONDS = 15.0
_LOOK_SECONDS = 0.5
_MOST_EVENTS = 20_000  # of a partition, read at one time
_MOST_SHOWN = 200  # flows in a frame; of more it is only said that there are
_KEPT_FRAMES = 60
_RETRY_SECONDS = 5
_AWAY = (*STORE_ERRORS, StoreError)
_ONE = re.compile(r"(\d{1,5}):(\d{1,15}-\d{1,15})")
_encode = msgspec.json.Encoder().encode

Positions = Mapping[int, tuple[int, int]]


class ListFrame(NamedTuple):
    """What somebody who watches lists is told. ``start``: from here on; ``flows``: how these stand now;
    ``reset``: so much changed that a list had better be asked for anew; ``waiting`` and ``current``: Postgres
    is away, and is there again. "" is a heartbeat."""

    kind: str
    position: str
    data: bytes


class _Batch(NamedTuple):
    number: int
    flows: Sequence[FlowSummary]
    has_more: bool


class WatchedLists:
    """Follows the changes of all flows. ``most`` may watch at one time; others are refused."""

    def __init__(self, stores: PostgresStores, most: int, clock: Clock = SYSTEM_CLOCK) -> None:
        self._stores = stores
        self._most = most
        self._clock = clock
        self._watchers: set[asyncio.Event] = set()
        self._somebody = asyncio.Event()
        self._positions: Positions | None = None
        self._number = 0
        self._batches: deque[_Batch] = deque(maxlen=_KEPT_FRAMES)
        self._is_closed = False
        self._is_away = False
        self.seen: SeenPosition | None = None
        """How far those who watch are told; None: there is no replica that could be behind."""
        backoff = SteadyBackoff(_log, "following lists that are watched: %s", 1.0)
        self._loop = Loop(
            "follows lists", self.run_once, _LOOK_SECONDS, backoff, heals=_AWAY, is_watched=False
        )

    async def run(self) -> None:
        """Follows for as long as somebody watches, until cancelled."""
        await self._loop.run()

    def close(self) -> None:
        """Nobody is told anything any more."""
        self._is_closed = True
        self._wake()

    def begin(self) -> None:
        """Returns if one more may watch.

        Raises:
            StoreUnavailableError: too many do.
        """
        if self._is_closed or len(self._watchers) >= self._most:
            raise StoreUnavailableError("the API", "as many watch lists as may", _RETRY_SECONDS)

    async def watch(self, behind: str | None) -> AsyncGenerator[ListFrame]:
        """Frames from now on, or from a position on."""
        woken = asyncio.Event()
        self._watchers.add(woken)
        self._somebody.set()
        try:
            while self._positions is None and not self._is_closed:
                woken.clear()
                if not await _woken(woken, _HEARTBEAT_SECONDS):
                    yield ListFrame("", "", b"")
            number, at = self._number, self._text()
            first = ListFrame("start", at, b"{}") if behind is None else await self._since(behind)
            if first is not None:
                yield first
            was_away = False
            while not self._is_closed:
                woken.clear()
                if number < self._number:
                    frame, number = self._frame_after(number), self._number
                    yield frame
                elif self._is_away != was_away:
                    was_away = self._is_away
                    yield ListFrame("waiting" if was_away else "current", "", b'{"store":"Postgres"}')
                elif not await _woken(woken, _HEARTBEAT_SECONDS):
                    yield ListFrame("", "", b"")
        finally:
            self._watchers.discard(woken)

    async def run_once(self) -> None:
        """Reads which flows changed.

        Raises:
            psycopg.Error, StoreUnavailableError: Postgres is away; those who watch are told.
        """
        if not self._watchers:
            self._somebody.clear()
            self._positions = None
            self._batches.clear()
        await self._somebody.wait()
        try:
            await self._look()
        except _AWAY:
            self._is_away = True
            self._wake()
            raise
        if self._is_away:
            self._is_away = False
            self._wake()

    async def _look(self) -> None:
        async with self._stores.postgres() as connection:
            now = {one: as_numbers(position) for one, position in (await read_moved(connection)).items()}
            known = self._positions
            if known is None:
                self._positions = now
                self.seen = await self._stores.seen_on(connection)
                self._wake()
                return
            if now == known:
                return
            flows, has_more = await _changed(connection, known, now)
            self.seen = await self._stores.seen_on(connection)
        self._number += 1
        self._positions = now
        self._batches.append(_Batch(self._number, flows, has_more))
        self._wake()

    async def _since(self, behind: str) -> ListFrame | None:
        """What somebody is told first who has seen all up to a position; None: nothing is new to him yet."""
        seen = positions_of(behind)
        now = self._positions
        assert now is not None or self._is_closed
        if seen is None or now is None or seen.keys() != now.keys():
            return ListFrame("reset", self._text(), b"{}")
        try:
            async with self._stores.postgres() as connection:
                flows, has_more = await _changed(connection, seen, now)
        except _AWAY:
            return ListFrame("reset", self._text(), b"{}")
        return _frame(_text_of(now), flows, has_more=has_more) if flows or has_more else None

    def _frame_after(self, number: int) -> ListFrame:
        behind = [batch for batch in self._batches if batch.number > number]
        flows: dict[str, FlowSummary] = {}
        for batch in behind:
            flows |= {flow.task_flow_id: flow for flow in batch.flows}
        is_short = len(behind) != self._number - number or len(flows) > _MOST_SHOWN
        has_more = is_short or any(batch.has_more for batch in behind)
        return _frame(self._text(), list(flows.values()), has_more=has_more)

    def _text(self) -> str:
        return _text_of(self._positions or {})

    def _wake(self) -> None:
        for woken in self._watchers:
            woken.set()


def positions_of(text: str) -> Positions | None:
    """The positions that such a text says; None: it says none."""
    found: dict[int, tuple[int, int]] = {}
    for part in text.split(","):
        one = _ONE.fullmatch(part)
        if one is None:
            return None
        found[int(one[1])] = as_numbers(one[2])
    return found


async def _changed(
    connection: Connection, behind: Positions, now: Positions
) -> tuple[list[FlowSummary], bool]:
    """The flows that changed between positions, as they stand, and whether there are more than are read."""
    flows: list[str] = []
    has_more = False
    for partition, until in now.items():
        since = behind.get(partition, (0, 0))
        if since > until:  # Postgres was set back
            return [], True
        if since == until:
            continue
        found, reached = await flows_changed(connection, partition, since, until, _MOST_EVENTS)
        has_more |= reached != until
        flows += found
    has_more |= len(flows) > _MOST_SHOWN
    return await read_summaries(connection, flows[-_MOST_SHOWN:]) if flows else [], has_more


def _frame(position: str, flows: Sequence[FlowSummary], *, has_more: bool) -> ListFrame:
    return ListFrame("reset" if has_more else "flows", position, _encode({"flows": flows}))


def _text_of(positions: Positions) -> str:
    return ",".join(f"{number}:{ms}-{seq}" for number, (ms, seq) in sorted(positions.items()))


async def _woken(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
