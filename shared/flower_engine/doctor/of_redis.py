"""Redis: whether it is such as Flower needs it, and what is left of it."""

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from redis.exceptions import ReadOnlyError, RedisError

from flower_engine.doctor.disk import is_here, space_left
from flower_engine.doctor.findings import Finding, ok, problem, warning
from flower_engine.doctor.subject import Subject
from flower_engine.errors import StoreRefusedError
from flower_engine.log.client import AsyncRedis, apart, is_cluster, one_server, place_of
from flower_engine.log.durability import setting_of
from flower_engine.log.redis_permissions import refuse_missing_permissions
from flower_engine.runtime.store_checks import check_redis, server_info, what_a_crash_loses
from flower_engine.store_faults import PERMISSIONS, fault_of

_MB = 1 << 20
_SAVED = (
    ("aof_last_write_status", "its append-only file could not be written"),
    ("aof_last_bgrewrite_status", "its append-only file could not be rewritten, and grows"),
    ("rdb_last_bgsave_status", "its last snapshot could not be written"),
)


Look = Callable[[Subject, AsyncRedis, int], Awaitable[list[Finding]]]


def _each(look: Look) -> Callable[[Subject], Awaitable[list[Finding]]]:
    """The check on each server of a cluster; what is wrong with one names it."""

    @functools.wraps(look)
    async def looked(subject: Subject) -> list[Finding]:
        client = subject.client
        if not is_cluster(client):
            return await look(subject, client, 0)
        found: list[Finding] = []
        for number in await apart(client, range(subject.settings.partitions)):
            try:
                ones = await look(subject, one_server(client, number), number)
            except (RedisError, OSError) as error:
                detail = f"the server of partition {number} cannot be looked at: {fault_of(error).text}"
                ones = [
                    problem("redis", detail, "its partitions stand still; see that it, or a replica, runs")
                ]
            name = place_of(client, number)
            found += [msgspec.structs.replace(one, detail=f"{name}: {one.detail}") for one in ones]
        wrong = [one for one in found if one.state != "ok"]
        return wrong or found[:1]

    return looked


@_each
async def server(subject: Subject, client: AsyncRedis, partition: int) -> list[Finding]:
    """Its kind and version, its role, and whether it evicts."""
    info = await server_info(client)
    if info is None:
        advice = f"give its user +info and +config|get; {PERMISSIONS}"
        return [warning("redis", "Redis does not say its version, role and policies (INFO)", advice)]
    try:
        await check_redis(client, partition, of_cluster=is_cluster(subject.client))
    except StoreRefusedError as error:
        what, _, advice = str(error).partition(": ")
        return [problem("redis", what, advice or "use another server")]
    except ReadOnlyError as error:
        fault = fault_of(error)
        what, _, advice = fault.what.partition(". ")
        return [problem("redis", f"Redis takes no writes: {what} ({fault.text})", advice)]
    name = (
        f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"
    )
    return [ok("redis", f"{name} answers, and evicts nothing")]


@_each
async def permissions(subject: Subject, client: AsyncRedis, partition: int) -> list[Finding]:
    """Whether its user may do all that Flower needs; nothing of it is carried out."""
    try:
        await refuse_missing_permissions(client, partition)
    except StoreRefusedError as error:
        return [problem("redis.permissions", str(error), "ACL SETUSER, as docs/operations.md has it")]
    return [ok("redis.permissions", "its user may do all that Flower needs")]


@_each
async def durability(subject: Subject, client: AsyncRedis, partition: int) -> list[Finding]:
    """What a crash of it loses, and whether it can write to its disk."""
    check, wanted = "redis.durability", subject.settings.durability
    info = await server_info(client) or {}
    found: list[Finding] = []
    for name, what in _SAVED:
        if info.get(name, "ok") != "ok":
            advice = "see the log of Redis, and whether its disk is full"
            found.append(problem(check, f"{what} ({name}: {info[name]})", advice))
    loses = await what_a_crash_loses(client)
    if loses is not None and wanted in (None, "fsynced"):
        what, _, advice = loses.partition(". ")
        found.append(warning(check, what, advice))
    replicas = int(info.get("connected_slaves", 0))
    if wanted == "replicated" and info and not replicas:
        advice = "add a replica: until then every registration waits 2 s in vain"
        found.append(warning(check, "FLOWER_DURABILITY is replicated, and Redis has no replica", advice))
    if not found:
        kept = "each write is on its disk before it is acknowledged" if loses is None else f"as set: {wanted}"
        found.append(ok(check, kept))
    return found


@_each
async def replication(subject: Subject, client: AsyncRedis, partition: int) -> list[Finding]:
    """Its replicas, and how far they are behind."""
    info = await server_info(client) or {}
    replicas: list[Mapping[str, Any]] = [
        value for name, value in info.items() if name.startswith("slave") and isinstance(value, dict)
    ]
    if not replicas:
        return [ok("redis.replication", "Redis has no replica")]
    late = [one for one in replicas if one.get("state") != "online" or int(one.get("lag", 0)) > 10]
    if late:
        one = late[0]
        detail = (
            f"{len(late)} of {len(replicas)} replicas of Redis are behind: {one.get('ip')}:{one.get('port')}"
        )
        detail += f" is {one.get('state')}, heard of {one.get('lag')} s ago"
        return [warning("redis.replication", detail, "look after it: a failover to it would lose history")]
    return [ok("redis.replication", f"{len(replicas)} replicas follow it")]


@_each
async def memory(subject: Subject, client: AsyncRedis, partition: int) -> list[Finding]:
    """What is left before it takes no more writes."""
    check = "redis.memory"
    info = await server_info(client) or {}
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    whole = most or int(info.get("total_system_memory", 0))
    if not used or not whole:
        return [warning(check, "Redis does not say how much memory is left", "give its user +info")]
    named = "its maxmemory" if most else "the memory of its machine, as it has no maxmemory"
    detail = f"{used // _MB:,} MB of {whole // _MB:,} MB are in use ({named})"
    left = 1 - used / whole
    bound = subject.bounds.memory_left
    if left > bound[0]:
        return [ok(check, detail)]
    advice = (
        "give it more memory; what takes it: flows under way (cancel what nobody needs), results that wait"
        " for their readers (FLOWER_MAX_KEPT_MB), and the log (FLOWER_LOG_TAIL_EVENTS, _HOURS and _MB, and a"
        " projector that is behind)"
    )
    return [(problem if left <= bound[1] else warning)(check, detail, advice)]


@_each
async def connections(subject: Subject, client: AsyncRedis, partition: int) -> list[Finding]:
    """How many more there may be."""
    info = await server_info(client) or {}
    used, most = int(info.get("connected_clients", 0)), int(info.get("maxclients", 0))
    if not most:
        return []
    return [connections_left("redis.connections", used, most, subject, "raise its maxclients")]


def connections_left(check: str, used: int, most: int, subject: Subject, advice: str) -> Finding:
    """The same for any server."""
    detail, left = f"{used:,} of {most:,} connections are in use", 1 - used / most
    bound = subject.bounds.connections_left
    if left > bound[0]:
        return ok(check, detail)
    return (problem if left <= bound[1] else warning)(check, detail, advice)


@_each
async def disk(subject: Subject, client: AsyncRedis, partition: int) -> list[Finding]:
    """What is left for its files, if they are here."""
    check, url = "redis.disk", subject.settings.redis_url or ""
    folder = await setting_of(client, "dir")
    if folder and is_here(url):
        marks = [await setting_of(client, "appenddirname"), await setting_of(client, "dbfilename")]
        advice = "make room: when it is full, Redis takes no more writes"
        found = space_left(check, folder, subject.bounds, advice, marks=list(filter(None, marks)))
        if found is not None:
            return [found]
    return [ok(check, "not known: its files are not on this machine, or it does not say where")]
