"""``flower psql`` and ``flower redis-cli``: a console on the stores in use, wherever they are."""

import os
import shutil
from typing import Annotated
from urllib.parse import unquote, urlsplit, urlunsplit

import typer

from flower_cli.console import fail
from flower_cli.options import HomeOption

# What follows the command is the client's own: "flower psql -c 'SELECT 1'".
_PASSED_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}
WordsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[ARGUMENT...]", help="Passed on as they stand")
]


def add_to(app: typer.Typer) -> None:
    app.command("psql", context_settings=_PASSED_ON)(psql)
    app.command("redis-cli", context_settings=_PASSED_ON)(redis_cli)


def psql(words: WordsArgument = None, home: HomeOption = None) -> None:
    """Open psql on the Postgres in use; flower psql -c "SELECT ..." runs one statement."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    from flower_cli.addresses import with_stores
    from flower_engine.embedded.binaries import postgres_program
    from flower_engine.runtime.settings_loading import load_settings

    settings = with_stores(load_settings(home=home))
    try:
        parts = conninfo_to_dict(settings.database_url or "")
    except ProgrammingError:  # whose text has the password in it
        fail("FLOWER_DATABASE_URL is no address that Postgres understands; 'flower urls' shows it")
        raise typer.Exit(2) from None
    environment = dict(os.environ)
    # A password among the arguments could be read by everybody on this machine.
    if password := parts.pop("password", None):
        environment["PGPASSWORD"] = str(password)
    program = shutil.which("psql") or str(postgres_program("psql"))
    os.execve(program, [program, "--dbname", make_conninfo("", **parts), *(words or ())], environment)


def redis_cli(words: WordsArgument = None, home: HomeOption = None) -> None:
    """Open redis-cli on the Redis in use; flower redis-cli XLEN '{flower:0}:log' sends one command.

    Where neither redis-cli nor valkey-cli is installed, a small console of Flower's own takes its place; also
    before a cluster or sentinels, as it finds the server of a key.
    """
    from flower_cli.addresses import with_stores
    from flower_engine.runtime.settings_loading import load_settings

    url = with_stores(load_settings(home=home)).redis_url or ""
    program = shutil.which("redis-cli") or shutil.which("valkey-cli")
    arguments = None if program is None else redis_cli_arguments(url)
    if program is None or arguments is None:
        from flower_cli.commands.redis_console import run

        raise typer.Exit(run(url, words or ()))
    where, password = arguments
    environment = dict(os.environ)
    if password:
        environment["REDISCLI_AUTH"] = password
    os.execve(program, [program, *where, *(words or ())], environment)


def redis_cli_arguments(url: str) -> tuple[list[str], str | None] | None:
    """How redis-cli is told of a server, and its password apart; None: it cannot be told of all of it."""
    if (
        "+sentinel://" in url or "+cluster://" in url
    ):  # one server of several, which may be the one that is away
        return None
    parts = urlsplit(url)
    password = unquote(parts.password) if parts.password else None
    if parts.query:
        return None
    if parts.scheme == "unix":
        return ["-s", unquote(parts.path)], password
    host = parts.netloc.rpartition("@")[2]
    user = ["--user", unquote(parts.username)] if parts.username else []
    return ["-u", urlunsplit((parts.scheme, host, parts.path, "", "")), *user], password
