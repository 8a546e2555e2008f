"""After a loss of Redis: which flows that this worker had attempts of are in no store any more.

What Redis had acknowledged and lost, and nobody had archived, cannot be brought back. The workers are the
only ones who know of it, so they say it.
"""

import logging
from collections.abc import Collection, Sequence

from redis.exceptions import RedisError

from flower_engine.insight.known_flows import are_known
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.model.values.ids import partition_of

_log = logging.getLogger(__name__)
_MOST_NAMED = 20


async def say_unknown(
    client: AsyncRedis, partitions: Sequence[Partition], flows: Collection[str]
) -> list[str]:
    """Says which of these flows Redis does not know, now that it is recovered; returns them."""
    unknown: list[str] = []
    try:
        for partition in partitions:
            own = sorted(flow for flow in flows if partition_of(flow) == partition.number)
            known = await are_known(client, partition, own)
            unknown += [flow for flow in own if flow not in known]
    except (RedisError, OSError) as error:
        _log.warning("it is not known which flows were lost with Redis' state: %s", error)
        return []
    if unknown:
        more = f" and {len(unknown) - _MOST_NAMED} more" if len(unknown) > _MOST_NAMED else ""
        _log.error(
            "%d flows that this worker ran tasks of are in no store any more: Redis had acknowledged them,"
            " and lost them before they were archived. Register them again: %s%s",
            *(len(unknown), ", ".join(unknown[:_MOST_NAMED]), more),
        )
    return unknown
