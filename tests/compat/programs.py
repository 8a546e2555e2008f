"""Programs of the flows that one version leaves under way and the next one ends; workers of both import them.

While the data is written they hang, fail or take their process with them, each as its name says; afterwards
they do what they are there for.
"""

import asyncio
import os
import signal
import time
from typing import Any

from flower_engine import Context, program

WRITING = "COMPAT_WRITING"
"""Environment variable of the workers that write the data."""

_IS_WRITING = WRITING in os.environ


@program
async def step(context: Context, customer: int = 0, note: str = "") -> dict[str, Any]:
    """Goes well."""
    return {"attempt": context.attempt, "customer": customer, "note": note}


@program
async def hang(context: Context) -> str:
    """Tells how far it is, and stays there; afterwards it says what it had told."""
    return await _hang(context)


@program
async def limited(context: Context, customer: int = 0) -> str:
    """The same, under limits."""
    return f"{customer}: {await _hang(context)}"


@program
def hang_on_a_thread(context: Context) -> int:
    """Stays where it is."""
    while _IS_WRITING:
        time.sleep(60)
    return context.attempt


@program(kind="process")
def hang_in_a_process(context: Context, times: int = 1) -> int:
    """Takes its process with it so many times, then stays where it is."""
    while _IS_WRITING:
        if context.attempt <= times:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)
    return context.attempt


@program
async def fail(context: Context, table: str = "orders") -> str:
    """Finds no table, at first."""
    if _IS_WRITING:
        raise LookupError(f"no such table: {table}")
    return f"{table}, attempt {context.attempt}"


async def _hang(context: Context) -> str:
    if _IS_WRITING:
        context.progress(0.4, "rows")
        await asyncio.Event().wait()
    return context.last_progress.note if context.last_progress else ""
