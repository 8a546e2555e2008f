"""Tests that run beside each other have a process each whose copies run Flower."""

import os
from pathlib import Path
from typing import Any

import psutil

import forked_flower

_WAITS: dict[str, Any] = {
    "words": ["-c", "import signal; signal.pause()"],
    "environment": dict[str, str](),
    "folder": "/",
}


def test_a_server_that_is_a_copy_of_another_ends_with_whoever_uses_it_and_takes_its_copies_along() -> None:
    first = forked_flower._server()  # pyright: ignore[reportPrivateUsage]
    other = forked_flower._Server(first)  # pyright: ignore[reportPrivateUsage]
    with Path(os.devnull).open("wb") as nowhere:
        outputs = (nowhere.fileno(), nowhere.fileno())
        of_first, of_other = (psutil.Process(one.ask(_WAITS, *outputs)) for one in (first, other))
    server, copied = of_first.parent(), of_other.parent()
    assert server is not None and copied is not None
    assert copied != server == copied.parent()
    other._end()  # pyright: ignore[reportPrivateUsage]
    of_other.wait(60)
    assert of_first.is_running()
    of_first.kill()
