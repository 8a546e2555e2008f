"""Programs that leave a trace in a table of their own for each run; workers import this module, also those of
the version before."""

import os
import random
import threading
import time

import psycopg

from flower_engine import Context, program

TABLE = "CREATE TABLE chaos_run (flow text, task int, attempt int, worker text, at timestamptz DEFAULT now())"
_TRACE = "INSERT INTO chaos_run (flow, task, attempt, worker) VALUES (%s, %s, %s, %s)"


class _OfThread(threading.local):
    """To connect for each run would be most of what a run costs."""

    connection: psycopg.Connection | None = None


_of_thread = _OfThread()


@program
def trace(context: Context, seconds: float = 0.02, fails: float = 0.0) -> int:
    """Notes that it runs, takes its time, and fails now and then."""
    _note(context)
    time.sleep(seconds)
    if random.random() < fails:  # nothing secret depends on it
        raise ValueError("it failed, as it was told to")
    return context.attempt


@program
def limited_trace(context: Context, seconds: float = 0.02) -> int:
    """The same under a limit."""
    return trace(context, seconds)


@program
def listed(context: Context, count: int = 3) -> list[int]:
    """A list that is mapped over."""
    trace(context)
    return list(range(count))


@program
def item_trace(context: Context, n: int, fails: float = 0.0) -> int:
    """An item of it, which fails now and then."""
    trace(context, 0.01, fails)
    return n


@program
def summed(context: Context, numbers: list[int]) -> int:
    """What came of the items."""
    trace(context, 0.01)
    return sum(numbers)


def _note(context: Context) -> None:
    values = [context.flow, context.task, context.attempt, context.worker]
    while True:  # its table is in a store that the storm kills, too
        try:
            if _of_thread.connection is None:
                _of_thread.connection = psycopg.connect(os.environ["CHAOS_DATABASE_URL"], autocommit=True)
            _of_thread.connection.execute(_TRACE, values)
        except psycopg.Error:
            _of_thread.connection = None
            time.sleep(0.1)
        else:
            return
