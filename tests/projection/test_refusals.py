"""A value that Postgres refuses never stops a partition: the event is kept as bytes, its status counts."""

from typing import Any

import msgspec
import pytest

from flower_engine.log.entries import LogEntry
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
    "bytes that are no text": b'"\xff\xfe"',
    "a key with a NUL": rb'{"\u0000":1}',
}


async def refused(tables: Connection) -> list[Any]:
    rows = await tables.execute(
        "SELECT position_ms || '-' || position_seq, task_flow_id, type, event, raw, error FROM kr_event"
        " WHERE error IS NOT NULL ORDER BY position_ms, position_seq"
    )
    return await rows.fetchall()


HERE = b'"HERE"'


def told_around(kind: str) -> tuple[Story, int]:
    """A story with other flows before and after an event that holds HERE; and which event that is."""
    story = Story()
    story.open()
    story.run(story.register())
    flow = story.register(SHAPES[2])
    story.start(flow, 1)
    story.finish(flow, 1)
    story.start(flow, 2)
    if kind == "finished":
        story.finish(flow, 2, HERE)
    else:
        story.suspend(flow, 2, HERE.decode().strip('"'))
    index = len(story.events) - 1
    story.start(flow, 3)
    story.finish(flow, 3)
    story.run(story.register())
    return story, index


def replaced(story: Story, index: int, value: bytes) -> list[LogEntry]:
    """The story's entries with HERE replaced."""
    entries = story.entries
    raw = entries[index].raw.replace(HERE, value)
    assert raw != entries[index].raw
    entries[index] = LogEntry(entries[index].position, raw)
    return entries


@pytest.mark.parametrize("value", BAD_VALUES.values(), ids=BAD_VALUES.keys())
async def test_a_result_that_postgres_refuses_is_kept_as_bytes_and_its_status_counts(
    tables: Connection, writer: Writer, value: bytes
) -> None:
    story, index = told_around("finished")
    entries = replaced(story, index, value)
    assert await writer.write(await make_batch(0, entries))
    ((position, flow, kind, event, raw, error),) = await refused(tables)
    assert (position, raw) == (entries[index].position, entries[index].raw)
    assert (flow, kind, event) == (story.flow_of(index), "task.finished", None)
    assert error
    story.events[index] = msgspec.structs.replace(story.events[index], result=msgspec.Raw(b"null"))
    assert await held(tables) == expected(story.events)
    assert [position for position, _ in await archived(tables)] == [entry.position for entry in entries]
    assert writer.position == entries[-1].position


BAD_TEXTS = [rb'"\u0000"', rb'"\ud800"', b'"\xff"']


@pytest.mark.parametrize("text", BAD_TEXTS)
async def test_an_error_that_postgres_refuses_still_suspends_its_task(
    tables: Connection, writer: Writer, text: bytes
) -> None:
    story, index = told_around("suspended")
    assert await writer.write(await make_batch(0, replaced(story, index, text)))
    flows, tasks = await held(tables)
    row = next(row for row in tasks if row["exec_status"] == 2)
    assert row["error"]["type"] == "Unstorable"
    assert row["error"]["message"].startswith("the error itself could not be kept: ")
    row["error"] = {"type": "ValueError", "message": "HERE", "traceback": "Traceback ..."}
    assert (flows, tasks) == expected(story.events)
    assert len(await refused(tables)) == 1


async def test_parameters_that_postgres_refuses_are_left_out_of_their_flow(
    tables: Connection, writer: Writer
) -> None:
    story = Story()
    story.open()
    flow = story.register()
    entries = story.entries
    raw = entries[1].raw.replace(b'"n":2', rb'"n":"\u0000"')
    entries[1] = LogEntry(entries[1].position, raw)
    assert await writer.write(await make_batch(0, entries))
    flows, tasks = await held(tables)
    assert [(row["task_flow_id"], row["tasks"]) for row in flows] == [(flow, 3)]
    assert [row["parameters"] for row in tasks] == [{}, {}, {}]
    assert len(await refused(tables)) == 1


async def test_several_refusals_in_a_batch_are_each_found(tables: Connection, writer: Writer) -> None:
    story = Story()
    story.open()
    flows = [story.register(SHAPES[0]) for _ in range(20)]
    for flow in flows:
        story.start(flow, 1)
        story.finish(flow, 1, HERE)
    entries = story.entries
    bad = [index for index, entry in enumerate(entries) if HERE in entry.raw][::5]
    for index in bad:
        entries[index] = LogEntry(entries[index].position, entries[index].raw.replace(HERE, rb'"\u0000"'))
    assert await writer.write(await make_batch(0, entries))
    assert [row[0] for row in await refused(tables)] == [entries[index].position for index in bad]
    rows, _ = await held(tables)
    assert {row["exec_status"] for row in rows} == {3}
    assert len(await archived(tables)) == len(entries)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff garbage",
        b"[1,2]",
        b'{"type":"task.finished"}',
        b'{"type":7}',
        b'{"type":"task.finished","at":"soon","flow":"01a20773-a1fb-7000-834d-ad694c260876"}',
        b"[" * 200_000,
    ],
)
async def test_bytes_that_are_no_event_are_kept_and_passed_over(
    tables: Connection, writer: Writer, raw: bytes
) -> None:
    story = Story()
    story.open()
    story.run(story.register())
    entries = [*story.entries, LogEntry(f"{story.now_ms}-9", raw), LogEntry(f"{story.now_ms + 1}-0", raw)]
    assert await writer.write(await make_batch(0, entries))
    assert await held(tables) == expected(story.events)
    assert [row[4] for row in await refused(tables)] == [raw, raw]


async def test_numbers_out_of_range_are_kept_as_bytes(tables: Connection, writer: Writer) -> None:
    story = Story()
    story.open()
    flow = story.register()
    story.start(flow, 1)
    entries = story.entries
    raw = entries[2].raw.replace(b'"attempt":1', b'"attempt":99999999999')
    entries[2] = LogEntry(entries[2].position, raw)
    assert await writer.write(await make_batch(0, entries))
    ((_, _, _, _, kept, error),) = await refused(tables)
    assert (kept, "out of range" in error) == (raw, True)


async def test_a_flow_registered_twice_keeps_its_first_registration(
    tables: Connection, writer: Writer
) -> None:
    story = Story()
    story.open()
    flow = story.register(SHAPES[1])
    story.start(flow, 1)
    entries = story.entries
    again = LogEntry(f"{story.now_ms + 5}-0", entries[1].raw)
    assert await writer.write(await make_batch(0, entries))
    assert await writer.write(await make_batch(0, [again]))
    assert await held(tables) == expected(story.events)
    ((position, *_, error),) = await refused(tables)
    assert position == again.position
    assert "duplicate key" in error
