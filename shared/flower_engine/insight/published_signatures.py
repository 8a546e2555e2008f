"""What the programs of live workers take: published when a worker begins, read where parameters are given.

Workers with the same code publish the same: a hash by the digest of all of it, program -> its signature. A
heartbeat carries the digest alone.
"""

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from flower_engine.log.client import AsyncRedis, queue_command, send
from flower_engine.log.partition import Partition
from flower_engine.programs.signature import Signature

PUBLISH_AGAIN_SECONDS = 3_600.0
_KEEP_SECONDS = 86_400
_REMEMBER_MS = 90 * 86_400_000
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Signature).decode


def digest_of(signatures: Mapping[str, Signature]) -> str:
    """The name of this set of signatures."""
    return hashlib.sha256(_encode(dict(sorted(signatures.items())))).hexdigest()[:16]


async def publish(client: AsyncRedis, partition: Partition, signatures: Mapping[str, Signature]) -> None:
    """Others can read them for a day from now on."""
    if not signatures:
        return
    keys, now_ms = partition.keys, time.time_ns() // 1_000_000
    key = keys.programs(digest_of(signatures))
    async with client.pipeline(transaction=False) as pipe:
        fields = [part for name, one in signatures.items() for part in (name, _encode(one))]
        queue_command(pipe, "HSET", key, *fields)
        queue_command(pipe, "EXPIRE", key, _KEEP_SECONDS)
        queue_command(pipe, "ZADD", keys.served, *(part for name in signatures for part in (now_ms, name)))
        queue_command(pipe, "ZREMRANGEBYSCORE", keys.served, "-inf", now_ms - _REMEMBER_MS)
        await pipe.execute()


async def read_signatures(
    client: AsyncRedis, partition: Partition, wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Signature]:
    """Those of these pairs of digest and program that are published."""
    pairs: Sequence[tuple[str, str]] = list(wanted)
    if not pairs:
        return {}
    async with client.pipeline(transaction=False) as pipe:
        for digest, program in pairs:
            queue_command(pipe, "HGET", partition.keys.programs(digest), program)
        found: list[bytes | None] = await pipe.execute()
    return {pair: _decode(text) for pair, text in zip(pairs, found, strict=True) if text is not None}


async def served_lately(client: AsyncRedis, partition: Partition) -> set[str]:
    """Programs that some worker has served in the last 90 days."""
    return {name.decode() for name in await send(client, "ZRANGE", partition.keys.served, 0, -1)}
