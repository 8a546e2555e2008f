"""The real ``flower`` command, as an operator runs it."""

import asyncio
import os
import sys

from flower_engine.runtime.settings import Settings


async def flower(settings: Settings, *command: str, words: int = 1) -> tuple[int | None, str]:
    """Exit code of a command and the end of its last lines, so many of them."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "flower_cli", *command,
        env={**os.environ, **settings.as_environment()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    lines = output.decode().splitlines()[-words:]
    return process.returncode, "\n".join(lines) if words > 1 else lines[-1].rpartition(": ")[2]
