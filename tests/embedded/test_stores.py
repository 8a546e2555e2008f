"""Each store is the embedded one unless its address is given."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from flower_engine.embedded.embedded_stores import EmbeddedStores
from flower_engine.embedded.home import Home
from flower_engine.embedded.processes import leftovers
from flower_engine.log.client import connect_blocking, send_blocking
from flower_engine.runtime.settings_loading import load_settings

OWNER = """
import sys, time
from pathlib import Path
from flower_engine.embedded.home import Home
from flower_engine.embedded.embedded_stores import EmbeddedStores
from flower_engine.runtime.settings_loading import load_settings
with Home(Path(sys.argv[1])) as home, EmbeddedStores(home, load_settings()):
    print("ready", flush=True)
    time.sleep(600)
"""


def test_both_stores_run_in_a_folder_too_deep_for_sockets(tmp_path: Path) -> None:
    with (
        Home(tmp_path / ("very-deep" * 12) / "with, a comma") as home,
        EmbeddedStores(home, load_settings(), durable=False) as addresses,
    ):
        with connect_blocking(addresses.redis_url) as client:
            assert send_blocking(client, "SET", "key", "value")
        with psycopg.connect(addresses.database_url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_given_redis_is_used_and_no_valkey_started(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = "redis://user:secret@redis.example:6379/3"
    with (
        caplog.at_level(logging.INFO),
        Home(tmp_path / "home") as home,
        EmbeddedStores(home, load_settings(redis_url=given), durable=False) as addresses,
    ):
        assert addresses.redis_url == given
        assert not leftovers("valkey-server", home.valkey)
        assert leftovers("postgres", home.postgres)
    assert "Redis: external, redis://user:***@redis.example:6379/3" in caplog.messages
    assert any(message.startswith("Postgres: embedded, postgresql://") for message in caplog.messages)
    assert "secret" not in caplog.text


def test_a_given_postgres_is_used_and_none_started(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    given = "postgresql://user:secret@postgres.example/db"
    with (
        caplog.at_level(logging.INFO),
        Home(tmp_path / "home") as home,
        EmbeddedStores(home, load_settings(database_url=given), durable=False) as addresses,
    ):
        assert addresses.database_url == given
        assert leftovers("valkey-server", home.valkey)
        assert not home.postgres.exists()
    assert "Postgres: external, postgresql://user:***@postgres.example/db" in caplog.messages


def test_other_processes_find_the_stores_while_they_run(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with (
        home,
        EmbeddedStores(home, load_settings(database_url="postgresql:///x"), durable=False) as addresses,
    ):
        found = Home(home.path).announced()
        assert found is not None
        assert (found.redis_url, found.database_url) == addresses
    assert home.announced() is None


def test_after_kill_9_of_their_owner_nothing_is_left_and_the_next_start_works(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with subprocess.Popen([sys.executable, "-c", OWNER, home.path], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"ready\n"
        running = leftovers("valkey-server", home.valkey) + leftovers("postgres", home.postgres)
        owner.kill()
    if sys.platform == "linux":
        _, alive = psutil.wait_procs(running, timeout=60)
        assert not alive
    with home, EmbeddedStores(home, load_settings()) as addresses, psycopg.connect(addresses.database_url):
        pass


def test_a_store_that_was_killed_is_started_again_at_its_address(tmp_path: Path) -> None:
    with Home(tmp_path / "home") as home:
        stores = EmbeddedStores(home, load_settings(database_url="postgresql:///x"), durable=False)
        addresses = stores.start()
        assert stores.restart_ended() == []
        (server,) = leftovers("valkey-server", home.valkey)
        os.kill(server.pid, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while stores.restart_ended() != ["valkey"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with connect_blocking(addresses.redis_url) as client:
            assert send_blocking(client, "SET", "key", "value")
        stores.stop()
