"""Signals by name and key that are kept for a time: for waits that begin later, too.

They lie in Postgres, so no loss of Redis concerns them, and whoever looks after them brings each to flows
that have come to await it. A flow gets one once, by its id; of ``first`` only one flow does: whoever brings
it holds its row meanwhile, and Redis remembers the flow that got it, should that be killed between the two.
"""

from collections.abc import Sequence

import msgspec

from flower_engine.errors import RefusedError, TooManySignalsError, UnknownSignalError
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.signals import Delivered, deliver
from flower_engine.flows.stores import Stores
from flower_engine.log.client import queue_command
from flower_engine.log.partition import Partition
from flower_engine.model.values.key_parts import escape
from flower_engine.projection.definitions.acting import act_as, note_act
from flower_engine.projection.definitions.signal_rows import (
    MOST_KEPT,
    KeptSignal,
    add_signal,
    end_signal,
    is_still_kept,
    note_taken,
)
from flower_engine.projection.read.view_fields import moment
from flower_engine.transitions.wait_transitions import Sent


async def keep(
    stores: PostgresStores, sent: Sent, seconds: float, *, first: bool
) -> tuple[KeptSignal, Delivered]:
    """Sends a signal to the flows that await it now, and keeps it for those that come to.

    Raises:
        TooManySignalsError: as many are kept as may be.
        RefusedError: another one was sent under this id.
    """
    now = moment(stores.now_ms())  # Postgres says when it is kept
    wanted = KeptSignal(
        id=sent.id,
        name=sent.name,
        key=sent.key,
        payload=sent.payload.decode(),
        by=sent.by,
        sent=now,
        until=now,
        is_first=first,
        taken=0,
    )
    async with stores.postgres() as connection, connection.transaction():
        await act_as(connection, sent.by)
        found = await add_signal(connection, wanted, seconds)
    if found is None:
        raise TooManySignalsError(f"{MOST_KEPT:,} signals are kept already; some must be over first")
    said = (found.name, found.key, found.is_first, msgspec.json.decode(found.payload))
    if said != (sent.name, sent.key, first, msgspec.json.decode(sent.payload)):
        raise RefusedError(f"another signal was sent under the id {sent.id!r}", "other-signal")
    return found, await bring(stores, found)


async def bring(stores: PostgresStores, signal: KeptSignal) -> Delivered:
    """Brings a kept signal to the flows that await it now."""
    sent = Sent(name=signal.name, key=signal.key, id=signal.id, by=signal.by, payload=signal.payload.encode())
    async with stores.postgres() as connection, connection.transaction():
        if not await is_still_kept(connection, signal.id):
            return Delivered([], is_known=True)
        if signal.is_first and await _had_it(stores, signal.id):
            await note_taken(connection, signal.id, 1, is_over=True)
            return Delivered([], is_known=True)
        done, _ = await deliver(stores, sent, first=signal.is_first)
        if done.taken or (signal.is_first and done.is_known):
            await note_taken(connection, signal.id, len(done.taken), is_over=signal.is_first)
        return done


async def let_go(stores: PostgresStores, identity: str, by: str) -> None:
    """Keeps a signal no more: flows that come to await it do not get it; those that have it keep it. One that
    is sent again under its id stays known, and is not kept anew.

    Raises:
        UnknownSignalError: none is kept under this id.
    """
    async with stores.postgres() as connection, connection.transaction():
        ended = await end_signal(connection, identity)
        if ended is None:
            raise UnknownSignalError(
                f"no signal is kept under the id {identity!r}; GET /signals lists those that are"
            )
        name, key = ended
        said = {"id": identity} | ({"key": key} if key else {})
        await note_act(connection, by, "signal.deleted", name=name, details=said)


async def awaited(stores: Stores, signals: Sequence[KeptSignal]) -> list[KeptSignal]:
    """Those of the signals that a task awaits now: a round trip for each partition."""
    found: set[str] = set()
    for partition in stores.partitions:
        found |= await _awaited_in(stores, partition, signals)
    return [one for one in signals if one.id in found]


async def _awaited_in(stores: Stores, partition: Partition, signals: Sequence[KeptSignal]) -> set[str]:
    asked: list[str] = []
    async with stores.redis.pipeline(transaction=False) as pipeline:
        for signal in signals:
            for key in dict.fromkeys((signal.key, "")):
                head = f"{escape(signal.name)} {escape(key)} ".encode()
                where = (partition.keys.waits, b"[" + head, b"(" + head + b"~")
                queue_command(pipeline, "ZRANGE", *where, "BYLEX", "LIMIT", 0, 1)
                asked.append(signal.id)
        replies: list[list[bytes]] = await pipeline.execute() if asked else []
    return {identity for identity, members in zip(asked, replies, strict=True) if members}


async def _had_it(stores: Stores, identity: str) -> bool:
    """Whether a flow got a signal that is for the first one, as Redis remembers."""
    for partition in stores.partitions:
        async with stores.redis.pipeline(transaction=False) as pipeline:
            queue_command(pipeline, "GET", partition.keys.op(f"first:{identity}"))
            (flow,) = await pipeline.execute()
        if flow is not None:
            return True
    return False
