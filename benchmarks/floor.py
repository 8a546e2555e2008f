"""The floor: what redis-py asyncio makes of XADD + XREADGROUP + XACK in pipelines of 100.

Machines differ and swing; figures of one run are read against this floor of the same run.
"""

import time

from flower_engine.log.client import AsyncRedis, send

MESSAGES = 10_000
PIPELINE = 100
_STREAM, _GROUP, _CONSUMER = "floor", "group", "consumer"
_PAYLOAD = b"x" * 100


async def floor_messages_per_second(client: AsyncRedis) -> float:
    """Messages per second through one stream and one consumer group, one pipeline at a time."""
    await send(client, "DEL", _STREAM)
    await send(client, "XGROUP CREATE", _STREAM, _GROUP, "0", "MKSTREAM")
    began = time.perf_counter()
    for _ in range(MESSAGES // PIPELINE):
        adds = client.pipeline(transaction=False)
        for _ in range(PIPELINE):
            adds.xadd(_STREAM, {"e": _PAYLOAD})
        ids = await adds.execute()
        await send(
            client, "XREADGROUP", "GROUP", _GROUP, _CONSUMER, "COUNT", PIPELINE, "STREAMS", _STREAM, ">"
        )
        acks = client.pipeline(transaction=False)
        for message in ids:
            acks.xack(_STREAM, _GROUP, message)
        await acks.execute()
    seconds = time.perf_counter() - began
    await send(client, "DEL", _STREAM)
    return MESSAGES / seconds
