"""A Postgres and one that follows it, as real servers: WAL is streamed, and the second one can take over."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

from flower_engine.embedded.binaries import postgres_program
from flower_engine.embedded.home import Home
from flower_engine.embedded.postgres import EmbeddedPostgres
from flower_engine.embedded.postgres_account import postgres_account


@contextlib.contextmanager
def follower_of(url: str, folder: Path) -> Generator[str]:
    """Makes a copy of a running Postgres (``pg_basebackup``) that follows it; yields its URL."""
    with running_follower(url, folder) as (_, address):
        yield address


@contextlib.contextmanager
def running_follower(url: str, folder: Path) -> Generator[tuple[EmbeddedPostgres, str]]:
    """The same; yields the server as well."""
    with Home(folder) as home:
        home.prepare()
        copy = folder / "copy"
        back_up(url, copy, "--write-recovery-conf", "--wal-method=stream")
        move_into(copy, home)
        server = EmbeddedPostgres(home, durable=False)
        try:
            yield server, server.start()
        finally:
            server.stop()


def back_up(url: str, copy: Path, *words: str) -> None:
    """A base backup of a running Postgres, in a folder."""
    command = [postgres_program("pg_basebackup"), "--pgdata", copy, "--checkpoint=fast", *words]
    done = subprocess.run([*command, "--dbname", url], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def move_into(copy: Path, home: Home) -> None:
    """Puts a base backup where the Postgres of a data folder has its data."""
    shutil.rmtree(home.postgres, ignore_errors=True)
    home.postgres.parent.mkdir(mode=0o700, exist_ok=True)
    shutil.move(copy, home.postgres)  # from one disk to another, maybe
    account = postgres_account(home.postgres)
    if account is not None:
        for path in (home.postgres, *home.postgres.rglob("*")):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)


def either(first: str, second: str) -> str:
    """The address of both: whoever connects gets the one that may be written."""
    one, other = urlsplit(first), urlsplit(second)
    hosts = "%2C".join(parse_qs(url.query)["host"][0].replace("/", "%2F") for url in (one, other))
    user = f"{one.username}@" if one.username else ""
    return f"postgresql://{user}{one.path}?host={hosts}&target_session_attrs=read-write"


def promote(url: str) -> None:
    """The follower takes over."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT pg_promote(true, 60)").fetchone()
        assert row == (True,)
