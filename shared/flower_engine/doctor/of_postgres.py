"""Postgres: whether it is such as Flower needs it, and what is left of it."""

import psycopg

from flower_engine.doctor.disk import LOOPBACK, space_left
from flower_engine.doctor.findings import Finding, and_more, ok, problem, warning
from flower_engine.doctor.of_redis import connections_left
from flower_engine.doctor.subject import Subject
from flower_engine.errors import InstallationError
from flower_engine.model.values.seen_position import lsn_of, timeline_of
from flower_engine.own_version import own_version
from flower_engine.projection.database import connect
from flower_engine.projection.maintain.migrations import missing_migrations
from flower_engine.projection.read.wal_positions import read_wal_position
from flower_engine.runtime.store_checks import check_postgres
from flower_engine.store_faults import fault_of

_MB = 1 << 20
_STANDBYS = """
SELECT coalesce(nullif(application_name, ''), client_addr::text, '?'), coalesce(state, '?'),
  coalesce(extract(epoch FROM replay_lag), 0)::float8
FROM pg_stat_replication ORDER BY 1
"""
_SLOTS = """
SELECT slot_name::text, (pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) / 1048576)::bigint
FROM pg_replication_slots WHERE NOT active AND restart_lsn IS NOT NULL ORDER BY 2 DESC
"""
_CONNECTIONS = """
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
  current_setting('max_connections')::integer
"""
_SETTINGS = "SELECT current_setting('fsync'), current_setting('synchronous_commit')"
_FOLDER = "SELECT current_setting('data_directory', true)"
_MOST_LAG_SECONDS = 60.0
_MOST_BEHIND_MB = 64


async def server(subject: Subject) -> list[Finding]:
    """Its version, and whether it takes writes."""
    connection = subject.connection
    try:
        await check_postgres(connection)
    except psycopg.errors.ReadOnlySqlTransaction as error:
        fault = fault_of(error)
        what, _, advice = fault.what.partition(". ")
        return [problem("postgres", f"Postgres takes no writes: {what} ({fault.text})", advice)]
    number = connection.info.server_version
    through = ", through a pooler" if connection.is_pooled else ""
    return [
        ok("postgres", f"Postgres {number // 10_000}.{number % 10_000} answers{through}, and takes writes")
    ]


async def schema(subject: Subject) -> list[Finding]:
    """Whether its tables are of this version."""
    check = "postgres.schema"
    try:
        missing = await missing_migrations(subject.connection)
    except InstallationError as error:
        return [
            problem(check, str(error), "use the version of Flower that made these tables, or a newer one")
        ]
    if missing is None:
        advice = "start the API or a projector: the first one makes them"
        return [problem(check, "Postgres has no tables of Flower", advice)]
    subject.has_tables = True
    if missing:
        detail = f"the tables are of an older version: {and_more(missing)} are missing ({own_version()})"
        return [warning(check, detail, "the first API or projector of this version that starts adds them")]
    return [ok(check, f"the tables are as {own_version()} has them")]


async def durability(subject: Subject) -> list[Finding]:
    """What a crash of it loses."""
    check = "postgres.durability"
    row = await (await subject.connection.execute(_SETTINGS)).fetchone()
    fsync, commit = row or ("on", "on")
    if fsync != "on":
        detail = "Postgres does not sync its writes (fsync off): a crash of its machine may destroy all of it"
        return [problem(check, detail, "set fsync to on")]
    if commit == "off":
        detail = "a crash of Postgres loses what it committed last (synchronous_commit off)"
        return [warning(check, detail, "set synchronous_commit to on")]
    return [ok(check, "what is committed is on its disk")]


async def replication(subject: Subject) -> list[Finding]:
    """Its standbys, and slots that nobody reads, for which it keeps its log."""
    check, connection = "postgres.replication", subject.connection
    standbys = await (await connection.execute(_STANDBYS)).fetchall()
    found = [
        warning(
            check,
            f"standby {name} of Postgres is {state}, {lag:,.0f} s behind",
            "look after it: a failover to it would lose history",
        )
        for name, state, lag in standbys
        if state not in ("streaming", "?") or lag > _MOST_LAG_SECONDS
    ]
    for name, size_mb in await (await connection.execute(_SLOTS)).fetchall():
        if size_mb >= subject.bounds.replication_slot_mb:
            detail = (
                f"nobody reads replication slot {name}, for which Postgres keeps {size_mb:,} MB of its log"
            )
            advice = f"start what reads it, or SELECT pg_drop_replication_slot('{name}')"
            found.append(warning(check, detail, advice))
    return found or [ok(check, f"{len(standbys)} standbys follow it" if standbys else "it has no standby")]


async def replica(subject: Subject) -> list[Finding]:
    """The one that the API reads from, where one is set: whether it follows, and how closely."""
    check, url = "postgres.replica", subject.settings.database_read_url
    if url is None:
        return [ok(check, "the API reads from the Postgres that is written to")]
    advice = "see that it runs, and that FLOWER_DATABASE_READ_URL names it; the API reads from the primary"
    try:
        async with await connect(url, "doctor", is_impatient=True) as connection:
            there = await read_wal_position(connection)
            here = await read_wal_position(subject.connection)
            later = await read_wal_position(connection)
    except psycopg.OperationalError as error:
        return [warning(check, fault_of(error).said_of("the replica of Postgres"), advice)]
    if not there.is_standby:
        detail = "FLOWER_DATABASE_READ_URL leads to a Postgres that follows nobody"
        return [problem(check, detail, "give it the address of a standby, or leave it out")]
    if there.system != here.system:
        detail = "the replica follows another Postgres than that of FLOWER_DATABASE_URL"
        return [problem(check, detail, "give it the address of a standby of that one")]
    if timeline_of(later.wal) < timeline_of(here.wal):
        detail = (
            f"the replica follows timeline {timeline_of(later.wal)}, as far as this role may know, and the"
            f" Postgres that is written to began timeline {timeline_of(here.wal)} when it took over"
        )
        advice = (
            "see that it follows the new one. Where it does, this goes by itself within minutes, or at once"
            " where the role has pg_read_all_stats; the API reads from the primary meanwhile"
        )
        return [warning(check, detail, advice)]
    behind_mb = (lsn_of(here.wal) - lsn_of(later.wal)) / _MB
    if behind_mb >= _MOST_BEHIND_MB:
        detail = f"the replica of Postgres is {behind_mb:,.0f} MB of its log behind"
        return [warning(check, detail, "look after it; the API reads from the primary meanwhile")]
    return [ok(check, "the replica follows closely")]


async def connections(subject: Subject) -> list[Finding]:
    """How many more there may be."""
    row = await (await subject.connection.execute(_CONNECTIONS)).fetchone()
    used, most = row or (0, 1)
    advice = "raise its max_connections, or put a pooler between (docs/operations.md)"
    return [connections_left("postgres.connections", used, most, subject, advice)]


async def disk(subject: Subject) -> list[Finding]:
    """What is left for its files, if they are here."""
    check, connection = "postgres.disk", subject.connection
    host = connection.info.host
    row = None
    if host.startswith("/") or host in LOOPBACK:
        row = await (await connection.execute(_FOLDER)).fetchone()
    if row is not None and row[0]:
        advice = "make room: when it is full, nothing more is projected; flower prune takes away old history"
        found = space_left(check, row[0], subject.bounds, advice, marks=["PG_VERSION"])
        if found is not None:
            return [found]
    return [ok(check, "not known: its files are not on this machine, or its user may not ask where they are")]
