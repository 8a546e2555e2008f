"""Lines that lie in FLOWER_TASK_LOG_STORE are shown, followed and pruned as those in Postgres are."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from api.logged_flows import read, store_lines, texts, write_lines
from api.serving import RunningApi
from api.test_following import following
from flower_engine.errors import SettingsError
from flower_engine.projection import database
from flower_engine.runtime.settings_loading import load_settings
from flower_engine.runtime.task_log_store import prune_lines
from projection.written_lines import chunk

UNREAD = (
    "2 lines cannot be read: they are in FLOWER_TASK_LOG_STORE,"
    " which the API cannot read now, or is not told of"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "lines"


@pytest.fixture
def api(start_api: Callable[..., RunningApi], folder: Path) -> RunningApi:
    return start_api(task_log_store=f"file://{folder}")


@pytest.fixture
def flow(api: RunningApi) -> str:
    """With two lines of task 1 and one of task 2, all stored."""
    api.define("w", {}, {})
    flow = api.register("w")
    write_lines(api, chunk(flow, ["a", "b"]), chunk(flow, ["c"], task=2))
    asyncio.run(api.project())
    asyncio.run(store_lines(api))
    return flow


def files(folder: Path) -> list[Path]:
    return list(folder.glob("??/*"))


async def test_lines_are_read_and_followed_where_they_are(api: RunningApi, flow: str, folder: Path) -> None:
    assert api.sql("SELECT count(*) FROM kr_task_log WHERE lines IS NULL AND blob IS NOT NULL") == [(2,)]
    assert len(files(folder)) == 1
    path = f"/flows/{flow}/log"
    assert texts(await asyncio.to_thread(read, api, path)) == ["a", "b", "c"]
    assert texts(await asyncio.to_thread(read, api, path, tail=2)) == ["b", "c"]
    async with following(api, path) as events:
        assert await events.texts(3) == ["a", "b", "c"]


def test_what_cannot_be_read_is_said(api: RunningApi, flow: str, folder: Path) -> None:
    folder.rename(folder.with_name("away"))
    assert texts(read(api, f"/flows/{flow}/tasks/1/log")) == [UNREAD]
    folder.with_name("away").rename(folder)
    assert texts(read(api, f"/flows/{flow}/tasks/1/log")) == ["a", "b"]


def test_an_api_that_is_not_told_of_the_store_says_so(
    flow: str, start_api: Callable[..., RunningApi]
) -> None:
    assert texts(read(start_api(), f"/flows/{flow}/tasks/1/log")) == [UNREAD]


def test_a_store_that_is_away_costs_no_line(api: RunningApi, flow: str, folder: Path) -> None:
    folder.rename(folder.with_name("away"))
    folder.write_text("no folder")
    write_lines(api, chunk(flow, ["d"], task=2, first=2))
    asyncio.run(store_lines(api))
    assert api.sql("SELECT count(*) FROM kr_task_log") == [(2,)]
    folder.unlink()
    folder.with_name("away").rename(folder)
    asyncio.run(store_lines(api))
    assert api.sql("SELECT count(*) FROM kr_task_log") == [(3,)]
    assert texts(read(api, f"/flows/{flow}/tasks/2/log")) == ["c", "d"]


async def test_a_file_goes_when_no_row_of_it_is_left(api: RunningApi, flow: str, folder: Path) -> None:
    async def prune() -> None:
        long_ago = time.time() - 2 * 86_400
        for path in files(folder):
            os.utime(path, (long_ago, long_ago))
        async with await database.connect(api.settings.database_url or "", "prune") as connection:
            await prune_lines(connection, api.settings.task_log_store)

    api.sql("DELETE FROM kr_task_log WHERE task_exec_seq = 1")
    await prune()
    assert texts(await asyncio.to_thread(read, api, f"/flows/{flow}/tasks/2/log")) == ["c"]
    api.sql("DELETE FROM kr_task_log")
    await prune()
    assert files(folder) == []


@pytest.mark.parametrize(
    "url", ["file:///srv/blobs", "file:///srv/blobs/lines/", "file:///srv", "lines", "memory://x"]
)
def test_a_place_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"FLOWER_TASK_LOG_STORE"):
        load_settings(blobs=("api", "file:///srv/blobs/"), task_log_store=url)
