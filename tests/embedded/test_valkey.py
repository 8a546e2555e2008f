"""The embedded Valkey keeps what it acknowledged, whatever ended it."""

import os
import platform
import signal
import stat
import time
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


def test_a_stream_opens_a_node_only_when_the_one_before_is_full(valkey: EmbeddedValkey) -> None:
    """Else a long entry behind a short one may damage the stream, see decision 0058."""
    valkey.start()
    for entry in range(200):
        size = 200 if entry % 2 else 9_000
        send(valkey, "XADD", "log", "*", "e", "x" * size)
    found = send(valkey, "XINFO", "STREAM", "log")
    assert found[found.index(b"radix-tree-keys") + 1] == 200 // 64 + 1


@pytest.mark.skipif(platform.system() != "Linux", reason="elsewhere nothing is preloaded")
def test_it_allocates_with_mimalloc_unless_something_else_is_preloaded(
    valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    valkey.start()
    assert "libmimalloc" in Path(f"/proc/{valkey.pid}/maps").read_text()
    valkey.stop()
    monkeypatch.setenv("LD_PRELOAD", "libm.so.6")
    valkey.start()
    assert "libmimalloc" not in Path(f"/proc/{valkey.pid}/maps").read_text()


def test_its_log_is_rewritten_beside_frees_in_the_background(valkey: EmbeddedValkey) -> None:
    valkey.start()
    fields = [word for number in range(2_000) for word in (str(number), "value")]
    for _ in range(20):
        send(valkey, "HSET", "wide", *fields)
        send(valkey, "UNLINK", "wide")  # freed by another thread while the next line forks
        send(valkey, "BGREWRITEAOF")
        deadline = time.monotonic() + 60
        while send(valkey, "INFO", "persistence")["aof_rewrite_in_progress"]:
            assert time.monotonic() < deadline
            time.sleep(0.002)
    assert send(valkey, "INFO", "persistence")["aof_last_bgrewrite_status"] == "ok"


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
