"""The transitions park and unpark: flows that only an operator can move on leave Redis, and come back."""

from collections.abc import Sequence

from flower_engine.errors import MovedError
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.transitions.loader import Script
from flower_engine.transitions.restored_flow import Restored

_park = Script("projector/park")
_unpark = Script("operator/unpark")


async def park(client: AsyncRedis, partition: Partition, flows: Sequence[tuple[str, int]]) -> list[str]:
    """Parks those of the flows (id, version that is archived) of which nothing can go on; returns which.

    Raises:
        LostError: Redis lost its state.
    """
    args = _park.args((part for pair in flows for part in pair), generation=partition.generation)
    reply = partition.check(await _park.run(client, partition.keys.meta, args))
    return [flow.decode() for flow in reply[1:]]


async def unpark(client: AsyncRedis, partition: Partition, flow: str, restored: Restored) -> None:
    """Puts a parked flow back; one that is in Redis already stays as it is.

    Raises:
        MovedError: it has moved on since its history was read.
        LostError: Redis lost its state.
    """
    args = _unpark.args(
        restored.fields,
        generation=partition.generation,
        id=flow,
        version=restored.version,
        position=restored.position,
    )
    reply = partition.check(await _unpark.run(client, partition.keys.meta, args))
    if reply[0] == b"moved":
        now = f": it is at version {reply[1].decode()} now" if reply[1] else " since its history was read"
        raise MovedError(f"flow {flow} has moved on{now}", "moved")
