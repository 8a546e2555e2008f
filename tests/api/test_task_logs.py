"""Task logs as the API shows them: what is stored and what is not, each line once, and what is missing."""

import asyncio
from typing import Any

import pytest

from api.logged_flows import read, store_lines, texts, write_lines
from api.serving import RunningApi, details
from flower_engine.log.client import connect_blocking, send_blocking
from flower_engine.log.keys import Keys
from flower_engine.task_logs.chunks import Chunk
from flower_engine.task_logs.lines import Line
from projection.written_lines import chunk

UNKNOWN = "018bcfe5-6800-7000-8000-000000000000"


@pytest.fixture(scope="module")
def flow(api: RunningApi) -> str:
    """Of two tasks, the first named; projected. Tests write lines of attempts of their own."""
    api.define("logs", {"taskName": "load"}, {})
    flow = api.register("logs")
    asyncio.run(api.project())
    return flow


def of_task(flow: str, task: int | str = 1) -> str:
    return f"/flows/{flow}/tasks/{task}/log"


def test_lines_are_shown_before_they_are_stored_and_after_each_once(own_api: RunningApi) -> None:
    own_api.define("w", {"taskName": "load"}, {})
    flow = own_api.register("w")  # not projected yet
    write_lines(own_api, chunk(flow, ["b1"], task=2), chunk(flow, ["a1", "a2"]))
    expected = ["a1", "a2", "b1"]
    assert texts(read(own_api, f"/flows/{flow}/log")) == expected
    asyncio.run(own_api.project())
    asyncio.run(store_lines(own_api))
    assert texts(read(own_api, f"/flows/{flow}/log")) == expected
    write_lines(own_api, chunk(flow, ["a3"], first=3), chunk(flow, ["a1", "a2"]))  # one came twice
    assert texts(read(own_api, f"/flows/{flow}/log")) == ["a1", "a2", "a3", "b1"]
    first = read(own_api, of_task(flow, "load"))[0]
    assert first == {
        "taskExecSeq": 1, "taskName": "load", "attempt": 1, "number": 1, "ts": "2023-11-14T22:13:20.001000Z",
        "stream": "out", "level": 20, "logger": "", "text": "a1", "missing": 0,
    }  # fmt: skip


async def test_pages_of_any_size_have_the_same_lines(api: RunningApi, flow: str) -> None:
    def write() -> None:
        for first in range(1, 60, 3):
            write_lines(api, chunk(flow, [f"{first + n}" for n in range(3)], attempt=10, first=first))

    await asyncio.to_thread(write)
    await store_lines(api)
    await asyncio.to_thread(write_lines, api, chunk(flow, ["61", "62"], attempt=10, first=61))
    for limit in (1, 2, 7, 62, 1_000):
        lines = await asyncio.to_thread(read, api, of_task(flow), attempt=10, limit=limit)
        assert [line["number"] for line in lines] == list(range(1, 63))
    for count in (1, 3, 61, 62, 100):
        lines = await asyncio.to_thread(read, api, of_task(flow), attempt=10, tail=count)
        assert [line["number"] for line in lines] == list(range(1, 63))[-count:]


@pytest.mark.parametrize("is_stored", [False, True])
async def test_filters(api: RunningApi, flow: str, is_stored: bool) -> None:
    attempt = 20 + is_stored
    lines = [
        Line(1, 0, "out", 20, "", "out"),
        Line(2, 0, "err", 30, "", "err"),
        Line(3, 0, "log", 10, "a.b", "debug"),
        Line(4, 0, "log", 40, "a.b", "error"),
    ]
    await asyncio.to_thread(write_lines, api, Chunk(flow, 1, attempt, lines))
    await asyncio.to_thread(write_lines, api, chunk(flow, ["low"], attempt=attempt, first=5, level=10))
    if is_stored:
        await store_lines(api)

    def shown(**query: Any) -> list[str]:
        return texts(read(api, of_task(flow), attempt=attempt, **query))

    for level, expected in {
        "warning": ["err", "error"],
        "INFO": ["out", "err", "error"],
        40: ["error"],
        41: [],
        0: ["out", "err", "debug", "error", "low"],
    }.items():
        assert await asyncio.to_thread(shown, level=level) == expected
        assert await asyncio.to_thread(shown, level=level, limit=1) == expected
        assert await asyncio.to_thread(shown, level=level, tail=2) == expected[-2:]
    assert await asyncio.to_thread(shown, stream="log") == ["debug", "error"]
    assert await asyncio.to_thread(shown, stream="engine") == []


@pytest.mark.parametrize("limit", [1, 1_000])
def test_what_is_missing_is_said_where_it_is(api: RunningApi, flow: str, limit: int) -> None:
    attempt = 30 + limit
    write_lines(
        api,
        chunk(flow, ["a"], attempt=attempt, first=3),
        chunk(flow, ["b"], attempt=attempt, first=14, skipped=10),
        chunk(flow, ["c"], attempt=attempt, first=20, skipped=2),
    )
    lines = read(api, of_task(flow), attempt=attempt, limit=limit)
    assert [(line["stream"], line["number"], line["missing"]) for line in lines] == [
        ("engine", None, 2), ("out", 3, 0), ("engine", None, 10), ("out", 14, 0), ("engine", None, 5),
        ("out", 20, 0),
    ]  # fmt: skip
    assert "2 lines lost on the way" in lines[0]["text"]
    assert "10 lines left out" in lines[2]["text"]
    assert "2 were left out by the worker" in lines[4]["text"]
    filtered = read(api, of_task(flow), attempt=attempt, level="ERROR", limit=limit)
    assert [line["missing"] for line in filtered] == [2, 10, 5]


async def test_a_lost_attempt_says_so_at_its_end(own_api: RunningApi) -> None:
    own_api.define("w", {}, {"dependsOn": []})
    flow = own_api.register("w")
    async with own_api.engine() as engine:
        claims = await engine.claim(2, worker="gone")
        await asyncio.to_thread(write_lines, own_api, chunk(flow, ["a"]))
        await engine.lose(*claims, worker="gone")
        await engine.tick()
        assert len((await engine.lapse()).lapses) == 2
        await engine.work_off()
        await asyncio.to_thread(write_lines, own_api, chunk(flow, ["b"], attempt=2))
        await own_api.project()
    lines = await asyncio.to_thread(read, own_api, of_task(flow), limit=1)
    lost = "the worker was lost; what it had not sent is missing"
    assert texts(lines) == ["a", lost, "b"]
    assert [(line["attempt"], line["stream"]) for line in lines] == [(1, "out"), (1, "engine"), (2, "out")]
    assert texts(await asyncio.to_thread(read, own_api, of_task(flow, 2))) == [lost]  # it wrote nothing
    assert texts(await asyncio.to_thread(read, own_api, of_task(flow), tail=5)) == ["a", lost, "b"]
    assert texts(await asyncio.to_thread(read, own_api, f"/flows/{flow}/log")) == ["a", lost, "b", lost]


async def test_hostile_text_is_text(api: RunningApi, flow: str) -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J<script>\u202e\r\x9b1m\nsecond\tline"
    await asyncio.to_thread(write_lines, api, chunk(flow, [hostile], attempt=40))
    assert texts(await asyncio.to_thread(read, api, of_task(flow), attempt=40)) == [hostile]
    query = {"attempt": 40}
    reply = api.client.get(of_task(flow), params=query, headers={"Accept": "text/plain"})
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.text == "\\x1b]0;owned\\x07\\x1b[2J<script>\\u202e\\r\\x9b1m\nsecond\tline\n"
    reply = api.client.get(f"/flows/{flow}/log", params=query, headers={"Accept": "text/plain, */*;q=0.1"})
    assert reply.text.splitlines()[1] == "load.40 | second\tline"
    reply = api.client.get(
        of_task(flow), params=query, headers={"Accept": "application/json, text/plain;q=0.5"}
    )
    assert reply.json()["lines"]


async def test_text_has_all_lines_unless_a_limit_is_given(api: RunningApi, flow: str) -> None:
    await asyncio.to_thread(write_lines, api, chunk(flow, map(str, range(1, 2_501)), attempt=50))
    await store_lines(api)
    plain = {"Accept": "text/plain"}
    reply = api.client.get(of_task(flow), params={"attempt": 50}, headers=plain)
    assert reply.text.split() == [str(number) for number in range(1, 2_501)]
    reply = api.client.get(of_task(flow), params={"attempt": 50, "limit": 3}, headers=plain)
    assert reply.text == "1\n2\n3\n"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (f"/flows/{UNKNOWN}/log", "unknown-flow"),
        ("/flows/nonsense/log", "unknown-flow"),
        (f"/flows/{UNKNOWN}/tasks/1/log", "unknown-flow"),
        ("/flows/{flow}/tasks/3/log", "unknown-task"),
        ("/flows/{flow}/tasks/laod/log", "unknown-task"),
    ],
)
def test_what_is_not_there_is_said_so(api: RunningApi, flow: str, path: str, kind: str) -> None:
    reply = api.client.get(path.format(flow=flow))
    assert reply.status_code == 404
    assert reply.json()["type"].endswith(kind)
    assert details(reply)


@pytest.mark.parametrize(
    "query",
    [
        {"after": "nonsense"}, {"after": "1.2.3.4"}, {"limit": 0}, {"limit": 10_001}, {"tail": 0},
        {"attempt": 0},
        {"level": "LOUD"}, {"level": -1}, {"stream": "stdout"}, {"tail": 5, "limit": 5}, {"attempt": 2**31},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(api: RunningApi, flow: str, query: dict[str, Any]) -> None:
    reply = api.client.get(of_task(flow), params=query)
    assert reply.status_code == 422
    assert next(iter(query)) in str(reply.json()["problems"])


def test_damaged_rows_are_said_and_cost_no_other_line(own_api: RunningApi) -> None:
    own_api.define("w", {})
    flow = own_api.register("w")
    write_lines(own_api, chunk(flow, ["a"]), chunk(flow, ["b", "c"], first=2), chunk(flow, ["d"], first=4))
    asyncio.run(own_api.project())
    asyncio.run(store_lines(own_api))
    own_api.sql('UPDATE kr_task_log SET lines = \'{"not": "lines"}\' WHERE first_line = 2')
    lines = read(own_api, of_task(flow))
    assert texts(lines) == ["a", "2 lines cannot be read: what is stored of them is damaged", "d"]


def test_stored_lines_are_shown_where_the_stream_cannot_be_read(own_api: RunningApi, redis_url: str) -> None:
    own_api.define("w", {})
    flow = own_api.register("w")
    write_lines(own_api, chunk(flow, ["a"]))
    asyncio.run(own_api.project())
    asyncio.run(store_lines(own_api))
    assert own_api.client.get(of_task(flow)).json()["isBehind"] is False
    with connect_blocking(redis_url) as client:
        send_blocking(client, "SET", Keys(0).tasklog, "no stream")
    page = own_api.client.get(of_task(flow)).json()
    assert (texts(page["lines"]), page["isBehind"]) == (["a"], True)
