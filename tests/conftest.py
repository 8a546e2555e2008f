"""Fixtures that every test may use: one private Valkey and Postgres for the whole session."""

import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from dotenv import dotenv_values

from flower_engine.embedded.home import Home
from flower_engine.embedded.postgres import EmbeddedPostgres
from flower_engine.embedded.valkey import EmbeddedValkey
from flower_engine.log.client import connect_blocking, send_blocking

_numbers = itertools.count(1)

# Processes that tests start read the .env of the folder, too, and what is set to nothing wins over it.
_OF_ENV_FILE = {name: "" for name in dotenv_values(".env") if name.startswith("FLOWER_")}
os.environ.update(_OF_ENV_FILE)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the person who runs the tests has set must not change them."""
    for name in os.environ:
        if name.startswith("FLOWER_") and name not in _OF_ENV_FILE:
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def stores_home() -> Iterator[Home]:
    """The throwaway data folder of the session's stores."""
    with tempfile.TemporaryDirectory(prefix="flower-tests-") as folder, Home(Path(folder)) as home:
        yield home


@pytest.fixture(scope="session")
def valkey_url(stores_home: Home) -> Iterator[str]:
    """The session's Valkey, its database 0. Most tests want ``redis_url``."""
    valkey = EmbeddedValkey(stores_home, durable=False)
    yield valkey.start()
    valkey.stop()


@pytest.fixture(scope="session")
def postgres_url(stores_home: Home) -> Iterator[str]:
    """The session's Postgres, its database ``flower``. Most tests want ``database_url``."""
    postgres = EmbeddedPostgres(stores_home, durable=False)
    yield postgres.start()
    postgres.stop()


@pytest.fixture
def redis_url(valkey_url: str) -> str:
    """The session's Valkey with nothing in its database 0."""
    with connect_blocking(valkey_url) as client:
        send_blocking(client, "FLUSHDB")
    return valkey_url


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """A fresh, empty database in the session's Postgres; dropped after the test."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        yield postgres_url.replace("@/flower", f"@/{name}")
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
