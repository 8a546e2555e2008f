"""What child processes write is shown where the worker's own output goes, to the last of it."""

import io
import threading

import pytest

from flower_worker.task_logs.echo import Echo


class Slow(io.StringIO):
    """Takes nothing before it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.goes_on = threading.Event(), threading.Event()

    def write(self, s: str) -> int:
        self.begun.set()
        self.goes_on.wait()
        return super().write(s)


def test_the_end_waits_until_all_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, echo = Slow(), Echo()
    monkeypatch.setattr("sys.stdout", slow)
    for number in range(3):
        echo.show("out", f"{number}\n".encode())
    slow.begun.wait()
    ending = threading.Thread(target=echo.end, args=(600.0,))
    ending.start()
    ending.join(0.01)
    assert ending.is_alive()
    slow.goes_on.set()
    ending.join()
    assert slow.getvalue() == "0\n1\n2\n"


def test_a_reader_that_takes_nothing_holds_the_end_up_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow, echo = Slow(), Echo()
    monkeypatch.setattr("sys.stdout", slow)
    echo.show("out", b"never\n")
    slow.begun.wait()
    echo.end(0.01)
    assert slow.getvalue() == ""
    slow.goes_on.set()
    echo.end(600.0)


def test_where_nothing_was_written_nothing_is_waited_for() -> None:
    Echo().end(600.0)
