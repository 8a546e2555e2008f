"""What no waiting heals ends the start of a service, with the reason; later on it is said, and waited for."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest

from flower_engine.errors import StoreRefusedError
from flower_engine.log.client import connect, connect_blocking, send_blocking
from flower_engine.projection.database import make_pool
from flower_engine.runtime.installation import ensure_installation
from flower_engine.runtime.partitions_in_redis import open_partitions, refuse_wrong_postgres
from flower_engine.runtime.settings_loading import load_settings
from flower_projector.partition_loop import PartitionLoop, Round

pytestmark = pytest.mark.no_tables  # most begin as an engine does where nothing is there


@pytest.fixture
def limited(valkey_url: str) -> Iterator[str]:
    """The address of a user of Redis who may do next to nothing."""
    with connect_blocking(valkey_url) as admin:
        send_blocking(
            admin, "ACL SETUSER", "limited", "reset", "on", "nopass", "~*", "+multi", "+exec", "+discard"
        )
        yield valkey_url.replace("unix://", "unix://limited:any@")
        send_blocking(admin, "ACL DELUSER", "limited")


@pytest.fixture
def shut_out(database_url: str) -> Iterator[str]:
    """The address of a user of Postgres who may not log in."""
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute("CREATE ROLE shut_out NOLOGIN")
        yield database_url.replace("flower@", "shut_out@")
        admin.execute("DROP ROLE shut_out")


async def test_redis_that_refuses_ends_the_start_of_every_service(
    limited: str, redis_url: str, database_url: str
) -> None:
    for url, words in (
        (redis_url.replace("unix://", "unix://nobody:wrong@"), "user or password in FLOWER_REDIS_URL"),
        (redis_url.replace("db=0", "db=99"), "no database of the number"),
        (limited, "may not do what Flower needs there: give it "),
    ):
        settings = load_settings(redis_url=url, database_url=database_url)
        async with connect(url) as client, make_pool(database_url, "test", max_size=1) as pool:
            with pytest.raises(StoreRefusedError) as refused:
                await open_partitions(client, settings)
            assert words in str(refused.value)
            with pytest.raises(StoreRefusedError):
                await ensure_installation(client, pool, settings)


async def test_postgres_that_refuses_ends_the_start_of_every_service(
    shut_out: str, redis_url: str, database_url: str
) -> None:
    for url, words in (
        (database_url.replace("@/test", "@/no_such"), "make it with createdb"),
        (shut_out, "user or password in FLOWER_DATABASE_URL"),
        (database_url.replace("flower@", "nobody@"), "user or password in FLOWER_DATABASE_URL"),
    ):
        settings = load_settings(redis_url=redis_url, database_url=url)
        pool = make_pool(url, "test", max_size=1)
        async with connect(redis_url) as client:
            with pytest.raises(StoreRefusedError) as refused:
                await ensure_installation(client, pool, settings)
        assert words in str(refused.value)
        with pytest.raises(StoreRefusedError):
            await refuse_wrong_postgres(url)
    await refuse_wrong_postgres(database_url)
    await refuse_wrong_postgres(database_url.replace("%2Frun", "%2Fnowhere"))  # away: begin without it


async def test_a_service_that_has_begun_says_it_and_goes_on_when_it_is_put_right(
    limited: str, valkey_url: str, redis_url: str, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = load_settings(redis_url=limited, database_url=database_url)
    async with connect(redis_url) as client, make_pool(database_url, "test", max_size=1) as pool:
        made = await ensure_installation(client, pool, settings)
    async with connect(limited) as client:
        waiting = asyncio.create_task(open_partitions(client, settings, is_start=False))
        while "lacks a permission" not in caplog.text:
            assert not waiting.done()
            await asyncio.sleep(0.01)
        assert "no waiting heals" in caplog.text
        with connect_blocking(valkey_url) as admin:
            send_blocking(admin, "ACL SETUSER", "limited", "+@all")
        assert await waiting == made


async def test_a_projector_whose_user_lost_a_permission_says_so_and_goes_on(
    redis_url: str, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute("CREATE ROLE lesser LOGIN")
        try:
            settings = load_settings(
                redis_url=redis_url, database_url=database_url.replace("flower@", "lesser@")
            )
            async with connect(redis_url) as client, make_pool(database_url, "test", max_size=1) as pool:
                (partition,) = await ensure_installation(client, pool, settings)
                loop = PartitionLoop(client, partition, settings)
                await loop.rounds.step()
                assert loop.rounds.is_failing
                assert "lacks a permission, see GRANT" in caplog.text
                admin.execute("ALTER ROLE lesser SUPERUSER")
                assert await loop.run_once() is Round.PROJECTED
                await loop.close()
        finally:
            admin.execute("REASSIGN OWNED BY lesser TO flower")
            admin.execute("DROP OWNED BY lesser")
            admin.execute("DROP ROLE lesser")


def test_the_process_ends_with_the_reason_on_one_line(redis_url: str, database_url: str) -> None:
    environment = {
        **os.environ,
        "FLOWER_REDIS_URL": redis_url.replace("unix://", "unix://nobody:hunter2xyzzy@"),
        "FLOWER_DATABASE_URL": database_url,
    }
    ran = subprocess.run(
        [sys.executable, "-m", "flower_cli", "watcher"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    last = ran.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "error: Redis refuses what Flower needs, which no waiting heals: the user or password"
    )
    assert "hunter2" not in ran.stderr
