"""What workers would have written into the stream of task logs."""

import secrets
from collections.abc import Iterable, Sequence

from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.keys import Keys
from flower_engine.model.values.ids import make_flow_id
from flower_engine.task_logs.chunks import FIELD, Chunk, encode_entries
from flower_engine.task_logs.lines import Line

AT_MS = 1_700_000_000_000


def flow_ids(count: int, partition: int = 0) -> list[str]:
    """Ids of flows of a partition."""
    return [make_flow_id(AT_MS, partition, secrets.randbits(60)) for _ in range(count)]


def chunk(
    flow: str, texts: Iterable[str], *, task: int = 1, attempt: int = 1, first: int = 1, skipped: int = 0,
    level: int = 20,
) -> Chunk:  # fmt: skip
    """A chunk of lines with these texts, from number ``first`` on."""
    lines = [Line(number, AT_MS + number, "out", level, "", text) for number, text in enumerate(texts, first)]
    return Chunk(flow, task, attempt, lines, skipped)


async def write(client: AsyncRedis, chunks: Sequence[Chunk], *, at: str = "*", partition: int = 0) -> str:
    """Appends them as a worker does; the id of the last entry."""
    last = b""
    for value in encode_entries(chunks):
        last = await send(client, "XADD", Keys(partition).tasklog, at, FIELD, value)
    return last.decode()
