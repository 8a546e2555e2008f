"""The passwords of Redis and Postgres change while the engine works: nothing stands still."""

from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from acceptance.running import PATIENT, RunningEngine
from flower_engine.log.client import connect_blocking, send_blocking

_CHAIN = [{"taskSeq": seq, "program": "Noop", "taskPriority": 0} for seq in (1, 2, 3)]
SERVICES = ("projector", "api", "watcher", "worker")  # the order of an update


def _write(redis: str, database: str, folder: Path) -> None:
    """Not while a service begins: it would read half of it."""
    (folder / "redis-url").write_text(redis)
    (folder / "database-url").write_text(database)


def _start(engine: RunningEngine, service: str, folder: Path) -> None:
    engine.start(
        service,
        FLOWER_REDIS_URL="",
        FLOWER_DATABASE_URL="",
        FLOWER_REDIS_URL_FILE=str(folder / "redis-url"),
        FLOWER_DATABASE_URL_FILE=str(folder / "database-url"),
    )


def _ask_for_passwords(admin: psycopg.Connection[tuple[object, ...]]) -> None:
    """Postgres asks everybody but its owner for a password."""
    (found,) = admin.execute("SHOW hba_file").fetchone() or ("",)
    hba = Path(str(found))
    hba.write_text(f"local all flower trust\nlocal all all scram-sha-256\n{hba.read_text()}")
    admin.execute("SELECT pg_reload_conf()")


def test_passwords_change_while_flows_run(tmp_path: Path) -> None:
    with RunningEngine.started(tmp_path, **PATIENT) as engine:
        redis_url, database_url = engine.addresses.redis_url, engine.addresses.database_url
        redis_of = redis_url.replace("unix://", "unix://flower@") + "&password={}"
        host = database_url.partition("?")[2]
        database_of = f"postgresql://{{}}:{{}}@/production?{host}"
        with (
            connect_blocking(redis_url) as redis,
            psycopg.connect(database_url, autocommit=True) as admin,
        ):
            send_blocking(redis, "ACL", "SETUSER", "flower", "on", ">old-word-of-redis", "~*", "&*", "+@all")
            admin.execute("CREATE ROLE production LOGIN PASSWORD 'old-word-of-postgres'")
            admin.execute("CREATE DATABASE production OWNER production")
            _ask_for_passwords(admin)
            old = (
                redis_of.format("old-word-of-redis"),
                database_of.format("production", "old-word-of-postgres"),
            )
            _write(*old, tmp_path)
            for service in SERVICES:
                _start(engine, service, tmp_path)
            engine.wait_until_ready()
            engine.define("chain", _CHAIN)
            flows = engine.register("chain", 50)

            # Both hold.
            send_blocking(redis, "ACL", "SETUSER", "flower", ">new/word@of#redis")
            admin.execute("CREATE ROLE production_b LOGIN PASSWORD 'new-word-of-postgres' IN ROLE production")
            admin.execute("ALTER ROLE production_b SET role = production")
            new = (
                redis_of.format(quote("new/word@of#redis", safe="")),
                database_of.format("production_b", "new-word-of-postgres"),
            )
            engine.wait_until_begun()
            _write(*new, tmp_path)
            for service in SERVICES:
                engine.stop(service)
                _start(engine, service, tmp_path)
                if service == "api":
                    engine.wait_until_ready()
                flows += engine.register("chain", 50)

            # The old ones hold no more; whoever is still connected with them is thrown out.
            send_blocking(redis, "ACL", "SETUSER", "flower", "<old-word-of-redis")
            admin.execute("ALTER ROLE production NOLOGIN")
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'production'"
            )
            flows += engine.register("chain", 50)
            ended = sql.SQL("SELECT count(*) FROM kr_flow_stat WHERE finished_ts IS NOT NULL")
            admin_of = database_url.replace("/flower?", "/production?")
            with psycopg.connect(admin_of, autocommit=True) as connection:
                engine.wait_for(
                    "every flow to end", lambda: connection.execute(ended).fetchone() == (len(flows),)
                )
                owners = connection.execute(
                    "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
                )
                assert owners.fetchall() == [("production",)]
            engine.stop_all()
        assert "word-of" not in engine.logs_whole()
