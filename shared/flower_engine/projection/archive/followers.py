"""Following the archive (``kr_event``): each event once it is there, in the order of its partition's log.

For whoever tells others what happened. A partition has one writer at a time, whose batches come one behind
the other, so what lies behind a position that was read is all that is missing. Nothing here asks Redis: what
a recovery writes comes behind what was archived, with ``log.opened`` first, and what a gap swallowed never
comes; the flows that were found behind it begin with ``flow.snapshot``. A replay writes no event, so it shows
nothing again; a Postgres that was restored has older positions, too, and shows again what comes behind them.
"""

import logging
from collections.abc import Mapping
from typing import Literal, LiteralString

import msgspec

from flower_engine.model.values.positions import as_numbers
from flower_engine.projection.database import Connection

_log = logging.getLogger(__name__)

FollowerName = Literal["hooks", "traces"]
_NUMBERS: Mapping[FollowerName, int] = {"hooks": 1, "traces": 2}  # of locks; never another one's
_LOCK_SPACE: LiteralString = "('kr_follower'::regclass::oid::bigint << 16)"
_MOST_BYTES = 4 * 1024 * 1024  # as Postgres holds them, which may be compressed
_BEGINNING = (0, 0)

# One that is stopped in the middle gives its lock back. Pages come in the order of the index: where little is
# known of a day's table, sorting all that lies behind the position would look cheaper.
_SESSION: Mapping[LiteralString, str] = {
    "idle_session_timeout": "60s",
    "idle_in_transaction_session_timeout": "60s",
    "enable_sort": "off",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "jit": "off",
}
_STANDINGS = """
SELECT projected.partition, projected.position, known.position_ms, known.position_seq, known.pruned_ms
FROM kr_projection AS projected
LEFT JOIN kr_follower AS known ON known.partition = projected.partition AND known.name = %s
ORDER BY projected.partition
"""
_BEGIN = """
INSERT INTO kr_follower (name, partition, position_ms, position_seq) VALUES (%s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""
# All of a page counts as read, but only what is wanted is sent.
_PAGE_HEAD: LiteralString = """
WITH page AS MATERIALIZED (
  SELECT position_ms, position_seq, task_flow_id, type, event, raw, error, coalesce("""
_PAGE_TAIL: LiteralString = """, false) AS is_wanted
  FROM kr_event AS told
  WHERE partition = %(partition)s AND position_ms >= %(ms)s
    AND (position_ms, position_seq) > (%(ms)s, %(seq)s)
  ORDER BY position_ms, position_seq LIMIT %(most)s
), measured AS (
  SELECT *, row_number() OVER ahead AS number, sum(CASE WHEN NOT is_wanted THEN 0
      ELSE coalesce(pg_column_size(event), 0) + coalesce(pg_column_size(raw), 0) END) OVER ahead AS bytes
  FROM page WINDOW ahead AS (ORDER BY position_ms, position_seq ROWS UNBOUNDED PRECEDING)
), taken AS (
  SELECT *, max(number) OVER () AS events FROM measured WHERE number = 1 OR bytes <= %(bytes)s
)
SELECT position_ms, position_seq, task_flow_id, type,
  CASE WHEN is_wanted THEN coalesce(raw, convert_to(event::text, 'UTF8')) END, error, is_wanted, events
FROM taken WHERE is_wanted OR number = events ORDER BY number
"""
# Not where somebody else has moved it, who took over a lock that was lost.
_MOVE = """
UPDATE kr_follower SET position_ms = %(ms)s, position_seq = %(seq)s,
  pruned_ms = CASE WHEN pruned_ms IS DISTINCT FROM %(pruned_ms)s::bigint THEN pruned_ms END
WHERE name = %(name)s AND partition = %(partition)s
  AND position_ms = %(from_ms)s AND position_seq = %(from_seq)s
"""


class FollowedEvent(msgspec.Struct, frozen=True):
    """An event of the archive. ``raw`` is its JSON; where Postgres refused it, ``error`` says why and ``raw``
    may be anything (``refused_events.event_of`` reads what can be read). It is empty where somebody removed
    the event from its row; ``flow`` and ``type`` are None where they are not known, or there is none."""

    ms: int
    seq: int
    flow: str | None
    type: str | None
    raw: bytes
    error: str | None

    @property
    def position(self) -> str:
        """The position in the log."""
        return f"{self.ms}-{self.seq}"


class Page(msgspec.Struct, frozen=True):
    """Consecutive events of a partition: ``count`` of them behind ``since``, up to ``until``, of which
    ``events`` are wanted. ``pruned_ms``: retention took events from before this that nobody had read."""

    partition: int
    since: tuple[int, int]
    until: tuple[int, int]
    count: int
    events: list[FollowedEvent]
    pruned_ms: int | None = None


class _Standing(msgspec.Struct, frozen=True):
    partition: int
    archived: tuple[int, int]
    position: tuple[int, int]
    pruned_ms: int | None


class ArchiveFollower:
    """Follows all partitions, over a connection of its own.

    In every turn: ``hold``; then ``read``, do the work, ``move``, until there is no more. A page whose
    position was not moved comes again, so each event comes at least once; work that is done in Postgres, in
    the transaction that moves, is done exactly once.
    """

    def __init__(
        self,
        connection: Connection,
        name: FollowerName,
        *,
        begin: Literal["now", "beginning"],
        wanted: LiteralString = "true",
        most_events: int = 5_000,
    ) -> None:
        """
        ``begin``: where a follower of this name that never was begins.
        ``wanted``: SQL over a row of ``kr_event`` (``told``): which events are sent. The others are passed.
        ``most_events``: how many events a page goes over at most.
        """
        self._connection = connection
        self._name: FollowerName = name
        self._begin = begin
        self._page: LiteralString = _PAGE_HEAD + wanted + _PAGE_TAIL
        self._most_events = most_events
        self._is_set_up = False
        self._holds = False
        self._last = -1  # the partition that was read last
        self._said: set[tuple[int, int]] = set()

    async def hold(self) -> bool:
        """Whether this is the active follower of its name, from now on or still; it lasts as long as the
        connection. Call it in every turn, and at least every 30 seconds.

        Raises:
            psycopg.Error: the connection is lost, and with it the right to go on; begin with a new one.
        """
        if not self._is_set_up:
            await self._connection.configure(_SESSION)
            self._is_set_up = True
        if not self._holds or self._connection.is_pooled:
            self._holds = await self._connection.try_lock(_LOCK_SPACE, _NUMBERS[self._name])
        return self._holds

    async def touch(self) -> None:
        """Says that it is still here, where a page takes long: its session ends after a minute of silence.

        Raises:
            psycopg.Error: as ``hold``.
        """
        await self._connection.execute("SELECT")

    async def read(self) -> Page | None:
        """The next page of a partition that has more, of each in turn; None: none has. Not in the transaction
        that moves: there it would stand in the way of a prune."""
        waiting = [one for one in await self._standings() if one.position < one.archived]
        for one in sorted(waiting, key=lambda one: (one.partition <= self._last, one.partition)):
            page = await self._read(one)
            if page is not None:
                self._last = one.partition
                return page
        return None

    async def move(self, page: Page) -> bool:
        """Says that the page's work is done; False: somebody else has said so of another one, who follows
        under the same name. Where the work is in this transaction, undo it then."""
        return await self._move(page.partition, page.since, page.until, page.pruned_ms)

    async def skip(self) -> None:
        """Passes over all that is archived, unread: nobody wants any of it."""
        for one in await self._standings():
            if one.position < one.archived:
                await self._move(one.partition, one.position, one.archived, one.pruned_ms)

    async def _standings(self) -> list[_Standing]:
        found: list[_Standing] = []
        rows = await (await self._connection.execute(_STANDINGS, [self._name])).fetchall()
        for partition, text, ms, seq, pruned_ms in rows:
            archived = as_numbers(text)
            position = (ms, seq) if ms is not None else archived if self._begin == "now" else _BEGINNING
            if ms is None:
                await self._connection.execute(_BEGIN, [self._name, partition, *position])
            found.append(_Standing(partition, archived, position, pruned_ms))
        return found

    async def _read(self, standing: _Standing) -> Page | None:
        self._say_pruned(standing)
        ms, seq = standing.position
        values = {
            "partition": standing.partition,
            "ms": ms,
            "seq": seq,
            "most": self._most_events,
            "bytes": _MOST_BYTES,
        }
        rows = await (await self._connection.execute(self._page, values, binary=True)).fetchall()
        if not rows:  # the archive's row of the position is gone: nothing but an operator does that
            return None
        return Page(
            partition=standing.partition,
            since=standing.position,
            until=(rows[-1][0], rows[-1][1]),
            count=rows[-1][7],
            events=[
                FollowedEvent(ms, seq, flow, kind, bytes(raw or b""), error)
                for ms, seq, flow, kind, raw, error, is_wanted, _ in rows
                if is_wanted
            ],
            pruned_ms=standing.pruned_ms,
        )

    def _say_pruned(self, standing: _Standing) -> None:
        if standing.pruned_ms is None or (standing.partition, standing.pruned_ms) in self._said:
            return
        self._said.add((standing.partition, standing.pruned_ms))
        _log.warning(
            "%s of partition %d had come to %d-%d when events from before %d (ms) were pruned: it tells"
            " nothing of those that it had not read",
            *(self._name, standing.partition, *standing.position, standing.pruned_ms),
        )

    async def _move(
        self, partition: int, since: tuple[int, int], until: tuple[int, int], pruned_ms: int | None
    ) -> bool:
        values = {
            "pruned_ms": pruned_ms,
            "name": self._name,
            "partition": partition,
            "from_ms": since[0],
            "from_seq": since[1],
            "ms": until[0],
            "seq": until[1],
        }
        return (await self._connection.execute(_MOVE, values)).rowcount == 1
