"""The embedded Valkey keeps what it acknowledged, whatever ended it."""

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from flower_engine.embedded.home import Home
from flower_engine.embedded.processes import leftovers
from flower_engine.embedded.valkey import EmbeddedValkey
from flower_engine.errors import StoreError
from flower_engine.log.client import connect_blocking, send_blocking


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Home(tmp_path / "home") as held:
        yield held


@pytest.fixture
def valkey(home: Home) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(home)
    yield server
    server.stop()


def send(valkey: EmbeddedValkey, *words: str) -> Any:
    assert valkey.url is not None
    with connect_blocking(valkey.url) as client:
        return send_blocking(client, *words)


def test_data_is_kept_across_a_restart(valkey: EmbeddedValkey) -> None:
    valkey.start()
    send(valkey, "SET", "key", "value")
    valkey.stop()
    assert valkey.pid is None
    valkey.start()
    assert send(valkey, "GET", "key") == b"value"


def test_it_is_durable_refuses_to_forget_and_listens_on_no_port(valkey: EmbeddedValkey) -> None:
    valkey.start()
    wanted = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "port": "0"}
    for name, value in wanted.items():
        assert send(valkey, "CONFIG", "GET", name) == [name.encode(), value.encode()]


def test_only_its_owner_can_open_its_socket(valkey: EmbeddedValkey) -> None:
    socket = Path(urlsplit(valkey.start()).path)
    assert stat.S_ISSOCK(socket.stat().st_mode)
    for path in (socket, socket.parent):
        assert path.stat().st_mode & 0o777 == 0o700


def test_after_kill_9_the_next_start_has_the_data_at_the_same_address(valkey: EmbeddedValkey) -> None:
    first = valkey.start()
    send(valkey, "SET", "key", "value")
    kill(valkey)
    assert valkey.has_ended()
    assert valkey.start() == first
    assert not valkey.has_ended()
    assert send(valkey, "GET", "key") == b"value"


def test_a_log_that_was_cut_off_in_a_write_is_loaded_up_to_there(home: Home, valkey: EmbeddedValkey) -> None:
    valkey.start()
    send(valkey, "SET", "key", "value")
    kill(valkey)
    (log,) = (home.valkey / "appendonlydir").glob("*.incr.aof")
    with log.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$3\r\nke")
    valkey.start()
    assert send(valkey, "GET", "key") == b"value"


def test_a_damaged_log_is_an_error_that_shows_what_valkey_said(home: Home, valkey: EmbeddedValkey) -> None:
    valkey.start()
    kill(valkey)
    (log,) = (home.valkey / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(b"this is no log\r\n" * 10)
    with pytest.raises(StoreError, match=r"(?s)exit code 1.*Bad file format"):
        valkey.start()
    assert valkey.pid is None


def test_a_server_left_over_is_stopped_before_the_next_one_starts(home: Home, valkey: EmbeddedValkey) -> None:
    left_over = EmbeddedValkey(home)
    left_over.start()
    send(left_over, "SET", "key", "value")
    valkey.start()
    assert left_over.has_ended()
    assert [one.pid for one in leftovers("valkey-server", home.valkey)] == [valkey.pid]
    assert send(valkey, "GET", "key") == b"value"
    left_over.stop()


def kill(valkey: EmbeddedValkey) -> None:
    assert valkey.pid is not None
    os.kill(valkey.pid, signal.SIGKILL)
    os.waitid(os.P_PID, valkey.pid, os.WEXITED | os.WNOWAIT)
