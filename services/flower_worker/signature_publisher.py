"""Publishes what a worker's programs take, for as long as it lives."""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from redis.exceptions import RedisError

from flower_engine.insight.published_signatures import PUBLISH_AGAIN_SECONDS, publish
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.programs.registry import Registry
from flower_engine.programs.signature import Signature

_log = logging.getLogger(__name__)
_RETRY_SECONDS = 10.0


def signatures_of(registry: Registry) -> dict[str, Signature]:
    """What each program takes, by name."""
    return {one.name: one.binder.signature for one in sorted(registry, key=lambda program: program.name)}


async def keep_published(
    client: AsyncRedis, partitions: Sequence[Partition], signatures: Mapping[str, Signature]
) -> None:
    """Publishes until cancelled. Where it cannot be done tasks run all the same, and nobody checks what
    parameters they are given."""
    while True:
        wait_seconds = PUBLISH_AGAIN_SECONDS
        try:
            for partition in partitions:
                await publish(client, partition, signatures)
        except (RedisError, OSError) as error:
            _log.debug("what the programs take could not be published: %s", error)
            wait_seconds = _RETRY_SECONDS
        await asyncio.sleep(wait_seconds)
