"""The very last act of a worker's process: what it cannot stop is handed back, before it is gone."""

import logging
from collections.abc import Sequence

from redis.exceptions import RedisError

from flower_engine.errors import FlowerError
from flower_engine.log.client import connect_blocking
from flower_engine.log.partition import Partition
from flower_engine.log.routed_clients import RoutedBlockingRedis
from flower_engine.transitions.worker_transitions import hand_back

_log = logging.getLogger(__name__)


def hand_back_all(
    redis_url: str, partitions: Sequence[Partition], worker: str, queues: Sequence[str]
) -> None:
    """Hands back whatever the worker holds; never raises.

    It needs neither the event loop, which a program may block, nor the worker's connections, which may be in
    the middle of a call.
    """
    count = 0
    with connect_blocking(redis_url) as client:
        for partition in partitions:
            try:
                count += hand_back(client, partition, worker, queues)
            except (RedisError, OSError, FlowerError) as error:
                _log.warning(
                    "what worker %s holds in partition %d could not be handed back, and lapses: %s",
                    *(worker, partition.number, error),
                )
                if not isinstance(client, RoutedBlockingRedis):
                    return  # nobody has so much time at the end
    _log.info("worker %s handed %d attempts back at its end", worker, count)
