"""The longest call of a transition in Redis, by its slow log: what it took there, without the way to it."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from redis.exceptions import ResponseError

from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.durability import setting_of
from flower_engine.transitions.loader import Script

_KEPT = 100_000
_NOTED_US = 200
_SETTINGS = {"slowlog-log-slower-than": str(_NOTED_US), "slowlog-max-len": str(_KEPT)}


class SlowCalls(msgspec.Struct):
    """``longest_ms`` None: Redis lets nobody set its slow log; 0: no call took 0.2 ms."""

    longest_ms: float | None = None
    noted: int = 0


@contextlib.asynccontextmanager
async def slow_calls(client: AsyncRedis, script: Script) -> AsyncGenerator[SlowCalls]:
    """Notes the calls of a transition as long as the block runs; what it gives is filled in at its end."""
    found = SlowCalls()
    before: dict[str, str] = {}
    try:
        for name, value in _SETTINGS.items():
            known = await setting_of(client, name)
            await send(client, "CONFIG SET", name, value)
            before[name] = known
        await send(client, "SLOWLOG RESET")
    except ResponseError:  # it is not allowed
        yield found
        return
    try:
        yield found
    finally:
        entries: list[Any] = await send(client, "SLOWLOG GET", "-1")
        for name, value in before.items():
            await send(client, "CONFIG SET", name, value)
        took = [int(entry["duration"]) for entry in entries if script.sha.encode() in entry["command"]]
        found.longest_ms, found.noted = max(took, default=0) / 1e3, len(took)
