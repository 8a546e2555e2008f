"""Events of a call with many of them share entries of the log; nobody who reads it by position sees that."""

from collections.abc import Iterable

import pytest

from flower_engine.errors import LostError
from flower_engine.insight.backlog import Backlog, count_projected, read_backlog, read_backlogs
from flower_engine.log import reader
from flower_engine.log.client import send
from flower_engine.log.entries import Found, LogEntry, unpack
from flower_engine.log.reader import has_entry, read_back, read_behind, read_log
from flower_engine.model.values.positions import as_numbers
from flower_engine.transitions.watcher_transitions import trim
from scripts.engine import Engine, chain, task

FLOWS = 150  # registered in one call: some entries are full, one is not


@pytest.fixture
async def log(engine: Engine) -> list[LogEntry]:
    """Some events alone, then many in one call, then some alone."""
    await engine.register(task(1))
    await engine.register_many(FLOWS, task(1))
    await engine.register(*chain(2))
    log = await read_log(engine.client, engine.partition, None, 100_000)
    assert int(await send(engine.client, "XLEN", engine.keys.log)) < len(log) / 10
    return log


async def walk_back(engine: Engine, after: str, count: int) -> list[LogEntry]:
    """From the newest event back to a position, page by page."""
    walked, before = list[LogEntry](), None
    while True:
        page = await read_back(engine.client, engine.keys, before=before, after=after, count=count)
        walked += page.entries
        if page.is_all:
            return walked
        assert len(page.entries) >= count
        before = page.entries[-1].position


async def test_each_event_has_a_position_of_its_own(log: list[LogEntry]) -> None:
    positions = [as_numbers(entry.position) for entry in log]
    assert positions == sorted(set(positions))
    assert len(positions) == 1 + 1 + FLOWS + 1  # the log was opened, too


async def test_a_call_with_few_events_gives_each_an_entry(engine: Engine) -> None:
    await engine.register_many(3, task(1))
    assert await send(engine.client, "XLEN", engine.keys.log) == 4
    assert not await send(engine.client, "HEXISTS", engine.keys.meta, "packed")


async def test_large_events_share_no_entry(engine: Engine) -> None:
    await engine.register_many(8, task(1, parameters={"text": "x" * 20_000}))
    entries = await send(engine.client, "XRANGE", engine.keys.log, "-", "+")
    assert [len(unpack([entry])) for entry in entries] == [1] * 9


@pytest.mark.parametrize("count", [1, 10, 1_000])
async def test_reading_goes_on_behind_any_position(engine: Engine, log: list[LogEntry], count: int) -> None:
    for at, entry in enumerate(log):
        assert await has_entry(engine.client, engine.keys, entry.position)
        rest = log[at + 1 :]
        assert await read_log(engine.client, engine.partition, entry.position, count) == rest[:count]
        page = await read_behind(engine.client, engine.keys, entry.position, count)
        assert page.entries == rest[: len(page.entries)]
        assert len(page.entries) >= min(count, 1 if rest else 0)
        if page.is_all:
            assert page.entries == rest
        assert await walk_back(engine, entry.position, count) == rest[::-1]


async def test_every_page_of_a_walk_through_the_log_is_as_long_as_asked(
    engine: Engine, log: list[LogEntry]
) -> None:
    position, walked, sizes = None, list[LogEntry](), list[int]()
    while page := await read_log(engine.client, engine.partition, position, 40):
        walked += page
        sizes.append(len(page))
        position = page[-1].position
    assert walked == log
    assert set(sizes[:-1]) == {40}


async def test_backlogs_count_events_and_not_entries(engine: Engine, log: list[LogEntry]) -> None:
    for at, entry in enumerate(log):
        assert await count_projected(engine.client, engine.partition, entry.position) == at + 1
    assert await count_projected(engine.client, engine.partition, None) == 0
    backlog = await read_backlog(engine.client, engine.partition)
    assert backlog.events == len(log)
    await send(engine.client, "HSET", engine.keys.meta, "projected", len(log))
    assert await read_backlogs(engine.client, [engine.partition]) == [Backlog(0, 0)]


@pytest.mark.leaves_damage  # the trimmed log no longer folds
async def test_a_position_within_an_entry_keeps_it_from_being_trimmed(
    engine: Engine, log: list[LogEntry]
) -> None:
    place = len(log) + 20 * 75 + 7  # within one of the entries that follow
    for _ in range(150):  # what is trimmed goes in nodes of 64 entries
        await engine.register_many(20, task(1))
    log = await read_log(engine.client, engine.partition, None, 100_000)
    kept = log[place:]
    await trim(
        engine.client,
        engine.partition,
        keep_from=kept[0].position,
        archived=kept[0].position,
        ended_keep_ms=0,
        projected=0,
        most=10,
    )
    assert await read_log(engine.client, engine.partition, kept[0].position, 100_000) == kept[1:]
    assert not await has_entry(engine.client, engine.keys, log[0].position)
    with pytest.raises(LostError, match=log[0].position):
        await read_log(engine.client, engine.partition, log[0].position, 1)


@pytest.mark.parametrize("sizes", [b"2,2", b"2,x", b",", b"99"])
def test_an_entry_that_does_not_hold_what_it_says_is_one_event(sizes: bytes) -> None:
    assert unpack([(b"7-5", {b"n": sizes, b"e": b"{}{} "})]) == [LogEntry("7-5", b"{}{} ")]


@pytest.mark.leaves_damage  # the trimmed log no longer folds
async def test_a_backlog_is_not_made_small_by_the_single_events_of_long_ago(engine: Engine) -> None:
    for _ in range(300):
        await engine.register(task(1))
    last = (await read_log(engine.client, engine.partition, None, 1_000))[-1].position
    await trim(
        engine.client,
        engine.partition,
        keep_from=last,
        archived=last,
        ended_keep_ms=0,
        projected=301,
        most=10,
    )
    await engine.register_many(2_000, task(1))
    backlog = await read_backlog(engine.client, engine.partition)
    assert backlog.events == 2_000
    assert backlog.size_bytes > 100_000


async def test_what_is_read_too_much_stays_small_where_single_events_are_followed_by_packed_ones(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(20):
        await engine.register(task(1))
    await engine.register_many(10_000, task(1))
    found: list[LogEntry] = []

    def unpack_and_note(entries: Iterable[Found]) -> list[LogEntry]:
        some = unpack(entries)
        found.extend(some)
        return some

    monkeypatch.setattr(reader, "unpack", unpack_and_note)
    assert len(await read_log(engine.client, engine.partition, None, 600)) == 600
    assert len(found) < 600 * 10
