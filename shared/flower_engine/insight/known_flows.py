"""Which flows Redis knows: those under way, those that ended lately, and which idempotency keys they have."""

from collections.abc import AsyncGenerator, Iterable, Sequence

import msgspec

from flower_engine.log.client import AsyncRedis, queue_command, send
from flower_engine.log.partition import Partition

_SCAN_KEYS = 1_000


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
