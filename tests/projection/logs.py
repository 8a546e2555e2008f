"""What the tests do to the log of a partition on a real server."""

from flower_engine.log.client import AsyncRedis, send
from flower_engine.log.entries import LogEntry
from flower_engine.log.partition import Partition
from flower_engine.log.reader import read_log
from flower_engine.model.events.events import AnyEvent, decode_event
from projection.stories import Story


async def append(client: AsyncRedis, partition: Partition, *raws: bytes) -> str:
    """Appends events; returns the position of the last."""
    position = b""
    for raw in raws:
        position = await send(client, "XADD", partition.keys.log, "*", "e", raw)
    return position.decode()


async def tell(client: AsyncRedis, partition: Partition, story: Story) -> str:
    """Appends a story's events; returns the position of the last."""
    return await append(client, partition, *(entry.raw for entry in story.entries))


async def entries_of(client: AsyncRedis, partition: Partition) -> list[LogEntry]:
    return await read_log(client, partition, None, 100_000)


async def events_of(client: AsyncRedis, partition: Partition) -> list[AnyEvent]:
    return [decode_event(entry.raw) for entry in await entries_of(client, partition)]


def flows(count: int) -> Story:
    """A story of so many flows of three tasks, all at their end."""
    whole = Story()
    for _ in range(count):
        story = Story()
        story.run(story.register())
        whole.events += story.events
    return whole
