"""Reading and trimming the stream of task logs of a partition (``{flower:P}:tasklog``); workers write it.

It is no part of the log: what is lost of it are lines, and no outcome.
"""

import msgspec

from flower_engine.log.client import AsyncRedis, queue_command, send
from flower_engine.log.entries import Found
from flower_engine.log.keys import Keys


class TaskLogEntries(msgspec.Struct):
    """Some entries behind a position, oldest first. ``length``: how many the stream has in all; ``now_ms``:
    Redis' clock."""

    entries: list[Found]
    length: int
    now_ms: int


async def read_task_log(client: AsyncRedis, keys: Keys, after: str | None, count: int) -> TaskLogEntries:
    """Up to ``count`` entries behind a position (None: from the first), in one round trip."""
    async with client.pipeline(transaction=False) as pipeline:
        queue_command(pipeline, "XRANGE", keys.tasklog, f"({after}" if after else "-", "+", "COUNT", count)
        queue_command(pipeline, "XLEN", keys.tasklog)
        queue_command(pipeline, "TIME")
        entries, length, (seconds, microseconds) = await pipeline.execute()
    return TaskLogEntries(entries, length, int(seconds) * 1_000 + int(microseconds) // 1_000)


async def last_entry_id(client: AsyncRedis, keys: Keys) -> str:
    """The id of the last entry that the stream ever had, trimmed or not; "0-0" where it had none."""
    if not await send(client, "EXISTS", keys.tasklog):
        return "0-0"
    found = await send(client, "XINFO STREAM", keys.tasklog)
    return found["last-generated-id"].decode()


async def trim_task_log(client: AsyncRedis, keys: Keys, before: str) -> int:
    """Drops all entries before this id; how many went."""
    return int(await send(client, "XTRIM", keys.tasklog, "MINID", "=", before))
