"""The projector's exporter sends each span of what has ended at least once, whoever is killed or away."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

import forked_flower
from flower_engine.log.client import AsyncRedis
from flower_engine.log.partition import Partition
from flower_engine.model.events.events import AnyEvent
from flower_engine.otlp.http_receiver import HttpReceiver
from flower_engine.otlp.receiver import ReceiverAwayError
from flower_engine.otlp.span_requests import SpanEncoder
from flower_engine.projection.archive import followers
from flower_engine.projection.database import Connection, connect
from flower_engine.projection.write.batch import make_batch
from flower_engine.projection.write.writer import Writer
from flower_engine.runtime.settings import Settings
from flower_engine.traces.flow_traces import FlowTraces, spans_of
from flower_projector.trace_export_loop import Round, TraceExportLoop
from projection.logs import events_of, tell
from projection.stories import Story
from projection.story_plans import SHAPES
from projection.test_folding import tell as tell_story
from projection.waiting import until
from traces.otlp_receiver import GrpcReceiverServer, HttpReceiverServer, Told, told_in

Exporting = Callable[..., TraceExportLoop]


@pytest.fixture
def server() -> Iterator[HttpReceiverServer]:
    with HttpReceiverServer() as server:
        yield server


@pytest.fixture
async def exporting(settings: Settings, server: HttpReceiverServer) -> AsyncIterator[Exporting]:
    """Makes exporters, and closes them after the test."""
    made: list[TraceExportLoop] = []

    def make(**given: str) -> TraceExportLoop:
        update = {"traces_endpoint": server.endpoint, **given}
        made.append(TraceExportLoop(settings.model_copy(update=update)))
        return made[-1]

    yield make
    for loop in made:
        await loop.close()


def of_events(events: Iterable[AnyEvent]) -> set[Told]:
    """Every span that these events ended."""
    by_flow: dict[str, list[AnyEvent]] = {}
    for event in events:
        if (flow := getattr(event, "flow", None)) is not None:
            by_flow.setdefault(flow, []).append(event)
    spans = [span for flow, history in by_flow.items() for span in spans_of(flow, history)]
    return {told for request in SpanEncoder().requests(spans) for told in told_in(request)}


async def archive(writer: Writer, story: Story, first: int = 0, last: int | None = None) -> None:
    assert await writer.write(await make_batch(0, story.entries[first:last]))


async def rest(loop: TraceExportLoop) -> None:
    """Until nothing is left."""
    while await loop.run_once() is not Round.IDLE:
        pass


def some_flows(count: int) -> Story:
    story = Story()
    story.open()
    for _ in range(count):
        story.run(story.register(SHAPES[2]))
    return story


@pytest.mark.parametrize("kind", [HttpReceiverServer, GrpcReceiverServer], ids=["http", "grpc"])
async def test_what_ends_is_exported_with_its_ids_and_times(
    writer: Writer, exporting: Exporting, kind: type[HttpReceiverServer | GrpcReceiverServer]
) -> None:
    with kind() as server:
        loop = exporting(traces_endpoint=server.endpoint, traces_protocol=server.protocol)
        assert await loop.run_once() is Round.IDLE  # it begins now
        steps = [("register", 1), *((verb, n) for n in range(9) for verb in ("start", "finish", "retry"))]
        story = tell_story([*steps, ("rerun", 1), ("cancel", 1), ("register", 2), ("snapshot", 2)])
        await archive(writer, story)
        await rest(loop)
        told = server.received.told()
        assert set(told) == of_events(story.events)
        assert len(told) == len(set(told)) > 5
        await loop.close()


async def test_a_flow_that_began_before_the_exporter_is_told_from_its_beginning_when_it_ends(
    writer: Writer, server: HttpReceiverServer, exporting: Exporting
) -> None:
    story = some_flows(1)
    middle = len(story.events) // 2
    await archive(writer, story, 0, middle)
    loop = exporting()
    assert await loop.run_once() is Round.IDLE
    await archive(writer, story, middle)
    await rest(loop)
    before = of_events(story.events[:middle])
    assert set(server.received.told()) == of_events(story.events) - before


async def test_an_exporter_that_begins_anew_at_every_page_tells_the_same_spans(
    writer: Writer, server: HttpReceiverServer, exporting: Exporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "_MOST_BYTES", 1)  # one event a page
    story = some_flows(2)
    loop = exporting()
    assert await loop.run_once() is Round.IDLE
    await archive(writer, story)
    pages = 0
    while (came := await loop.run_once()) is not Round.IDLE:
        pages += came is not Round.STANDBY  # which it is until Postgres has seen the end of the one before
        await loop.close()
        loop = exporting()
    assert pages >= len(story.events)
    assert set(server.received.told()) == of_events(story.events)


async def test_more_flows_than_can_be_known_at_a_time_are_read_again(
    writer: Writer, server: HttpReceiverServer, exporting: Exporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FlowTraces.__init__, "__defaults__", (1,))  # knows one
    story = Story()
    flows = [story.register(SHAPES[1]) for _ in range(5)]
    for task in (1, 2, 3):
        for flow in flows:
            story.start(flow, task)
        for flow in flows:
            story.finish(flow, task)
    loop = exporting()
    assert await loop.run_once() is Round.IDLE
    await archive(writer, story)
    await rest(loop)
    assert set(server.received.told()) == of_events(story.events)


async def test_a_receiver_that_is_away_is_waited_for_and_nothing_is_read_again(
    writer: Writer, server: HttpReceiverServer, exporting: Exporting
) -> None:
    loop = exporting()
    await loop.run_once()
    story = some_flows(3)
    await archive(writer, story)
    server.received.answers = [503, 429, 500, 401, 404]
    for _ in range(5):
        with pytest.raises(ReceiverAwayError):
            await loop.run_once()
    await rest(loop)
    told = server.received.told()
    assert set(told) == of_events(story.events)
    assert len(told) == len(set(told))


async def test_while_a_receiver_is_away_the_session_of_the_exporter_does_not_seem_dead(
    writer: Writer, tables: Connection, server: HttpReceiverServer, exporting: Exporting
) -> None:
    loop = exporting()
    await loop.run_once()
    await archive(writer, some_flows(1))
    server.received.answers = [503] * 2
    heard: list[datetime] = []
    for _ in range(2):
        with pytest.raises(ReceiverAwayError):
            await loop.run_once()
        rows = await tables.execute(
            "SELECT state_change FROM pg_stat_activity WHERE application_name = 'flower traces'"
            " AND datname = current_database()"
        )
        heard += [at async for (at,) in rows]
    assert heard[0] < heard[1]


async def test_a_receiver_that_fails_again_and_again_loses_these_spans_and_no_others(
    writer: Writer, server: HttpReceiverServer, exporting: Exporting, caplog: pytest.LogCaptureFixture
) -> None:
    loop = exporting()
    await loop.run_once()
    story = some_flows(1)
    await archive(writer, story)
    server.received.answers = [500] * 30
    for _ in range(29):
        with pytest.raises(ReceiverAwayError):
            await loop.run_once()
    await rest(loop)
    assert not server.received.spans and "spans are lost" in caplog.text
    middle = len(story.events)
    story.run(story.register())
    await archive(writer, story, middle)
    await rest(loop)
    assert set(server.received.told()) == of_events(story.events[middle:])


async def test_a_stop_does_not_wait_for_a_receiver_that_hangs(
    writer: Writer, server: HttpReceiverServer, exporting: Exporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: Any = HttpReceiver.__init__.__kwdefaults__
    monkeypatch.setitem(given, "seconds", 3_600.0)  # it does not give up first
    loop = exporting()
    await loop.run_once()
    await archive(writer, some_flows(1))
    server.received.holds = threading.Event()
    stop = asyncio.Event()
    running = asyncio.create_task(loop.run(stop))

    async def hangs() -> bool:
        return server.received.asked > 0

    await until(hangs)
    stop.set()
    async with asyncio.timeout(120):
        await running
    server.received.holds.set()


async def test_one_of_two_exports_and_the_other_takes_over(
    writer: Writer, server: HttpReceiverServer, exporting: Exporting
) -> None:
    one, other = exporting(), exporting()
    assert [await one.run_once(), await other.run_once()] == [Round.IDLE, Round.STANDBY]
    story = some_flows(2)
    await archive(writer, story)
    await one.close()

    async def takes_over() -> bool:
        return await other.run_once() is not Round.STANDBY

    await until(takes_over)
    await rest(other)
    assert set(server.received.told()) == of_events(story.events)


async def test_a_lost_connection_is_made_anew(
    writer: Writer, tables: Connection, server: HttpReceiverServer, exporting: Exporting
) -> None:
    loop = exporting()
    await loop.run_once()
    story = some_flows(2)
    await archive(writer, story)
    await tables.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'flower traces'"
        " AND datname = current_database()"
    )
    with pytest.raises(psycopg.Error):
        await loop.run_once()
    await rest(loop)
    assert set(server.received.told()) == of_events(story.events)


async def test_rows_that_nobody_can_read_take_no_other_with_them(
    writer: Writer, tables: Connection, server: HttpReceiverServer, exporting: Exporting
) -> None:
    loop = exporting()
    await loop.run_once()
    story = some_flows(2)
    damaged = story.register()
    story.run(damaged)
    await archive(writer, story)
    await tables.execute(
        "UPDATE kr_event SET event = NULL, raw = 'x' WHERE task_flow_id = %s AND type = 'flow.registered'",
        [damaged],
    )
    await tables.execute(
        "UPDATE kr_event SET event = jsonb_set(event, '{at}', '-9223372036854775809')"
        " WHERE task_flow_id = %s AND type = 'task.started'",
        [damaged],
    )
    await rest(loop)
    whole = {told for told in of_events(story.events) if told.trace != damaged.replace("-", "")}
    assert {told for told in server.received.told() if told.trace != damaged.replace("-", "")} == whole


_PROJECTOR = """
from flower_engine.runtime.lifecycle import run
from flower_engine.runtime.settings_loading import load_settings
from flower_engine.runtime.telemetry import configure_logging
from flower_projector.service import serve
configure_logging("projector")
run(serve, load_settings())
"""


@pytest.mark.parametrize("crash_at", ["traces.sent:2", ""])
async def test_a_projector_that_is_killed_leaves_no_span_out(  # noqa: PLR0917 # fixtures
    client: AsyncRedis,
    partition: Partition,
    settings: Settings,
    server: HttpReceiverServer,
    tmp_path: Path,
    crash_at: str,
) -> None:
    environment = settings.model_copy(update={"traces_endpoint": server.endpoint}).as_environment()
    environment["FLOWER_TRACES_ENDPOINT"] = server.endpoint

    def start(crash_at: str = "") -> forked_flower.Process:
        crashing = {"FLOWER_CRASH_AT": crash_at} if crash_at else {}
        with (tmp_path / "projector.log").open("ab") as output:
            return forked_flower.start(
                *("-c", _PROJECTOR), environment={**environment, **crashing}, output=output
            )

    async def follows(position: str = "") -> bool:
        """Whether it has begun, or come to this position."""
        async with await connect(settings.database_url or "", "test") as connection:
            found = await connection.execute(
                "SELECT FROM kr_follower WHERE name = 'traces'"
                " AND %(position)s::text IN ('', position_ms || '-' || position_seq)",
                {"position": position},
            )
            return found.rowcount == 1

    async def is_under_way() -> bool:
        """Or it is killed already, as it sent little at a time."""
        return await _has(server, 10) or projector.poll() is not None

    projector = start(crash_at)
    await until(follows)
    await tell(client, partition, some_flows(20))
    await until(is_under_way)
    last = await tell(client, partition, some_flows(20))
    if crash_at:
        assert await asyncio.to_thread(projector.wait, 120) == -signal.SIGKILL
    else:
        projector.kill()
        projector.wait()
    projector = start()
    await until(lambda: follows(last))
    projector.terminate()
    assert await asyncio.to_thread(projector.wait, 120) == 0
    told = server.received.told()
    wanted = of_events(await events_of(client, partition))
    assert set(told) == wanted
    assert len({one.id for one in told}) == len(wanted)


async def _has(server: HttpReceiverServer, count: int) -> bool:
    return len(server.received.spans) >= count
