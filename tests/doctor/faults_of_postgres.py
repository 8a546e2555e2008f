"""Faults of Postgres."""

from collections.abc import Generator

from acceptance.running import RunningEngine
from doctor.faults import Given, fault, sql, system
from flower_engine.doctor.subject import Bounds
from standing_still import stands_still


@fault("problem", "postgres", "Postgres does not answer", "FLOWER_DATABASE_URL names it")
def no_postgres(engine: RunningEngine, given: Given) -> Generator[None]:
    given.settings["database_url"] = "postgresql://127.0.0.1:1/flower"
    yield


@fault("problem", "postgres", "Postgres does not answer within", "see that it runs")
def a_postgres_that_stands_still(engine: RunningEngine, given: Given) -> Generator[None]:
    with stands_still(engine.store_pid("postgres")):
        yield


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
