"""What holds of a registration when it is acknowledged: ``memory``, ``fsynced`` or ``replicated``.

Which level is held out is settled at start. A server that cannot keep ``fsynced`` is refused then. That there
is no replica is no reason to refuse, at any time: after a failover one node is left, and the engine goes on
with it. Each reply says what held.

With ``appendfsync always`` Redis answers when it has synced, so there is nothing to wait for. Elsewhere a
call is followed, on its own connection, by one WAITAOF (or WAIT) for all that it registered, together with a
write: what a connection waits for is its own last write, and a call that is sent again after a lost reply may
have none.
"""

import time
from typing import Any, Literal

import msgspec
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from flower_engine.errors import SettingsError
from flower_engine.log.client import AsyncRedis, one_server, queue_command, send
from flower_engine.log.keys import Keys

Durability = Literal["memory", "fsynced", "replicated"]
"""``memory``: Redis has it; ``fsynced``: its disk, too; ``replicated``: another server's memory, too."""

Command = tuple[str | int, ...]

_WAIT_MS = 2_000
REPLICA: Command = ("WAIT", 1, _WAIT_MS)
"""What is sent behind a call that a replica is to have."""
_PROBES = 3
# Three syncs in so little time are none: under `everysec` there is one a second.
_FASTEST_SECONDS = 0.5


class Level(msgspec.Struct, frozen=True):
    """What is held out to clients, and what a call must wait for to keep it (None: nothing).

    ``otherwise``: what holds where nobody confirms it in time. ``doubt``: why it did not hold when it was
    settled, for people.
    """

    durability: Durability = "memory"
    wait: Command | None = None
    otherwise: Durability = "memory"
    doubt: str | None = None

    def commands(self, keys: Keys) -> list[Command]:
        """What is sent behind a call, on its connection."""
        return [] if self.wait is None else [("SET", keys.awaited, "1"), self.wait]

    def held(self, replies: list[Any]) -> Durability:
        """What holds, by the replies to these commands: less than was held out if nobody said so in time."""
        if self.wait is None:
            return self.durability
        confirmed = replies[-1]
        count = confirmed[0] if isinstance(confirmed, list) else confirmed  # pyright: ignore
        return self.durability if isinstance(count, int) and count >= 1 else self.otherwise


async def settle_level(
    client: AsyncRedis, wanted: Durability | None, *, is_start: bool = True, partition: int = 0
) -> Level:
    """The level that the server of a partition keeps; ``wanted`` None: the best one that costs no waiting.

    A service that has begun (not ``is_start``) goes on with a server that cannot keep what is wanted, and
    each reply says what held.

    Raises:
        SettingsError: at start: the server cannot keep ``fsynced``, which is wanted; says what to do.
        RedisError: it does not answer, or refuses to.
    """
    client = one_server(client, partition)
    syncs_always = await setting_of(client, "appendfsync") == "always" and await _is_on(client)
    best: Durability = "fsynced" if syncs_always else "memory"
    if wanted is None or (wanted == "fsynced" and syncs_always):
        return Level(best)
    if wanted == "memory":
        return Level("memory")
    if wanted == "replicated":
        return await _settle_replicated(client, best, partition)
    level = Level("fsynced", ("WAITAOF", 1, 0, _WAIT_MS))
    why = await _why_not_fsynced(client, level, partition)
    if why is None:
        return level
    sentence = (
        f"FLOWER_DURABILITY is fsynced, but Redis cannot say when a write is on disk: {why}. Start Redis with"
        " appendonly yes and appendfsync always (and let Flower see that: CONFIG GET), or set memory"
    )
    if is_start:
        raise SettingsError(sentence)
    return Level("memory", doubt=f"{sentence}. Until then registrations say memory")


async def _settle_replicated(client: AsyncRedis, best: Durability, partition: int) -> Level:
    level = Level("replicated", REPLICA, best)
    for _ in range(_PROBES):
        probe = await _probe(client, level, partition)
        if probe.refusal is not None:
            raise probe.refusal
        if not probe.held:
            doubt = (
                "FLOWER_DURABILITY is replicated, but no replica of Redis confirmed a write within"
                f" {_WAIT_MS / 1000:g} s, as after a failover that left one node: add a replica. Until then"
                f" every registration takes so long, and says {best}"
            )
            return msgspec.structs.replace(level, doubt=doubt)
    return level


async def _why_not_fsynced(client: AsyncRedis, level: Level, partition: int) -> str | None:
    """Why WAITAOF is not to be believed here; None: it is."""
    probes = [await _probe(client, level, partition) for _ in range(_PROBES)]
    for probe in probes:
        if probe.refusal is None:
            continue
        if isinstance(probe.refusal, NoPermissionError):
            return f"the user of FLOWER_REDIS_URL may not use WAITAOF ({probe.refusal})"
        if "unknown command" in str(probe.refusal).lower():
            return "it does not know WAITAOF, which came with Redis 7.2"
        return f"WAITAOF is refused ({probe.refusal})"
    if not all(probe.held for probe in probes):
        return f"WAITAOF did not confirm a write within {_WAIT_MS / 1000:g} s"
    if sum(probe.seconds for probe in probes) < _FASTEST_SECONDS:
        return "WAITAOF confirms writes faster than they can have been synced"
    return None


class _Probe(msgspec.Struct, frozen=True):
    """Whether a write was confirmed, after how many seconds, or why the command was refused."""

    held: bool
    seconds: float
    refusal: ResponseError | None


async def _probe(client: AsyncRedis, level: Level, partition: int) -> _Probe:
    began = time.monotonic()
    async with client.pipeline(transaction=False) as pipeline:
        for command in level.commands(Keys(partition)):
            queue_command(pipeline, *command)
        replies = await pipeline.execute(raise_on_error=False)
    for reply in replies:
        if isinstance(reply, RedisError) and not isinstance(reply, ResponseError):
            raise reply
    refusal = replies[-1] if isinstance(replies[-1], ResponseError) else None
    return _Probe(level.held(replies) == level.durability, time.monotonic() - began, refusal)


async def setting_of(client: AsyncRedis, name: str) -> str:
    """A setting of the server; "" where it does not tell."""
    try:
        found: Any = await send(client, "CONFIG GET", name)
    except ResponseError:
        return ""
    values: list[Any] = list(found.values()) if isinstance(found, dict) else found[1:]  # pyright: ignore
    return str(values[0].decode() if isinstance(values[0], bytes) else values[0]) if values else ""


async def _is_on(client: AsyncRedis) -> bool:
    return await setting_of(client, "appendonly") == "yes"
