"""Asks Redis for engine time; ``model/values/engine_time.py`` says what that is."""

from flower_engine.log.client import AsyncRedis, queue_command
from flower_engine.log.keys import Keys
from flower_engine.model.values.engine_time import EngineTime

_FIELDS = ("tick", "skew", "horizon", "held", "grace")


async def read_engine_time(client: AsyncRedis, keys: Keys) -> tuple[EngineTime, int]:
    """What a partition's ``meta`` holds of the time, and what Redis' clock shows, in milliseconds."""
    async with client.pipeline(transaction=False) as pipeline:
        queue_command(pipeline, "HMGET", keys.meta, *_FIELDS)
        queue_command(pipeline, "TIME")
        values, (seconds, micros) = await pipeline.execute()
    given = {name: int(value) for name, value in zip(_FIELDS, values, strict=True) if value is not None}
    return EngineTime(**given), int(seconds) * 1000 + int(micros) // 1000


async def now_ms(client: AsyncRedis, keys: Keys) -> int:
    """Engine time now, in milliseconds: what times in events and in Redis are to be compared with."""
    engine_time, clock_ms = await read_engine_time(client, keys)
    return engine_time.now(clock_ms)
