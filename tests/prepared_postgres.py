"""Data of an embedded Postgres, made once and copied: initdb costs ten times as much as the copy."""

import asyncio
import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flower_engine.embedded.home import Home
from flower_engine.embedded.postgres import EmbeddedPostgres
from flower_engine.projection import database
from flower_engine.projection.maintain.migrations import migrate
from memory_folder import memory_folder


def prepare_postgres(home: Home, *, with_tables: bool = False) -> None:
    """Gives a new data folder, which the caller holds, the data of a Postgres that was started once, with
    Flower's tables, and nothing in them, if so asked."""
    if not home.postgres.exists():
        _copy(_made(with_tables), home.postgres)


def data_without_tables() -> Path:
    """The folder that is copied: data of this process, which takes it along."""
    return _made(False)


def prepare_ahead() -> None:
    """Makes both kinds of data now, for this process and the copies of it that run tests."""
    _made(False)
    _made(True)


def begin_with_copies(data: Path) -> None:
    """From now on embedded Postgres begin with a copy of these data in this process, wherever they would
    have initdb make them."""

    def copy(self: EmbeddedPostgres, account: object) -> None:  # to whom the data are given already
        made = self._data  # pyright: ignore[reportPrivateUsage]
        half_made = made.with_name("new")
        shutil.rmtree(half_made, ignore_errors=True)
        _copy(data, half_made)
        half_made.rename(made)

    EmbeddedPostgres._make_data = copy  # pyright: ignore[reportPrivateUsage]


def make_tables(database_url: str) -> None:
    """Flower's tables in an empty database."""

    async def make() -> None:
        async with await database.connect(database_url, "test") as connection:
            await migrate(connection)

    with ThreadPoolExecutor(1) as thread:  # this one may have an event loop
        thread.submit(asyncio.run, make()).result()


def _copy(data: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", data, target], check=True)  # with its owner


@functools.cache
def _made(with_tables: bool) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="flower-tests-", dir=memory_folder()))
    atexit.register(_remove, folder, os.getpid())
    with Home(folder) as home:
        if with_tables:
            prepare_postgres(home)
        postgres = EmbeddedPostgres(home, durable=False)
        url = postgres.start()
        if with_tables:
            make_tables(url)
        postgres.stop()
    return home.postgres


def _remove(folder: Path, maker: int) -> None:
    if os.getpid() == maker:  # a copy of it ends while others use them
        shutil.rmtree(folder, ignore_errors=True)
