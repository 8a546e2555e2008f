"""A private Postgres: durable, and open to its owner only."""

import shutil
import signal
import subprocess
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg

from flower_engine.embedded import binaries
from flower_engine.embedded.postgres_account import check_the_way, give, postgres_account, set_the_way
from flower_engine.embedded.processes import Account, spawn
from flower_engine.embedded.server import Server
from flower_engine.errors import StoreError

_USER = "flower"
_DATABASE = "flower"
_ANSWER_SECONDS = 5

# For a small machine that runs the engine beside it.
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "jit": "off",  # the statements are short; compiling them costs more than it saves
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres(Server):
    """The Postgres of one data folder, which is made when there is none."""

    name = "postgres"
    program = "postgres"
    socket = ".s.PGSQL.5432.lock"
    ending = (signal.SIGINT, signal.SIGQUIT)

    @property
    def _data(self) -> Path:
        return self._home.postgres

    def _prepare(self) -> None:
        account = postgres_account(self._data)
        if account:
            set_the_way(self._home.path, account)
            check_the_way(self._home.path, account)
            check_the_way(binaries.postgres_program("postgres"), account)
        if self._data.exists():
            _check_version(self._data)
        else:
            self._make_data(account)
        _forget_killed_server(self._data)

    def _make_data(self, account: Account | None) -> None:
        """Make the data under another name first, so that they are there whole or not at all."""
        half_made = self._data.with_name("new")
        shutil.rmtree(half_made, ignore_errors=True)
        half_made.mkdir(mode=0o700)
        if account:
            give(half_made, account)
        options = [
            *("--pgdata", half_made, "--username", _USER, "--auth", "trust", "--encoding", "UTF8"),
            # Bytewise order as in C, which is quick, but with the letters of all languages known.
            *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            *("--no-instructions", *(() if self._durable else ("--no-sync",))),
        ]
        command = [binaries.postgres_program("initdb"), *options]
        process = spawn(
            command, folder=half_made, output=subprocess.PIPE, dies_by=signal.SIGKILL, account=account
        )
        printed, _ = process.communicate()
        if process.returncode != 0:
            shutil.rmtree(half_made, ignore_errors=True)
            raise StoreError(
                f"initdb could not make {self._data}:\n{printed.decode(errors='replace').strip()}"
            )
        half_made.rename(self._data)

    def _spawn(self, sockets: Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
        account = postgres_account(self._data)
        if account and not account.keeps_access:
            give(sockets, account)
        quoted = '"' + str(sockets).replace('"', '""') + '"'
        settings = {**_SETTINGS, "unix_socket_directories": quoted, **({} if self._durable else _FORGETFUL)}
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [binaries.postgres_program("postgres"), "-D", self._data, *words]
        return spawn(command, folder=self._data, output=output, dies_by=self.ending[0], account=account)

    def _why_not_ready(self, sockets: Path) -> str | None:
        try:
            with psycopg.connect(
                _url(sockets, "postgres"), autocommit=True, connect_timeout=_ANSWER_SECONDS
            ) as connection:
                known = connection.execute("SELECT FROM pg_database WHERE datname = %s", [_DATABASE])
                if known.rowcount == 0:
                    connection.execute(f"CREATE DATABASE {_DATABASE}")
        except psycopg.OperationalError as error:  # it says so itself while it recovers
            return str(error).strip()
        return None

    def _url(self, sockets: Path) -> str:
        return _url(sockets, _DATABASE)


def _url(sockets: Path, database: str) -> str:
    return f"postgresql://{_USER}@/{database}?host={quote(str(sockets), safe='')}"


def _check_version(data: Path) -> None:
    try:
        version = (data / "PG_VERSION").read_text().strip()
    except OSError as error:
        raise StoreError(
            f"{data} is not a Postgres data folder of this user (PG_VERSION: {error.strerror})"
        ) from error
    if version != str(binaries.POSTGRES_MAJOR):
        raise StoreError(
            f"{data} was made by Postgres {version}, the embedded one is {binaries.POSTGRES_MAJOR}: move "
            "the data with pg_dump and pg_restore, or set FLOWER_DATABASE_URL to a Postgres that reads it"
        )


def _forget_killed_server(data: Path) -> None:
    # No server works in this folder now (see end_leftovers), so a pid file is of a killed one. Postgres would
    # refuse to start if that id were in use again, by whatever: usual after a reboot, the rule in containers.
    (data / "postmaster.pid").unlink(missing_ok=True)
