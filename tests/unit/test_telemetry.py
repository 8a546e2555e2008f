"""Log lines are one line each, in UTC, with the service's name, and hide passwords."""

import io
import logging
import re
from collections.abc import Iterator

import pytest

from flower_engine.runtime.telemetry import configure_logging, mask_password


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_a_line_has_time_level_service_and_message() -> None:
    stream = io.StringIO()
    configure_logging("worker", "INFO", stream)
    logging.getLogger("any.module").info("claimed %d tasks", 3)
    logging.getLogger("any.module").debug("not heard")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO    worker: claimed 3 tasks\n", stream.getvalue()
    )


def test_a_message_of_many_lines_becomes_one() -> None:
    stream = io.StringIO()
    configure_logging("api", "INFO", stream)
    logging.getLogger("any").info("connection failed\n\tIs the server running?")
    assert stream.getvalue().endswith("api: connection failed Is the server running?\n")


def test_a_traceback_stays_readable() -> None:
    stream = io.StringIO()
    configure_logging("api", "INFO", stream)
    try:
        raise ValueError("bad")
    except ValueError:
        logging.getLogger("any").exception("it failed")
    lines = stream.getvalue().splitlines()
    assert lines[0].endswith("ERROR   api: it failed")
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: bad"


def test_libraries_that_log_each_request_are_heard_from_warnings_on() -> None:
    stream = io.StringIO()
    configure_logging("api", "INFO", stream)
    logging.getLogger("httpx").info("HTTP Request")
    logging.getLogger("httpx").warning("odd")
    assert stream.getvalue().endswith("WARNING api: odd\n")
    assert stream.getvalue().count("\n") == 1


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("redis://:secret@host:6379/0", "redis://:***@host:6379/0"),
        ("postgresql://user:se%40cret@host/db", "postgresql://user:***@host/db"),
        ("unix:///run/valkey.sock?db=0&password=secret", "unix:///run/valkey.sock?db=0&password=***"),
        ("postgresql://flower@/flower?host=%2Frun", "postgresql://flower@/flower?host=%2Frun"),
        ("redis://host:6379/0", "redis://host:6379/0"),
    ],
)
def test_a_password_in_an_address_is_hidden(address: str, masked: str) -> None:
    assert mask_password(address) == masked
