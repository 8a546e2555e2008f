"""Flow control from the tables to Redis: brought there, and compared.

What is compared is what stands in both places, never who is newer: a Postgres that went back in time is the
truth as much as one that did not. Whoever brings the tables to Redis has them locked meanwhile, and is
refused by Redis if somebody else was there since it looked (it may have lost its lock while it stood still).
"""

import asyncio
from collections.abc import Sequence

import msgspec

from flower_engine.errors import MovedError
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.model.flow_control.flow_control import problems_of_share
from flower_engine.projection.database import Connection
from flower_engine.projection.definitions.flow_control_rows import (
    Controls,
    read_controls,
    try_to_lock_controls,
)
from flower_engine.projection.write.projected_positions import read_census
from flower_engine.transitions.flow_control_transitions import (
    Shares,
    limits_of,
    read_held,
    read_token,
    set_control,
)

_LOOKS = 8  # of a comparison, until both say the same: an edit takes a moment to arrive
_LOOK_SECONDS = 0.5


class Brought(msgspec.Struct, frozen=True):
    """What was brought to Redis: the tables, the names that changed, each partition's token, and how many
    partitions there were."""

    controls: Controls
    changed: list[str]
    tokens: list[str]
    count: int


async def bring_control(
    client: AsyncRedis,
    connection: Connection,
    partitions: Sequence[Partition],
    *,
    must_sign: bool = False,
) -> Brought:
    """What the tables say, as this transaction sees them, holds in these partitions from here on. Some may
    be away: limits are shared by all that there are.

    To be called in a transaction that has the tables locked. Where it fails, some partitions may have the
    settings already; whoever looks next (the watcher) brings what the tables say then.

    Raises:
        MovedError: somebody without the lock was there meanwhile.
        LostError: Redis lost its state.
    """
    held = [await read_held(client, partition) for partition in partitions]
    controls = await read_controls(connection)
    census = await read_census(connection)
    count = max(len(census.at_work), len(partitions))
    changed: set[str] = set()
    for partition, before in zip(partitions, held, strict=True):
        names = await set_control(
            client,
            partition,
            partitions=count,
            held=before,
            controls=controls.rows,
            strikes=controls.strikes,
            pins=controls.pins,
            must_sign=must_sign,
            others=[other.limits for other in held if other is not before],
            rank=census.rank(partition.number),
        )
        if names is None:
            raise MovedError("flow control was changed at the same moment; try again", "moved")
        changed.update(names)
    tokens = [await read_token(client, partition) for partition in partitions]
    return Brought(controls, sorted(changed), tokens, count)


async def try_to_bring_control(
    client: AsyncRedis, connection: Connection, partitions: Sequence[Partition]
) -> Brought | None:
    """The same with a lock of its own; None where somebody else is at it."""
    async with connection.transaction():
        if not await try_to_lock_controls(connection):
            return None
        try:
            return await bring_control(client, connection, partitions)
        except MovedError:
            return None


def problems_of_controls(controls: Controls, partitions: int) -> list[str]:
    """Rows that do not hold as they stand, each as a sentence that names it."""
    found = [f"ms_flow_control, {' '.join(row.name)}: {row.problem}" for row in controls.unreadable]
    found += [
        f"ms_flow_control, {control.scope} {control.name}: {problem}"
        for control in controls.rows
        for problem in problems_of_share(control, partitions, controls.pin(control))
    ]
    found += [f"ms_strike, {row.name[0]!r}: {row.problem}" for row in controls.unreadable_strikes]
    return found


async def control_differences(
    client: AsyncRedis, connection: Connection, partition: Partition, partitions: int
) -> list[str]:
    """Each way in which a partition's flow control is not what the tables say, as sentences.

    A difference counts if it stays for some seconds: an edit takes up to one to arrive.
    """
    found: list[str] = []
    for look in range(_LOOKS):
        if look:
            await asyncio.sleep(_LOOK_SECONDS)
        held = (await read_held(client, partition)).limits
        controls = await read_controls(connection)
        rank = (await read_census(connection)).rank(partition.number)
        shares = Shares(rank, partitions, held, is_empty=True)
        told = limits_of(controls.rows, controls.strikes, shares, controls.pins)
        found = [
            f"flow control {name!r} is {held.get(name, 'not set')!r}, the tables say"
            f" {told[name][0] if name in told else 'not set'!r}"
            for name in sorted(held.keys() | told.keys())
            if held.get(name) != (told[name][0] if name in told else None)
        ]
        if not found:
            break
    return found
