"""The ``flower`` command, as an operator runs it."""

import asyncio
import functools
import os

import forked_flower
from flower_engine.runtime.settings import Settings


async def flower(settings: Settings, *command: str, words: int = 1) -> tuple[int | None, str]:
    """Exit code of a command and the end of its last lines, so many of them."""
    run = functools.partial(
        forked_flower.flower,
        *command,
        environment={**os.environ, **settings.as_environment()},
        both_in_one=True,
    )
    ended = await asyncio.to_thread(run)
    lines = ended.stdout.splitlines()[-words:]
    return ended.returncode, "\n".join(lines) if words > 1 else lines[-1].rpartition(": ")[2]
