"""Who follows the archive sees each event, in order, at least once, wherever it is stopped."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import psycopg
import pytest

from flower_engine.log.entries import LogEntry
from flower_engine.projection.archive import followers
from flower_engine.projection.archive.archived_events import UNCOUNTED
from flower_engine.projection.archive.followers import ArchiveFollower, Page
from flower_engine.projection.database import Connection, connect
from flower_engine.projection.write.batch import make_batch
from flower_engine.projection.write.projected_positions import Projected, add_positions
from flower_engine.projection.write.writer import Writer
from projection.hostile import make_hostile, through_a_pooler
from projection.stories import Story

Connecting = Callable[[], Awaitable[Connection]]


@pytest.fixture
async def connecting(database_url: str) -> AsyncIterator[Connecting]:
    made: list[Connection] = []

    async def another() -> Connection:
        made.append(await connect(database_url, "follower"))
        return made[-1]

    yield another
    for connection in made:
        await connection.close()


def story_of(flows: int) -> Story:
    story = Story()
    story.open()
    for _ in range(flows):
        story.run(story.register())
    return story


async def archive(writer: Writer, story: Story) -> list[str]:
    """Writes those events of the story that are not written yet; returns the positions of all."""
    entries = story.entries
    known = [entry.position for entry in entries].index(writer.position) + 1 if writer.position else 0
    assert await writer.write(await make_batch(0, entries[known:]))
    return [entry.position for entry in entries]


async def rest(follower: ArchiveFollower) -> list[Page]:
    """Every page that there is, each done with."""
    assert await follower.hold()
    pages: list[Page] = []
    while page := await follower.read():
        assert await follower.move(page)
        pages.append(page)
    return pages


def positions(pages: list[Page]) -> list[str]:
    return [event.position for page in pages for event in page.events]


async def test_each_event_comes_once_in_order_and_what_comes_later_comes_later(
    writer: Writer, connecting: Connecting
) -> None:
    follower = ArchiveFollower(await connecting(), "traces", begin="beginning", most_events=4)
    story = story_of(2)
    pages = await rest_after(writer, story, follower)
    assert positions(pages) == [entry.position for entry in story.entries]
    assert {page.count for page in pages[:-1]} == {4}
    known = len(story.entries)
    story.run(story.register())
    later = await rest_after(writer, story, follower)
    assert positions(later) == [entry.position for entry in story.entries[known:]]
    assert await follower.read() is None


async def rest_after(writer: Writer, story: Story, follower: ArchiveFollower) -> list[Page]:
    await archive(writer, story)
    return await rest(follower)


async def test_one_that_begins_now_sees_nothing_of_before(writer: Writer, connecting: Connecting) -> None:
    story = story_of(1)
    await archive(writer, story)
    follower = ArchiveFollower(await connecting(), "hooks", begin="now")
    assert await rest(follower) == []
    story.register()
    assert positions(await rest_after(writer, story, follower)) == [story.entries[-1].position]


async def test_what_is_not_wanted_is_passed_and_not_sent(
    writer: Writer, connecting: Connecting, tables: Connection
) -> None:
    story = story_of(3)
    await archive(writer, story)
    wanted = "type = 'task.finished' AND event -> 'ends' = 'true'"
    follower = ArchiveFollower(await connecting(), "traces", begin="beginning", wanted=wanted, most_events=5)
    pages = await rest(follower)
    ends = [
        entry.position
        for entry, event in zip(story.entries, story.events, strict=True)
        if getattr(event, "ends", False)
    ]
    assert positions(pages) == ends
    assert sum(page.count for page in pages) == len(story.events)
    rows = await tables.execute("SELECT position_ms || '-' || position_seq FROM kr_follower")
    assert await rows.fetchall() == [(story.entries[-1].position,)]


async def test_a_page_whose_position_was_not_moved_comes_again(
    writer: Writer, connecting: Connecting
) -> None:
    await archive(writer, story_of(2))
    first = await connecting()
    follower = ArchiveFollower(first, "traces", begin="beginning", most_events=6)
    assert await follower.hold()
    page = await follower.read()
    assert page == await follower.read()
    await first.close()  # killed before it was done with it
    assert (await rest(ArchiveFollower(await connecting(), "traces", begin="now", most_events=6)))[0] == page


@pytest.mark.parametrize("is_pooled", [False, True])
async def test_one_of_a_name_follows_and_others_stand_by(
    writer: Writer,
    connecting: Connecting,
    database_url: str,
    is_pooled: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    story = story_of(1)
    await archive(writer, story)
    if is_pooled:
        make_hostile(database_url)
        through_a_pooler(monkeypatch)
    first = await connecting()
    one = ArchiveFollower(first, "traces", begin="beginning", most_events=3)
    other = ArchiveFollower(await connecting(), "traces", begin="beginning")
    third = await connecting()
    of_another_name = ArchiveFollower(third, "hooks", begin="beginning")
    assert [await who.hold() for who in (one, other, one, of_another_name)] == [True, False, True, True]
    page = await one.read()
    assert page is not None
    assert await one.move(page)
    await first.close()
    async with asyncio.timeout(60):
        while not await other.hold():  # until the server has seen that the first is gone
            await third.execute("SELECT pg_sleep(0.01)")
    assert positions(await rest(other)) == [entry.position for entry in story.entries[3:]]
    assert len(positions(await rest(of_another_name))) == len(story.entries)


async def test_one_that_lost_its_place_unseen_moves_nothing(writer: Writer, connecting: Connecting) -> None:
    await archive(writer, story_of(2))
    late = ArchiveFollower(await connecting(), "traces", begin="beginning", most_events=4)
    page = await late.read()
    assert page is not None
    await rest(ArchiveFollower(await connecting(), "traces", begin="beginning"))
    assert not await late.move(page)
    assert await late.read() is None


async def test_work_in_the_transaction_that_moves_is_done_exactly_once(
    writer: Writer, connecting: Connecting, tables: Connection
) -> None:
    story = story_of(2)
    await archive(writer, story)
    connection = await connecting()
    follower = ArchiveFollower(connection, "traces", begin="beginning", most_events=4)
    await tables.execute("CREATE TABLE told (position text)")
    fails = [True, False] * 10
    while page := await follower.read():
        try:
            async with connection.transaction():
                for event in page.events:
                    await connection.execute("INSERT INTO told VALUES (%s)", [event.position])
                if fails.pop():
                    raise TimeoutError
                assert await follower.move(page)
        except TimeoutError:
            continue
    rows = await tables.execute("SELECT position FROM told ORDER BY position")
    assert [row[0] async for row in rows] == sorted(entry.position for entry in story.entries)


async def test_partitions_take_turns(tables: Connection, writer: Writer, connecting: Connecting) -> None:
    await add_positions(
        tables, [Projected(partition=1, position=None, installation="here", generation="1", partitions=2)]
    )
    story = story_of(2)
    other = Writer(
        await connecting(),
        Projected(partition=1, position=None, installation="here", generation="1", partitions=2),
    )
    await archive(writer, story)
    assert await other.write(await make_batch(1, story.entries[:7]))
    follower = ArchiveFollower(await connecting(), "traces", begin="beginning", most_events=3)
    pages = await rest(follower)
    assert [page.partition for page in pages[:6]] == [0, 1, 0, 1, 0, 1]
    assert len(positions([page for page in pages if page.partition == 1])) == 7


async def test_large_events_come_in_smaller_pages(
    writer: Writer, connecting: Connecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "_MOST_BYTES", 2_000)
    story = story_of(6)
    await archive(writer, story)
    pages = await rest(ArchiveFollower(await connecting(), "traces", begin="beginning"))
    assert positions(pages) == [entry.position for entry in story.entries]
    assert len(pages) > 3


async def test_what_is_no_event_comes_as_bytes_with_the_reason(
    writer: Writer, connecting: Connecting
) -> None:
    story = story_of(1)
    await archive(writer, story)
    last_ms, _, _ = story.entries[-1].position.partition("-")
    entries = [LogEntry(f"{last_ms}-7", b"\x00 no event"), LogEntry(f"{last_ms}-8", story.entries[0].raw)]
    assert await writer.write(await make_batch(0, entries))
    (page,) = await rest(ArchiveFollower(await connecting(), "traces", begin="beginning"))
    bad, good = page.events[-2:]
    assert (bad.raw, bad.flow, bad.type) == (b"\x00 no event", None, None)
    assert bad.error not in {None, UNCOUNTED}
    assert (good.error, good.type, good.position) == (None, "log.opened", f"{last_ms}-8")


async def test_all_can_be_passed_over_unread(
    writer: Writer, connecting: Connecting, tables: Connection
) -> None:
    story = story_of(2)
    follower = ArchiveFollower(await connecting(), "hooks", begin="now")
    assert await rest(follower) == []
    await archive(writer, story)
    await follower.skip()
    assert await follower.read() is None
    rows = await tables.execute("SELECT position_ms || '-' || position_seq FROM kr_follower")
    assert await rows.fetchall() == [(story.entries[-1].position,)]


async def test_a_lost_connection_is_told_and_never_taken_for_the_right_to_go_on(
    writer: Writer, connecting: Connecting, tables: Connection
) -> None:
    await archive(writer, story_of(1))
    connection = await connecting()
    follower = ArchiveFollower(connection, "traces", begin="beginning")
    assert await follower.hold()
    await tables.execute("SELECT pg_terminate_backend(%s, 60000)", [connection.info.backend_pid])
    with pytest.raises(psycopg.OperationalError):
        await follower.read()
