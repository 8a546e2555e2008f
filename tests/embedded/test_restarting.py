"""A store that ends by itself is started again, however often it fails, and everything else goes on."""

import logging
import os
import re
import signal
import time
from pathlib import Path

import psycopg
import pytest

from flower_engine.embedded import binaries
from flower_engine.embedded.embedded_stores import EmbeddedStores
from flower_engine.embedded.home import Home
from flower_engine.embedded.processes import leftovers
from flower_engine.embedded.store_restart import Restarting
from flower_engine.embedded.valkey import EmbeddedValkey
from flower_engine.log.client import connect_blocking, send_blocking
from flower_engine.runtime.settings_loading import load_settings

PATIENCE_SECONDS = 120


def _fails_first(folder: Path, server: Path, times: int) -> Path:
    """A program in the server's place that says twice that the disk is full, and then is the server."""
    program = folder / "valkey-server"
    program.write_text(
        f"#!/bin/sh\necho x >> {folder}/starts\n"
        f"if [ $(wc -l < {folder}/starts) -le {times} ]; then\n"
        'echo "Can\'t write the append-only file: No space left on device"; exit 1\nfi\n'
        f'exec {server} "$@"\n'
    )
    program.chmod(0o755)
    return program


def test_one_that_fails_again_and_again_is_waited_for_and_its_reason_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Home(tmp_path / "home") as home:
        stores = EmbeddedStores(home, load_settings(database_url="postgresql:///x"), durable=False)
        addresses = stores.start()
        program = _fails_first(tmp_path, binaries.valkey_server(), times=2)
        monkeypatch.setattr(binaries, "valkey_server", lambda: program)
        (server,) = leftovers("valkey-server", home.valkey)
        os.kill(server.pid, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while stores.restart_ended() != ["valkey"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with connect_blocking(addresses.redis_url) as client:
            assert send_blocking(client, "SET", "key", "value")
        stores.stop()
    assert (tmp_path / "starts").read_text() == "x\n" * 3
    said = "valkey did not start on .*THE DISK of .* IS FULL.*No space left on device.*starting it again in"
    assert len(re.findall(said.replace(".*", "(?s:.*?)"), caplog.text)) == 2
    assert "valkey answers again" in caplog.text


def test_the_pauses_grow_and_are_short_again_after_a_steady_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.ERROR)
    now = 1_000.0
    with Home(tmp_path / "home") as home:
        valkey = EmbeddedValkey(home, durable=False)
        valkey.start()
        restarting = Restarting(valkey, monotonic=lambda: now)

        def end_it() -> None:
            assert valkey.pid is not None
            os.kill(valkey.pid, signal.SIGKILL)
            while not valkey.has_ended():
                time.sleep(0.001)

        def until_it_answers() -> float:
            nonlocal now
            began = now
            while not restarting.run_once():
                if valkey.has_ended():
                    now += 0.125
                time.sleep(0.001)
            return now - began

        pauses: list[float] = []
        for _ in range(4):
            end_it()
            pauses.append(until_it_answers())
        assert pauses[0] <= 0.125
        assert [round(pause, 1) for pause in pauses[1:]] == pytest.approx([0.5, 1, 2], abs=0.3)
        now += 31
        end_it()
        assert until_it_answers() <= 0.125
        valkey.stop()


def test_a_postgres_that_is_killed_before_it_answers_comes_back(tmp_path: Path) -> None:
    with Home(tmp_path / "home") as home:
        stores = EmbeddedStores(home, load_settings(redis_url="redis://x"), durable=False)
        addresses = stores.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        killed: set[int] = set()
        while len(killed) < 3:  # the one that works, and each one that is started in its place
            assert time.monotonic() < deadline
            pid = stores.postgres_pid
            if pid is not None and pid not in killed and not stores.has_ended():
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            stores.restart_ended()
            time.sleep(0.001)
        while stores.restart_ended() != ["postgres"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with psycopg.connect(addresses.database_url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        stores.stop()
