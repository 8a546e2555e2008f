"""Which tasks have a child under way now, also one of an earlier attempt, which may still clean up."""

from collections.abc import Mapping

from flower_engine.log.client import AsyncRedis, queue_command
from flower_engine.log.partition import Partition
from flower_engine.model.definitions.child_flows import child_flow_id

MOST_BEFORE = 100
"""Attempts of a task whose children are looked for, as ``lua/lib/tree_notes.lua`` has it."""
_ASKED_AT_ONCE = 500


async def children_under_way(
    client: AsyncRedis, partition: Partition, flow: str, attempts: Mapping[int, int]
) -> dict[int, str]:
    """The child of each of these tasks of a flow that is under way, of its attempt or the latest before it; a
    task without one is not in it.

    Raises:
        RedisError: it cannot be read now.
    """
    asked = [
        (task, child_flow_id(flow, task, attempt))
        for task, last in attempts.items()
        for attempt in range(1, last + 1)[-MOST_BEFORE:]
    ]
    found: dict[int, str] = {}
    for first in range(0, len(asked), _ASKED_AT_ONCE):
        some = asked[first : first + _ASKED_AT_ONCE]
        async with client.pipeline(transaction=False) as pipeline:
            for _, child in some:
                queue_command(pipeline, "EXISTS", partition.keys.flow(child))
            are_there: list[int] = await pipeline.execute()
        found |= {task: child for (task, child), there in zip(some, are_there, strict=True) if there}
    return found
