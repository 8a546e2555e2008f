"""Signals by name and key that are kept (``kr_signal``) for flows which come to await them."""

from datetime import datetime

import msgspec

from flower_engine.projection.database import Connection

MOST_KEPT = 1_000
"""Signals that are kept at one time."""

_COLUMNS = "id, name, key, payload::text, sent_by, sent_ts, until_ts, is_first, taken, is_over"
_ADD = """
INSERT INTO kr_signal (id, name, key, payload, sent_by, until_ts, is_first)
SELECT %(id)s, %(name)s, %(key)s, %(payload)s::text::json, %(by)s, now() + make_interval(secs => %(seconds)s),
    %(first)s
WHERE (SELECT count(*) FROM kr_signal WHERE NOT is_over AND until_ts > now()) < %(most)s
ON CONFLICT (id) DO NOTHING
"""
_FIND = f"SELECT {_COLUMNS} FROM kr_signal WHERE id = %s".encode()  # noqa: S608
_OPEN = f"""
SELECT {_COLUMNS} FROM kr_signal WHERE NOT is_over AND until_ts > now() ORDER BY sent_ts, id LIMIT %s
""".encode()  # noqa: S608
_LIST = f"""
SELECT {_COLUMNS} FROM kr_signal WHERE NOT is_over AND until_ts > now()
    AND (%(ts)s::timestamptz IS NULL OR (sent_ts, id) > (%(ts)s, %(id)s))
ORDER BY sent_ts, id LIMIT %(limit)s
""".encode()  # noqa: S608
_TAKE = "SELECT is_over FROM kr_signal WHERE id = %s FOR UPDATE"
_NOTE = "UPDATE kr_signal SET taken = taken + %s, is_over = is_over OR %s WHERE id = %s"
_END = """
UPDATE kr_signal SET is_over = true WHERE id = %s AND NOT is_over AND until_ts > now() RETURNING name, key
"""
_FORGET = "DELETE FROM kr_signal WHERE until_ts < now() - interval '1 day'"


class KeptSignal(msgspec.Struct, frozen=True):
    """A signal that is kept; ``payload`` is JSON. ``is_first``: only the first flow gets it; ``taken``: how
    many tasks took it so far; ``is_over``: it is brought to nobody any more."""

    id: str
    name: str
    key: str
    payload: str
    by: str
    sent: datetime
    until: datetime
    is_first: bool
    taken: int
    is_over: bool = False


class SignalCursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a list of kept signals goes on: behind this one."""

    sent: datetime
    id: str


async def add_signal(connection: Connection, signal: KeptSignal, seconds: float) -> KeptSignal | None:
    """Keeps a signal for so many seconds from now; the one that is kept under its id, which may have been
    there. None: there is no room for it."""
    values = {
        "id": signal.id,
        "name": signal.name,
        "key": signal.key,
        "payload": signal.payload,
        "by": signal.by,
        "seconds": seconds,
        "first": signal.is_first,
        "most": MOST_KEPT,
    }
    await connection.execute(_ADD, values)
    row = await (await connection.execute(_FIND, (signal.id,))).fetchone()
    return None if row is None else KeptSignal(*row)


async def open_signals(connection: Connection) -> list[KeptSignal]:
    """Those that are kept now, the oldest first."""
    return [KeptSignal(*row) async for row in await connection.execute(_OPEN, (MOST_KEPT,))]


async def list_signals(connection: Connection, behind: SignalCursor | None, limit: int) -> list[KeptSignal]:
    """The same, page by page."""
    values = {"ts": behind and behind.sent, "id": behind and behind.id, "limit": limit}
    return [KeptSignal(*row) async for row in await connection.execute(_LIST, values)]


async def is_still_kept(connection: Connection, signal: str) -> bool:
    """Whether it is, held by this transaction until it ends: nobody else brings it to flows meanwhile."""
    row = await (await connection.execute(_TAKE, (signal,))).fetchone()
    return row is not None and not row[0]


async def note_taken(connection: Connection, signal: str, taken: int, *, is_over: bool) -> None:
    """So many more tasks took it; whether it is kept no more."""
    await connection.execute(_NOTE, (taken, is_over, signal))


async def end_signal(connection: Connection, signal: str) -> tuple[str, str] | None:
    """Keeps it no more, and says its name and key; None: it is not kept. Its row stays for as long as it
    would have, so that one that is sent again under its id is known."""
    return await (await connection.execute(_END, (signal,))).fetchone()


async def forget_signals(connection: Connection) -> None:
    """Forgets those whose time is long over."""
    await connection.execute(_FORGET)
