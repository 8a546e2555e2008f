"""What Flower does in Redis, command by command, and whether the server lets it.

Permissions are tried, not asked for, because to ask takes another one: inside MULTI each command is checked
when it is queued, and DISCARD throws all of them away.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from redis.exceptions import NoPermissionError, RedisError, ResponseError

from flower_engine.errors import StoreRefusedError
from flower_engine.log.client import AsyncRedis, one_server, queue_command
from flower_engine.log.keys import Keys
from flower_engine.store_faults import PERMISSIONS, is_refused

KEY_PATTERN = "{flower:*}:*"

_KEY = Keys(0).awaited

# By the name that ACL rules have: arguments that the command takes, were it carried out.
NEEDED: Mapping[str, Sequence[str]] = {
    "blpop": (_KEY, "1"),
    "del": (_KEY,),
    "eval": ("return 1", "1", _KEY),
    "evalsha": ("0" * 40, "1", _KEY),
    "exists": (_KEY,),
    "expire": (_KEY, "1"),
    "get": (_KEY,),
    "hdel": (_KEY, "f"),
    "hexists": (_KEY, "f"),
    "hget": (_KEY, "f"),
    "hgetall": (_KEY,),
    "hincrby": (_KEY, "f", "1"),
    "hkeys": (_KEY,),
    "hlen": (_KEY,),
    "hmget": (_KEY, "f"),
    "hset": (_KEY, "f", "1"),
    "keys": (_KEY,),
    "lindex": (_KEY, "0"),
    "llen": (_KEY,),
    "lpop": (_KEY,),
    "lpush": (_KEY, "1"),
    "lrange": (_KEY, "0", "0"),
    "lrem": (_KEY, "0", "1"),
    "lset": (_KEY, "0", "1"),
    "ltrim": (_KEY, "0", "0"),
    "memory|usage": (_KEY,),
    "mget": (_KEY,),
    "mset": (_KEY, "1"),
    "persist": (_KEY,),
    "pexpire": (_KEY, "1"),
    "ping": (),
    "pttl": (_KEY,),
    "rename": (_KEY, _KEY),
    "rpush": (_KEY, "1"),
    "sadd": (_KEY, "1"),
    "scan": ("0",),
    "set": (_KEY, "1"),
    "sismember": (_KEY, "1"),
    "smembers": (_KEY,),
    "srandmember": (_KEY,),
    "srem": (_KEY, "1"),
    "time": (),
    "type": (_KEY,),
    "unlink": (_KEY,),
    "xack": (_KEY, "g", "1-1"),
    "xadd": (_KEY, "*", "f", "1"),
    "xclaim": (_KEY, "g", "c", "0", "1-1"),
    "xdel": (_KEY, "1-1"),
    "xgroup|create": (_KEY, "g", "0"),
    "xgroup|delconsumer": (_KEY, "g", "c"),
    "xinfo|stream": (_KEY,),
    "xlen": (_KEY,),
    "xpending": (_KEY, "g"),
    "xrange": (_KEY, "-", "+"),
    "xread": ("STREAMS", _KEY, "0"),
    "xreadgroup": ("GROUP", "g", "c", "STREAMS", _KEY, ">"),
    "xrevrange": (_KEY, "+", "-"),
    "xtrim": (_KEY, "MAXLEN", "1"),
    "zadd": (_KEY, "1", "m"),
    "zcard": (_KEY,),
    "zmscore": (_KEY, "m"),
    "zrange": (_KEY, "0", "0"),
    "zrank": (_KEY, "m"),
    "zrem": (_KEY, "m"),
    "zremrangebyrank": (_KEY, "0", "0"),
    "zremrangebyscore": (_KEY, "0", "0"),
    "zrevrange": (_KEY, "0", "0"),
    "zscore": (_KEY, "m"),
}

# Around others, so they cannot be tried as these are.
TRANSACTIONS = ("multi", "exec", "discard")

# What Flower uses where it may, and what it does without.
USEFUL: Mapping[str, str] = {
    "select": "only database 0 can be used",
    "cluster|slots": "a cluster cannot be used",
    "client|setinfo": "CLIENT LIST does not name the library",
    "config|get": "a registration is taken to be in memory only; the server's settings are not looked at",
    "info": "its version, its role and its maxmemory-policy are not looked at",
    "wait": "FLOWER_DURABILITY=replicated cannot be kept",
    "waitaof": "FLOWER_DURABILITY=fsynced can be kept with appendfsync always only",
}


async def refuse_missing_permissions(client: AsyncRedis, partition: int = 0) -> None:
    """Makes sure that a partition's server lets Flower do all that it needs, where that can be found out.

    Raises:
        StoreRefusedError: it does not; names every command that is missing.
        RedisError: it does not answer.
    """
    missing, unknown = await _find_missing(one_server(client, partition), partition)
    problems: list[str] = []
    if missing:
        rules = " ".join(f"+{name}" for name in missing)
        problems.append(
            f"the user of FLOWER_REDIS_URL may not do what Flower needs there: give it {rules}"
            f" ~{KEY_PATTERN} (ACL SETUSER); {PERMISSIONS}"
        )
    if unknown:
        problems.append(f"the server does not know {', '.join(unknown)}: use Redis 7.0 or Valkey 8, or newer")
    if problems:
        raise StoreRefusedError("Redis cannot be used as it is: " + "; ".join(problems))


async def _find_missing(client: AsyncRedis, partition: int) -> tuple[list[str], list[str]]:
    """The commands that are not allowed, and those that are not known."""
    commands: list[list[str]] = []
    for name, arguments in NEEDED.items():
        command, *subcommand = name.upper().split("|")
        key = Keys(partition).awaited
        commands.append([command, *subcommand, *(key if word == _KEY else word for word in arguments)])
    # First without any command between: what is not queued would be carried out.
    opened = await _replies(client, [[name.upper()] for name in TRANSACTIONS])
    if isinstance(opened[0], RedisError) and not _is_denied(opened[0]):
        raise opened[0]
    missing = [name for name, reply in zip(TRANSACTIONS, opened, strict=True) if _is_denied(reply)]
    if missing:
        return missing, []
    replies = (await _replies(client, [["MULTI"], *commands, ["DISCARD"]]))[1:-1]
    unknown: list[str] = []
    for name, reply in zip(NEEDED, replies, strict=True):
        if _is_denied(reply):
            missing.append(name)
        elif isinstance(reply, ResponseError) and "unknown" in str(reply).lower():
            unknown.append(name)
        elif isinstance(reply, RedisError) and is_refused(reply):
            raise reply
    return missing, unknown


async def _replies(client: AsyncRedis, commands: Sequence[Sequence[str]]) -> list[Any]:
    """Those to commands sent at once, errors as values."""
    async with client.pipeline(transaction=False) as pipeline:
        for name, *arguments in commands:
            # As bytes: redis-py would read the answer "QUEUED" as the command's own.
            queue_command(pipeline, name.encode(), *arguments)
        return await pipeline.execute(raise_on_error=False)


def _is_denied(reply: object) -> bool:
    # A denied EXEC answers that it discards the transaction, and why.
    return isinstance(reply, NoPermissionError) or (isinstance(reply, RedisError) and "NOPERM" in str(reply))
