"""Log records are in UTC, name service and logger, keep their lines, and hide passwords."""

import contextvars
import io
import logging
import re
from collections.abc import Iterator

import pytest

from flower_engine.runtime.telemetry import attempt_at_work, configure_logging
from flower_engine.secrets import hide_secrets


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_a_line_has_time_level_service_logger_and_message() -> None:
    stream = io.StringIO()
    configure_logging("worker", "INFO", stream)
    logging.getLogger("any.module").info("claimed %d tasks", 3)
    logging.getLogger("any.module").debug("not heard")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO    worker any\.module: claimed 3 tasks\n",
        stream.getvalue(),
    )


def test_a_message_of_many_lines_keeps_them() -> None:
    stream = io.StringIO()
    configure_logging("api", "INFO", stream)
    logging.getLogger("any").info("connection failed\n\n\tIs the server running?")
    assert stream.getvalue().endswith("api any: connection failed\n\n\tIs the server running?\n")


def test_a_line_of_a_program_names_its_attempt_and_other_handlers_get_the_record_as_it_was() -> None:
    stream, other = io.StringIO(), io.StringIO()
    configure_logging("worker", "INFO", stream)
    handler = logging.StreamHandler(other)
    logging.getLogger().addHandler(handler)

    def run() -> None:
        attempt_at_work.set("flow F task 3 attempt 1")
        logging.getLogger("people.code").warning("odd %d", 7)
        logging.getLogger("flower_worker.x").info("own")

    contextvars.copy_context().run(run)
    logging.getLogger("people.code").info("outside")
    lines = [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()]
    assert lines == [
        "WARNING worker people.code: flow F task 3 attempt 1: odd 7",
        "INFO    worker flower_worker.x: own",
        "INFO    worker people.code: outside",
    ]
    assert other.getvalue() == "odd 7\nown\noutside\n"


def test_a_traceback_stays_readable() -> None:
    stream = io.StringIO()
    configure_logging("api", "INFO", stream)
    try:
        raise ValueError("bad")
    except ValueError:
        logging.getLogger("any").exception("it failed")
    lines = stream.getvalue().splitlines()
    assert lines[0].endswith("ERROR   api any: it failed")
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: bad"


def test_libraries_that_log_each_request_are_heard_from_warnings_on() -> None:
    stream = io.StringIO()
    configure_logging("api", "INFO", stream)
    logging.getLogger("httpx").info("HTTP Request")
    logging.getLogger("httpx").warning("odd")
    assert stream.getvalue().endswith("WARNING api httpx: odd\n")
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
    assert hide_secrets(address) == masked
