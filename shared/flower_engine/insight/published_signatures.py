"""What the programs of live workers take: published when a worker begins, read where parameters are given.

Workers with the same code publish the same: a hash by the digest of all of it, program -> its signature, and
what else it says of itself. A heartbeat carries the digest alone.
"""

import hashlib
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from flower_engine.log.client import AsyncRedis, queue_command, send
from flower_engine.log.partition import Partition
from flower_engine.programs.published_program import PublishedProgram
from flower_engine.programs.signature import Signature

_log = logging.getLogger(__name__)

PUBLISH_AGAIN_SECONDS = 3_600.0
_KEEP_SECONDS = 86_400
REMEMBER_DAYS = 90
_REMEMBER_MS = REMEMBER_DAYS * 86_400_000
_encode = msgspec.json.Encoder().encode
_encode_alike = msgspec.json.Encoder(order="deterministic").encode  # however objects are ordered
_decode = msgspec.json.Decoder(PublishedProgram).decode


def digest_of(signatures: Mapping[str, Signature]) -> str:
    """The name of this set of signatures."""
    return _hash(dict(signatures))


def hash_of(program: PublishedProgram) -> str:
    """The name of this version of a program."""
    return _hash(program)


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


async def read_published(
    client: AsyncRedis, partition: Partition, wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], PublishedProgram]:
    """What programs say of themselves, of those of these pairs of digest and program that are published; what
    cannot be read is as if it were not."""
    read: dict[tuple[str, str], PublishedProgram] = {}
    for pair, text in (await _read(client, partition, list(wanted))).items():
        try:
            read[pair] = _decode(text)
        except (ValueError, RecursionError) as error:  # no worker of ours wrote it
            _log.debug("what is published of program %s cannot be read: %s", pair[1], error)
    return read


async def served_lately(client: AsyncRedis, partition: Partition) -> dict[str, int]:
    """Programs that some worker has served in the last 90 days -> when one published it last, ms."""
    found = await send(client, "ZRANGE", partition.keys.served, 0, -1, "WITHSCORES")
    return {name.decode(): int(float(at)) for name, at in zip(found[::2], found[1::2], strict=True)}


async def _read(
    client: AsyncRedis, partition: Partition, pairs: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], bytes]:
    if not pairs:
        return {}
    async with client.pipeline(transaction=False) as pipe:
        for digest, program in pairs:
            queue_command(pipe, "HGET", partition.keys.programs(digest), program)
        found: list[bytes | None] = await pipe.execute()
    return {pair: text for pair, text in zip(pairs, found, strict=True) if text is not None}


def _hash(published: Any) -> str:
    return hashlib.sha256(_encode_alike(published)).hexdigest()[:16]
