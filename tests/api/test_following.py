"""Following task logs: what is there, then what comes, each line once; a break costs none."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx
import psycopg
import pytest

from api.logged_flows import store_lines
from api.serving import PATIENCE_SECONDS, RunningApi, details
from flower_engine.flows import task_log_followers
from flower_engine.flows.followed_streams import FollowedStreams
from flower_engine.flows.postgres_stores import PostgresStores
from flower_engine.log.client import connect, send
from flower_engine.log.keys import Keys
from flower_engine.runtime.asyncio_tasks import cancel_all
from flower_engine.runtime.clock import ManualClock
from flower_engine.runtime.work_done import WorkDone
from projection.waiting import until
from projection.written_lines import chunk, write
from worker.running import eventually

LOST = "the worker was lost; what it had not sent is missing"


@pytest.fixture(autouse=True)
def _few_late_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are written before the outcome here: followers need not wait long for some that come after it."""
    monkeypatch.setattr(task_log_followers, "_LINGER_SECONDS", 0.2)


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how many seconds followers would wait for something to come, each time."""
    seconds: list[float] = []
    woken = task_log_followers._woken  # pyright: ignore[reportPrivateUsage]

    async def noted(event: asyncio.Event, longest: float) -> bool:
        seconds.append(longest)
        return await woken(event, longest)

    monkeypatch.setattr(task_log_followers, "_woken", noted)
    return seconds


class Events:
    """The events of one connection, as they come."""

    def __init__(self, reply: httpx.Response) -> None:
        self._lines = reply.aiter_lines()
        self.last_id: str | None = None

    async def next(self) -> tuple[str, dict[str, Any]]:
        """The next event and its data; comments are passed over."""
        kind = data = ""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                line = await anext(self._lines)
                name, _, value = line.partition(": ")
                if name == "id":
                    self.last_id = value
                elif name == "event":
                    kind = value
                elif name == "data":
                    data = value
                elif not line and kind:
                    return kind, json.loads(data)

    async def texts(self, count: int) -> list[str]:
        """The texts of the next lines."""
        found: list[str] = []
        for _ in range(count):
            kind, line = await self.next()
            assert kind == "line", line
            found.append(line["text"])
        return found

    async def rest(self) -> list[str]:
        """The texts until the end is said."""
        found: list[str] = []
        while (event := await self.next())[0] == "line":
            found.append(event[1]["text"])
        assert event == ("end", {"problem": None})
        return found


@asynccontextmanager
async def following(
    api: RunningApi, path: str, last_id: str | None = None, **query: Any
) -> AsyncGenerator[Events]:
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    async with (
        httpx.AsyncClient(base_url=api.url, timeout=PATIENCE_SECONDS, verify=False) as client,
        client.stream("GET", path, params={"follow": True, **query}, headers=headers) as reply,
    ):
        assert reply.status_code == 200, await reply.aread()
        assert reply.headers["content-type"].startswith("text/event-stream")
        yield Events(reply)


async def add(api: RunningApi, *chunks: Any) -> None:
    async with connect(api.settings.redis_url or "") as client:
        await write(client, chunks)


@pytest.fixture
def flow(api: RunningApi) -> Iterator[str]:
    """Of two tasks, the first named; it is over when its test is."""
    api.define("follow", {"taskName": "load"}, {})
    flow = api.register("follow")
    yield flow
    api.client.post(f"/flows/{flow}/cancel")


_numbers = itertools.count()


def a_worker() -> str:
    """The name of one that no other test has."""
    return f"w{next(_numbers)}"


async def end(api: RunningApi) -> None:
    worker = a_worker()
    async with api.engine() as engine:
        while claims := await engine.claim(worker=worker):
            await engine.finish(*claims, worker=worker)
    await api.project()


async def test_lines_come_as_they_are_written_and_the_end_is_said(
    api: RunningApi, flow: str, rests: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_log_followers, "_LINGER_SECONDS", PATIENCE_SECONDS)
    await api.project()
    await add(api, chunk(flow, ["a", "b"]))
    await store_lines(api)
    async with following(api, f"/flows/{flow}/log") as events:
        assert await events.texts(2) == ["a", "b"]
        await add(api, chunk(flow, ["c"], first=3))
        assert await events.texts(1) == ["c"]
        await add(api, chunk(flow, ["d"], task=2), chunk(flow, ["a", "b"]))  # one comes twice
        await store_lines(api)
        assert await events.texts(1) == ["d"]
        await add(api, chunk(flow, ["g"], first=7))
        assert await events.texts(2) == [
            "3 lines lost on the way: Redis was lost, or Postgres was away for long",
            "g",
        ]
        await end(api)
        await eventually(
            lambda: PATIENCE_SECONDS in rests
        )  # that it is over is known, and a late line may come
        monkeypatch.setattr(task_log_followers, "_LINGER_SECONDS", 0.2)
        await add(api, chunk(flow, ["the last"], task=2, first=2))
        assert await events.rest() == ["the last"]


@pytest.mark.parametrize("is_stored", [False, True])
async def test_whoever_comes_again_goes_on_behind_each_line_exactly(
    api: RunningApi, flow: str, is_stored: bool
) -> None:
    await api.project()
    await add(api, chunk(flow, ["1", "2", "3"]), chunk(flow, ["4", "5"], task=2))
    await add(api, chunk(flow, ["6"], first=6), chunk(flow, ["7"], task=2, first=3))
    gap = "2 lines lost on the way: Redis was lost, or Postgres was away for long"
    expected = ["1", "2", "3", "4", "5", gap, "6", "7"]
    if is_stored:
        await store_lines(api)
    await end(api)
    path = f"/flows/{flow}/log"
    async with following(api, path) as events:
        marks: list[str | None] = [None]
        for text in expected:
            assert await events.texts(1) == [text]
            marks.append(events.last_id)

    async def rest(mark: str | None) -> list[str]:
        async with following(api, path, mark) as events:
            return await events.rest()

    rests = await asyncio.gather(*map(rest, marks))
    assert rests == [expected[place:] for place in range(len(marks))]


async def test_the_last_lines_then_what_comes(api: RunningApi, flow: str) -> None:
    await api.project()
    await add(api, chunk(flow, map(str, range(1, 11))))
    await store_lines(api)
    await add(api, chunk(flow, ["11"], first=11), chunk(flow, ["of another"], task=2))
    async with following(api, f"/flows/{flow}/tasks/load/log", tail=3, level="INFO") as events:
        assert await events.texts(3) == ["9", "10", "11"]
        await add(api, chunk(flow, ["quiet"], first=12, level=10), chunk(flow, ["12"], first=13))
        assert await events.texts(1) == ["12"]


async def test_a_task_that_is_over_ends_it_and_a_lost_attempt_is_said(api: RunningApi, flow: str) -> None:
    async with api.engine() as engine:
        claims = await engine.claim(worker="gone")
        await api.project()
        await add(api, chunk(flow, ["a"]))
        async with following(api, f"/flows/{flow}/tasks/1/log") as events:
            assert await events.texts(1) == ["a"]
            await engine.lose(*claims, worker="gone")
            await engine.tick()
            assert (await engine.lapse()).lapses
            worker = a_worker()
            (again,) = await engine.claim(worker=worker)
            await api.project()
            await add(api, chunk(flow, ["b"], attempt=2))
            texts = await events.texts(2)
            mark = events.last_id
            assert sorted(texts) == ["b", LOST]
            await engine.finish(again, worker=worker)
            await api.project()
            assert await events.rest() == []
        async with following(api, f"/flows/{flow}/tasks/1/log", mark) as events:
            assert await events.rest() == []  # the loss is said once


async def test_a_flow_whose_tasks_failed_stands_still_and_ends_it(api: RunningApi, flow: str) -> None:
    async with api.engine() as engine:
        await api.project()
        async with following(api, f"/flows/{flow}/log") as events:
            worker = a_worker()
            await engine.suspend(*await engine.claim(worker=worker), worker=worker)
            await add(api, chunk(flow, ["failed"]))
            await api.project()
            assert await events.rest() == ["failed"]


async def test_a_slow_reader_misses_nothing(api: RunningApi, flow: str) -> None:
    await api.project()
    async with following(api, f"/flows/{flow}/log") as events:
        await add(api, chunk(flow, ["1"]))
        assert await events.texts(1) == ["1"]
        for number in range(2, 400):
            await add(api, chunk(flow, [str(number) + "x" * 9_000], first=number))
        await store_lines(api)
        texts = await events.texts(398)
    assert [int(text.rstrip("x")) for text in texts] == list(range(2, 400))


async def test_stores_that_are_away_are_waited_for(own_api: RunningApi) -> None:
    own_api.define("w", {})
    flow = own_api.register("w")
    await own_api.project()
    url = own_api.settings.database_url or ""
    async with following(own_api, f"/flows/{flow}/log") as events:
        await add(own_api, chunk(flow, ["a"]))
        assert await events.texts(1) == ["a"]
        async with connect(own_api.settings.redis_url or "") as client:
            with psycopg.connect(url, autocommit=True) as admin:
                admin.execute("ALTER TABLE kr_task_log RENAME TO away")
                # Redis was lost, and its clock is behind: all is to be read again, and Postgres cannot.
                await send(client, "DEL", Keys(0).tasklog)
                await write(client, [chunk(flow, ["b"], first=2)], at="1600000000000-0")
                await asyncio.sleep(0)
                admin.execute("ALTER TABLE away RENAME TO kr_task_log")
            assert await events.texts(1) == ["b"]
            await write(client, [chunk(flow, ["c"], first=3)])
        assert await events.texts(1) == ["c"]


async def test_so_many_may_follow(own_api: RunningApi, start_api: Callable[..., RunningApi]) -> None:
    own_api.define("w", {})
    flow = own_api.register("w")
    await own_api.project()
    few = start_api(max_connections=8)
    path = f"/flows/{flow}/log"
    async with following(few, path), following(few, path):
        reply = await asyncio.to_thread(few.client.get, path, params={"follow": True})
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
        assert "2 follow task logs" in details(reply)[0]

    async def is_free() -> bool:
        with contextlib.suppress(AssertionError):
            async with following(few, path):
                return True
        return False

    await until(is_free)  # those who went away are noticed


async def test_an_api_that_stops_lets_followers_go(start_api: Callable[..., RunningApi]) -> None:
    api = start_api()
    api.define("w", {})
    flow = api.register("w")
    await api.project()
    async with following(api, f"/flows/{flow}/log") as events:
        await add(api, chunk(flow, ["a"]))
        assert await events.texts(1) == ["a"]
        await asyncio.to_thread(api.stop)
        with pytest.raises((StopAsyncIteration, httpx.HTTPError)):
            await events.next()


def test_what_makes_no_sense_is_refused(api: RunningApi, flow: str) -> None:
    path = f"/flows/{flow}/log"
    for query in ({"after": "1.1.1"}, {"limit": 5}):
        reply = api.client.get(path, params={"follow": True, **query})
        assert (reply.status_code, "follow" in details(reply)[0]) == (422, True)
    reply = api.client.get(path, params={"follow": True}, headers={"Last-Event-ID": "nonsense"})
    assert (reply.status_code, "Last-Event-ID" in details(reply)[0]) == (422, True)
    unknown = "018bcfe5-6800-7000-8000-000000000000"
    assert api.client.get(f"/flows/{unknown}/log", params={"follow": True}).status_code == 404
    assert api.client.head(path, params={"follow": True}).status_code == 200
    assert task_log_followers.Mark.of("1-2-3") is None


async def test_that_nobody_follows_is_no_work_that_is_overdue() -> None:
    clock, done = ManualClock(), WorkDone("api")
    with done.here():
        running = asyncio.create_task(FollowedStreams(cast(PostgresStores, None), 1, clock).run())
    await asyncio.sleep(0)
    clock.advance(3_600_000)
    assert [one for one in done.standings() if one.problem] == []
    await cancel_all([running])
