"""COPY into a table, whose errors say what happened."""

from typing import LiteralString

import psycopg

from flower_engine.projection.session import Connection


async def copy_into(connection: Connection, statement: LiteralString, data: bytes) -> None:
    """Runs a COPY FROM STDIN with this data.

    Raises:
        psycopg.OperationalError: the session ended meanwhile.
    """
    try:
        async with connection.cursor() as cursor, cursor.copy(statement) as copy:
            await copy.write(data)
    except psycopg.ProgrammingError as error:
        # A session that is ended says so, and then that it is gone: two answers, which psycopg takes for two
        # statements in one. Its words would mean that the tables are not what they should be.
        if error.sqlstate is None and connection.closed:
            raise psycopg.OperationalError("the connection was lost during COPY") from error
        raise
