"""Databases of a test's own in the session's Postgres."""

import itertools
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import LiteralString

import psycopg
from psycopg.sql import SQL, Identifier

EMPTY = "template1"
"""The template of a database without tables."""

_numbers = itertools.count(1)

_CATALOGS = (
    *("pg_class", "pg_attribute", "pg_attrdef", "pg_constraint", "pg_index", "pg_inherits", "pg_trigger"),
    *("pg_proc", "pg_type", "pg_rewrite", "pg_policy", "pg_namespace", "pg_extension", "pg_event_trigger"),
    *("pg_publication", "pg_default_acl", "pg_description", "pg_statistic", "pg_statistic_ext"),
    *("pg_largeobject_metadata", "pg_db_role_setting", "pg_database"),
)
"""What a database is made of. A change of it takes a row away, or gives one a newer xmin."""

_NOT_OF_SESSIONS: dict[str, LiteralString] = {
    "pg_namespace": "nspname !~ '^pg_(toast_)?temp_'",
    "pg_database": "datname = current_database()",
}
_USED = (
    "SELECT relname, pg_relation_size(oid) FROM pg_class"
    " WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 0"
    " ORDER BY relname"
)
_WRITTEN = """
    SELECT relname, relnamespace = 'public'::regnamespace, relispartition, pg_stat_get_tuples_inserted(oid)
      + pg_stat_get_tuples_updated(oid) + pg_stat_get_tuples_deleted(oid),
      (SELECT pg_stat_get_db_stat_reset_time(oid) FROM pg_database WHERE datname = current_database())
    FROM pg_class
    WHERE relnamespace IN ('public'::regnamespace, 'pg_catalog'::regnamespace) AND relkind = 'r'
"""
_FEW_BYTES = 64 << 10
"""Of a table that is no larger, rows are deleted, which costs a tenth of new files for it and its indexes."""
_AGAIN = """
    SELECT setval(seqrelid::regclass, seqstart, false)
    FROM pg_sequence JOIN pg_class ON pg_class.oid = seqrelid
    WHERE relnamespace = 'public'::regnamespace
"""
"""Sequences begin where they began."""
_SET = (
    "SELECT NOT datallowconn OR EXISTS (SELECT FROM pg_db_role_setting WHERE setdatabase = pg_database.oid)"
    " FROM pg_database WHERE datname = %s"
)
"""Whether connections to a database may have other settings than others, or cannot be made."""
State = dict[str, tuple[int, int | None]]
"""Of each catalog: how many rows it has, and when the newest was written, in transactions."""


@dataclass
class Written:
    """How often a row was written, of each table and catalog, since when it is counted: also by transactions
    that came to nothing."""

    since: datetime | None = None
    tables: dict[str, int] = field(default_factory=dict)
    catalogs: dict[str, int] = field(default_factory=dict)
    partitions: set[str] = field(default_factory=set)


@contextmanager
def fresh_database(postgres_url: str, template: str) -> Generator[str]:
    """The URL of a copy of the database ``template``; it is dropped at the end."""
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        name = _copy(admin, template)
        yield _url(postgres_url, name)
        _drop(admin, name)


class ReusedDatabase:
    """A copy of a template that tests have one after the other, emptied in between: to make and drop a copy
    costs five times as much. Where a test changed more than rows, it is dropped, and the next makes one."""

    def __init__(self, postgres_url: str, template: str) -> None:
        self._postgres_url = postgres_url
        self._template = template
        self._name: str | None = None
        self._as_it_was: State = {}
        self._partitions: set[str] = set()
        self._written = Written()
        self._rows: dict[str, bytes] = {}
        self._admin = psycopg.connect(postgres_url, autocommit=True)
        self._inside: psycopg.Connection | None = None

    def close(self) -> None:
        """Leaves the database where it is."""
        self._leave()
        self._admin.close()

    @contextmanager
    def borrowed(self) -> Generator[str]:
        """Its URL. It holds what the template does."""
        name = self._name or self._make()
        self._name = None  # whatever happens, unless it is as it was again
        yield _url(self._postgres_url, name)
        ours = 0 if self._inside is None else self._inside.info.backend_pid
        self._admin.execute(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = %s AND pid <> %s",
            [name, ours],
        )
        is_set = self._admin.execute(_SET, [name]).fetchone() == (True,)
        if not is_set and self._is_empty_again(name):
            self._name = name
        else:
            self._leave()
            _drop(self._admin, name)

    def _make(self) -> str:
        name = _copy(self._admin, self._template)
        with self._connected(name) as connection:
            self._as_it_was = _state(connection)
            self._written = _written(connection)
            self._partitions = self._written.partitions
            self._rows = {table: _rows_of(connection, table) for table in _used(connection)}
        return name

    @contextmanager
    def _connected(self, name: str) -> Generator[psycopg.Connection]:
        """A transaction in it. The connection is kept from test to test: a new one has yet to learn all about
        the tables. One that a test ended is made anew: if the whole server was, it has counted anew, too."""
        try:
            if self._inside is not None:
                self._inside.execute("SELECT 1")
        except psycopg.Error:
            self._leave()
        if self._inside is None:
            self._inside = psycopg.connect(_url(self._postgres_url, name), autocommit=True)
            self._written = Written()
        with self._inside.transaction():
            yield self._inside

    def _leave(self) -> None:
        if self._inside is not None:
            self._inside.close()
            self._inside = None

    def _is_empty_again(self, name: str) -> bool:
        """Empties it, if nothing but rows has changed, and partitions were added for them.

        Sessions count what they write, and have told it when they have ended: what nobody wrote is as it was.
        """
        with self._connected(name) as connection:
            now = _written(connection)
            before = self._written if self._written.since == now.since else Written()
            changed = [one for one in _CATALOGS if now.catalogs[one] != before.catalogs.get(one)]
            tables = [one for one, count in now.tables.items() if count != before.tables.get(one)]
            for partition in now.partitions - self._partitions:
                connection.execute(SQL("DROP TABLE {}").format(Identifier("public", partition)))
            if changed and _state(connection, changed) != {one: self._as_it_was[one] for one in changed}:
                return False
            connection.execute("SET LOCAL session_replication_role = replica")  # no triggers from here on
            used = _used(connection) if tables else {}
            if all(used.get(table, 0) <= _FEW_BYTES for table in tables):
                used = {table: used[table] for table in tables if table in used}
            if few := [Identifier("public", table) for table, size in used.items() if size <= _FEW_BYTES]:
                connection.execute(SQL("; ").join(SQL("DELETE FROM {}").format(table) for table in few))
            if many := [Identifier("public", table) for table, size in used.items() if size > _FEW_BYTES]:
                connection.execute(SQL("TRUNCATE {} CASCADE").format(SQL(", ").join(many)))
            connection.execute(_AGAIN)
            for table, rows in self._rows.items():
                if many or table in tables:
                    with connection.cursor().copy(
                        SQL("COPY {} FROM STDIN").format(Identifier("public", table))
                    ) as copy:
                        copy.write(rows)
            if many:
                # To empty a table so gives it and its indexes other files, and changes nothing else.
                self._as_it_was |= _state(connection, ["pg_class"])
        if changed or tables:
            connection.execute("SELECT pg_stat_force_next_flush()")  # as it ends, this one tells, too
            self._written = _written(connection)
        return True


def _state(connection: psycopg.Connection, catalogs: Sequence[str] = _CATALOGS) -> State:
    parts = [
        SQL("SELECT {}, count(*), age('3'::xid) - min(age(xmin)) FROM {} WHERE {}").format(
            catalog, Identifier(catalog), SQL(_NOT_OF_SESSIONS.get(catalog, "true"))
        )
        for catalog in catalogs
    ]
    rows = connection.execute(SQL(" UNION ALL ").join(parts)).fetchall()
    return {catalog: (count, newest) for catalog, count, newest in rows}


def _written(connection: psycopg.Connection) -> Written:
    found = Written()
    for name, is_table, is_partition, count, since in connection.execute(_WRITTEN, prepare=True):
        found.since = since
        (found.tables if is_table else found.catalogs)[name] = count
        if is_partition:
            found.partitions.add(name)
    return found


def _used(connection: psycopg.Connection) -> dict[str, int]:
    """Tables that hold something, or did, and their bytes."""
    return dict(connection.execute(_USED).fetchall())


def _rows_of(connection: psycopg.Connection, table: str) -> bytes:
    with connection.cursor().copy(SQL("COPY {} TO STDOUT").format(Identifier("public", table))) as copy:
        return b"".join(bytes(part) for part in copy)


def _copy(admin: psycopg.Connection, template: str) -> str:
    name = f"test_{next(_numbers)}"
    # Its files are copied: without fsync that costs an eighth of what writing each page to the WAL does.
    admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy".encode())
    return name


def _drop(admin: psycopg.Connection, name: str) -> None:
    admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _url(postgres_url: str, name: str) -> str:
    return postgres_url.replace("@/flower", f"@/{name}")
