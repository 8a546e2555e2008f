"""What the tasks of every peer do: nothing, or a Fibonacci number in the slow way, and a mark of it."""

import os
import time
from pathlib import Path

from benchmarks.peers.marks import Marks

_marks = Marks(Path(os.environ.get("PEER_MARKS", ".")))


def work(number: int) -> None:
    """The body of a task: 0 does nothing, any other number computes that Fibonacci number."""
    began = time.monotonic_ns()
    if number:
        fibonacci(number)
    _marks.note(began, time.monotonic_ns())


def fibonacci(number: int) -> int:
    """By the definition, which takes exponential time: that is the point."""
    return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)
