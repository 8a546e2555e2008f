"""Faults of an engine that is at work, each brought about for real, and put right again."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import psycopg

from acceptance.running import RunningEngine
from flower_engine.doctor import of_clocks
from flower_engine.doctor.subject import Bounds
from flower_engine.log.client import connect, connect_blocking, send_blocking
from flower_engine.log.durability import setting_of
from flower_engine.log.keys import Keys
from flower_engine.log.partition import Partition, read_meta
from flower_engine.log.redis_permissions import KEY_PATTERN, NEEDED, TRANSACTIONS
from flower_engine.projection import database
from flower_engine.projection.maintain.migrations import migrate
from flower_engine.runtime import env_file
from flower_engine.transitions.installation_transitions import halt


@dataclass
class Given:
    """What the examination is given, beside the engine."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    env_file_said: list[str] = field(default_factory=list)
    bounds: Bounds = field(default_factory=Bounds)


class Expected(NamedTuple):
    """A finding, by words of its sentence and of its advice."""

    state: str
    check: str
    says: str
    advises: str


Bring = Callable[[RunningEngine, Given], AbstractContextManager[None]]


class Fault(NamedTuple):
    bring: Bring
    expected: Expected


FAULTS: list[Fault] = []


def fault(
    state: str, check: str, says: str, advises: str
) -> Callable[[Callable[..., Generator[None]]], Bring]:
    """Lists what brings a fault about, with the finding that tells of it."""

    def listed(function: Callable[..., Generator[None]]) -> Bring:
        bring = contextmanager(function)
        FAULTS.append(Fault(bring, Expected(state, check, says, advises)))
        return bring

    return listed


def redis(engine: RunningEngine, *words: Any) -> Any:
    with connect_blocking(engine.addresses.redis_url) as client:
        return send_blocking(client, *words)


def sql(engine: RunningEngine, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(engine.addresses.database_url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


@contextmanager
def configured(engine: RunningEngine, name: str, value: Any) -> Generator[None]:
    """A setting of Redis is another one."""
    before = asyncio.run(_setting(engine, name))
    redis(engine, "CONFIG SET", name, value)
    try:
        yield
    finally:
        redis(engine, "CONFIG SET", name, before)


async def _setting(engine: RunningEngine, name: str) -> str:
    async with connect(engine.addresses.redis_url) as client:
        return await setting_of(client, name)


@contextmanager
def system(engine: RunningEngine, name: str, value: str) -> Generator[None]:
    """A setting of Postgres is another one."""
    sql(engine, f"ALTER SYSTEM SET {name} = {value}")
    sql(engine, "SELECT pg_reload_conf()")
    try:
        yield
    finally:
        sql(engine, f"ALTER SYSTEM RESET {name}")
        sql(engine, "SELECT pg_reload_conf()")


# Settings


@fault("warning", "settings", "FLOWER_REDIS_ULR is not a setting", "set the name that is meant")
def an_unknown_name(engine: RunningEngine, given: Given) -> Generator[None]:
    given.environment["FLOWER_REDIS_ULR"] = "redis://127.0.0.1"
    yield


@fault("warning", "settings", ".env is ignored: everybody can write the file", "chmod go-w")
def an_env_file_of_all(engine: RunningEngine, given: Given) -> Generator[None]:
    file = given.folder / ".env"
    file.write_text("FLOWER_QUEUES=a\n")
    given.folder.chmod(0o700)
    file.chmod(0o666)
    env_file.load(given.folder, {})
    given.env_file_said.extend(env_file.said())
    yield


@fault("warning", "settings", "listens on 0.0.0.0 and asks for no token", "FLOWER_API_TOKENS")
def an_open_api(engine: RunningEngine, given: Given) -> Generator[None]:
    given.settings["host"] = "0.0.0.0"
    yield


# Redis


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
    in_the_way = Path(engine.folder) / "home" / "valkey" / "dump.rdb"
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


# Postgres


@fault("problem", "postgres", "Postgres does not answer", "FLOWER_DATABASE_URL names it")
def no_postgres(engine: RunningEngine, given: Given) -> Generator[None]:
    given.settings["database_url"] = "postgresql://127.0.0.1:1/flower"
    yield


@fault("problem", "postgres", "Postgres does not answer within", "see that it runs")
def a_postgres_that_stands_still(engine: RunningEngine, given: Given) -> Generator[None]:
    server = psutil.Process(engine.store_pid("postgres"))
    processes = [server, *server.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


@fault("problem", "postgres", "does not exist", "createdb")
def a_database_that_is_not_there(engine: RunningEngine, given: Given) -> Generator[None]:
    given.settings["database_url"] = engine.addresses.database_url.replace("@/flower", "@/flowers")
    yield


@fault("problem", "postgres", "takes no writes", "Promote it, set it back")
def a_postgres_that_is_read_only(engine: RunningEngine, given: Given) -> Generator[None]:
    given.settings["database_url"] = (
        engine.addresses.database_url + "&options=-c%20default_transaction_read_only%3Don"
    )
    yield


@fault("problem", "postgres.schema", "has no tables of Flower", "start the API or a projector")
def an_empty_database(engine: RunningEngine, given: Given) -> Generator[None]:
    sql(engine, "CREATE DATABASE empty")
    given.settings["database_url"] = engine.addresses.database_url.replace("@/flower", "@/empty")
    try:
        yield
    finally:
        sql(engine, "DROP DATABASE empty WITH (FORCE)")


@fault("problem", "postgres.schema", "a newer version made its tables", "use the version of Flower that made")
def tables_of_a_newer_version(engine: RunningEngine, given: Given) -> Generator[None]:
    sql(engine, "INSERT INTO flower_migration (name, sha256) VALUES ('9999_from_the_future', '0')")
    try:
        yield
    finally:
        sql(engine, "DELETE FROM flower_migration WHERE name = '9999_from_the_future'")


@fault("warning", "postgres.schema", "the tables are of an older version", "adds them")
def tables_of_an_older_version(engine: RunningEngine, given: Given) -> Generator[None]:
    last = "(SELECT max(name) FROM flower_migration)"
    (row,) = sql(engine, f"DELETE FROM flower_migration WHERE name = {last} RETURNING name, sha256")  # noqa: S608
    try:
        yield
    finally:
        sql(engine, "INSERT INTO flower_migration (name, sha256) VALUES (%s, %s)", *row)


@fault("problem", "postgres.durability", "does not sync its writes", "set fsync to on")
def a_postgres_that_does_not_sync(engine: RunningEngine, given: Given) -> Generator[None]:
    with system(engine, "fsync", "off"):
        yield


@fault("warning", "postgres.durability", "loses what it committed last", "set synchronous_commit to on")
def a_postgres_that_commits_later(engine: RunningEngine, given: Given) -> Generator[None]:
    with system(engine, "synchronous_commit", "off"):
        yield


@fault("warning", "postgres.connections", "connections are in use", "max_connections")
def few_connections_of_postgres(engine: RunningEngine, given: Given) -> Generator[None]:
    given.bounds = Bounds(connections_left=(1.0, 0.0))
    yield


@fault("problem", "postgres.disk", "are left on the disk", "flower prune")
def a_full_disk_of_postgres(engine: RunningEngine, given: Given) -> Generator[None]:
    given.bounds = Bounds(disk_left_mb=(1 << 40, 1 << 40))
    yield


@fault(
    "warning", "postgres.replication", "nobody reads replication slot forgotten", "pg_drop_replication_slot"
)
def a_forgotten_replication_slot(engine: RunningEngine, given: Given) -> Generator[None]:
    sql(engine, "SELECT pg_create_physical_replication_slot('forgotten', true)")
    given.bounds = Bounds(replication_slot_mb=0)
    try:
        yield
    finally:
        sql(engine, "SELECT pg_drop_replication_slot('forgotten')")


# The installation


@fault("problem", "installation", "FLOWER_PARTITIONS is 2", "as they were, for all services")
def another_number_of_partitions(engine: RunningEngine, given: Given) -> Generator[None]:
    given.settings["partitions"] = 2
    yield


@fault("problem", "installation", "do not belong together", "as they were, for all services")
def stores_that_do_not_belong_together(engine: RunningEngine, given: Given) -> Generator[None]:
    sql(engine, "CREATE DATABASE other TEMPLATE template1")
    given.settings["database_url"] = engine.addresses.database_url.replace("@/flower", "@/other")
    with psycopg.connect(given.settings["database_url"], autocommit=True) as connection:
        asyncio.run(_make_tables(given.settings["database_url"]))
        connection.execute(
            "INSERT INTO kr_projection (partition, position, installation, generation, partitions)"
            " VALUES (0, NULL, 'another-installation', 1, 1)"
        )
    try:
        yield
    finally:
        sql(engine, "DROP DATABASE other WITH (FORCE)")


async def _make_tables(url: str) -> None:
    async with await database.connect(url, "test") as connection:
        await migrate(connection)


@fault("problem", "partitions", "was halted: somebody halted it", "flower recover")
def a_partition_that_is_halted(engine: RunningEngine, given: Given) -> Generator[None]:
    asyncio.run(_halt(engine))
    try:
        yield
    finally:
        assert engine.flower("recover").returncode == 0


async def _halt(engine: RunningEngine) -> None:
    async with connect(engine.addresses.redis_url) as client:
        meta = await read_meta(client, 0)
        assert meta is not None
        await halt(client, Partition(0, meta.installation, meta.generation), "somebody halted it")


@fault("problem", "api", "answers 503: waiting for", "put right what it waits for")
def an_api_that_is_not_ready(engine: RunningEngine, given: Given) -> Generator[None]:
    with a_partition_that_is_halted(engine, given):
        yield


@fault("problem", "flow control", "the tables say", "a watcher brings the tables to Redis")
def limits_that_nobody_brings_to_redis(engine: RunningEngine, given: Given) -> Generator[None]:
    os.kill(engine.service_pid("watcher"), signal.SIGSTOP)
    try:
        sql(engine, "INSERT INTO ms_flow_control (scope, name, max_running) VALUES ('queue', 'narrow', 3)")
        yield
    finally:
        sql(engine, "DELETE FROM ms_flow_control")
        os.kill(engine.service_pid("watcher"), signal.SIGCONT)


@fault("warning", "flow control", "limit_by is longer than", "flower limit")
def a_limit_that_cannot_be(engine: RunningEngine, given: Given) -> Generator[None]:
    name = "ms_flow_control_limit_by_is_a_name"  # as rows that were there before the check
    (check,) = sql(engine, "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", name)[0]
    sql(engine, f"ALTER TABLE ms_flow_control DROP CONSTRAINT {name}")
    sql(
        engine,
        "INSERT INTO ms_flow_control (scope, name, limit_by, max_per_key)"
        " VALUES ('workflow', 'any', repeat('p', 2000), 1)",
    )
    try:
        yield
    finally:
        sql(engine, "DELETE FROM ms_flow_control")
        sql(engine, f"ALTER TABLE ms_flow_control ADD CONSTRAINT {name} {check}")


# Services


@fault("problem", "watchers", "nobody has watched partition 0", "flower watcher")
def no_watcher(engine: RunningEngine, given: Given) -> Generator[None]:
    engine.stop("watcher")
    given.bounds = Bounds(silence_seconds=1.0)
    try:
        yield
    finally:
        engine.start("watcher")


@fault("problem", "projectors", "no projector is at work on partition 0", "flower projector")
def no_projector(engine: RunningEngine, given: Given) -> Generator[None]:
    engine.stop("projector")
    try:
        yield
    finally:
        engine.start("projector")


@fault("problem", "lag.projection", "are not in Postgres yet, the oldest for", "see that a projector runs")
def a_projector_that_stands_still(engine: RunningEngine, given: Given) -> Generator[None]:
    engine.define("quick", [{"taskSeq": 1, "program": "Noop"}])
    os.kill(engine.service_pid("projector"), signal.SIGSTOP)
    given.bounds = Bounds(lag_seconds=(0.5, 1.0))
    engine.register("quick", 1)
    try:
        yield
    finally:
        os.kill(engine.service_pid("projector"), signal.SIGCONT)
        engine.client.delete("/workflows/quick").raise_for_status()


@fault("problem", "lag.projection", "so nothing is registered", "see that a projector runs")
def a_backlog_beyond_its_bound(engine: RunningEngine, given: Given) -> Generator[None]:
    engine.define("quick", [{"taskSeq": 1, "program": "Noop"}])
    os.kill(engine.service_pid("projector"), signal.SIGSTOP)
    given.settings["max_unprojected_events"] = 1
    engine.register("quick", 1)
    try:
        yield
    finally:
        os.kill(engine.service_pid("projector"), signal.SIGCONT)
        engine.client.delete("/workflows/quick").raise_for_status()


@fault("warning", "lag.followers", "traces are behind the archive by", "take their rows out of kr_follower")
def a_follower_that_nobody_runs(engine: RunningEngine, given: Given) -> Generator[None]:
    given.bounds = Bounds(follower_seconds=0.0)
    sql(
        engine,
        "INSERT INTO kr_follower (name, partition, position_ms, position_seq) VALUES ('traces', 0, 0, 0)",
    )
    try:
        yield
    finally:
        sql(engine, "DELETE FROM kr_follower")


@fault("warning", "lag.task_logs", "what tasks wrote has waited for", "a projector runs")
def lines_that_nobody_stores(engine: RunningEngine, given: Given) -> Generator[None]:
    given.bounds = Bounds(task_log_seconds=0.0)
    os.kill(engine.service_pid("projector"), signal.SIGSTOP)
    key = Keys(0).tasklog
    try:
        redis(engine, "XADD", key, "*", "c", "[]")
        yield
    finally:
        os.kill(engine.service_pid("projector"), signal.SIGCONT)


@fault("problem", "api", "no API answers at", "flower api")
def no_api(engine: RunningEngine, given: Given) -> Generator[None]:
    given.settings["url"] = "http://127.0.0.1:1"
    yield


@fault("warning", "api", "answers 404", "names an API of Flower")
def an_api_of_others(engine: RunningEngine, given: Given) -> Generator[None]:
    given.settings["url"] = f"{engine.url}/elsewhere"
    yield


@fault("warning", "workers", "no worker is alive", "flower worker")
def no_worker(engine: RunningEngine, given: Given) -> Generator[None]:
    engine.stop("worker")
    try:
        yield
    finally:
        engine.start("worker")


@fault("warning", "workers.stuck", "has 1 stuck slots: flow", "restart the worker")
def a_slot_that_is_stuck(engine: RunningEngine, given: Given) -> Generator[None]:
    folder = given.folder
    engine.define("stuck", [{"taskSeq": 1, "program": "wait_thread", "parameters": {"folder": str(folder)}}])
    (flow,) = engine.register("stuck", 1)
    engine.wait_for("the attempt", (folder / "began-1-1").exists)
    engine.client.post(f"/flows/{flow}/cancel").raise_for_status()
    try:
        yield
    finally:
        (folder / "go").touch()
        engine.client.delete("/workflows/stuck").raise_for_status()


@fault("warning", "workers.outdated", "runs code from before", "restart it")
def a_module_that_was_changed(engine: RunningEngine, given: Given) -> Generator[None]:
    with second_worker(engine, given, "def own() -> int:\n    return 1\n"):
        (given.folder / "doctors_own.py").write_text(OWN + "def own() -> int:\n    return 2\n")
        yield


@fault("problem", "workers.unable", "cannot start program own", "mend what it says")
def a_program_that_cannot_be_started(engine: RunningEngine, given: Given) -> Generator[None]:
    (given.folder / "read.py").write_text("")
    text = "exec(Path(__file__).with_name('read.py').read_text())\n"
    text += "@program(kind='process')\ndef own() -> int:\n    return 1\n"
    with second_worker(engine, given, text, broken="1 / 0"):
        engine.define("own", [{"taskSeq": 1, "program": "own", "queue": "own"}])
        with ended(engine, "own"):
            yield


OWN = "from pathlib import Path\nfrom flower_engine import program\n"


@contextmanager
def second_worker(
    engine: RunningEngine, given: Given, text: str, *, broken: str | None = None
) -> Generator[None]:
    """A worker with a module of its own, which serves a queue of its own."""
    (given.folder / "doctors_own.py").write_text(OWN + (text if "@program" in text else f"@program\n{text}"))
    engine.start(
        "worker-2",
        FLOWER_PROGRAMS="doctors_own",
        FLOWER_QUEUES="own",
        FLOWER_PROCESSES="1",
        PYTHONPATH=f"{given.folder}:{os.environ.get('PYTHONPATH', '')}",
    )
    try:
        engine.wait_for(
            "the second worker",
            lambda: any("own" in one["queues"] for one in engine.client.get("/workers").json()["workers"]),
        )
        if broken is not None:
            (given.folder / "read.py").write_text(broken)
            pid = engine.service_pid("worker-2")
            for child in psutil.Process(pid).children():
                child.kill()
        yield
    finally:
        engine.stop("worker-2")


# What waits


@fault("problem", "tasks.unserved", "1 ready tasks wait for program Noop of queue nobody", "--queue nobody")
def a_task_that_nobody_serves(engine: RunningEngine, given: Given) -> Generator[None]:
    engine.define("unserved", [{"taskSeq": 1, "program": "Noop", "queue": "nobody"}])
    with ended(engine, "unserved"):
        yield


@fault("warning", "programs.defined", "no live worker has: Nope", "start workers")
def a_program_that_nobody_has(engine: RunningEngine, given: Given) -> Generator[None]:
    engine.define_ahead("unknown", [{"taskSeq": 1, "program": "Nope"}])
    try:
        yield
    finally:
        engine.client.delete("/workflows/unknown").raise_for_status()


@fault("warning", "programs.versions", "program add has 2 live versions", "restart the older workers")
def two_versions_of_a_program(engine: RunningEngine, given: Given) -> Generator[None]:
    with second_worker(engine, given, "async def add(a: int, c: int = 1) -> int:\n    return a + c\n"):
        yield


@fault("warning", "tasks.oldest", "has been ready for", "flower why")
def a_task_that_waits_for_long(engine: RunningEngine, given: Given) -> Generator[None]:
    folder, parameters = given.folder, {"folder": str(given.folder)}
    engine.start("worker-2", FLOWER_QUEUES="small", FLOWER_CONCURRENCY="1")
    wait = {"program": "wait_async", "queue": "small", "parameters": parameters}
    engine.define_ahead("small", [{"taskSeq": seq, "dependsOn": [], **wait} for seq in (1, 2)])
    given.bounds = Bounds(oldest_ready_seconds=0.5)
    (flow,) = engine.register("small", 1)
    engine.wait_for("an attempt", lambda: bool(list(folder.glob("began-*"))))
    try:
        yield
    finally:
        (folder / "go").touch()
        engine.wait_until_ended([flow])
        engine.client.delete("/workflows/small").raise_for_status()
        engine.stop("worker-2")


@contextmanager
def ended(engine: RunningEngine, workflow: str) -> Generator[str]:
    """A flow of the workflow, which is cancelled at the end."""
    (flow,) = engine.register(workflow, 1)
    try:
        yield flow
    finally:
        engine.client.post(f"/flows/{flow}/cancel").raise_for_status()
        engine.client.delete(f"/workflows/{workflow}").raise_for_status()


@fault(
    "warning", "held", "queue narrow is paused by operator (night): nothing", "flower release queue narrow"
)
def a_queue_that_is_paused(engine: RunningEngine, given: Given) -> Generator[None]:
    sql(
        engine,
        "INSERT INTO ms_flow_control (scope, name, is_paused, reason, changed_by)"
        " VALUES ('queue', 'narrow', true, 'night', 'operator')",
    )
    try:
        yield
    finally:
        sql(engine, "DELETE FROM ms_flow_control")


@fault("warning", "kept results", "of results for tasks to come, of 1 MB", "FLOWER_MAX_KEPT_MB")
def results_that_wait_for_their_readers(engine: RunningEngine, given: Given) -> Generator[None]:
    given_on = {"value": {"$from": "large"}}
    rows: list[dict[str, Any]] = [
        {"taskSeq": 1, "taskName": "large", "program": "give_thread", "parameters": {"size": 900_000}},
        {"taskSeq": 2, "program": "give", "queue": "nobody", "dependsOn": ["large"], "parameters": given_on},
    ]
    engine.define("keeps", rows)
    given.settings["max_kept_mb"] = 1
    with ended(engine, "keeps"):
        yield


# Schedules


def schedule(engine: RunningEngine, **more: Any) -> None:
    row = {"name": "often", "task_id": "scheduled", "every_seconds": 3600, **more}
    names = ", ".join(row)
    places = ", ".join(["%s"] * len(row))
    sql(engine, f"INSERT INTO ms_schedule ({names}) VALUES ({places})", *row.values())  # noqa: S608


@fault("problem", "schedules", "schedule often does not fire: ", "flower schedules show often")
def a_schedule_of_nothing(engine: RunningEngine, given: Given) -> Generator[None]:
    schedule(engine)
    try:
        yield
    finally:
        sql(engine, "DELETE FROM ms_schedule")


@fault("warning", "schedules", "is paused: its flows failed", "flower schedules resume often")
def a_schedule_that_its_failures_paused(engine: RunningEngine, given: Given) -> Generator[None]:
    engine.define("scheduled", [{"taskSeq": 1, "program": "fail_async", "parameters": {"message": "no"}}])
    schedule(engine, every_seconds=1, pause_after_failures=1, overlap="allow")
    try:
        yield
    finally:
        sql(engine, "DELETE FROM ms_schedule")
        cancel_all(engine, "scheduled")


@fault("warning", "schedules", "has waited for", "flower schedules slots often")
def a_slot_that_is_held(engine: RunningEngine, given: Given) -> Generator[None]:
    wait = {"taskSeq": 1, "program": "wait_async", "parameters": {"folder": str(given.folder)}}
    engine.define("scheduled", [wait])
    given.bounds = Bounds(held_slot_seconds=0.0)
    schedule(engine, every_seconds=1, overlap="queue_one")
    try:
        yield
    finally:
        sql(engine, "DELETE FROM ms_schedule")
        cancel_all(engine, "scheduled")


@fault("warning", "schedules", "slots of schedule often were missed", "flower schedules backfill")
def slots_that_were_missed(engine: RunningEngine, given: Given) -> Generator[None]:
    engine.define("scheduled", [{"taskSeq": 1, "program": "Noop"}])
    schedule(engine, every_seconds=1)
    # As a watcher decides who comes back after the window of a slot.
    missed = (
        "UPDATE kr_schedule_slot SET state = 'missed' WHERE state = 'fired'"
        " AND uid = (SELECT uid FROM ms_schedule) RETURNING 1"
    )
    engine.wait_for("a slot", lambda: bool(sql(engine, missed)))
    try:
        yield
    finally:
        sql(engine, "DELETE FROM ms_schedule")
        cancel_all(engine, "scheduled")


HOOK = "INSERT INTO ms_hook (name, occasions, kind, target) VALUES ('ops', %s, 'command', 'page')"


@fault("problem", "hooks", "hook ops tells nothing: occasions", "flower hooks show ops")
def a_hook_that_makes_no_sense(engine: RunningEngine, given: Given) -> Generator[None]:
    sql(engine, HOOK, ["flow.begun"])
    try:
        yield
    finally:
        sql(engine, "DELETE FROM ms_hook")


@fault(
    "warning", "hooks", "1 wait and 0 are given up: command page is not allowed", "flower hooks deliveries"
)
def a_hook_that_does_not_work(engine: RunningEngine, given: Given) -> Generator[None]:
    sql(engine, HOOK, ["flow.failed"])
    try:
        engine.client.post("/hooks/ops/test").raise_for_status()
        yield
    finally:
        sql(engine, "DELETE FROM ms_hook")


_SCHEDULES_LEFT = "SELECT 1 FROM kr_schedule WHERE state <> 'deleted'"


def cancel_all(engine: RunningEngine, workflow: str) -> None:
    """Until none is open, though slots fire for a moment after their schedule is gone."""
    engine.client.delete(f"/workflows/{workflow}").raise_for_status()
    engine.wait_for("the schedules to be gone", lambda: not sql(engine, _SCHEDULES_LEFT))

    def are_over() -> bool:
        flows = engine.client.get("/flows", params={"taskId": workflow}).json()["flows"]
        left = [flow["taskFlowId"] for flow in flows if flow["finishedTs"] is None]
        for flow in left:
            engine.client.post(f"/flows/{flow}/cancel")  # it may have ended meanwhile
        return not left

    engine.wait_for(f"the flows of {workflow} to be over", are_over)


# Blobs and clocks


@fault("problem", "blobs", "/dev/null is no folder", "FLOWER_BLOBS")
def blobs_in_no_folder(engine: RunningEngine, given: Given) -> Generator[None]:
    given.settings["blobs"] = "file:///dev/null/blobs"
    yield


@fault("problem", "blobs", "cannot be used", "credentials")
def a_store_of_blobs_that_is_away(engine: RunningEngine, given: Given) -> Generator[None]:
    given.settings["blobs"] = "ftp://127.0.0.1:1/blobs"
    yield


@fault("problem", "blobs", "did not answer within", "credentials")
def a_store_of_blobs_that_stands_still(engine: RunningEngine, given: Given) -> Generator[None]:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        given.settings["blobs"] = f"ftp://127.0.0.1:{silent.getsockname()[1]}/blobs"
        yield


@fault("problem", "clocks", "the clock of Redis is -60.0 s from this machine's", "NTP")
def a_clock_of_this_machine_that_is_ahead(engine: RunningEngine, given: Given) -> Generator[None]:
    right = of_clocks.time
    of_clocks.time = _Ahead()  # type: ignore[assignment]
    try:
        yield
    finally:
        of_clocks.time = right


class _Ahead:
    def time(self) -> float:
        return time.time() + 60


@fault("warning", "clocks", "Redis' clock went back", "it comes back by itself")
def a_clock_of_redis_that_went_back(engine: RunningEngine, given: Given) -> Generator[None]:
    meta = Keys(0).meta
    os.kill(engine.service_pid("watcher"), signal.SIGSTOP)  # its next look would tell more of it
    tick = int(redis(engine, "HGET", meta, "tick"))
    redis(engine, "HSET", meta, "tick", tick + 60_000, "skew", 60_000)
    try:
        yield
    finally:
        redis(engine, "HSET", meta, "tick", tick, "skew", 0)
        os.kill(engine.service_pid("watcher"), signal.SIGCONT)
