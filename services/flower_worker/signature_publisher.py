"""Publishes what a worker's programs take, for as long as it lives."""

import logging
from collections.abc import Mapping, Sequence

from flower_engine.insight.published_signatures import PUBLISH_AGAIN_SECONDS, publish
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.programs.registry import Registry
from flower_engine.programs.signature import Signature
from flower_engine.runtime.backoff import SteadyBackoff
from flower_engine.runtime.loop import Loop

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

    async def publish_all() -> None:
        for partition in partitions:
            await publish(client, partition, signatures)

    backoff = SteadyBackoff(_log, "what the programs take could not be published: %s", _RETRY_SECONDS)
    await Loop("signatures", publish_all, PUBLISH_AGAIN_SECONDS, backoff).run()
