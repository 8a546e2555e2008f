"""The ledger of hooks (``kr_hook_delivery``): what is to be told, to whom, and what became of it.

Any number of senders may work on it. One takes a delivery by moving its next attempt to when this one must be
over, so that what a sender that was killed had in hand is due again then, and counts the attempt; it writes
what became of that attempt only if no other has begun since.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from flower_engine.projection.database import Connection

DeliveryState = Literal["waiting", "delivered", "given_up"]
MAX_ANSWER = 2_048
"""Characters of an answer that are kept."""

_ADD = """
INSERT INTO kr_hook_delivery (id, hook, occasion, task_flow_id, body)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[]) ON CONFLICT (id) DO NOTHING
"""
_TAKE = """
WITH due AS (
  SELECT found.id, found.next_ts FROM unnest(%(hooks)s::text[], %(free)s::int[]) AS wanted (hook, free)
  CROSS JOIN LATERAL (
    SELECT id, next_ts FROM kr_hook_delivery AS waiting
    WHERE waiting.hook = wanted.hook AND waiting.state = 'waiting' AND waiting.next_ts <= now()
    ORDER BY waiting.next_ts LIMIT wanted.free FOR UPDATE SKIP LOCKED) AS found
)
UPDATE kr_hook_delivery AS taken SET attempts = taken.attempts + 1, last_ts = now(),
  since_ts = taken.since_ts + (now() - due.next_ts),
  next_ts = now() + make_interval(secs => %(lease)s)
FROM due WHERE taken.id = due.id
RETURNING taken.id, taken.hook, taken.body, taken.attempts,
  extract(epoch FROM now() - taken.since_ts)::float8
"""
_RECORD = """
UPDATE kr_hook_delivery SET state = %(state)s, status = %(status)s, answer = %(answer)s, error = %(error)s,
  next_ts = now() + make_interval(secs => %(delay)s)
WHERE id = %(id)s AND attempts = %(attempt)s AND state = 'waiting'
"""
_GIVE_UP_GONE = """
UPDATE kr_hook_delivery AS waiting SET state = 'given_up', error = 'the hook is gone' WHERE state = 'waiting'
AND NOT EXISTS (SELECT FROM ms_hook WHERE ms_hook.name = waiting.hook)
"""
_PRUNE = """
DELETE FROM kr_hook_delivery WHERE state <> 'waiting' AND created_ts < to_timestamp(%s / 1000.0)
"""
_COLUMNS = """
id, hook, occasion, task_flow_id, state, attempts, created_ts, CASE WHEN state = 'waiting' THEN next_ts END,
last_ts, status, answer, error
"""
_LIST = f"""
SELECT {_COLUMNS} FROM kr_hook_delivery WHERE hook = %(hook)s
  AND (%(states)s::text[] IS NULL OR state = ANY(%(states)s))
  AND (%(at)s::timestamptz IS NULL OR (created_ts, id) < (%(at)s, %(id)s))
ORDER BY created_ts DESC, id DESC LIMIT %(limit)s
""".encode()  # noqa: S608
_ONE = f"SELECT {_COLUMNS}, body FROM kr_hook_delivery WHERE id = %s".encode()  # noqa: S608
_COUNTS = """
SELECT wanted.hook, found.waiting, found.given_up, found.error FROM unnest(%s::text[]) AS wanted (hook)
CROSS JOIN LATERAL (
  SELECT count(*) FILTER (WHERE state = 'waiting') AS waiting,
    count(*) FILTER (WHERE state = 'given_up') AS given_up,
    (array_agg(error ORDER BY created_ts DESC) FILTER (WHERE error <> ''))[1] AS error
  FROM (SELECT state, error, created_ts FROM kr_hook_delivery AS one WHERE one.hook = wanted.hook
    ORDER BY created_ts DESC, id DESC LIMIT 100) AS latest) AS found
"""
_AGAIN = """
UPDATE kr_hook_delivery SET state = 'waiting', since_ts = now(), next_ts = now()
WHERE id = %s AND (state <> 'waiting' OR next_ts > now() + interval '1 second')
"""


class NewDelivery(msgspec.Struct, frozen=True):
    """What a hook is to tell."""

    id: str
    hook: str
    occasion: str
    flow: str | None
    body: bytes


class Taken(msgspec.Struct, frozen=True):
    """A delivery that its sender is to attempt now, for the ``attempt``-th time; it is due since so long."""

    id: str
    hook: str
    body: str
    attempt: int
    since_seconds: float


class Outcome(msgspec.Struct, frozen=True):
    """What became of an attempt. ``error`` "": it worked. ``is_final``: trying again makes no sense;
    ``retry_after``: the receiver asked for so many seconds."""

    error: str = ""
    status: int | None = None
    answer: str = ""
    is_final: bool = False
    retry_after: float | None = None


class Delivery(msgspec.Struct, frozen=True):
    """A delivery as people see it; ``next_ts``: when it is tried next, None if no more."""

    id: str
    hook: str
    occasion: str
    task_flow_id: str | None
    state: DeliveryState
    attempts: int
    created_ts: datetime
    next_ts: datetime | None
    last_ts: datetime | None
    status: int | None
    answer: str
    error: str


class Standing(msgspec.Struct, frozen=True):
    """How the latest 100 deliveries of a hook stand; ``error``: the latest one there is."""

    waiting: int = 0
    given_up: int = 0
    error: str = ""


async def add_deliveries(connection: Connection, new: Sequence[NewDelivery]) -> int:
    """Notes what is to be told; what is noted already stays as it is. Returns how many were not."""
    if not new:
        return 0
    columns = (
        [one.id for one in new],
        [one.hook for one in new],
        [one.occasion for one in new],
        [one.flow for one in new],
        [storable(one.body.decode()) for one in new],
    )
    return (await connection.execute(_ADD, columns)).rowcount


async def take_due(connection: Connection, free: Mapping[str, int], lease_seconds: float) -> list[Taken]:
    """Takes what is due of these hooks, of each at most so many, for so long. The time for which it was due
    and nobody took it (its hook was paused, no projector ran) is none in which its receiver failed."""
    values = {"hooks": list(free), "free": list(free.values()), "lease": lease_seconds}
    return [Taken(*row) async for row in await connection.execute(_TAKE, values)]


async def record(
    connection: Connection, taken: Taken, state: DeliveryState, outcome: Outcome, delay_seconds: float = 0.0
) -> bool:
    """Writes what became of an attempt; False: another one has begun since, or somebody said otherwise."""
    values = {
        "id": taken.id,
        "attempt": taken.attempt,
        "state": state,
        "status": outcome.status,
        "answer": storable(outcome.answer[:MAX_ANSWER]),
        "error": storable(outcome.error[:MAX_ANSWER]),
        "delay": delay_seconds,
    }
    return (await connection.execute(_RECORD, values)).rowcount == 1


async def give_up_of_gone_hooks(connection: Connection) -> int:
    """What waits for hooks that are gone is given up; how much that was."""
    return (await connection.execute(_GIVE_UP_GONE)).rowcount


async def list_deliveries(
    connection: Connection,
    hook: str,
    *,
    states: Sequence[str] | None,
    behind: tuple[datetime, str] | None,
    limit: int,
) -> list[Delivery]:
    """Deliveries of a hook, the newest first, also of one that is gone."""
    at, number = behind or (None, None)
    values: dict[str, Any] = {
        "hook": hook,
        "states": list(states) if states else None,
        "at": at,
        "id": number,
        "limit": limit,
    }
    return [Delivery(*row) async for row in await connection.execute(_LIST, values)]


async def read_delivery(connection: Connection, number: str) -> tuple[Delivery, str] | None:
    """A delivery with its body."""
    row = await (await connection.execute(_ONE, [number])).fetchone()
    return None if row is None else (Delivery(*row[:-1]), row[-1])


async def standings(connection: Connection, hooks: Sequence[str]) -> dict[str, Standing]:
    """How the deliveries of these hooks stand."""
    rows = await connection.execute(_COUNTS, [list(hooks)])
    return {hook: Standing(waiting, given_up, error or "") async for hook, waiting, given_up, error in rows}


async def deliver_again(connection: Connection, number: str) -> bool:
    """Lets a delivery be made (again), under its id, now; False: there is none, or that is so already."""
    return (await connection.execute(_AGAIN, [number])).rowcount == 1


async def prune_deliveries(connection: Connection, before_ms: int) -> int:
    """What was noted before then goes, but for what still waits; how much that was."""
    return (await connection.execute(_PRUNE, [before_ms])).rowcount


def storable(text: str) -> str:
    """A text that Postgres can keep."""
    return text.replace("\0", "�").encode("utf-8", "replace").decode()
