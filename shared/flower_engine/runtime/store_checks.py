"""What a start makes sure of: that the servers are such as Flower can work with.

What only somebody's hand puts right ends the start; a replica or a standby may be promoted, so that is waited
for. Permissions are another matter (``log/redis_permissions.py``).
"""

import logging
import re
from collections.abc import Mapping
from typing import Any

import psycopg
from redis.exceptions import NoPermissionError, ReadOnlyError, ResponseError

from flower_engine.errors import StoreRefusedError
from flower_engine.log.client import AsyncRedis, is_cluster, one_server, send
from flower_engine.log.durability import setting_of
from flower_engine.projection.database import Connection
from flower_engine.store_faults import A_NODE

_log = logging.getLogger(__name__)

_OLDEST = (7, 0)

_POSTGRES = """
SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on',
  (SELECT source FROM pg_settings WHERE name = 'default_transaction_read_only')
"""


async def check_redis(client: AsyncRedis, partition: int = 0, *, of_cluster: bool = False) -> None:
    """Makes sure of the version, the role and the policy of the server that has a partition.
    ``of_cluster``: the address says that it is a node of one.

    Raises:
        StoreRefusedError: it is too old, it evicts keys, or it is a node of a cluster and not named as such.
        redis.exceptions.ReadOnlyError: it is a replica, which may be promoted.
        RedisError: it does not answer.
    """
    info = await server_info(one_server(client, partition))
    if info is None:
        _log.warning(
            "it is not known whether Flower can work with Redis' version, role and maxmemory-policy: its user"
            " may not ask (INFO)"
        )
        return
    problem = problem_of(info)
    if problem is not None:
        raise StoreRefusedError(problem)
    if str(info.get("cluster_enabled")) == "1" and not (of_cluster or is_cluster(client)):
        raise StoreRefusedError(f"Redis cannot be used like this: {A_NODE}")
    if info.get("role") in ("slave", "replica"):
        primary = f"{info.get('master_host')}:{info.get('master_port')}"
        raise ReadOnlyError(f"READONLY it is a replica of {primary}")


def problem_of(info: Mapping[str, Any]) -> str | None:
    """Why Flower cannot work with a Redis that says this of itself (INFO), whatever becomes of it."""
    version = str(info.get("redis_version", ""))
    numbers = tuple(int(word) for word in re.findall(r"\d+", version)[:2])
    if numbers and "valkey_version" not in info and numbers < _OLDEST:
        return f"Redis is version {version}: Flower needs Redis 7.0 or Valkey, or newer"
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        return (
            f"Redis evicts keys when its memory is full (maxmemory-policy {policy}), and Flower needs every"
            " one of its keys: CONFIG SET maxmemory-policy noeviction, and in its configuration file, too"
        )
    return None


async def check_postgres(connection: Connection) -> None:
    """Makes sure that it takes writes.

    Raises:
        psycopg.errors.ReadOnlySqlTransaction: it does not now; says who has set that.
        psycopg.Error: it does not answer.
    """
    row = await (await connection.execute(_POSTGRES)).fetchone()
    assert row is not None
    is_standby, is_read_only, source = row
    if is_standby:
        raise psycopg.errors.ReadOnlySqlTransaction("it is a standby")
    if is_read_only:
        raise psycopg.errors.ReadOnlySqlTransaction(f"default_transaction_read_only is on (by: {source})")


async def what_a_crash_loses(client: AsyncRedis) -> str | None:
    """A sentence about a Redis that does not sync each write to its disk; None: it does.

    Raises:
        RedisError: it does not answer.
    """
    is_on, syncs = await setting_of(client, "appendonly"), await setting_of(client, "appendfsync")
    if not is_on:  # it does not say; a part of it is known all the same
        info = await server_info(client) or {}
        is_on = {"0": "no", "1": "yes"}.get(str(info.get("aof_enabled")), "")
    if is_on == "yes" and syncs == "always":
        return None
    if is_on == "no":
        what = "keeps no append-only file (appendonly no): when its process ends, all that happened since its"
        what += " last snapshot is lost"
    elif is_on and syncs:
        seconds = "the last second" if syncs == "everysec" else "what its system had not written yet"
        what = f"does not sync each write (appendfsync {syncs}): when its machine crashes, {seconds} is lost"
    else:
        what = "does not say whether it syncs each write to its disk (CONFIG GET): a crash may lose what was"
        what += " acknowledged"
    return (
        f"Redis {what}, acknowledged registrations and outcomes with it, unless they are projected by then."
        " Set appendonly yes and appendfsync always, or FLOWER_DURABILITY to what you need"
    )


async def server_info(client: AsyncRedis) -> dict[str, Any] | None:
    """What the server says of itself; None: its user may not ask."""
    try:
        found = await send(client, "INFO")
    except NoPermissionError:
        return None
    except ResponseError as error:
        if "unknown command" in str(error).lower():  # some services offer Redis without it
            return None
        raise
    return found if isinstance(found, dict) else None  # pyright: ignore[reportUnknownVariableType]
