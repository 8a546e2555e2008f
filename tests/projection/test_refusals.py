"""A value that Postgres refuses never stops a partition: the event is kept as bytes, its status counts."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from flower_engine.log.reading import LogEntry
from flower_engine.model.events import TaskFinished, TaskSuspended
from flower_engine.projection.batch import make_batch
from flower_engine.projection.database import Connection
from flower_engine.projection.writer import Writer
from projection.rows import archived, expected, held
from projection.stories import SHAPES, Story

BAD_VALUES = {
    "a NUL": rb'"\u0000"',
    "a lone high surrogate": rb'["\ud800"]',
    "a lone low surrogate": rb'["\udc00 "]',
    "a number beyond all": b"1e400000",
    "deeper than a parser goes": b"[" * 100_000 + b"]" * 100_000,
    "deep for Postgres": b'{"a":' * 900 + b"1" + b"}" * 900,
    "bytes that are no text": b'"\xff\xfe"',
    "a key with a NUL": rb'{"\u0000":1}',
}


async def refused(tables: Connection) -> list[Any]:
    rows = await tables.execute(
        "SELECT position_ms || '-' || position_seq, task_flow_id, type, event, raw, error FROM kr_event"
        " WHERE error IS NOT NULL ORDER BY position_ms, position_seq"
    )
    return await rows.fetchall()


def finished_among_others(raw_value: bytes) -> tuple[Story, list[LogEntry], int]:
    """A story in whose log one result has been replaced; its entries, and which of them it is."""
    story = Story()
    story.open()
    for _ in range(4):
        story.run(story.register())
    entries = story.entries
    (index,) = [
        index
        for index, event in enumerate(story.events)
        if isinstance(event, TaskFinished) and event.task == 2 and event.flow == story.events[8].flow  # type: ignore[union-attr]
    ]
    entries[index] = LogEntry(entries[index].position, entries[index].raw.replace(b'{"rows":7}', raw_value))
    story.events[index] = msgspec.structs.replace(story.events[index], result=msgspec.Raw(b"null"))
    return story, entries, index


@pytest.mark.parametrize("value", BAD_VALUES.values(), ids=BAD_VALUES.keys())
async def test_a_result_that_postgres_refuses_is_kept_as_bytes_and_its_status_counts(
    tables: Connection, writer: Writer, value: bytes
) -> None:
    story, entries, index = finished_among_others(value)
    assert await writer.write(await make_batch(0, entries))
    assert await held(tables) == expected(story.events)
    ((position, flow, kind, event, raw, error),) = await refused(tables)
    assert (position, raw) == (entries[index].position, entries[index].raw)
    assert (flow, kind, event) == (story.events[index].flow, "task.finished", None)  # type: ignore[union-attr]
    assert error
    assert [position for position, _ in await archived(tables)] == [entry.position for entry in entries]
    assert writer.position == entries[-1].position
