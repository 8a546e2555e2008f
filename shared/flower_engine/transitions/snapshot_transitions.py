"""The transitions snapshot and close, by which a gap is bridged."""

from collections.abc import Sequence

import msgspec

from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.model.events.operator_events import FlowCancelled
from flower_engine.transitions.loader import Script

_snapshot = Script("projector/snapshot")
_close = Script("projector/close")
_encode = msgspec.json.Encoder().encode
_CALL_FLOWS = 200
_CALL_TASKS = 2_000  # Redis serves nobody else meanwhile
_TYPE = b'{"type":"flow.cancelled"'
_AT = b',"at":0}'


async def snapshot(
    client: AsyncRedis, partition: Partition, flows: Sequence[str], keys: dict[str, str]
) -> None:
    """Writes those of the flows that are under way into the log as they stand, with their idempotency keys.

    Raises:
        LostError: Redis lost its state.
    """
    rest = list(flows)
    while rest:
        args = _snapshot.args(generation=partition.generation, most_tasks=_CALL_TASKS)
        for flow in rest[:_CALL_FLOWS]:
            args += (flow, b',"key":' + _encode(keys[flow]) if flow in keys else "")
        reply = partition.check(await _snapshot.run(client, partition.keys.meta, args))
        rest = rest[reply[1] :]


async def close(client: AsyncRedis, partition: Partition, endings: Sequence[FlowCancelled]) -> list[str]:
    """Ends flows that Redis does not know with these events, less their time, which is Redis'; returns which.

    Raises:
        LostError: Redis lost its state.
    """
    closed: list[str] = []
    for first in range(0, len(endings), _CALL_FLOWS):
        args = _close.args(generation=partition.generation)
        for ending in endings[first : first + _CALL_FLOWS]:
            raw = _encode(msgspec.structs.replace(ending, at=0))
            assert raw.startswith(_TYPE), raw
            assert raw.endswith(_AT), raw
            args += (ending.flow, ending.v, raw.removeprefix(_TYPE).removesuffix(b"0}"))
        reply = partition.check(await _close.run(client, partition.keys.meta, args))
        closed += [flow.decode() for flow in reply[1:]]
    return closed
