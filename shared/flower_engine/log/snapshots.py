"""The transitions snapshot and close, and what else bridging a gap asks of Redis."""

from collections.abc import AsyncGenerator, Iterable, Sequence

import msgspec

from flower_engine.errors import LostError
from flower_engine.log.client import AsyncRedis, queue_command, send
from flower_engine.log.partition import Partition
from flower_engine.log.scripts import Arg, Script
from flower_engine.model.events import FlowCancelled

_snapshot = Script("snapshot")
_close = Script("close")
_encode = msgspec.json.Encoder().encode
_SCAN_KEYS = 1_000
_CALL_FLOWS = 200
_CALL_TASKS = 2_000  # Redis serves nobody else meanwhile
_TYPE = b'{"type":"flow.cancelled"'
_AT = b',"at":0}'


async def live_flows(client: AsyncRedis, partition: Partition) -> AsyncGenerator[list[str]]:
    """The flows under way, page by page: at least those that are so from the first page to the last."""
    prefix, cursor = partition.keys.flow(""), 0
    while True:
        cursor, names = await send(client, "SCAN", cursor, "MATCH", f"{prefix}*", "COUNT", _SCAN_KEYS)
        yield [name.decode().removeprefix(prefix) for name in names]
        if not int(cursor):
            return


async def remembered_keys(client: AsyncRedis, partition: Partition) -> dict[str, str]:
    """The idempotency keys that Redis remembers, by flow."""
    found: dict[str, str] = {}
    async for entries in _pages(client, partition.keys.keyed):
        keys = [entry.partition(b" ")[2].decode() for entry in entries]
        for key, reply in zip(keys, await _get(client, map(partition.keys.key, keys)), strict=True):
            if reply is not None:
                found[reply.decode().partition(" ")[0]] = key
    return found


class RememberedEnd(msgspec.Struct, frozen=True):
    """A flow that ended, or was parked: when, and at which version (0: an older Flower did not say)."""

    flow: str
    version: int
    at_ms: int


async def remembered_ends(client: AsyncRedis, partition: Partition) -> dict[str, RememberedEnd]:
    """The flows that Redis remembers to have ended (or been parked) lately, each as it did last, by id."""
    found: dict[str, RememberedEnd] = {}
    async for entries in _pages(client, partition.keys.endings):
        for entry in entries:
            at, flow, *version = entry.decode().split(" ")
            ended_ms = int(at.partition("@")[0])
            found[flow] = RememberedEnd(flow, int(version[0]) if version else 0, ended_ms)
    return found


async def ends_of(client: AsyncRedis, partition: Partition, flows: Sequence[str]) -> dict[str, int]:
    """At which version each of the flows ended or was parked, as far as Redis remembers it."""
    replies = await _get(client, map(partition.keys.ended, flows))
    return {flow: int(reply.split(b" ")[0]) for flow, reply in zip(flows, replies, strict=True) if reply}


async def _pages(client: AsyncRedis, key: str) -> AsyncGenerator[list[bytes]]:
    """A list that grows at its end, as it is now, some at a time."""
    first, count = 0, await send(client, "LLEN", key)
    while first < count and (page := await send(client, "LRANGE", key, first, first + _SCAN_KEYS - 1)):
        yield page
        first += len(page)


async def _get(client: AsyncRedis, keys: Iterable[str]) -> list[bytes | None]:
    async with client.pipeline(transaction=False) as pipeline:
        for key in keys:
            queue_command(pipeline, "GET", key)
        return await pipeline.execute()


async def are_live(client: AsyncRedis, partition: Partition, flows: Sequence[str]) -> set[str]:
    """Those of the flows that are under way."""
    async with client.pipeline(transaction=False) as pipeline:
        for flow in flows:
            queue_command(pipeline, "EXISTS", partition.keys.flow(flow))
        replies = await pipeline.execute()
    return {flow for flow, reply in zip(flows, replies, strict=True) if reply}


async def are_known(client: AsyncRedis, partition: Partition, flows: Sequence[str]) -> set[str]:
    """Those of the flows that are under way, or ended not long ago."""
    async with client.pipeline(transaction=False) as pipeline:
        for flow in flows:
            queue_command(pipeline, "EXISTS", partition.keys.flow(flow), partition.keys.ended(flow))
        found: list[int] = await pipeline.execute() if flows else []
    return {flow for flow, count in zip(flows, found, strict=True) if count}


async def snapshot(
    client: AsyncRedis, partition: Partition, flows: Sequence[str], keys: dict[str, str]
) -> None:
    """Writes those of the flows that are under way into the log as they stand, with their idempotency keys.

    Raises:
        LostError: Redis lost its state.
    """
    rest = list(flows)
    while rest:
        args: list[Arg] = [partition.generation, _CALL_TASKS]
        for flow in rest[:_CALL_FLOWS]:
            args += (flow, b',"key":' + _encode(keys[flow]) if flow in keys else "")
        reply = partition.check(await _snapshot.run(client, partition.keys.meta, args))
        rest = rest[reply[1] :]


async def close(client: AsyncRedis, partition: Partition, endings: Sequence[FlowCancelled]) -> list[str]:
    """Ends flows that Redis does not know with these events, less their time, which is Redis'; returns which.

    Raises:
        LostError: Redis lost its state.
    """
    closed: list[str] = []
    for first in range(0, len(endings), _CALL_FLOWS):
        args: list[Arg] = [partition.generation]
        for ending in endings[first : first + _CALL_FLOWS]:
            raw = _encode(msgspec.structs.replace(ending, at=0))
            assert raw.startswith(_TYPE), raw
            assert raw.endswith(_AT), raw
            args += (ending.flow, ending.v, raw.removeprefix(_TYPE).removesuffix(b"0}"))
        reply = partition.check(await _close.run(client, partition.keys.meta, args))
        closed += [flow.decode() for flow in reply[1:]]
    return closed


async def last_position(client: AsyncRedis, partition: Partition) -> str:
    """The position of the log's last event.

    Raises:
        LostError: there is none.
    """
    found = await send(client, "XREVRANGE", partition.keys.log, "+", "-", "COUNT", 1)
    if not found:
        raise LostError(f"the log of partition {partition.number} is empty: recover Redis from the archive")
    return found[0][0].decode()
