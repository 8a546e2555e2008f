"""What holds of a registration when it is acknowledged: ``memory``, ``fsynced`` or ``replicated``.

With ``appendfsync always`` Redis answers when it has synced, so there is nothing to wait for. Elsewhere a
call is followed, on its own connection, by one WAITAOF (or WAIT) for all that it registered, together with a
write: what a connection waits for is its own last write, and a call that is sent again after a lost reply may
have none.
"""

import time
from typing import Any, Literal

import msgspec
from redis.exceptions import RedisError, ResponseError

from flower_engine.errors import SettingsError
from flower_engine.log.client import AsyncRedis, queue_command, send
from flower_engine.log.keys import Keys

Durability = Literal["memory", "fsynced", "replicated"]
"""``memory``: Redis has it; ``fsynced``: its disk, too; ``replicated``: another server's memory, too."""

Command = tuple[str | int, ...]

_WAIT_MS = 2_000
_PROBES = 3
# Three syncs in so little time are none: under `everysec` there is one a second.
_FASTEST_SECONDS = 0.5


class Level(msgspec.Struct, frozen=True):
    """What is held out to clients, and what a call must wait for to keep it (None: nothing)."""

    durability: Durability = "memory"
    wait: Command | None = None

    def commands(self, keys: Keys) -> list[Command]:
        """What is sent behind a call, on its connection."""
        return [] if self.wait is None else [("SET", keys.awaited, "1"), self.wait]

    def held(self, replies: list[Any]) -> Durability:
        """What holds, by the replies to these commands: less than was held out if nobody said so in time."""
        if self.wait is None:
            return self.durability
        confirmed = replies[-1]
        count = confirmed[0] if isinstance(confirmed, list) else confirmed  # pyright: ignore
        return self.durability if isinstance(count, int) and count >= 1 else "memory"


async def settle_level(client: AsyncRedis, wanted: Durability | None) -> Level:
    """The level that a server keeps; ``wanted`` None: the best one that costs no waiting.

    Raises:
        SettingsError: the server cannot keep the one that is wanted; says what to do.
        RedisError: it does not answer.
    """
    syncs_always = await _setting(client, "appendfsync") == "always" and await _is_on(client)
    if wanted is None or (wanted == "fsynced" and syncs_always):
        return Level("fsynced" if syncs_always else "memory")
    if wanted == "memory":
        return Level("memory")
    if wanted == "replicated":
        level = Level("replicated", ("WAIT", 1, _WAIT_MS))
        if not all([(await _probe(client, level))[0] for _ in range(_PROBES)]):
            raise SettingsError(
                "FLOWER_DURABILITY is replicated, but no replica of Redis confirmed a write within"
                f" {_WAIT_MS / 1000:g} s: add a replica, or set fsynced or memory"
            )
        return level
    level = Level("fsynced", ("WAITAOF", 1, 0, _WAIT_MS))
    probes = [await _probe(client, level) for _ in range(_PROBES)]
    if not all(held for held, _ in probes):
        why = f"WAITAOF did not confirm a write within {_WAIT_MS / 1000:g} s"
    elif sum(seconds for _, seconds in probes) < _FASTEST_SECONDS:
        why = "WAITAOF confirms writes faster than they can have been synced"
    else:
        return level
    raise SettingsError(
        f"FLOWER_DURABILITY is fsynced, but Redis cannot say when a write is on disk: {why}. Start Redis with"
        " appendonly yes and appendfsync always (and let Flower see that: CONFIG GET), or set memory"
    )


async def _probe(client: AsyncRedis, level: Level) -> tuple[bool, float]:
    """Whether a write was confirmed, and after how many seconds."""
    began = time.monotonic()
    async with client.pipeline(transaction=False) as pipeline:
        for command in level.commands(Keys(0)):
            queue_command(pipeline, *command)
        replies = await pipeline.execute(raise_on_error=False)
    for reply in replies:
        if isinstance(reply, RedisError) and not isinstance(reply, ResponseError):
            raise reply
    return level.held(replies) == level.durability, time.monotonic() - began


async def _setting(client: AsyncRedis, name: str) -> str:
    """A setting of the server; "" where it does not tell."""
    try:
        found: Any = await send(client, "CONFIG GET", name)
    except ResponseError:
        return ""
    values: list[Any] = list(found.values()) if isinstance(found, dict) else found[1:]  # pyright: ignore
    return str(values[0].decode() if isinstance(values[0], bytes) else values[0]) if values else ""


async def _is_on(client: AsyncRedis) -> bool:
    return await _setting(client, "appendonly") == "yes"
