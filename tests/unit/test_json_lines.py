"""FLOWER_LOG_FORMAT=json: one object a line, whatever is logged."""

import contextvars
import io
import json
import logging
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from flower_cli.console import error_of
from flower_cli.local.lines import Lines
from flower_cli.reports import report_as_line
from flower_engine import secrets
from flower_engine.errors import FlowerError, SettingsError
from flower_engine.runtime.json_lines import named_in
from flower_engine.runtime.telemetry import (
    attempt_at_work,
    configure_logging,
    hide_secrets_of_tracebacks,
    log_format,
)

FLOW = "01930000-0000-7000-8000-0000000000ab"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What a worker logs as JSON."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging("worker", "INFO", stream, "json")
    yield stream
    root.handlers[:], root.level = handlers, level
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(False)


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_is_an_object(stream: io.StringIO) -> None:
    logging.getLogger("any.module").info("claimed %d\ntasks", 3)
    [line] = _lines(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "INFO",
        "service": "worker",
        "logger": "any.module",
        "message": "claimed 3\ntasks",
    }


def test_what_a_program_logs_names_its_attempt_and_what_others_log_what_they_name(
    stream: io.StringIO,
) -> None:
    def run() -> None:
        attempt_at_work.set(f"flow {FLOW} task 3 attempt 2")
        logging.getLogger("people.code").warning("odd")
        logging.getLogger("flower_worker.x").info("own")

    contextvars.copy_context().run(run)
    logging.getLogger("flower_worker.x").info("flow %s task %d: took too long", FLOW, 7)
    logging.getLogger("flower_projector.x").info("flow %s: event 1-0 is kept as bytes", FLOW)
    named = [{name: line.get(name) for name in ("flow", "task", "attempt")} for line in _lines(stream)]
    assert named == [
        {"flow": FLOW, "task": 3, "attempt": 2},
        {"flow": None, "task": None, "attempt": None},
        {"flow": FLOW, "task": 7, "attempt": None},
        {"flow": FLOW, "task": None, "attempt": None},
    ]


def test_words_that_look_like_a_flow_are_none() -> None:
    assert named_in("flow control changed; flow 12 task 3") == {}
    assert named_in(f"workflow {FLOW}") == {}
    assert named_in(f"flow {FLOW}-more") == {"flow": FLOW}


def test_a_traceback_is_a_part_of_its_line_and_hides_secrets(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets.learn_secrets(["hunter-two-secret"])
    try:
        raise ValueError("it was hunter-two-secret")
    except ValueError:
        logging.getLogger("any").exception("failed with hunter-two-secret")
    [line] = _lines(stream)
    assert line["message"] == "failed with ***"
    assert line["traceback"].startswith("Traceback (most recent call last):")
    assert line["traceback"].endswith("ValueError: it was ***")


def test_what_cannot_be_written_as_it_is_is_written_all_the_same(stream: io.StringIO) -> None:
    handler = next(one for one in logging.getLogger().handlers if getattr(one, "stream", None) is stream)
    for message, *arguments in (["half a character: \ud800, a NUL: \0"], ["%d of %d", "three"]):
        handler.handle(logging.LogRecord("any", logging.INFO, "", 0, message, tuple(arguments), None))
    first, second = _lines(stream)
    assert first["message"] == "half a character: \\ud800, a NUL: \0"
    assert second["message"] == "'%d of %d' % ('three',)"


def test_what_ends_the_process_or_a_thread_is_a_line(stream: io.StringIO) -> None:
    hide_secrets_of_tracebacks()

    def fail() -> None:
        raise RuntimeError("in a thread")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    error = RuntimeError("in the process")
    sys.excepthook(type(error), error, None)
    assert [(line["level"], line["message"].partition(": ")[2]) for line in _lines(stream)] == [
        ("CRITICAL", "in a thread"),
        ("CRITICAL", "in the process"),
    ]


@pytest.mark.filterwarnings("default")
def test_a_warning_of_python_is_a_line(stream: io.StringIO) -> None:
    warnings.warn("this is old", DeprecationWarning, stacklevel=1)
    [line] = _lines(stream)
    assert (line["logger"], line["level"]) == ("py.warnings", "WARNING")
    assert "this is old" in line["message"]


@pytest.mark.parametrize(("error", "code"), [(SettingsError("a port\nis wrong"), 2), (FlowerError("no"), 1)])
def test_the_error_that_ends_a_service_is_its_last_line_and_a_supervisor_knows_it(
    stream: io.StringIO, error: FlowerError, code: int
) -> None:
    assert report_as_line(error) == code
    [line] = stream.getvalue().splitlines()
    assert json.loads(line)["level"] == "CRITICAL"
    assert error_of(line) == " ".join(str(error).split())


def test_another_line_is_no_error() -> None:
    for line in ("{}", "{odd", '{"service":"worker","message":"x","logger":"flower_worker"}', '["error: "]'):
        assert error_of(line) is None


def test_flower_up_makes_one_stream_of_objects_of_what_its_services_say() -> None:
    written = io.StringIO()
    lines = Lines(written, "json")
    lines.write("worker-2", '{"time":"T","level":"INFO","service":"worker","logger":"x","message":"hello"}')
    lines.write("worker-2", "printed {by a program}", '{"of": "a program"}')
    first, *printed = _lines(written)
    assert first == {"time": "T", "level": "INFO", "service": "worker-2", "logger": "x", "message": "hello"}
    assert [line["message"] for line in printed] == ["printed {by a program}", '{"of": "a program"}']
    assert {(line["service"], line["logger"]) for line in printed} == {("worker-2", "")}


def test_text_is_what_it_was(stream: io.StringIO) -> None:
    assert log_format() == "json"
    text = io.StringIO()
    configure_logging("worker", "INFO", text)
    assert log_format() == "text"
    logging.getLogger("any").info("hello")
    assert text.getvalue().endswith("Z INFO    worker any: hello\n")
