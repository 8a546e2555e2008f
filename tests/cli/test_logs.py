"""What tasks wrote, on the command line and for the Python client."""

import asyncio
import json
from contextlib import closing

import pytest

from api.logged_flows import store_lines, write_lines
from api.serving import RunningApi
from chaos.proxy import Proxy
from cli.flower_command import Flower
from flower_cli.commands import logs
from flower_cli.commands.api_client import Api
from flower_cli.commands.logs import followed
from flower_engine.client import AsyncClient, Client, log_following
from flower_engine.errors import UnknownTaskError
from flower_engine.flows import task_log_followers
from flower_engine.task_logs.chunks import Chunk
from flower_engine.task_logs.lines import Line
from projection.written_lines import AT_MS, chunk

HOSTILE = "\x1b]0;owned\x07[bold]red[/bold]\nsecond"


@pytest.fixture(autouse=True)
def _few_late_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are written before the outcome here: followers need not wait long for some that come after it."""
    monkeypatch.setattr(task_log_followers, "_LINGER_SECONDS", 0.2)


@pytest.fixture
def flow(own_api: RunningApi) -> str:
    """Of two tasks, the first of which failed; both wrote something."""
    own_api.define("w", {"taskName": "load"}, {"dependsOn": []})
    flow = own_api.register("w")

    async def fail() -> None:
        async with own_api.engine() as engine:
            first, second = await engine.claim(2)
            await engine.suspend(first)
            await engine.finish(second)
        await own_api.project()

    asyncio.run(fail())
    lines = [Line(1, AT_MS, "log", 40, "a.b", HOSTILE), Line(2, AT_MS + 1, "out", 20, "", "fine")]
    write_lines(own_api, Chunk(flow, 1, 1, lines), chunk(flow, ["other"], task=2, first=3))
    asyncio.run(store_lines(own_api))
    return flow


SHOWN = [
    "22:13:20.000 load.1 | a.b: \\x1b]0;owned\\x07[bold]red[/bold]",
    "                           second",
    "22:13:20.001 load.1 | fine",
    "             2.1 | 2 lines lost on the way: Redis was lost, or Postgres was away for long",
    "22:13:20.003 2.1 | other",
]


def test_a_flow_s_lines_by_task_and_as_json(flower: Flower, flow: str) -> None:
    told = flower("logs", "last")
    assert (told.exit_code, told.output.splitlines()) == (0, SHOWN)
    told = flower("logs", flow, "--json")
    assert [json.loads(line)["text"] for line in told.stdout.splitlines()][:2] == [HOSTILE, "fine"]


def test_a_task_by_name_with_filters(flower: Flower, flow: str) -> None:
    assert flower("logs", flow, "load").output.splitlines()[-1] == "22:13:20.001 fine"
    assert flower("logs", flow, "1", "--tail", "1").output == "22:13:20.001 fine\n"
    assert "fine" not in flower("logs", flow, "load", "--level", "WARNING").output
    assert flower("logs", flow, "load", "--attempt", "2").output == ""
    told = flower("logs", flow, "laod")
    assert (told.exit_code, "load" in told.output) == (1, True)
    assert flower("logs", flow, "load", "--level", "LOUD").exit_code == 1


def test_following_ends_when_nothing_more_is_to_come(flower: Flower, flow: str) -> None:
    told = flower("logs", flow, "--follow")  # it stands still: a task failed
    assert (told.exit_code, told.output.splitlines()) == (0, SHOWN)
    assert flower("logs", flow, "load", "--follow", "--tail", "1").output == "22:13:20.001 fine\n"


def test_show_has_the_last_lines_of_what_failed(flower: Flower, flow: str) -> None:
    shown = flower("show", flow).output
    assert shown.splitlines()[-4:] == [
        "task 1 load (A) wrote last:",
        "22:13:20.000 a.b: \\x1b]0;owned\\x07[bold]red[/bold]",
        "                  second",
        "22:13:20.001 fine",
    ]
    assert "wrote last" in shown and "other" not in shown


async def test_the_client_has_the_lines(own_api: RunningApi, flow: str) -> None:
    def read() -> list[tuple[str | None, int, str]]:
        with Client(own_api.url) as client:
            handle = client.flow(flow)
            with pytest.raises(UnknownTaskError):
                list(handle.logs("laod"))
            assert [str(line) for line in handle.logs("load", level="ERROR")] == [HOSTILE]
            return [(line.task_name, line.missing, line.text) for line in handle.logs(tail=2)]

    assert (await asyncio.to_thread(read))[-1] == (None, 0, "other")
    async with AsyncClient(own_api.url) as client:
        texts = [line.text async for line in client.flow(flow).logs(1)]
    assert texts == [HOSTILE, "fine"]


ODD_ENDS = "a\u2028b\u0085c\u2029d"  # of lines, elsewhere; a form feed is written out in JSON


def test_what_is_followed_is_cut_at_no_other_end_of_a_line_than_its_own(own_api: RunningApi) -> None:
    own_api.define("w", {})
    flow = own_api.register("w")
    asyncio.run(own_api.project())
    write_lines(own_api, chunk(flow, [ODD_ENDS, "fine"]))
    asyncio.run(cancel(own_api, flow))
    with closing(Api(own_api.url, None)) as api:
        assert [line["text"] for line in followed(api, f"/flows/{flow}/log", {})] == [ODD_ENDS, "fine"]

    async def follow() -> list[str]:
        async with AsyncClient(own_api.url) as client:
            return [line.text async for line in client.flow(flow).follow_logs(tail=2)]

    assert asyncio.run(follow()) == [ODD_ENDS, "fine"]
    with Client(own_api.url) as client, pytest.raises(UnknownTaskError):
        next(iter(client.flow(flow).follow_logs("laod")))


def test_a_follower_goes_on_when_its_connection_breaks_off(
    own_api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (logs, log_following):
        monkeypatch.setattr(module, "_AGAIN_SECONDS", 0.05)
    own_api.define("w", {})
    flow = own_api.register("w")
    asyncio.run(own_api.project())
    with (
        Proxy(int(own_api.url.rpartition(":")[2])) as proxy,
        closing(Api(f"http://127.0.0.1:{proxy.port}", None)) as api,
        Client(f"http://127.0.0.1:{proxy.port}") as client,
    ):
        lines = followed(api, f"/flows/{flow}/log", {})
        by_client = client.flow(flow).follow_logs()
        for number in range(1, 4):
            write_lines(own_api, chunk(flow, [f"{number}a", f"{number}b"], first=2 * number - 1))
            assert [next(lines)["text"], next(lines)["text"]] == [f"{number}a", f"{number}b"]
            assert [next(by_client).text, next(by_client).text] == [f"{number}a", f"{number}b"]
            proxy.drop()
        asyncio.run(cancel(own_api, flow))
        assert list(lines) == []
        assert list(by_client) == []


async def cancel(api: RunningApi, flow: str) -> None:
    await asyncio.to_thread(api.client.post, f"/flows/{flow}/cancel")
    await api.project()
