"""The ``flower`` command, as an operator runs it."""

import asyncio
import functools
import os
from collections.abc import Mapping

import forked_flower
from flower_engine.runtime.settings import Settings


async def flower(
    settings: Settings, *command: str, words: int = 1, environment: Mapping[str, str] | None = None
) -> tuple[int | None, str]:
    """Exit code of a command and the end of its last lines, so many of them."""
    run = functools.partial(
        forked_flower.flower,
        *command,
        environment={**os.environ, **settings.as_environment(), **(environment or {})},
        both_in_one=True,
    )
    ended = await asyncio.to_thread(run)
    lines = ended.stdout.splitlines()[-words:]
    said = "\n".join(lines)
    return ended.returncode, said if words > 1 else said.rpartition(": ")[2]
