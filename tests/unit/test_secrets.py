"""No text shows a secret: not an address, not a library's error about one, not a traceback."""

import io
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from flower_engine import secrets as hiding
from flower_engine.errors import SettingsError
from flower_engine.log.client import connect_blocking, send_blocking
from flower_engine.runtime.settings_loading import load_settings
from flower_engine.runtime.telemetry import configure_logging
from flower_engine.secrets import hide_secrets, learn_address, learn_secrets

HOSTILE = {
    "half an escape": ("postgresql://fl:hunter2%zz@127.0.0.1:1/db", ["hunter2"]),
    "an @ in it": ("postgresql://fl:hunt@er2secret@127.0.0.1:1/db", ["er2secret"]),
    "a / in it": ("postgresql://fl:hunter2/xyzzy@127.0.0.1:1/db", ["hunter2", "xyzzy"]),
    "a # in it": ("redis://:hunter2#xyzzy@127.0.0.1:1/0", ["hunter2", "xyzzy"]),
    "a ? in it": ("redis://:hunter2?xyzzy@127.0.0.1:1/0", ["hunter2", "xyzzy"]),
    "a space in it": ("postgresql://fl:hunter2 xyzzy@127.0.0.1:1/db", ["hunter2", "xyzzy"]),
    "a quote in it": ("postgresql://fl:hunter2'xyzzy@127.0.0.1:1/db", ["hunter2", "xyzzy"]),
    "encoded": ("redis://fl:hunter%402%2Fxyzzy@127.0.0.1:1/0", ["hunter%402", "hunter@2", "xyzzy"]),
    "no user": ("redis://:hunter2@127.0.0.1:1/0", ["hunter2"]),
    "in the query": ("postgresql://127.0.0.1:1/db?user=fl&password=hunter2", ["hunter2"]),
    "of a key": ("postgresql://127.0.0.1:1/db?sslpassword=hunter2", ["hunter2"]),
    "of a socket": ("unix:///nowhere/x.sock?db=0&password=hunter2", ["hunter2"]),
    "of a socket's user": ("unix://fl:hunter2@/nowhere/x.sock?db=0", ["hunter2"]),
    "an encoded colon": ("postgresql://fl%3Ahunter2@127.0.0.1:1/db", ["hunter2"]),
    "IPv6": ("redis://fl:hunter2@[::1]:1/0", ["hunter2"]),
    "several hosts": ("postgresql://fl:hunter2@127.0.0.1:1,127.0.0.1:2/db", ["hunter2"]),
    "sentinels": ("redis+sentinel://:hunter2@a:1,b:2/mymaster/0", ["hunter2"]),
    "words of libpq": ("host=127.0.0.1 port=1 password='hunter2 xyzzy' dbname=db", ["hunter2", "xyzzy"]),
    "words with spaces": ("host=127.0.0.1 password = hunter2", ["hunter2"]),
    "not UTF-8": ("redis://:hunter2%ff@127.0.0.1:1/0", ["hunter2"]),
    "no port": ("postgresql://fl:hunter2@127.0.0.1:hunter2/db", ["hunter2"]),
}  # fmt: skip
NOT_HIDDEN = [
    "send Authorization: Bearer TOKEN, one of FLOWER_API_TOKENS",
    "postgresql://flower@/flower?host=%2Frun%2Fpg",
    "redis://host:6379/0",
    "unix:///run/valkey.sock?db=0",
    "redis://@[::1]:6379",
    "see https://example.org/a@b for more",
    "postgresql://host:5432/db?application_name=a@b",
    "run flower recover, or set FLOWER_API_TOKENS (name:token, separated by commas)",
]
every_hostile = pytest.mark.parametrize(("address", "secrets"), HOSTILE.values(), ids=HOSTILE)


@pytest.fixture(autouse=True)
def _nothing_is_known_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests of this process used as passwords and tokens."""
    monkeypatch.setattr("flower_engine.secrets._known", type(hiding._known)())  # pyright: ignore[reportPrivateUsage]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def _what_libraries_say(address: str) -> Iterator[Exception]:
    """Whatever the libraries raise when they are given the address."""
    try:
        conninfo_to_dict(address)
        psycopg.connect(address, connect_timeout=2).close()
    except (psycopg.Error, ValueError) as error:
        yield error
    try:
        with connect_blocking(address) as client:
            send_blocking(client, "PING")
    except Exception as error:  # noqa: BLE001 # whatever it is
        yield error


@every_hostile
def test_no_log_line_and_no_traceback_shows_a_secret_of_an_address(address: str, secrets: list[str]) -> None:
    learn_address(address)
    stream = io.StringIO()
    configure_logging("api", "INFO", stream)
    log = logging.getLogger("any")
    for error in _what_libraries_say(address):
        log.error("cannot use %s: %s", address, error)
        log.error("cannot use %r", address, exc_info=error)
    assert stream.getvalue()
    for secret in secrets:
        assert secret not in stream.getvalue()


@every_hostile
def test_settings_that_are_refused_name_the_variable_and_show_no_secret(
    address: str, secrets: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FLOWER_REDIS_URL", "FLOWER_DATABASE_URL", "FLOWER_PORT", "FLOWER_PROGRAMS"):
        monkeypatch.setenv(name, address)  # one slip of the pen away
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert "FLOWER_PORT" in str(refused.value)
    assert refused.value.__cause__ is None
    for secret in secrets:
        assert secret not in str(refused.value)


@pytest.mark.parametrize("text", NOT_HIDDEN)
def test_what_is_no_secret_stays(text: str) -> None:
    assert hide_secrets(text) == text


def test_an_address_that_nobody_knows_is_hidden_by_its_shape() -> None:
    text = "connected to amqp://me:never%20seen@host/vhost?password=nor-this token=or-that"
    assert hide_secrets(text) == "connected to amqp://me:***@host/vhost?password=*** token=***"


def test_an_ordinary_word_as_a_password_is_hidden_in_the_address_only() -> None:
    learn_address("postgresql://flower:flower@host/db")
    assert hide_secrets("flower recover: postgresql://flower:flower@host/db") == (
        "flower recover: postgresql://flower:***@host/db"
    )


def test_a_short_secret_is_hidden_where_it_stands_alone() -> None:
    learn_secrets(["q7"])
    assert hide_secrets("aq7b (q7)") == "aq7b (***)"


def test_settings_do_not_show_addresses_and_tokens_when_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_REDIS_URL", "redis://:hunter2@127.0.0.1/0")
    monkeypatch.setenv("FLOWER_DATABASE_URL", "postgresql://u:hunter2@127.0.0.1/db")
    monkeypatch.setenv("FLOWER_API_TOKENS", "ann:tokentoken")
    shown = repr(load_settings())
    assert "hunter2" not in shown
    assert "tokentoken" not in shown
    assert hide_secrets("got tokentoken") == "got ***"


def test_every_message_and_traceback_of_the_command_hides_them(tmp_path: Path) -> None:
    """Of an error that it expects, of one that it does not, and of one on a thread."""
    code = """
import os, sys, threading
from flower_cli import main
from flower_cli.console import fail
def crash():
    fail("cannot use " + os.environ["FLOWER_DATABASE_URL"])
    thread = threading.Thread(target=lambda: 1 / len({"hunter2xyzzy"} - {os.environ["FLOWER_TOKEN"]}))
    thread.start()
    thread.join()
    raise RuntimeError("with " + os.environ["FLOWER_TOKEN"] + " and " + os.environ["FLOWER_REDIS_URL"])
make_app = main.make_app
def with_crash(words):
    app = make_app(words)
    app.command("crash")(crash)
    return app
main.make_app = with_crash
sys.argv = ["flower", "crash"]
main.main()
"""
    environment = {
        "FLOWER_DATABASE_URL": "postgresql://fl:hunter2%zz@h/db",
        "FLOWER_REDIS_URL": "redis://:s3cr%65t@h:abc/0",
        "FLOWER_TOKEN": "hunter2xyzzy",
    }
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "RuntimeError" in ran.stderr
    assert "ZeroDivisionError" in ran.stderr
    for secret in ("hunter2", "s3cr", "%zz"):
        assert secret not in ran.stdout + ran.stderr
