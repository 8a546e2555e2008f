"""Brings a database's tables to this version: applies the migrations of ``flower_schema``, each once."""

import logging

import psycopg

from flower_engine.errors import InstallationError
from flower_engine.own_version import UPGRADE_OR_GO_BACK, own_version
from flower_engine.projection.database import Connection
from flower_engine.store_faults import is_outage, is_refused
from flower_schema import Migration, migrations

_log = logging.getLogger(__name__)

_LOCK_KEY = 0x666C6F776572  # "flower"


async def migrate(connection: Connection) -> list[str]:
    """Apply what is missing, in name order, each in a transaction of its own; returns the names applied.

    Any number of services may do this at once: they take turns, and each migration is applied by one.

    Raises:
        InstallationError: the tables are of a newer version, an applied migration was changed since, or one
            cannot be applied here.
    """
    applied: list[str] = []
    while name := await _apply_next(connection):
        applied.append(name)
    return applied


async def refuse_newer_tables(connection: Connection) -> None:
    """For those who work on tables as they are.

    Raises:
        InstallationError: they are of a newer version, or an applied migration was changed since.
    """
    async with connection.transaction():
        if await _has_had_any(connection):
            _first_missing(await _applied(connection))


async def missing_migrations(connection: Connection) -> list[str] | None:
    """The names of those that the database has not had yet; None: it has had none, so it has no tables.

    Raises:
        InstallationError: as ``refuse_newer_tables`` does.
    """
    async with connection.transaction():
        if not await _has_had_any(connection):
            return None
        applied = await _applied(connection)
        _first_missing(applied)
        return [migration.name for migration in migrations() if migration.name not in applied]


async def _apply_next(connection: Connection) -> str | None:
    """Apply the first migration that is missing; None when there is none."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_KEY])
        if not await _has_had_any(connection):
            await connection.execute(
                "CREATE TABLE flower_migration ("
                " name text PRIMARY KEY, sha256 text NOT NULL, applied_ts timestamptz NOT NULL DEFAULT now())"
            )
        migration = _first_missing(await _applied(connection))
        if migration is None:
            return None
        try:
            await connection.execute(migration.sql)
        except psycopg.Error as error:
            if is_outage(error) or is_refused(error):
                raise
            raise InstallationError(f"migration {migration.name} cannot be applied: {error}") from error
        await connection.execute(
            "INSERT INTO flower_migration (name, sha256) VALUES (%s, %s)", [migration.name, migration.sha256]
        )
    _log.info("the database's tables were brought to %s", migration.name)
    return migration.name


async def _applied(connection: Connection) -> dict[str, str]:
    """The hashes of the migrations that this database has had, by name."""
    rows = await connection.execute("SELECT name, sha256 FROM flower_migration")
    return {name: sha256 async for name, sha256 in rows}


async def _has_had_any(connection: Connection) -> bool:
    # Read as rows are: what to_regclass remembers may be older than the lock that was just waited for.
    known = await connection.execute(
        "SELECT FROM pg_class WHERE relname = 'flower_migration'"
        " AND relnamespace = current_schema()::regnamespace"
    )
    return known.rowcount > 0


def _first_missing(applied: dict[str, str]) -> Migration | None:
    ours = migrations()
    newer = sorted(applied.keys() - {migration.name for migration in ours})
    if newer:
        raise InstallationError(
            f"the database has migration {newer[-1]}, and {own_version()} knows none after"
            f" {ours[-1].name}: a newer version made its tables. {UPGRADE_OR_GO_BACK}"
        )
    for migration in ours:
        if applied.get(migration.name, migration.sha256) != migration.sha256:
            raise InstallationError(
                f"migration {migration.name} differs from the one that this database has had: the file was"
                " changed after its release, or another build made these tables. Use the matching version"
            )
    return next((migration for migration in ours if migration.name not in applied), None)
