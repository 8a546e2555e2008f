"""A session with Postgres, which depends on nothing that a role, a database or another client has set.

A pooler may give each transaction another server's session (pgbouncer: ``pool_mode = transaction``). What is
set for a session is then lost, or worse, set for somebody else; statements that were prepared are elsewhere.
Such a connection is told by its key: a pooler makes up the process number that it gives a client, because no
one server is the client's. There every transaction sets for itself what it needs, and nothing is prepared.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, LiteralString, Self

import psycopg
from psycopg import AsyncConnection, AsyncCursor, AsyncTransaction
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from flower_engine.errors import InstallationError

_SETTINGS: Mapping[LiteralString, str] = {
    "statement_timeout": "0",  # first: the others are not to be cut short by a role's own
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "client_encoding": "UTF8",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "transform_null_equals": "off",
    "exit_on_error": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
}
"""What a session depends on. Not ``default_transaction_read_only``: whoever sets that wants nothing to be
written (see ``runtime/store_checks.py``)."""

_OF_A_SESSION: tuple[LiteralString, ...] = (
    "idle_session_timeout",
    "default_transaction_isolation",
    "default_transaction_deferrable",
)
"""Settings that mean nothing inside a transaction."""

# One message, which a pooler gives to one server: where that is not the process that was connected to, what
# is set is gone with the message. The timeout comes first, in a statement of its own: each has it anew. So
# does the search path that the role has: behind a pooler another client's may still be set.
_PROBE: LiteralString = """
SELECT {first}, set_config('search_path', NULL, {is_another});
SELECT {answers}, current_schemas(false)::text[],
  (pg_identify_object_as_address('pg_class'::regclass, to_regclass('flower_migration'), 0)).object_names[1],
  {others}
"""
_ANSWERS: LiteralString = "pg_backend_pid()"
# Who looks first by its own search path finds its own tables, where a database has more than one's.
_ELSEWHERE = """
SELECT ARRAY(SELECT nspname::text FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
  WHERE relname = 'flower_migration' AND relkind = 'r' ORDER BY 1)
"""
_ATTEMPTS = 20
_HAS_TRANSACTION_TIMEOUT = 170_000


class Connection(AsyncConnection[TupleRow]):
    """A connection in autocommit, ready to be used; see the module."""

    is_pooled = True
    """Whether a pooler of transactions is, or may be, between; so it is until the opposite is known."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._settings: dict[LiteralString, str] = dict(_SETTINGS)
        self._path: list[str] = []
        self._locks: dict[tuple[LiteralString, int], Connection] = {}
        self._again: tuple[str, dict[str, Any]] = ("", {})

    @classmethod
    async def connect(cls, conninfo: str = "", **named: Any) -> Self:
        """Connects, and sets up the session, as ``configure`` would with ``settings``.

        Raises:
            psycopg.OperationalError: Postgres cannot be reached.
            InstallationError: it cannot be said which of several schemas is meant.
        """
        settings: Mapping[LiteralString, str] = named.pop("settings", {})
        named = {**named, "autocommit": True}
        connection = await super().connect(conninfo, **named)
        connection._again = (conninfo, named)
        connection._settings |= settings
        try:
            await connection._set_up()
        except BaseException:
            await connection.close()
            raise
        return connection

    async def configure(self, settings: Mapping[LiteralString, str]) -> None:
        """Sets these for as long as the connection lasts."""
        self._settings |= settings
        if not self.is_pooled:
            await super().execute(SQL("; ").join(_set("SET", settings)))
        elif not _is_idle(self):
            await super().execute(SQL("; ").join(_set("SET LOCAL", settings)))

    async def try_lock(self, space: LiteralString, number: int) -> bool:
        """Whether this connection has the advisory lock now: a number in a space (SQL for a bigint), until
        it is closed.

        Behind a pooler a transaction of its own, on another connection, holds it.
        """
        ask = SQL("SELECT {}({} + {})")
        if not self.is_pooled:
            statement = ask.format(SQL("pg_try_advisory_lock"), SQL(space), Literal(number))
            return await (await self.execute(statement)).fetchone() == (True,)
        holder = self._locks.pop((space, number), None)
        is_new = holder is None
        if holder is None:
            conninfo, named = self._again
            holder = await Connection.connect(conninfo, **named)
        try:
            if is_new:
                await holder._begin()
                statement = ask.format(SQL("pg_try_advisory_xact_lock"), SQL(space), Literal(number))
            else:
                statement = SQL("SELECT true")  # and if the holder was lost, it is said here
            has_it = await (await holder.execute(statement)).fetchone() == (True,)
            if has_it:
                self._locks[space, number] = holder
            return has_it
        finally:
            if (space, number) not in self._locks:
                await holder.close()

    async def execute(self, query: Any, params: Any = None, **named: Any) -> AsyncCursor[TupleRow]:  # pyright: ignore[reportIncompatibleMethodOverride] # its overloads, in one
        """Executes a query. Behind a pooler one that is in no transaction gets one, for what it needs set."""
        is_alone = self.is_pooled and _is_idle(self)
        if not is_alone:
            return await super().execute(query, params, **named)
        try:
            await self._begin()
            cursor = await super().execute(query, params, **named)
        except psycopg.Error:
            if not self.closed:
                await self.rollback()
            raise
        await self.commit()
        return cursor

    @asynccontextmanager
    async def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> AsyncGenerator[AsyncTransaction]:
        """A transaction, or within one a savepoint."""
        is_outermost = _is_idle(self)
        async with super().transaction(savepoint_name, force_rollback) as transaction:
            if self.is_pooled and is_outermost:
                await super().execute(SQL("; ").join(self._local()))
            yield transaction

    async def ping(self) -> None:
        """Makes sure that it answers.

        Raises:
            psycopg.Error: it does not.
        """
        await super().execute("SELECT 1")

    async def close(self) -> None:
        """Closes it, which gives up its locks."""
        for holder in self._locks.values():
            await holder.close()
        self._locks.clear()
        await super().close()

    async def _set_up(self) -> None:
        self.prepare_threshold, prepare_threshold = None, self.prepare_threshold
        if self.info.server_version >= _HAS_TRANSACTION_TIMEOUT:
            self._settings["transaction_timeout"] = "0"
        pid, path, schema = await self._probe()
        self.is_pooled = pid != self.info.backend_pid
        elsewhere: list[str] = []
        if schema is None:
            row = await (await self.execute(_ELSEWHERE)).fetchone()
            elsewhere = [] if row is None else row[0]
        self._path = _path(path, schema, elsewhere)
        if self.is_pooled:
            await self.set_isolation_level(psycopg.IsolationLevel.READ_COMMITTED)
        else:
            self.prepare_threshold = prepare_threshold
            await super().execute(_search("SET", self._path))

    async def _probe(self) -> tuple[int, list[str], str | None]:
        """Sets what is to be set; who answered, the search path, and which of it has our tables."""
        answers = SQL(_ANSWERS)
        is_another = SQL("{} <> {}").format(answers, self.info.backend_pid)
        first, *others = (
            SQL("set_config({}, {}, {})").format(name, value, is_another)
            for name, value in self._settings.items()
        )
        probe = SQL(_PROBE).format(
            first=first, is_another=is_another, answers=answers, others=SQL(", ").join(others)
        )
        found = await self._execute_in_time(probe)
        found.nextset()
        row = await found.fetchone()
        assert row is not None
        pid, path, schema, *_ = row
        return pid, path, schema

    async def _execute_in_time(self, probe: Composed) -> AsyncCursor[TupleRow]:
        """A role's timeout of a millisecond may be over before the first of our settings is read."""
        for _ in range(1, _ATTEMPTS):
            with suppress(psycopg.errors.QueryCanceled):
                return await super().execute(probe)
        return await super().execute(probe)

    async def _begin(self) -> None:
        """Begins a transaction that no ``transaction`` ends."""
        await super().execute(SQL("; ").join([_BEGIN, *self._local()]))

    def _local(self) -> list[Composable]:
        settings = dict(self._settings)
        for name in _OF_A_SESSION:
            settings.pop(name, None)
        search = _search("SET LOCAL", self._path) if self._path else _OWN_PATH
        return [*_set("SET LOCAL", settings), search]


_BEGIN = SQL("BEGIN ISOLATION LEVEL READ COMMITTED")
_OWN_PATH = SQL("SET LOCAL search_path TO DEFAULT")  # another client's may still be set


def _set(how: LiteralString, settings: Mapping[LiteralString, str]) -> list[Composable]:
    return [
        SQL(how + " {} = {}").format(Identifier(name), Literal(value)) for name, value in settings.items()
    ]


def _search(how: LiteralString, path: list[str]) -> Composed:
    return SQL(how + " search_path = {}").format(SQL(", ").join(map(Identifier, path)))


def _is_idle(connection: AsyncConnection[TupleRow]) -> bool:
    return connection.info.transaction_status == TransactionStatus.IDLE


def _path(path: list[str], schema: str | None, schemas: list[str]) -> list[str]:
    """The search path: the schema of our tables first, then what was on it; a temporary table hides nothing.

    Raises:
        InstallationError: the tables are in several schemas, and none of them is on the path.
    """
    if schema is None and len(schemas) > 1:
        raise InstallationError(
            f"the database has tables of Flower in the schemas {', '.join(schemas)}, and none is on this"
            " role's search_path. Say which: ALTER ROLE ... SET search_path = ..."
        )
    first = schema or (schemas[0] if schemas else path[0] if path else "public")
    others = [name for name in path if name != first and not name.startswith("pg_temp")]
    return [first, *others, "pg_temp"]
