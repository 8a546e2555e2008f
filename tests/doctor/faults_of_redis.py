"""Faults of Redis."""

import contextlib
import os
import shutil
import signal
from collections.abc import Generator

from acceptance.running import RunningEngine
from doctor.faults import Given, configured, fault, redis
from flower_engine.doctor.subject import Bounds
from flower_engine.log.redis_permissions import KEY_PATTERN, NEEDED, TRANSACTIONS


@fault("problem", "redis", "Redis does not answer", "FLOWER_REDIS_URL names it")
def no_redis(engine: RunningEngine, given: Given) -> Generator[None]:
    given.settings["redis_url"] = f"unix://{given.folder}/none.sock"
    yield


@fault("problem", "redis", "Redis does not answer within", "see that it runs")
def a_redis_that_stands_still(engine: RunningEngine, given: Given) -> Generator[None]:
    pid = engine.store_pid("valkey")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@fault("problem", "redis", "evicts keys", "CONFIG SET maxmemory-policy noeviction")
def a_redis_that_evicts(engine: RunningEngine, given: Given) -> Generator[None]:
    with configured(engine, "maxmemory-policy", "allkeys-lru"):
        yield


@fault("problem", "redis", "it is a replica", "Promote it")
def a_replica(engine: RunningEngine, given: Given) -> Generator[None]:
    redis(engine, "REPLICAOF", "127.0.0.1", "1")
    try:
        yield
    finally:
        redis(engine, "REPLICAOF", "NO", "ONE")


@fault("problem", "redis.permissions", "give it +xadd", "ACL SETUSER")
def a_redis_user_who_may_too_little(engine: RunningEngine, given: Given) -> Generator[None]:
    rules = [f"+{name}" for name in (*NEEDED, *TRANSACTIONS, "info", "config|get") if name != "xadd"]
    redis(engine, "ACL SETUSER", "little", "reset", "on", "nopass", f"~{KEY_PATTERN}", *rules)
    given.settings["redis_url"] = engine.addresses.redis_url.replace("unix://", "unix://little:any@")
    try:
        yield
    finally:
        redis(engine, "ACL DELUSER", "little")


@fault("warning", "redis", "does not say its version", "+info")
def a_redis_user_who_may_not_ask(engine: RunningEngine, given: Given) -> Generator[None]:
    redis(engine, "ACL SETUSER", "silent", "reset", "on", "nopass", "~*", "+@all", "-info")
    given.settings["redis_url"] = engine.addresses.redis_url.replace("unix://", "unix://silent:any@")
    try:
        yield
    finally:
        redis(engine, "ACL DELUSER", "silent")


@fault("warning", "redis.durability", "does not sync each write (appendfsync everysec)", "appendfsync always")
def a_redis_that_syncs_once_a_second(engine: RunningEngine, given: Given) -> Generator[None]:
    with configured(engine, "appendfsync", "everysec"):
        yield


@fault("warning", "redis.durability", "Redis has no replica", "add a replica")
def no_replica_for_the_durability_that_is_set(engine: RunningEngine, given: Given) -> Generator[None]:
    given.settings["durability"] = "replicated"
    yield


@fault("problem", "redis.durability", "its last snapshot could not be written", "whether its disk is full")
def a_redis_that_cannot_write(engine: RunningEngine, given: Given) -> Generator[None]:
    in_the_way = engine.home / "valkey" / "dump.rdb"
    if in_the_way.exists():
        in_the_way.unlink()
    (in_the_way / "folder").mkdir(parents=True)
    _snapshot(engine, "err")
    try:
        yield
    finally:
        shutil.rmtree(in_the_way)
        _snapshot(engine, "ok")


def _snapshot(engine: RunningEngine, comes_to: str) -> None:
    def has_come() -> bool:
        with contextlib.suppress(Exception):  # one is under way, which may have begun before
            redis(engine, "BGSAVE")
        return redis(engine, "INFO", "persistence")["rdb_last_bgsave_status"] == comes_to

    engine.wait_for("a snapshot of Redis", has_come)


@fault("warning", "redis.memory", "its maxmemory", "give it more memory")
def a_redis_that_is_nearly_full(engine: RunningEngine, given: Given) -> Generator[None]:
    with configured(engine, "maxmemory", int(redis(engine, "INFO")["used_memory"] * 1.15)):
        yield


@fault("problem", "redis.memory", "its maxmemory", "give it more memory")
def a_redis_that_is_full(engine: RunningEngine, given: Given) -> Generator[None]:
    with configured(engine, "maxmemory", redis(engine, "INFO")["used_memory"] // 2):
        yield


@fault("warning", "redis.connections", "connections are in use", "maxclients")
def few_connections_of_redis(engine: RunningEngine, given: Given) -> Generator[None]:
    given.bounds = Bounds(connections_left=(1.0, 0.0))
    yield


@fault("problem", "redis.disk", "are left on the disk", "make room")
def a_full_disk_of_redis(engine: RunningEngine, given: Given) -> Generator[None]:
    given.bounds = Bounds(disk_left_mb=(1 << 40, 1 << 40))
    yield
