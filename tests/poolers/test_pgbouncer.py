"""The engine works behind pgbouncer, in transaction mode and in session mode."""

import asyncio
import contextlib
import os
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest

import forked_flower
from api.serving import RunningApi
from flower_engine.projection.database import connect
from flower_engine.runtime.settings import Settings
from flower_engine.runtime.settings_loading import load_settings
from poolers.pgbouncer import PROGRAM, pgbouncer
from recovery.command import flower

pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed"),
    pytest.mark.no_tables,
]


@contextlib.contextmanager
def _projectors(settings: Settings, logs: Path, count: int) -> Generator[list[forked_flower.Process]]:
    with contextlib.ExitStack() as stack:
        running: list[forked_flower.Process] = []
        for number in range(count):
            log = stack.enter_context((logs / f"projector-{number}").open("wb"))
            process = forked_flower.start(
                *("-m", "flower_cli", "projector"),
                environment={**os.environ, **settings.as_environment()},
                output=log,
            )
            running.append(process)
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield running


@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_everything_works_behind_it(
    mode: str, redis_url: str, database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "pgbouncer"
    folder.mkdir()
    with (
        pgbouncer(database_url, folder, mode) as url,
        RunningApi(redis_url=redis_url, database_url=url) as api,
        _projectors(api.settings, tmp_path, 2) as projectors,
    ):
        api.define("etl", {}, {"dependsOn": [1]})
        flows = [api.register("etl") for _ in range(20)]
        async with api.engine() as engine:
            await engine.work_off()
            replies = [await asyncio.to_thread(api.client.get, "/flows?limit=5") for _ in range(50)]
            assert {reply.status_code for reply in replies} == {200}
            await asyncio.to_thread(
                api.wait_for, lambda: {api.flow(flow)["status"] for flow in flows} == {"Finish"}
            )
            # Edits with SQL are heard, though not by listening.
            with psycopg.connect(database_url, autocommit=True) as psql:
                psql.execute("UPDATE ms_task_definition SET program = 'B' WHERE task_id = 'etl'")
            await asyncio.to_thread(
                api.wait_for,
                lambda: api.flow(api.register("etl"))["tasks"][0]["program"] == "B",
            )
            await engine.work_off()
            code, text = await flower(api.settings, "verify")
            assert (code, text.endswith("0 differences")) == (0, True), text
            with psycopg.connect(database_url, autocommit=True) as psql:
                psql.execute("UPDATE kr_flow_stat SET waiting = 7")
            assert (await flower(api.settings, "verify"))[0] == 1
            assert (await flower(api.settings, "replay"))[0] == 0
            for command in (
                ["verify"],
                ["prune", "--older-than", "1d"],
                ["recover", "--force"],
                ["verify"],
            ):
                code, text = await flower(api.settings, *command, words=20)
                assert code == 0, (command, text)
        assert [process.poll() for process in projectors] == [None, None]


async def test_statement_mode_is_refused(redis_url: str, database_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "pgbouncer"
    folder.mkdir()
    with pgbouncer(database_url, folder, "statement") as url:
        settings = load_settings(redis_url=redis_url, database_url=url)
        code, text = await flower(settings, "projector", words=9)
    assert (code, "set pool_mode to transaction or session" in text) == (1, True), text


async def test_the_connection_knows_where_it_is(database_url: str, tmp_path: Path) -> None:
    async with await connect(database_url, "test") as connection:
        assert not connection.is_pooled
    for mode in ("transaction", "session"):
        folder = tmp_path / mode
        folder.mkdir()
        with pgbouncer(database_url, folder, mode) as url:
            async with await connect(url, "test") as connection:
                assert connection.is_pooled


async def test_a_connection_takes_nothing_over_from_other_clients_and_leaves_nothing_to_them(
    database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "pgbouncer"
    folder.mkdir()
    theirs = {"search_path": "pg_catalog", "timezone": "Asia/Kathmandu", "statement_timeout": "7s"}
    with (
        pgbouncer(database_url, folder, "transaction") as url,
        psycopg.connect(url, autocommit=True) as other,
    ):
        for name, value in theirs.items():
            other.execute("SELECT set_config(%s, %s, false)", [name, value])
        async with await connect(url, "test") as connection:
            assert await (await connection.execute("SELECT current_schema()")).fetchone() == ("public",)
            assert await (await connection.execute("SHOW statement_timeout")).fetchone() == ("0",)
        found = {name: other.execute("SELECT current_setting(%s)", [name]).fetchone() for name in theirs}
        assert found == {name: (value,) for name, value in theirs.items()}
