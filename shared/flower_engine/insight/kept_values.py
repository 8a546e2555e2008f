"""Reads the results that a flow keeps, for comparison with its events."""

from collections.abc import Sequence
from typing import NamedTuple

from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.partition import Partition


class KeptValues(NamedTuple):
    """The payloads that a flow keeps, by task, as they were when it was at this version."""

    version: int
    payloads: dict[int, bytes]


async def read_kept_values(
    client: AsyncRedis, partition: Partition, flow: str, tasks: Sequence[int]
) -> KeptValues | None:
    """What is kept of the results of these tasks; None: the flow is not under way any more."""
    names = [f"r{task}" for task in tasks]
    counters, *found = await send(client, "HMGET", partition.keys.flow(flow), "c", *names)
    if counters is None:
        return None
    kept = {task: payload for task, payload in zip(tasks, found, strict=True) if payload}
    return KeptValues(int(counters.split(b" ")[0]), kept)
