"""The log of ``flower up``: whole lines, each after its service's name; for people on a terminal."""

import io
import json
import logging
import threading

from flower_cli.local.lines import Lines
from flower_engine.runtime.json_lines import JsonFormatter

OWN = "2026-11-23T08:05:59.344Z INFO    worker flower_worker.x: claimed 3 tasks"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_are_kept_as_they_are_in_a_file() -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.write("worker", OWN)
    lines.write("api", "something else")
    assert stream.getvalue() == f"worker    | {OWN}\napi       | something else\n"


def test_lines_of_the_engine_are_shorter_on_a_terminal() -> None:
    stream = Terminal()
    Lines(stream).write("worker", OWN)
    assert (
        stream.getvalue()
        == "\x1b[36mworker   \x1b[0m | \x1b[2m08:05:59 flower_worker.x\x1b[0m claimed 3 tasks\n"
    )


def test_warnings_stand_out_on_a_terminal() -> None:
    stream = Terminal()
    Lines(stream).write("worker", OWN.replace("INFO   ", "WARNING"))
    assert "\x1b[33mWARNING claimed 3 tasks\x1b[0m" in stream.getvalue()


def test_an_object_of_json_stays_one_whatever_it_holds() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(Lines(stream, "json").as_stream("up"))
    handler.setFormatter(JsonFormatter("up"))
    handler.emit(logging.makeLogRecord({"msg": "a\u2028b\u0085c"}))
    line, rest = stream.getvalue().split("\n")
    assert (json.loads(line)["message"], rest) == ("a\u2028b\u0085c", "")


def test_a_record_of_many_lines_has_the_name_before_each() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(Lines(stream).as_stream("up"))
    handler.emit(logging.makeLogRecord({"msg": "first\n\n  third"}))
    assert stream.getvalue() == "up        | first\nup        |\nup        |   third\n"


def test_lines_from_many_threads_stay_whole() -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    threads = [
        threading.Thread(target=lambda: [lines.write("name", "x" * 100) for _ in range(200)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(stream.getvalue().splitlines()) == {"name      | " + "x" * 100}
