"""Task logs as pages, in readers' order: by task, attempt and line."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing

import msgspec

from flower_engine.flows.history import find_flow, number_in
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.flows.task_log_blobs import with_lines
from flower_engine.flows.task_log_lines import (
    END,
    LineFilter,
    LineView,
    Loss,
    Teller,
    Told,
    concerns,
    losses_of,
)
from flower_engine.flows.task_log_tail import Unstored, read_unstored
from flower_engine.projection.read.view_fields import View
from flower_engine.projection.task_logs.chunk_queries import (
    Arrival,
    ChunkFilter,
    ChunkRow,
    Place,
    chunks_backwards,
    chunks_by_place,
    is_projected,
    lost_events,
    task_names,
)
from flower_engine.projection.task_logs.chunk_rows import read_position

START: Place = (0, 0, 0)
MOST_LINES = 10_000  # of a page
_BATCH_CHUNKS = 50
_MOST_BATCH_CHUNKS = 200
_MOST_CHUNKS = 5_000  # that are looked through for one page
_MOST_CHARACTERS = 4 << 20  # of text on one page
_ENDLESS: Arrival = (2**63 - 1, 2**63 - 1, 2**31 - 1)


class LogPage(View):
    """Lines of a flow's tasks. ``next``: give it back as `after` to go on; null: there are no more now.
    ``isBehind``: the last lines are missing, as Redis cannot be read, or has much that is not stored yet."""

    task_flow_id: str
    lines: list[LineView]
    next: str | None
    is_behind: bool


class Log(msgspec.Struct):
    """What is known of a flow's task logs as a reader begins."""

    flow: str
    names: dict[int, str]
    losses: list[Loss]
    stored: str | None
    unstored: Unstored


async def find_task_number(stores: PostgresStores, flow: str, task: int | str) -> int:
    """The number of a task that is named; one that is given by number is as it is.

    Raises:
        UnknownFlowError, UnknownTaskError: there is no such flow, or task.
    """
    stores.partition_of(flow)
    async with stores.postgres() as connection:
        if isinstance(task, int):
            found = task if await is_projected(connection, flow, task) else None
        else:
            names = await task_names(connection, flow)
            found = next((number for number, name in names.items() if name == task), None)
    return number_in(await find_flow(stores, flow), task) if found is None else found


async def find_known(stores: PostgresStores, flow: str) -> None:
    """Returns if there is such a flow.

    Raises:
        UnknownFlowError: there is none.
    """
    stores.partition_of(flow)
    async with stores.postgres() as connection:
        is_known = await is_projected(connection, flow, None)
    if not is_known:
        await find_flow(stores, flow)


async def open_log(stores: PostgresStores, flow: str, asked: LineFilter) -> Log:
    """What a reader needs.

    Raises:
        UnknownFlowError: there is no such flow.
    """
    partition = stores.partition_of(flow)
    async with stores.postgres() as connection:
        is_known = await is_projected(connection, flow, None)
        names = await task_names(connection, flow)
        losses = losses_of(await lost_events(connection, flow, asked.task), asked)
        stored = await read_position(connection, partition.number)
    if not is_known:
        await find_flow(stores, flow)
    # Behind the position that was just read: what is stored meanwhile stays in the stream for seconds.
    async with stores.log_readers:
        unstored = await read_unstored(stores.redis, partition, flow, stored, asked.level)
    unstored.rows = [row for row in unstored.rows if concerns(row, asked)]
    return Log(flow, names, losses, stored, unstored)


async def read_page(
    stores: PostgresStores, flow: str, asked: LineFilter, after: Place, limit: int
) -> LogPage:
    """A page of lines behind a place. It may be short, even empty, and have a next one.

    Raises:
        UnknownFlowError: there is no such flow.
    """
    log = await open_log(stores, flow, asked)
    teller = Teller(asked, log.names, {after[:2]: min(after[2], END - 1)})
    lines: list[LineView] = []
    at, characters, looked = after, 0, 0
    async with aclosing(_in_order(stores, log, asked, after)) as items:
        async for item in items:
            looked += 1
            for told in _told(teller, item):
                if told.place <= after:
                    continue
                if len(lines) == limit or characters > _MOST_CHARACTERS:
                    return LogPage(flow, lines, text_of(at), not log.unstored.is_all)
                lines.append(told.line)
                at, characters = told.place, characters + len(told.line.text)
            at = max(at, item.place)
            if looked >= _MOST_CHUNKS:
                return LogPage(flow, lines, text_of(at), not log.unstored.is_all)
    return LogPage(flow, lines, None, not log.unstored.is_all)


async def read_last(stores: PostgresStores, flow: str, asked: LineFilter, count: int) -> LogPage:
    """The last lines that came, so many of them, in readers' order.

    Raises:
        UnknownFlowError: there is no such flow.
    """
    log = await open_log(stores, flow, asked)
    told, _ = await last_told(stores, log, asked, count)
    attempts = {one.place[:2] for one in told}
    teller = Teller(asked, log.names)
    told += [
        teller.lost(loss)
        for loss in log.losses
        if loss.place[:2] in attempts
        or (asked.task is not None and loss.place[:2] >= min(attempts, default=START[:2]))
    ]
    told.sort(key=lambda one: one.place)
    return LogPage(flow, [one.line for one in told], None, not log.unstored.is_all)


async def last_told(
    stores: PostgresStores, log: Log, asked: LineFilter, count: int
) -> tuple[list[Told], dict[tuple[int, int], int]]:
    """The last lines as they came, so many of them, and up to where each attempt was told."""
    rows = sorted(log.unstored.rows, key=lambda row: row.arrival, reverse=True)
    told = _last_of(rows, log, asked)
    before, looked = _ENDLESS, 0
    while len(told) < count and looked < _MOST_CHUNKS:
        size = min(_MOST_BATCH_CHUNKS, max(_BATCH_CHUNKS, looked))
        async with stores.postgres() as connection:
            batch = await chunks_backwards(connection, chunk_filter(log.flow, asked), before, size)
        rows += await with_lines(stores, batch)
        told = _last_of(rows, log, asked)
        if len(batch) < size:
            break
        before, looked = batch[-1].arrival, looked + len(batch)
    ends: dict[tuple[int, int], int] = {}
    for row in rows:
        attempt = row.task, row.attempt
        ends[attempt] = max(row.last, ends.get(attempt, 0))
    return told[-count:], ends


def _last_of(rows: Sequence[ChunkRow], log: Log, asked: LineFilter) -> list[Told]:
    """The lines of chunks as they came, each once."""
    in_order = sorted(rows, key=lambda row: (*row.place, row.arrival))
    begin: dict[tuple[int, int], int] = {}
    for row in in_order:
        begin.setdefault((row.task, row.attempt), row.first - 1 - row.skipped)
    teller = Teller(asked, log.names, begin)
    told = [one for row in in_order for one in teller.lines_of(row)]
    return sorted(told, key=lambda one: (one.arrival, one.place))


def place_of(text: str) -> Place:
    """The place that :func:`text_of` wrote: task, attempt and line with points between them."""
    task, attempt, number = text.split(".")
    return int(task), int(attempt), END if number == "end" else int(number)


def text_of(place: Place) -> str:
    """A place as clients give it back."""
    task, attempt, number = place
    return f"{task}.{attempt}.{'end' if number == END else number}"


def chunk_filter(flow: str, asked: LineFilter) -> ChunkFilter:
    """What is asked of the table."""
    return ChunkFilter(flow, asked.task, asked.attempt, asked.level)


def _told(teller: Teller, item: ChunkRow | Loss) -> Iterator[Told]:
    if isinstance(item, Loss):
        yield teller.lost(item)
    else:
        yield from teller.lines_of(item)


async def _in_order(
    stores: PostgresStores, log: Log, asked: LineFilter, after: Place
) -> AsyncGenerator[ChunkRow | Loss]:
    """Chunks and losses behind a place, in readers' order."""
    others: list[ChunkRow | Loss] = [*log.unstored.rows, *log.losses]
    others = sorted((one for one in others if one.place > after), key=lambda one: one.place, reverse=True)
    while True:
        async with stores.postgres() as connection:
            batch = await chunks_by_place(connection, chunk_filter(log.flow, asked), after, _BATCH_CHUNKS)
        for row in await with_lines(stores, batch):
            while others and others[-1].place < row.place:
                yield others.pop()
            yield row
        if len(batch) < _BATCH_CHUNKS:
            break
        after = batch[-1].place
    while others:
        yield others.pop()
