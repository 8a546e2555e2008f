"""Flows whose tasks wrote something, as far as the stores know."""

import asyncio
from collections.abc import Sequence
from typing import Any

from api.serving import RunningApi
from flower_engine.log.client import connect
from flower_engine.log.partition import Partition
from flower_engine.task_logs.chunks import Chunk
from flower_projector.task_log_loop import TaskLogLoop
from projection.written_lines import write


def write_lines(api: RunningApi, *chunks: Chunk) -> None:
    """Appends chunks to the stream, as a worker does."""

    async def add() -> None:
        async with connect(api.settings.redis_url or "") as client:
            await write(client, chunks)

    asyncio.run(add())


async def store_lines(api: RunningApi) -> None:
    """Stores what the stream has, as the projector does."""
    async with connect(api.settings.redis_url or "") as client:
        loop = TaskLogLoop(client, [Partition(0, "", "")], api.settings)
        while await loop.run_once():
            pass
        await loop.close()


def read(api: RunningApi, path: str, **query: Any) -> list[dict[str, Any]]:
    """All lines, page by page."""
    lines: list[dict[str, Any]] = []
    while True:
        reply = api.client.get(path, params=query)
        assert reply.status_code == 200, reply.text
        lines += reply.json()["lines"]
        if (after := reply.json()["next"]) is None:
            return lines
        query["after"] = after


def texts(lines: Sequence[dict[str, Any]]) -> list[str]:
    return [line["text"] for line in lines]
