"""Programs that leave a trace in a table of their own for each run; the worker imports this module."""

import os
import random
import time

import psycopg

from flower_engine import Context, program

TABLE = "CREATE TABLE chaos_run (flow text, task int, attempt int, worker text, at timestamptz DEFAULT now())"
_TRACE = "INSERT INTO chaos_run (flow, task, attempt, worker) VALUES (%s, %s, %s, %s)"


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


def _note(context: Context) -> None:
    while True:  # its table is in a store that the storm kills, too
        try:
            with psycopg.connect(os.environ["CHAOS_DATABASE_URL"], autocommit=True) as connection:
                connection.execute(_TRACE, [context.flow, context.task, context.attempt, context.worker])
        except psycopg.Error:
            time.sleep(0.1)
        else:
            return
