"""The transitions of the watcher and the projector's trimming: lapse and trim."""

from collections.abc import Sequence

import msgspec

from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.partition import Partition
from flower_engine.model.values.key_parts import escape, unescape
from flower_engine.transitions.loader import Script

_lapse = Script("watcher/lapse")
_fire = Script("watcher/fire")
_trim = Script("projector/trim")


class Lapse(msgspec.Struct, frozen=True):
    """A lease that ended because its worker was lost; ``suspended``: one too many, it is poison."""

    queue: str
    flow: str
    task: int
    worker: str
    suspended: bool


class Lapses(msgspec.Struct, frozen=True):
    """The reply of lapse; ``stalled_ms`` > 0: nothing may lapse for so long, after a stall."""

    lapses: list[Lapse]
    stalled_ms: int = 0


async def queues_of(client: AsyncRedis, partition: Partition) -> list[str]:
    """Every queue that a worker ever attended, by name."""
    names: set[bytes] = await send(client, "SMEMBERS", partition.keys.queues)
    return sorted(unescape(name.decode()) for name in names)


async def lapse(
    client: AsyncRedis,
    partition: Partition,
    *,
    queues: Sequence[str],
    lease_ms: int,
    tick_gap_ms: int,
    max_lost: int,
    most: int = 100,
) -> Lapses:
    """Ends leases without a heartbeat for ``lease_ms``; call it more often than every ``tick_gap_ms``."""
    args = _lapse.args(
        (escape(queue) for queue in queues),
        generation=partition.generation,
        lease_ms=lease_ms,
        tick_gap_ms=tick_gap_ms,
        max_lost=max_lost,
        most=most,
    )
    reply = partition.check(await _lapse.run(client, partition.keys.meta, args))
    if reply[0] == b"stalled":
        return Lapses([], int(reply[1]))
    flat: list[bytes] = reply[1]
    return Lapses(
        [
            Lapse(
                queue=unescape(flat[at].decode()),
                flow=flat[at + 1][:36].decode(),
                task=int(flat[at + 1][37:]),
                worker=flat[at + 2].decode(),
                suspended=flat[at + 3] == b"suspended",
            )
            for at in range(0, len(flat), 4)
        ]
    )


class Fired(msgspec.Struct, frozen=True):
    """The reply of fire: what was due, as (what, flow, task or 0), and the milliseconds until the next
    timer is due (None: there is none)."""

    fired: list[tuple[str, str, int]]
    next_ms: int | None


async def fire(
    client: AsyncRedis, partition: Partition, *, lease_ms: int, tick_gap_ms: int, most: int = 100
) -> Fired:
    """Moves up to ``most`` timers that are due: retries and delayed starts become ready; attempts, waits for
    a worker and flows that took too long are suspended or retried. After a stall timeouts wait, as lapses do.

    The words for what was due: retry, start, attempt-timeout, queue-timeout, flow-timeout; sleep (it is
    over), wait-timeout.
    """
    args = _fire.args(generation=partition.generation, lease_ms=lease_ms, tick_gap_ms=tick_gap_ms, most=most)
    reply = partition.check(await _fire.run(client, partition.keys.meta, args))
    next_ms, flat = int(reply[1]), [part.decode() for part in reply[2]]
    fired = [(flat[at], flat[at + 1], int(flat[at + 2])) for at in range(0, len(flat), 3)]
    return Fired(fired, None if next_ms < 0 else next_ms)


async def trim(
    client: AsyncRedis,
    partition: Partition,
    *,
    keep_from: str,
    archived: str,
    ended_keep_ms: int,
    projected: int,
    most: int = 1_000,
) -> tuple[int, int]:
    """Trims the log before ``keep_from`` (at most ``archived``, the projected position); notes how many of
    the events ever appended are ``projected``.

    Returns how many log entries were trimmed and how many ended flows were forgotten.
    """
    args = _trim.args(
        generation=partition.generation,
        installation=partition.installation,
        oldest=keep_from,
        archived_ms=archived.partition("-")[0],
        keep_ms=ended_keep_ms,
        most=most,
        projected=projected,
        archived=archived,
    )
    reply = await _trim.run(client, partition.keys.meta, args)
    _, trimmed, forgotten = partition.check(reply)
    return trimmed, forgotten
